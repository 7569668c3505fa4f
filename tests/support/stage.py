"""What tests of visibility set up: objects that go with the test, rules in force, users through the gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from caller import JSON, Caller, calling, within

from tenantry.api import labels
from tenantry.install.gateway_rights import AGGREGATE_TO_READER
from tenantry.testing.gateway import Gateway
from tenantry.testing.world import World

NAMESPACES: Final = "/api/v1/namespaces"
CAPSULE: Final = "/apis/capsule.clastix.io/v1beta1"
GLOBAL_SETTINGS: Final = f"{CAPSULE}/globalproxysettings"
CAPSULE_GROUPS: Final = (labels.DEFAULT_USER_GROUP,)
AT_ONCE_SECONDS: Final = 1.0
"""Within which a rule acts once its status says that it is in force (8.2)."""


class Stage:
    """A test's hands on both sides of the gateway; everything made is deleted at its end."""

    def __init__(self, world: World, gateway: Gateway) -> None:
        """Make nothing yet; use as an async context manager."""
        self.world = world
        self.gateway = gateway
        self._stack = AsyncExitStack()
        self._made: list[str] = []
        self._keeper = world.unique("keeper")

    async def __aenter__(self) -> Self:
        self._caller = await self._stack.enter_async_context(calling())
        self.admin = self._caller(self.world.platform.plane.kubeconfig)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in reversed(self._made):
            await self.admin.delete(path)
        await self._stack.aclose()

    def unique(self, prefix: str) -> str:
        """Return a name that no other test has."""
        return self.world.unique(prefix)

    def user(self, name: str | None = None, groups: Sequence[str] = CAPSULE_GROUPS) -> Caller:
        """Return somebody with a client certificate, through the gateway."""
        return self._caller(self.gateway.user(name or self.unique("user"), tuple(groups)))

    def through(self, kubeconfig: Path) -> Caller:
        """Return whoever has *kubeconfig*, which goes through the gateway already."""
        return self._caller(kubeconfig)

    async def account(self, namespace: str, name: str) -> Caller:
        """Return a ServiceAccount with a real token, through the gateway; the account is made if need be."""
        path = f"{NAMESPACES}/{namespace}/serviceaccounts"
        await self.admin.create(path, {"metadata": {"name": name}})
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        reply = await self.admin.create(f"{path}/{name}/token", asked)
        token = reply.body["status"]["token"]
        return self._caller(self.gateway.bearer(token, name=f"{namespace}.{name}"))

    async def make(self, path: str, body: Mapping[str, Any], *, name: str | None = None) -> JSON:
        """Create an object as the administrator in the collection *path*; it goes with the test."""
        metadata = {"name": name or self.unique("thing"), **body.get("metadata", {})}
        reply = await self.admin.create(path, {**body, "metadata": metadata})
        assert reply.status == 201, reply
        self._made.append(f"{path}/{metadata['name']}")
        made: JSON = reply.body
        return made

    async def change(self, path: str, patch: Mapping[str, Any]) -> JSON:
        """Merge *patch* into an object as the administrator."""
        reply = await self.admin.patch(path, dict(patch))
        assert reply.status == 200, reply
        changed: JSON = reply.body
        return changed

    async def remove(self, path: str) -> None:
        """Delete an object as the administrator."""
        reply = await self.admin.delete(path)
        assert reply.status in {200, 202}, reply

    async def tenant(self, *owners: JSON, name: str | None = None, **spec: Any) -> str:
        """Create a Tenant and return its name once it is in force; one more owner makes its namespaces."""
        made = await self.world.tenant({"owners": [*owners, user(self._keeper)], **spec}, name=name)
        return made.metadata.name

    async def namespace(self, tenant: str, **metadata: Any) -> str:
        """Create a namespace of *tenant*; return its name."""
        return await self.world.namespace(self.world.acting(self._keeper), tenant, **metadata)

    async def global_rule(self, subjects: Sequence[JSON], *resources: JSON, name: str | None = None) -> str:
        """Create GlobalProxySettings of one rule; return its path once it is Ready."""
        spec = {"rules": [{"subjects": list(subjects), "clusterResources": list(resources)}]}
        return await self.settings(GLOBAL_SETTINGS, spec, name=name)

    async def setting(self, namespace: str, *subjects: JSON) -> str:
        """Create a ProxySetting; return its path once it is Ready."""
        path = f"{CAPSULE}/namespaces/{namespace}/proxysettings"
        return await self.settings(path, {"subjects": list(subjects)})

    async def settings(self, path: str, spec: JSON, *, name: str | None = None) -> str:
        """Create an object that holds rules; return its path once it is Ready."""
        kind = "GlobalProxySettings" if path == GLOBAL_SETTINGS else "ProxySetting"
        body = {"apiVersion": "capsule.clastix.io/v1beta1", "kind": kind, "spec": spec}
        made = await self.make(path, body, name=name)
        where = f"{path}/{made['metadata']['name']}"
        await self.ready(where)
        return where

    async def readable(self, api: str, *plurals: str) -> None:
        """Let the gateway's account read custom resources, as the platform does for those that rules name."""
        label = {AGGREGATE_TO_READER: "true"}
        rules = [{"apiGroups": [api], "resources": list(plurals), "verbs": ["get", "list", "watch"]}]
        path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
        await self.make(path, {"metadata": {"labels": label}, "rules": rules})

    async def edit(self, path: str, spec: JSON) -> None:
        """Change an object that holds rules; return once it is Ready again."""
        await self.change(path, {"spec": spec})
        await self.ready(path)

    async def ready(self, path: str) -> None:
        """Wait until an object that holds rules is in force as it is now."""

        async def is_ready() -> bool:
            stored = (await self.admin.ask(path)).body
            status, generation = stored.get("status", {}), stored["metadata"]["generation"]
            (condition,) = [each for each in status["conditions"] if each["type"] == "Ready"]
            said = {key: condition[key] for key in ("status", "reason", "message", "observedGeneration")}
            return status["observedGeneration"] == generation and said == {
                "status": "True",
                "reason": "Succeeded",
                "message": "reconciled",
                "observedGeneration": generation,
            }

        async def attempt() -> bool:
            try:
                return await is_ready()
            except KeyError:  # No status yet.
                return False

        await self.world.eventually(attempt)

    async def bind(self, namespace: str, subject: JSON, *, role: str = "view", **metadata: Any) -> str:
        """Bind *subject* to a ClusterRole in a namespace; return the RoleBinding's path."""
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
        body = {
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [subject],
        }
        made = await self.make(path, body, name=self.unique("binding"))
        return f"{path}/{made['metadata']['name']}"

    async def shows(self, attempt: Callable[[], Any], wanted: Any) -> None:
        """Have *attempt* give *wanted* as soon as a rule has to act."""
        await within(AT_ONCE_SECONDS, attempt, wanted)


def user(name: str) -> JSON:
    """Return an owner or a subject of a rule."""
    return {"kind": "User", "name": name}


def group(name: str) -> JSON:
    """As :func:`user`."""
    return {"kind": "Group", "name": name}


def account(namespace: str, name: str) -> JSON:
    """As :func:`user`."""
    return {"kind": "ServiceAccount", "name": f"system:serviceaccount:{namespace}:{name}"}


def rbac(subject: JSON) -> JSON:
    """Return the RBAC subject of an owner."""
    if subject["kind"] == "ServiceAccount":
        namespace, name = subject["name"].removeprefix("system:serviceaccount:").split(":")
        return {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    return {"apiGroup": "rbac.authorization.k8s.io", **subject}


def resource(groups: Sequence[str], resources: Sequence[str], *operations: str, **match_labels: str) -> JSON:
    """Return an entry of ``clusterResources``; without labels it takes every object."""
    entry: JSON = {"apiGroups": list(groups), "resources": list(resources)}
    if operations:
        entry["operations"] = list(operations)
    return {**entry, "selector": {"matchLabels": match_labels} if match_labels else {}}

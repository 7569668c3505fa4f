"""Objects as plain JSON, as kubectl and typed Go clients send them: whole, with their nulls and zero values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from tenantry.api import labels
from tenantry.foundation.codec import decode_any
from tenantry.kube.client import Client
from tenantry.kube.errors import ApiError, NotFoundError
from tenantry.kube.resources import EVENTS, SERVICE_ACCOUNTS
from tenantry.testing.world import World

Json = dict[str, Any]

_PATCH_TYPES: Final = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Plain:
    """One user's requests; an object says itself where it is."""

    def __init__(self, client: Client) -> None:
        """Send everything by *client*."""
        self.client = client

    async def create(self, obj: Mapping[str, Any], *, dry_run: bool = False) -> Json:
        """Create *obj* and return it as stored."""
        return await self._send("POST", path_of(obj, named=False), obj, query={"dryRun": "All"} if dry_run else {})

    async def get(self, obj: Mapping[str, Any]) -> Json:
        """Return *obj* as it is stored now."""
        found: Json = decode_any(await self.client.request("GET", path_of(obj)))
        return found

    async def update(self, obj: Mapping[str, Any], subresource: str = "") -> Json:
        """Replace the whole object."""
        return await self._send("PUT", path_of(obj, subresource), obj)

    async def change(self, obj: Mapping[str, Any], change: Callable[[Json], object], subresource: str = "") -> Json:
        """Read, change and write the whole object, again where somebody wrote in between."""
        while True:
            found = decode_any(await self.client.request("GET", path_of(obj, subresource)))
            change(found)
            try:
                return await self.update(found, subresource)
            except ApiError as error:
                if error.status != 409:
                    raise

    async def patch(
        self, obj: Mapping[str, Any], patch: Any, kind: str = "merge", subresource: str = "", *, manager: str = ""
    ) -> Json:
        """Change the object by *patch*: json, merge, strategic or apply."""
        query = {"fieldManager": manager, "force": "true"} if manager else {}
        headers = {"Content-Type": _PATCH_TYPES[kind]}
        return await self._send("PATCH", path_of(obj, subresource), patch, query=query, headers=headers)

    async def delete(self, obj: Mapping[str, Any], *, dry_run: bool = False) -> None:
        """Delete the object."""
        await self.client.request("DELETE", path_of(obj), query={"dryRun": "All"} if dry_run else {})

    async def list(self, api_version: str, kind: str, namespace: str = "") -> list[Json]:
        """Return all objects of a kind, in *namespace* or everywhere."""
        obj = {"apiVersion": api_version, "kind": kind, "metadata": {"namespace": namespace}}
        found: Json = decode_any(await self.client.request("GET", path_of(obj, named=False)))
        return list(found["items"])

    async def _send(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        answer: Json = decode_any(
            await self.client.request(
                method, path, query=query, body=body, headers=headers or {"Content-Type": "application/json"}
            )
        )
        return answer


def path_of(obj: Mapping[str, Any], subresource: str = "", *, named: bool = True) -> str:
    """Return the URL path of *obj*, or of its collection."""
    version, metadata = obj["apiVersion"], obj["metadata"]
    path = f"/apis/{version}" if "/" in version else f"/api/{version}"
    if metadata.get("namespace"):
        path += f"/namespaces/{metadata['namespace']}"
    path += f"/{_plural(obj['kind'])}"
    if named:
        path += f"/{metadata['name']}"
    return f"{path}/{subresource}" if subresource else path


def _plural(kind: str) -> str:
    word = kind.lower()
    if word.endswith("s"):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") and not word.endswith("ay") else f"{word}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A tenant with one namespace, whose owner may work in it."""

    tenant: str
    namespace: str
    owner: Plain
    admin: Plain


async def team(world: World, spec: Mapping[str, Any], *, name: str | None = None, **metadata: Any) -> Team:
    """Make a tenant of *spec* owned by alice, and a namespace with *metadata* in it."""
    tenant = await world.tenant({"owners": [{"kind": "User", "name": "alice"}], **spec}, name=name)
    alice = await world.user("alice")
    namespace = await world.namespace(alice, tenant.metadata.name, **metadata)
    await usable(world, alice, namespace)
    return Team(tenant=tenant.metadata.name, namespace=namespace, owner=Plain(alice), admin=Plain(world.admin))


async def usable(world: World, owner: Client, namespace: str) -> None:
    """Wait until *owner* has rights in *namespace*, and Pods can be made there."""

    async def ready() -> bool:
        await world.admin.get(SERVICE_ACCOUNTS, "default", namespace)
        await owner.list(SERVICE_ACCOUNTS, namespace)
        return True

    await world.eventually(ready)


async def refused(attempt: Awaitable[Any], *parts: str, status: int = 403) -> str:
    """Return the message with which *attempt* is refused; it must hold all of *parts*.

    Raises:
        AssertionError: It was let through, or refused otherwise.
    """
    try:
        result = await attempt
    except ApiError as error:
        assert error.status == status, error.message  # noqa: PT017 - the awaited thing is no block
        missing = [part for part in parts if part not in error.message]
        assert not missing, f"{missing} not in: {error.message}"  # noqa: PT017
        return error.message
    raise AssertionError(f"was let through: {result}")


async def told(world: World, namespace: str, reason: str, *parts: str) -> Json:
    """Wait for an event of *reason* in *namespace* whose note holds all of *parts*; return it."""

    async def find() -> Json | None:
        found = await Plain(world.admin).list(EVENTS.api_version, EVENTS.kind, namespace)
        for event in found:
            if event["reason"] == reason and all(part in event.get("note", "") for part in parts):
                return event
        raise AssertionError(f"{reason} with {parts} not in {[(e['reason'], e.get('note')) for e in found]}")

    return await world.eventually(find)


def _object(api_version: str, kind: str, namespace: str, name: str, **parts: Any) -> Json:
    # As Go writes a struct: creationTimestamp is there and null.
    metadata: Json = {"name": name, "namespace": namespace, "creationTimestamp": None, **parts.pop("metadata", {})}
    if not namespace:
        del metadata["namespace"]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


def any_object(api_version: str, kind: str, name: str, namespace: str = "", **parts: Any) -> Json:
    """Return an object of any kind."""
    return _object(api_version, kind, namespace, name, **parts)


def pod(namespace: str, name: str, *, image: str = "quay.io/acme/web:1", **spec: Any) -> Json:
    """Return a Pod with one container, as a Go client writes it; keys of *spec* are the Pod's spec's."""
    container = {"name": "main", "image": image, "resources": {}, **spec.pop("container", {})}
    metadata = spec.pop("metadata", {})
    return _object(
        "v1",
        "Pod",
        namespace,
        name,
        metadata=metadata,
        spec={"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
        status={},
    )


def service(namespace: str, name: str, **spec: Any) -> Json:
    """Return a Service with one port."""
    metadata = spec.pop("metadata", {})
    return _object(
        "v1",
        "Service",
        namespace,
        name,
        metadata=metadata,
        spec={"ports": [{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}], **spec},
        status={"loadBalancer": {}},
    )


def config_map(namespace: str, name: str, **metadata: Any) -> Json:
    """Return a ConfigMap."""
    return _object("v1", "ConfigMap", namespace, name, metadata=metadata, data={"key": "value"})


def claim(namespace: str, name: str, **spec: Any) -> Json:
    """Return a PersistentVolumeClaim of 1Gi."""
    metadata = spec.pop("metadata", {})
    return _object(
        "v1",
        "PersistentVolumeClaim",
        namespace,
        name,
        metadata=metadata,
        spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec},
        status={},
    )


def ingress(namespace: str, name: str, *hosts: str, path: str = "/", **spec: Any) -> Json:
    """Return an Ingress with a rule for each host; an empty host is a rule without one."""
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    http = {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}
    rules = [{"host": host, "http": http} if host else {"http": http} for host in hosts]
    metadata = spec.pop("metadata", {})
    body = {"rules": rules} if rules else {"defaultBackend": backend}
    return _object(
        "networking.k8s.io/v1",
        "Ingress",
        namespace,
        name,
        metadata=metadata,
        spec={**body, **spec},
        status={"loadBalancer": {}},
    )


def owned_labels(tenant: str) -> dict[str, str]:
    """Return the labels that every object in a namespace of *tenant* has (CN-6)."""
    return {labels.CAPSULE_MANAGED_BY: tenant, labels.NEW_TENANT: tenant}


@asynccontextmanager
async def standing(admin: Plain, *objects: Mapping[str, Any]) -> AsyncIterator[None]:
    """Have cluster-wide *objects* stand, and delete them at the end."""
    made: list[Mapping[str, Any]] = []
    try:
        for obj in objects:
            await admin.create(obj)
            made.append(obj)
        yield
    finally:
        for obj in reversed(made):
            with suppress(NotFoundError):
                await admin.delete(obj)


def priority_class(name: str, value: int, **parts: Any) -> Json:
    """Return a PriorityClass."""
    return _object("scheduling.k8s.io/v1", "PriorityClass", "", name, value=value, **parts)


def runtime_class(name: str, **parts: Any) -> Json:
    """Return a RuntimeClass."""
    return _object("node.k8s.io/v1", "RuntimeClass", "", name, handler="fake", **parts)


def storage_class(name: str, **parts: Any) -> Json:
    """Return a StorageClass that nothing provisions."""
    return _object("storage.k8s.io/v1", "StorageClass", "", name, provisioner="example.com/none", **parts)


def ingress_class(name: str, **parts: Any) -> Json:
    """Return an IngressClass."""
    return _object("networking.k8s.io/v1", "IngressClass", "", name, spec={"controller": "example.com/none"}, **parts)


def volume(name: str, **spec: Any) -> Json:
    """Return a PersistentVolume of 1Gi."""
    metadata = spec.pop("metadata", {})
    return _object(
        "v1",
        "PersistentVolume",
        "",
        name,
        metadata=metadata,
        spec={
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": "/data"},
            "persistentVolumeReclaimPolicy": "Retain",
            **spec,
        },
    )

"""What an end-to-end test does: act as somebody, make tenants, wait for a state of the world."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tenantry.api import labels
from tenantry.api.meta import CAPSULE_API_VERSION
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import decode_any, to_plain
from tenantry.kube.client import Client
from tenantry.kube.config import Impersonation, load_config
from tenantry.kube.errors import ApiError, NotFoundError
from tenantry.kube.resources import CONFIGURATIONS, NAMESPACES, TENANT_OWNERS, TENANTS, Resource
from tenantry.testing.platform import Platform

PATIENCE_SECONDS: Final = 30.0
T = TypeVar("T")


class World:
    """A test's hands: one client a user, and everything it made is deleted at its end."""

    def __init__(self, platform: Platform, unique: Callable[[str], str]) -> None:
        """Make nothing yet; use as an async context manager."""
        self.platform = platform
        self.unique = unique
        self._stack = AsyncExitStack()
        self._clients: dict[tuple[str, tuple[str, ...]], Client] = {}
        self._tenants: list[str] = []
        self._tenant_owners: list[str] = []

    async def __aenter__(self) -> Self:
        config = load_config(kubeconfig=str(self.platform.plane.kubeconfig))
        self.admin = await self._stack.enter_async_context(Client(config))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self._tenants:
            await self._delete_tenant(name)
        for name in self._tenant_owners:
            with suppress(NotFoundError):
                await self.admin.delete(TENANT_OWNERS, name)
        await self._stack.aclose()

    async def user(self, name: str, groups: Sequence[str] = (labels.DEFAULT_USER_GROUP,)) -> Client:
        """Return a client of a user known by a client certificate."""
        key = (name, tuple(groups))
        if key not in self._clients:
            config = load_config(kubeconfig=str(self.platform.user(name, groups)))
            self._clients[key] = await self._stack.enter_async_context(Client(config))
        return self._clients[key]

    def acting(self, name: str, groups: Sequence[str] = (labels.DEFAULT_USER_GROUP,)) -> Client:
        """Return a client that impersonates, as controllers that act for their users do."""
        return self.admin.impersonating(Impersonation(user=name, groups=tuple(groups)))

    def account(self, namespace: str, name: str, groups: Sequence[str] | None = None) -> Client:
        """Return a client of a ServiceAccount, with the groups that its token would have unless given."""
        own = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return self.acting(f"system:serviceaccount:{namespace}:{name}", own if groups is None else groups)

    async def stored(self, resource: Resource[Any], name: str, namespace: str | None = None) -> dict[str, Any]:
        """Return the whole object as it is on the wire."""
        found: dict[str, Any] = decode_any(await self.admin.request("GET", resource.path(namespace, name)))
        return found

    async def listed(self, resource: Resource[Any], namespace: str | None = None, **query: str) -> list[dict[str, Any]]:
        """Return whole objects, by name; *query* as ``labelSelector``."""
        body = decode_any(await self.admin.request("GET", resource.path(namespace), query=query))
        return sorted(body["items"], key=lambda item: str(item["metadata"]["name"]))

    @asynccontextmanager
    async def configured(self, **spec: Any) -> AsyncIterator[None]:
        """Have the CapsuleConfiguration say *spec* in the body, in force, and what it said before after it."""
        name = self.platform.settings.configuration_name
        before = to_plain((await self.admin.get(CONFIGURATIONS, name)).spec)
        await self._configure(spec)
        try:
            yield
        finally:
            await self._configure({key: before.get(key) for key in spec})

    async def _configure(self, spec: Mapping[str, Any]) -> None:
        name = self.platform.settings.configuration_name
        written = await self.admin.patch(CONFIGURATIONS, name, patch={"spec": dict(spec)}, kind="merge")

        async def in_force() -> bool:
            stored = await self.admin.get(CONFIGURATIONS, name)
            return stored.status.observed_generation >= written.metadata.generation

        await self.eventually(in_force)

    async def tenant_owner(self, spec: Mapping[str, Any], *, name: str | None = None, **metadata: Any) -> str:
        """Create a TenantOwner as the administrator; return its name once it is Ready."""
        chosen = name or self.unique("owner")
        await self.admin.create(TENANT_OWNERS, {"metadata": {"name": chosen, **metadata}, "spec": dict(spec)})
        self._tenant_owners.append(chosen)

        async def is_ready() -> bool:
            owner = await self.admin.get(TENANT_OWNERS, chosen)
            return owner.status.observed_generation == owner.metadata.generation

        await self.eventually(is_ready)
        return chosen

    async def tenant(self, spec: Mapping[str, Any], *, name: str | None = None) -> Tenant:
        """Create a Tenant as the administrator, and return it once its spec is in force."""
        chosen = name or self.unique("team")
        body = {
            "apiVersion": CAPSULE_API_VERSION,
            "kind": "Tenant",
            "metadata": {"name": chosen},
            "spec": dict(spec),
        }
        await self.admin.create(TENANTS, body)
        self.remember_tenant(chosen)
        return await self.in_force(chosen)

    def remember_tenant(self, name: str) -> None:
        """Have a Tenant deleted at the end that was made otherwise."""
        self._tenants.append(name)

    async def edit_tenant(self, name: str, patch: Mapping[str, Any]) -> Tenant:
        """Merge *patch* into the Tenant's spec, and return it once that is in force."""
        await self.admin.patch(TENANTS, name, patch={"spec": dict(patch)}, kind="merge")
        return await self.in_force(name)

    async def in_force(self, name: str) -> Tenant:
        """Wait until the Tenant's status tells of its present generation."""

        async def current() -> Tenant | None:
            tenant = await self.admin.get(TENANTS, name)
            return tenant if tenant.status.observed_generation == tenant.metadata.generation else None

        return await self.eventually(current)

    async def namespace(self, owner: Client, tenant: str, **metadata: Any) -> str:
        """Create a namespace of *tenant* as *owner*; return its name."""
        name = self.unique(f"{tenant}-ns")
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, **metadata, "labels": {labels.TENANT: tenant, **metadata.get("labels", {})}},
        }
        await owner.create(NAMESPACES, body)
        return name

    async def eventually(self, attempt: Callable[[], Awaitable[T | None]], *, seconds: float = PATIENCE_SECONDS) -> T:
        """Return the first result of *attempt* that is neither None nor false.

        An assertion or a refusal of the API server counts as not yet; the last one is
        raised when patience ends.
        """
        last: Exception | None = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        result = await attempt()
                    except (AssertionError, ApiError) as error:
                        last = error
                    else:
                        if result:
                            return result
                    await asyncio.sleep(0.05)
        except TimeoutError:
            if last is not None:
                raise last from None
            raise

    async def _delete_tenant(self, name: str) -> None:
        try:
            patch = {"spec": {"preventDeletion": False, "cordoned": False}}
            await self.admin.patch(TENANTS, name, patch=patch, kind="merge")
            await self.admin.delete(TENANTS, name)
        except NotFoundError:
            pass

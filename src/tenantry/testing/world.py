"""What an end-to-end test does: act as somebody, make tenants, wait for a state of the world."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tenantry.api import labels
from tenantry.api.meta import CAPSULE_API_VERSION
from tenantry.api.tenant import Tenant
from tenantry.kube.client import Client
from tenantry.kube.config import load_config
from tenantry.kube.errors import ApiError, NotFoundError
from tenantry.kube.resources import NAMESPACES, TENANTS
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

    async def __aenter__(self) -> Self:
        config = load_config(kubeconfig=str(self.platform.plane.kubeconfig))
        self.admin = await self._stack.enter_async_context(Client(config))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self._tenants:
            await self._delete_tenant(name)
        await self._stack.aclose()

    async def user(self, name: str, groups: Sequence[str] = (labels.DEFAULT_USER_GROUP,)) -> Client:
        """Return a client of a user known by a client certificate."""
        key = (name, tuple(groups))
        if key not in self._clients:
            config = load_config(kubeconfig=str(self.platform.user(name, groups)))
            self._clients[key] = await self._stack.enter_async_context(Client(config))
        return self._clients[key]

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
        self._tenants.append(chosen)
        return await self.in_force(chosen)

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

"""What every measurement stands on: the control plane, the product, the administrator, and how to wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import Any, Final

from bench.counters import Requests, api_requests
from bench.processes import cpu_seconds
from bench.wire import MERGE_PATCH, Door, gather_limited
from tenantry.api.labels import TENANT
from tenantry.api.meta import CAPSULE_API_VERSION
from tenantry.controlplane.cluster import ControlPlane
from tenantry.controlplane.components import Component
from tenantry.testing.platform import Part, Platform

PATIENCE_SECONDS: Final = 180.0
TENANTS: Final = f"/apis/{CAPSULE_API_VERSION}/tenants"
NAMESPACES: Final = "/api/v1/namespaces"
ROLE_BINDINGS: Final = "/apis/rbac.authorization.k8s.io/v1/rolebindings"
USER_GROUP: Final = "projectcapsule.dev"
PARALLEL: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """CPU seconds of the processes that matter."""

    operator: float
    admission: float
    api_server: float

    @property
    def product(self) -> float:
        """Both processes of the product."""
        return self.operator + self.admission

    def __sub__(self, before: Cpu) -> Cpu:
        return Cpu(
            operator=self.operator - before.operator,
            admission=self.admission - before.admission,
            api_server=self.api_server - before.api_server,
        )


@dataclass(slots=True)
class Scene:
    """A running installation, with the hands to work on it."""

    plane: ControlPlane
    platform: Platform
    admin: Door
    say: Callable[[str], None]
    doors: list[Door] = field(default_factory=list)
    closing: list[Callable[[], None]] = field(default_factory=list)
    """Called at the end, too."""

    @property
    def parts(self) -> Sequence[Part]:
        """The processes of the product."""
        return (self.platform.operator, self.platform.admission)

    def cpu(self) -> Cpu:
        """Return what was used so far."""
        return Cpu(
            operator=cpu_seconds(self.platform.operator.pid),
            admission=cpu_seconds(self.platform.admission.pid),
            api_server=cpu_seconds(self.plane.state.components[Component.API_SERVER].pid),
        )

    async def requests(self) -> Requests:
        """Return what the product asked of the API server so far, all of it."""
        return await api_requests({part.name: part.metrics_port for part in self.parts})

    def owner(self, name: str) -> Door:
        """Return the connections of a Capsule user, known by a client certificate of its own."""
        door = Door.of(self.platform.user(name, (USER_GROUP,)))
        self.doors.append(door)
        return door

    async def tenant(self, name: str, owner: str, spec: Mapping[str, Any] | None = None) -> None:
        """Create a Tenant."""
        body = {
            "apiVersion": CAPSULE_API_VERSION,
            "kind": "Tenant",
            "metadata": {"name": name},
            "spec": {"owners": [{"kind": "User", "name": owner}], **(spec or {})},
        }
        await self.admin.must("POST", TENANTS, body)

    async def edit_tenant(self, name: str, spec: Mapping[str, Any]) -> float:
        """Merge *spec* into a Tenant's; return when the API server answered."""
        answer = await self.admin.must("PATCH", f"{TENANTS}/{name}", {"spec": dict(spec)}, content_type=MERGE_PATCH)
        return answer.answered_at

    async def in_force(self, name: str) -> None:
        """Return once the Tenant's status tells of its present generation."""

        async def is_current() -> bool:
            tenant = await self.admin.get(f"{TENANTS}/{name}")
            observed: int = tenant.get("status", {}).get("observedGeneration", 0)
            generation: int = tenant["metadata"]["generation"]
            return observed == generation

        await self.until(is_current, f"tenant {name} in force")

    async def namespace(self, door: Door, name: str, tenant: str | None) -> None:
        """Create a namespace, of *tenant* or of none."""
        labels = {TENANT: tenant} if tenant else {}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        await door.must("POST", NAMESPACES, body)

    async def namespaces(self, door: Door, names: Sequence[str], tenant: str | None) -> None:
        """Create namespaces, some at a time."""
        await gather_limited([self.namespace(door, name, tenant) for name in names], PARALLEL)

    async def until(self, is_done: Callable[[], Awaitable[bool]], what: str, *, every_seconds: float = 0.1) -> float:
        """Ask again and again until *is_done*; return when it was, as perf_counter counts.

        Raises:
            TimeoutError: It never was.
        """
        deadline = monotonic() + PATIENCE_SECONDS
        while not await is_done():
            if monotonic() > deadline:
                raise TimeoutError(f"after {PATIENCE_SECONDS:.0f} s still waiting for: {what}")
            await asyncio.sleep(every_seconds)
        return perf_counter()

    async def quiet(self, *, seconds: float = 1.5) -> None:
        """Return once the product and the API server have little to do."""

        async def is_idle() -> bool:
            before = self.cpu()
            await asyncio.sleep(seconds / 3)
            used = self.cpu() - before
            return used.product < 0.05 * seconds / 3 and used.api_server < 0.25 * seconds / 3

        await self.until(is_idle, "a quiet moment", every_seconds=0)

    def close(self) -> None:
        """Drop all connections."""
        for door in (self.admin, *self.doors):
            door.close()
        for close in self.closing:
            close()

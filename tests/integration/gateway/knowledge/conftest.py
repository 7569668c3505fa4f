"""A real control plane with the CustomResourceDefinitions, and knowledge of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from tenantry.api.crds import crd_manifests
from tenantry.controlplane.cluster import ControlPlane
from tenantry.foundation.clock import SystemClock
from tenantry.gateway.knowledge.knowledge import Knowledge
from tenantry.gateway.settings import VisibilitySettings
from tenantry.kube.client import Client
from tenantry.kube.config import load_config
from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import (
    CONFIGURATIONS,
    CRDS,
    GLOBAL_PROXY_SETTINGS,
    NAMESPACES,
    PROXY_SETTINGS,
    TENANTS,
    KubernetesObject,
    Resource,
)

Running = Callable[..., AbstractAsyncContextManager[Knowledge]]
PROXY_CRDS = [each for each in crd_manifests() if each["spec"]["names"]["kind"].endswith(("ySetting", "ySettings"))]


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One for these tests: elsewhere controllers would write what is written here by hand."""

    def run(work: Any) -> Any:
        with asyncio.Runner() as runner:
            return runner.run(work)

    made = run(ControlPlane.start(tmp_path_factory.mktemp("knowledge") / "control-plane", nodes=()))
    run(_install(made))
    yield made
    run(made.stop())


async def _install(plane: ControlPlane) -> None:
    async with Client(load_config(kubeconfig=str(plane.kubeconfig))) as admin:
        for crd in crd_manifests():
            await admin.apply(CRDS, crd, field_manager="test", force=True)
        for resource in (TENANTS, CONFIGURATIONS, GLOBAL_PROXY_SETTINGS, PROXY_SETTINGS):
            await served(admin, resource)
        await admin.create(CONFIGURATIONS, {"metadata": {"name": "default"}, "spec": {}})


async def served(admin: Client, resource: Resource[Any]) -> None:
    """Return once the API server serves a kind."""
    async with asyncio.timeout(30):
        while True:
            try:
                await admin.list(resource)
            except NotFoundError:
                await asyncio.sleep(0.1)
            else:
                return


class Admin:
    """Writes objects, statuses included, as the operator would."""

    def __init__(self, client: Client, unique: Callable[[str], str]) -> None:
        self.client = client
        self.unique = unique

    async def users(self, *users: tuple[str, str]) -> None:
        """Add Capsule users; those of other tests stay."""
        stored = await self.client.get(CONFIGURATIONS, "default")
        known = {(each.kind, each.name) for each in stored.status.users} | set(users)
        listed = [{"kind": kind, "name": name} for kind, name in sorted(known)]
        await self._status(CONFIGURATIONS, "default", {"users": listed})

    async def tenant(self, *owners: tuple[str, str], **spec: Any) -> str:
        """Create a tenant whose effective owners are *owners*, and return its name."""
        name = self.unique("tenant")
        await self.client.create(TENANTS, {"metadata": {"name": name}, "spec": spec})
        await self.own(name, *owners)
        return name

    async def own(self, tenant: str, *owners: tuple[str, str]) -> None:
        """Have exactly *owners* own a tenant."""
        listed = [{"kind": kind, "name": owner} for kind, owner in owners]
        await self._status(TENANTS, tenant, {"state": "Active", "size": 0, "owners": listed, "conditions": []})

    async def namespace(self, tenant: str | None = None) -> str:
        """Create a namespace of *tenant*, or of none, and return its name."""
        metadata: dict[str, Any] = {"name": self.unique("ns")}
        if tenant is not None:
            stored = await self.client.get(TENANTS, tenant)
            metadata["labels"] = {"capsule.clastix.io/tenant": tenant}
            metadata["ownerReferences"] = [
                {
                    "apiVersion": "capsule.clastix.io/v1beta2",
                    "kind": "Tenant",
                    "name": tenant,
                    "uid": stored.metadata.uid,
                }
            ]
        created = await self.client.create(NAMESPACES, {"metadata": metadata})
        return created.metadata.name

    async def _status(self, resource: Resource[Any], name: str, status: dict[str, Any]) -> KubernetesObject:
        patch = {"status": status}
        written: KubernetesObject = await self.client.patch(
            resource, name, patch=patch, kind="merge", subresource="status"
        )
        return written


@pytest.fixture
async def client(plane: ControlPlane) -> AsyncIterator[Client]:
    """The superuser's."""
    async with Client(load_config(kubeconfig=str(plane.kubeconfig))) as made:
        yield made


@pytest.fixture
def admin(client: Client, unique: Callable[[str], str]) -> Admin:
    """Who prepares the cluster."""
    return Admin(client, unique)


@pytest.fixture
def running(client: Client, eventually: Callable[..., Any]) -> Running:
    """Have a Knowledge run, and be ready, for an ``async with`` block."""

    @asynccontextmanager
    async def run(settings: VisibilitySettings | None = None) -> AsyncIterator[Knowledge]:
        knowledge = Knowledge(client, settings or VisibilitySettings(), clock=SystemClock())
        async with asyncio.TaskGroup() as group:
            task = group.create_task(knowledge.run())
            await eventually(lambda: not list(knowledge.problems()) and knowledge.is_known)
            yield knowledge
            task.cancel()

    return run


class ProxyCrds:
    """The two definitions of the proxy, to take away and put back."""

    def __init__(self, client: Client, eventually: Callable[..., Any]) -> None:
        self._client = client
        self._eventually = eventually

    async def install(self) -> None:
        for crd in PROXY_CRDS:
            await self._client.apply(CRDS, crd, field_manager="test", force=True)
        for resource in (GLOBAL_PROXY_SETTINGS, PROXY_SETTINGS):
            await served(self._client, resource)

    async def remove(self) -> None:
        for crd in PROXY_CRDS:
            await self._client.delete(CRDS, crd["metadata"]["name"])
        await self._eventually(self._are_gone)

    async def _are_gone(self) -> bool:
        names = {each.metadata.name for each in (await self._client.list(CRDS)).items}
        return names.isdisjoint(crd["metadata"]["name"] for crd in PROXY_CRDS)

    @asynccontextmanager
    async def removed(self) -> AsyncIterator[None]:
        await self.remove()
        try:
            yield
        finally:
            await self.install()


@pytest.fixture
def proxy_crds(client: Client, eventually: Callable[..., Any]) -> ProxyCrds:
    """The definitions; every other test needs them, so use ``removed``."""
    return ProxyCrds(client, eventually)

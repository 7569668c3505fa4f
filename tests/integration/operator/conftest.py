"""A control plane of its own, and operators on it that have exactly the rights of an installation."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64decode
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509

from tenantry.api.crds import crd_manifests
from tenantry.api.tenant import Tenant
from tenantry.controlplane.cluster import ControlPlane
from tenantry.foundation.clock import Clock, SystemClock, rfc3339_micro
from tenantry.foundation.codec import decode_any
from tenantry.install.rbac import rights
from tenantry.install.settings import InstallSettings
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig, load_config
from tenantry.kube.credentials import StaticToken
from tenantry.kube.errors import AlreadyExistsError, ConflictError, NotFoundError
from tenantry.kube.resources import (
    CONFIG_MAPS,
    CONFIGURATIONS,
    CRDS,
    LEASES,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    SECRETS,
    SERVICE_ACCOUNTS,
    TENANTS,
    VALIDATING_WEBHOOKS,
)
from tenantry.operator.process import Operator
from tenantry.operator.settings import OperatorSettings

SYSTEM = "capsule-system"
DISARMED: dict[str, Any] = {"metadata": {"name": "tenantry-admission"}, "data": {"disarmed": "true"}}
APPLY = {"Content-Type": "application/apply-patch+yaml"}


@dataclass
class Running:
    """An operator under test."""

    operator: Operator
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def calls(self) -> Counter[tuple[str, str]]:
        """Verb and resource of what was asked, but for what the process needs to know the cluster."""
        return Counter(
            {each: count for each, count in self.requests.items() if each[0] not in {"list", "watch"} and each[1]}
        )


Start = Callable[..., AbstractAsyncContextManager[Running]]
Configure = Callable[..., Awaitable[None]]


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One for the controllers: elsewhere another operator may be at work."""

    def run(work: Any) -> Any:
        with asyncio.Runner() as runner:
            return runner.run(work)

    made = run(ControlPlane.start(tmp_path_factory.mktemp("operator") / "control-plane"))
    run(_install(made))
    yield made
    run(made.stop())


async def _install(plane: ControlPlane) -> None:
    async with Client(load_config(kubeconfig=str(plane.kubeconfig))) as admin:
        for crd in crd_manifests():
            path = CRDS.path(name=crd["metadata"]["name"])
            await admin.request("PATCH", path, query={"fieldManager": "test"}, body=crd, headers=APPLY)
        await admin.create(NAMESPACES, {"metadata": {"name": SYSTEM}})
        # Webhooks that nobody answers would refuse what other tests do.
        await admin.create(CONFIG_MAPS, DISARMED, SYSTEM)
        for each in rights(InstallSettings()):
            path = await _path(each)
            await admin.request("PATCH", path, query={"fieldManager": "test"}, body=each, headers=APPLY)
        async with asyncio.timeout(30):
            while True:
                try:
                    await admin.list(TENANTS)
                except NotFoundError:
                    await asyncio.sleep(0.1)
                else:
                    return


async def _path(manifest: dict[str, Any]) -> str:
    version, kind, meta = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    place = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    return f"{root}{place}/{kind.lower()}s/{meta['name']}"


@pytest.fixture
async def admin(plane: ControlPlane) -> AsyncIterator[Client]:
    """The superuser."""
    async with Client(load_config(kubeconfig=str(plane.kubeconfig))) as client:
        yield client


@pytest.fixture
async def config(plane: ControlPlane, admin: Client) -> ClusterConfig:
    """The operator's own identity."""
    path = SERVICE_ACCOUNTS.path(SYSTEM, "capsule", "token")
    answer = decode_any(await admin.request("POST", path, body={"spec": {}}))
    given = load_config(kubeconfig=str(plane.kubeconfig))
    return replace(given, tls=replace(given.tls, certificate=None), credentials=StaticToken(answer["status"]["token"]))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def start(config: ClusterConfig, eventually: Callable[..., Awaitable[None]]) -> Start:
    """Run an operator while the context is open; it leads at once."""

    @asynccontextmanager
    async def starting(clock: Clock | None = None, **settings: Any) -> AsyncIterator[Running]:
        requests: Counter[tuple[str, str]] = Counter()

        def observe(verb: str, plural: str, status: int, seconds: float) -> None:
            del status, seconds
            requests[verb, plural] += 1

        before = open_files()
        async with Client(config, observer=observe) as client:
            made = Operator(client, OperatorSettings(identity="test", **settings), clock=clock or SystemClock())
            task = asyncio.create_task(made.run(None))
            try:
                async with asyncio.timeout(30):
                    while not made.is_leading and not task.done():  # noqa: ASYNC110 - it has no event to wait for
                        await asyncio.sleep(0.02)
                assert not task.done(), task.exception()
                yield Running(made, requests)
            finally:
                task.cancel()
                await asyncio.wait({task})
        # Connections whose request was cancelled take leave of the server in their own time.
        await eventually(lambda: open_files() <= before)

    return starting


@pytest.fixture
async def running(start: Start) -> AsyncIterator[Running]:
    async with start() as made:
        yield made


@pytest.fixture
def idle(eventually: Callable[..., Awaitable[None]]) -> Callable[[Running], Awaitable[None]]:
    """Wait until an operator has had nothing to do for a while."""

    async def wait(running: Running) -> None:
        quiet = 0

        def is_quiet() -> bool:
            nonlocal quiet
            busy = any(queue.depth or queue.processing for queue in running.operator.controllers.queues)
            quiet = 0 if busy else quiet + 1
            return quiet > 12  # Polls of 0.05 s: longer than any queue keeps a key back.

        await eventually(is_quiet)

    return wait


@dataclass
class World:
    """What tests do to the cluster."""

    admin: Client
    unique: Callable[[str], str]
    eventually: Callable[..., Awaitable[None]]
    made: list[str] = field(default_factory=list)

    async def tenant(self, **spec: Any) -> Tenant:
        spec.setdefault("owners", [{"kind": "User", "name": "alice", "clusterRoles": ["admin"]}])
        name = self.unique("team")
        self.made.append(name)
        return await self.admin.create(TENANTS, {"metadata": {"name": name}, "spec": spec})

    async def clear(self) -> None:
        """Delete the tenants of the test, so that a broken one troubles no other; their namespaces follow."""
        for name in self.made:
            with suppress(NotFoundError, ConflictError):
                await self.admin.delete(TENANTS, name)
                await self.admin.patch(TENANTS, name, patch={"metadata": {"finalizers": None}}, kind="merge")

    async def namespace(self, tenant: Tenant, suffix: str = "dev", labels: dict[str, str] | None = None) -> str:
        """Create a namespace as admission would leave it."""
        name = f"{tenant.metadata.name}-{suffix}"
        reference = {
            "apiVersion": tenant.api_version,
            "kind": "Tenant",
            "name": tenant.metadata.name,
            "uid": tenant.metadata.uid,
        }
        metadata = {
            "name": name,
            "labels": {"capsule.clastix.io/tenant": tenant.metadata.name, **(labels or {})},
            "ownerReferences": [reference],
        }
        await self.admin.create(NAMESPACES, {"metadata": metadata})
        return name

    async def edit(self, tenant: Tenant, **spec: Any) -> None:
        await self.admin.patch(TENANTS, tenant.metadata.name, patch={"spec": spec}, kind="merge")

    async def stored(self, tenant: Tenant) -> Tenant:
        return await self.admin.get(TENANTS, tenant.metadata.name)

    async def is_ready(self, tenant: Tenant, size: int = 1) -> bool:
        """Return whether the status says that the spec as it is now is in force in *size* namespaces."""
        stored = await self.stored(tenant)
        return (
            stored.status.size == size
            and stored.status.observed_generation == stored.metadata.generation
            and any(each.type == "Ready" and each.status == "True" for each in stored.status.conditions)
            and all(space.conditions[0].status == "True" for space in stored.status.spaces)
        )

    async def ready(self, tenant: Tenant, size: int = 1) -> Tenant:
        await self.eventually(lambda: self.is_ready(tenant, size))
        return await self.stored(tenant)

    async def plain(self, path: str) -> dict[str, Any]:
        """Return an object as it is stored, whole."""
        answer: dict[str, Any] = decode_any(await self.admin.request("GET", path))
        return answer

    async def acknowledge(self, name: str, seconds: int = 60, **seen: int) -> None:
        """Be an admission worker that has seen these versions; keyword ``tenants`` is ``seen-tenants``."""
        lease = {
            "metadata": {
                "name": name,
                "namespace": SYSTEM,
                "labels": {"app.kubernetes.io/component": "admission-acknowledgement"},
                "annotations": {f"tenantry.io/seen-{key}": str(value) for key, value in seen.items()},
            },
            "spec": {
                "holderIdentity": name,
                "leaseDurationSeconds": seconds,
                "renewTime": rfc3339_micro(datetime.now(UTC)),
            },
        }
        await self.admin.apply(LEASES, lease, field_manager="test", force=True)


@pytest.fixture
async def world(
    admin: Client, unique: Callable[[str], str], eventually: Callable[..., Awaitable[None]]
) -> AsyncIterator[World]:
    made = World(admin, unique, eventually)
    yield made
    await made.clear()


@pytest.fixture
async def configured(admin: Client, eventually: Callable[..., Awaitable[None]]) -> AsyncIterator[Configure]:
    """Change the CapsuleConfiguration for one test."""
    before: list[Any] = []

    async def spec() -> Any:
        try:
            return decode_any(await admin.request("GET", CONFIGURATIONS.path(name="default")))["spec"]
        except NotFoundError:
            return None

    async def exists() -> bool:
        return await spec() is not None

    async def configure(**changes: Any) -> None:
        await eventually(exists)  # The operator creates it.
        if not before:
            before.append(await spec())
        await admin.patch(CONFIGURATIONS, "default", patch={"spec": changes}, kind="merge")

    yield configure
    if before:
        patch = [{"op": "replace", "path": "/spec", "value": before[0]}]
        await admin.patch(CONFIGURATIONS, "default", patch=patch, kind="json")


@pytest.fixture
def clock_ahead() -> Callable[[timedelta], Clock]:
    """Give the machine's clock, moved into the future."""

    class Moved(SystemClock):
        def __init__(self, ahead: timedelta) -> None:
            self._ahead = ahead

        def now(self) -> datetime:
            return super().now() + self._ahead

    return Moved


@dataclass
class Admission:
    """A server that allows everything, with the certificate that the operator made for it."""

    url: str
    reviews: int = 0


@pytest.fixture
async def admission(
    world: World, configured: Configure, running: Running, armed: Any, tmp_path: Path
) -> AsyncIterator[Admission]:
    """Have webhooks registered that are answered; they are gone again after the test."""
    del running
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Admission(f"https://127.0.0.1:{port}")
    client = {"client": {"url": made.url}}
    await configured(admission={"mutating": client, "validating": client})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    async def has_certificate() -> bool:
        try:
            data = (await world.admin.get(SECRETS, "capsule-tls", SYSTEM)).data or {}
        except NotFoundError:
            return False
        for name in ("tls.crt", "tls.key"):
            (tmp_path / name).write_bytes(b64decode(data[name]))
        context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
        names = x509.load_pem_x509_certificate(b64decode(data["tls.crt"])).extensions
        addresses = names.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.IPAddress)
        return "127.0.0.1" in map(str, addresses)

    async def allow(request: web.Request) -> web.Response:
        review = await request.json()
        made.reviews += 1
        answer = {"uid": review["request"]["uid"], "allowed": True}
        return web.json_response({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer})

    await world.eventually(has_certificate)
    app = web.Application()
    app.router.add_post("/{path:.*}", allow)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    name = world.unique("worker")
    everything = 1 << 60
    await world.acknowledge(
        name, tenants=everything, namespaces=everything, configuration=everything, tenantowners=everything
    )
    async with armed():
        yield made
    await world.admin.delete(LEASES, name, SYSTEM)
    await runner.cleanup()


@pytest.fixture
def armed(world: World) -> Callable[[], AbstractAsyncContextManager[None]]:
    """Have webhooks registered, once a worker is ready, while the context is open."""

    @asynccontextmanager
    async def arming() -> AsyncIterator[None]:
        with suppress(NotFoundError):
            await world.admin.delete(CONFIG_MAPS, DISARMED["metadata"]["name"], SYSTEM)
        yield
        with suppress(AlreadyExistsError):
            await world.admin.create(CONFIG_MAPS, DISARMED, SYSTEM)
        for resource in (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS):
            for each in (await world.admin.list(resource)).items:
                with suppress(NotFoundError):
                    await world.admin.delete(resource, each.metadata.name)

    return arming

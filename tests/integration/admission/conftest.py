"""A control plane whose API server asks two of our admission workers, which share a port."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from prometheus_client import CollectorRegistry

from tenantry.admission.certificates import CertificateFiles
from tenantry.admission.metrics import AdmissionMetrics
from tenantry.admission.settings import AdmissionSettings
from tenantry.admission.worker import Worker
from tenantry.api.configuration import CapsuleConfiguration
from tenantry.api.crds import crd_manifests
from tenantry.controlplane.cluster import ControlPlane
from tenantry.foundation.clock import SystemClock
from tenantry.foundation.codec import from_plain
from tenantry.kube.client import Client
from tenantry.kube.config import Impersonation, load_config
from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CONFIGURATIONS,
    CRDS,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    TENANTS,
    VALIDATING_WEBHOOKS,
)
from tenantry.tenancy.webhooks import webhook_configurations

SYSTEM = "capsule-system"
OWN_ACCOUNTS = AdmissionSettings().own_accounts
USERS = ("projectcapsule.dev", "testers", "system:authenticated")

As = Callable[..., Client]


@dataclass
class Call:
    """A review that a worker answered."""

    path: str
    verdict: str


class Counter(AdmissionMetrics):
    """Metrics that also remember each call."""

    def __init__(self, calls: list[Call]) -> None:
        super().__init__(CollectorRegistry())
        self._calls = calls
        self.confirmations = 0

    def finished(self, path: str, verdict: str, seconds: float) -> None:
        super().finished(path, verdict, seconds)
        self._calls.append(Call(path, verdict))

    def confirmed(self) -> None:
        super().confirmed()
        self.confirmations += 1


@dataclass
class Cluster:
    """The control plane, and what belongs to it."""

    plane: ControlPlane
    port: int
    certificates: Path
    ca_bundle: str
    calls: list[Call] = field(default_factory=list)
    counters: list[Counter] = field(default_factory=list)

    @property
    def configuration(self) -> dict[str, Any]:
        """The CapsuleConfiguration of the tests."""
        client = {"url": f"https://127.0.0.1:{self.port}", "caBundle": self.ca_bundle}
        return {
            "apiVersion": CONFIGURATIONS.api_version,
            "kind": "CapsuleConfiguration",
            "metadata": {"name": "default"},
            "spec": {
                "users": [{"kind": "Group", "name": "projectcapsule.dev"}],
                "administrators": [{"kind": "User", "name": "ada"}],
                "allowServiceAccountPromotion": True,
                "protectedNamespaceRegex": "^kube-",
                "nodeMetadata": {"forbiddenLabels": {"denied": ["zone"]}},
                "enableTLSReconciler": False,
                "cacheInvalidation": "24h",
                "rbac": {},
                "admission": {"mutating": {"client": client}, "validating": {"client": client}},
            },
        }

    async def register(self, admin: Client, configuration: dict[str, Any], *, idle: tuple[str, ...] = ()) -> None:
        """Register the webhooks, as the operator would."""
        sides = webhook_configurations(
            from_plain(configuration, CapsuleConfiguration),
            ca_bundle=self.ca_bundle,
            namespace=SYSTEM,
            service_name="capsule-webhook-service",
            own_accounts=OWN_ACCOUNTS,
            idle_tenants=idle,
        )
        for resource, side in zip((MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS), sides, strict=True):
            with suppress(NotFoundError):
                await admin.delete(resource, side["metadata"]["name"])
            await admin.create(resource, side)

    def worker(self, client: Client, index: int) -> Worker:
        """Return one worker, not yet running."""
        counter = Counter(self.calls)
        self.counters.append(counter)
        settings = AdmissionSettings(
            host="127.0.0.1",
            port=self.port,
            certificate=CertificateFiles(folder=self.certificates),
            identity="test",
            worker=index,
        )
        return Worker(client, settings, counter, SystemClock())


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("admission")
    with ThreadPoolExecutor(1) as apart, ExitStack() as stack:
        plane = apart.submit(asyncio.run, ControlPlane.start(folder / "control-plane", nodes=())).result()
        stack.callback(lambda: apart.submit(asyncio.run, plane.stop()).result())
        authority = trustme.CA()
        write_certificate(authority, folder)
        cluster = Cluster(plane, _free_port(), folder, base64.b64encode(authority.cert_pem.bytes()).decode())
        apart.submit(asyncio.run, _prepare(cluster)).result()
        for index in range(2):
            stack.enter_context(_running(cluster, index))
        apart.submit(asyncio.run, _register(cluster)).result()
        yield cluster


def write_certificate(authority: trustme.CA, folder: Path) -> None:
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    (folder / "tls.crt").write_bytes(b"".join(one.bytes() for one in certificate.cert_chain_pems))
    (folder / "tls.key").write_bytes(certificate.private_key_pem.bytes())
    (folder / "ca.crt").write_bytes(authority.cert_pem.bytes())


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def _prepare(cluster: Cluster) -> None:
    async with Client(load_config(kubeconfig=str(cluster.plane.kubeconfig))) as admin:
        for crd in crd_manifests():
            await admin.request(
                "PATCH",
                CRDS.path(name=crd["metadata"]["name"]),
                query={"fieldManager": "test"},
                body=crd,
                headers={"Content-Type": "application/apply-patch+yaml"},
            )
        await admin.create(NAMESPACES, {"metadata": {"name": SYSTEM}})
        await admin.create(
            CLUSTER_ROLE_BINDINGS,
            {
                "metadata": {"name": "testers"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "testers"}],
            },
        )
        async with asyncio.timeout(30):
            while True:
                try:
                    await admin.list(TENANTS)
                    await admin.apply(CONFIGURATIONS, cluster.configuration, field_manager="test")
                except NotFoundError:
                    await asyncio.sleep(0.1)
                else:
                    return


async def _register(cluster: Cluster) -> None:
    async with Client(load_config(kubeconfig=str(cluster.plane.kubeconfig))) as admin:
        await cluster.register(admin, cluster.configuration)


@contextmanager
def _running(cluster: Cluster, index: int) -> Iterator[None]:
    """Run one worker on a loop of its own, as its process would."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    failure: list[BaseException] = []

    async def main() -> None:
        async with Client(load_config(kubeconfig=str(cluster.plane.kubeconfig))) as client:
            worker = cluster.worker(client, index)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(worker.run())
                stopped.append(running)
                while not worker.is_serving:  # noqa: ASYNC110  # it has no event to wait for
                    await asyncio.sleep(0.02)
                ready.set()

    stopped: list[asyncio.Task[None]] = []

    def run() -> None:
        try:
            loop.run_until_complete(main())
        except BaseException as error:  # noqa: BLE001  # told to the test
            failure.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(30)
    assert not failure, failure
    yield
    loop.call_soon_threadsafe(stopped[0].cancel)
    thread.join(30)
    loop.close()


@pytest.fixture
async def registered(cluster: Cluster, admin: Client) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Register webhooks for another configuration; the usual ones come back after the test."""

    async def register(configuration: dict[str, Any] | None = None, *, idle: tuple[str, ...] = ()) -> None:
        await cluster.register(admin, configuration or cluster.configuration, idle=idle)

    yield register
    await cluster.register(admin, cluster.configuration)


@pytest.fixture
def find_port() -> Callable[[], int]:
    """Find ports that nobody listens on."""
    return _free_port


@pytest.fixture
async def admin(cluster: Cluster) -> AsyncIterator[Client]:
    """The superuser, of the group system:masters."""
    async with Client(load_config(kubeconfig=str(cluster.plane.kubeconfig))) as client:
        yield client


@pytest.fixture
def act_as(admin: Client) -> As:
    """Act as somebody who may do everything as far as RBAC goes; without groups, as a Capsule user."""

    def client(name: str, *groups: str) -> Client:
        return admin.impersonating(Impersonation(name, groups or USERS))

    return client


@pytest.fixture
def tenant(admin: Client, unique: Callable[[str], str]) -> Callable[..., Awaitable[str]]:
    """Make a tenant with the owner ``<its name>-owner`` and this spec, and return its name."""

    async def make(**spec: Any) -> str:
        name = unique("tenant")
        owners = [{"kind": "User", "name": f"{name}-owner"}]
        await admin.create(TENANTS, {"metadata": {"name": name}, "spec": {"owners": owners, **spec}})
        return name

    return make


@pytest.fixture
def space(act_as: As, unique: Callable[[str], str]) -> Callable[..., Awaitable[str]]:
    """Have the owner of a tenant make a namespace, and return its name."""

    async def make(tenant: str, **metadata: Any) -> str:
        name = unique(tenant)
        body = {"metadata": {"name": name, **metadata}}
        await act_as(f"{tenant}-owner").create(NAMESPACES, body)
        return name

    return make

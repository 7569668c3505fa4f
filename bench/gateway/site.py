"""The gateway before the scene's API server, its users, and whose CPU is looked at."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bench.gateway.issuer import Issuer
from bench.gateway.plain import PlainEnvoy
from bench.http2 import Http2Door
from bench.processes import cpu_seconds, descendants, memory
from bench.scene import NAMESPACES, USER_GROUP, Scene
from bench.seeding import put, remove
from bench.wire import Door
from tenantry.controlplane.components import Component
from tenantry.controlplane.pki import Authority
from tenantry.kube.config import load_config
from tenantry.testing.gateway import Gateway

OWNER: Final = "speed"
ACCOUNT: Final = "system:serviceaccount:default:speed"
SPACES: Final = tuple(f"speed-{number:02}" for number in range(20))
"""What the owner sees."""
PODS: Final = f"/api/v1/namespaces/{SPACES[0]}/pods"
POD_COUNT: Final = 5
FLAT: Final = "flat"
"""A tenant with one namespace of the same name, in which lie as many Pods as in another tenant's twenty."""
_FROZEN: Final = (Component.CONTROLLERS, Component.SCHEDULER)
_SEEDED: Final = "bench-seed-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU seconds."""

    envoy: float
    python: float
    """Python's process, and that which holds streams."""
    plain: float
    api_server: float

    @property
    def gateway(self) -> float:
        """All of the gateway's processes."""
        return self.envoy + self.python

    def __sub__(self, before: Usage) -> Usage:
        return Usage(
            envoy=self.envoy - before.envoy,
            python=self.python - before.python,
            plain=self.plain - before.plain,
            api_server=self.api_server - before.api_server,
        )


@dataclass(slots=True, kw_only=True)
class Site:
    """What a measurement of the gateway works on."""

    scene: Scene
    gateway: Gateway
    plain: PlainEnvoy
    issuer: Issuer
    token: str
    """Of the ServiceAccount that owns the tenant, too."""
    envoy_pid: int = 0
    python_pids: tuple[int, ...] = ()

    def look(self) -> None:
        """Learn the gateway's processes, after it was started."""
        below = descendants(self.gateway.python_pid)
        (self.envoy_pid,) = (pid for pid, name in below.items() if name == "envoy")
        self.python_pids = (self.gateway.python_pid, *(pid for pid in below if pid != self.envoy_pid))

    def usage(self) -> Usage:
        """Return what was used so far."""
        return Usage(
            envoy=cpu_seconds(self.envoy_pid),
            python=sum(map(cpu_seconds, self.python_pids)),
            plain=cpu_seconds(self.plain.pid),
            api_server=self.scene.cpu().api_server,
        )

    def memory_kib(self) -> tuple[float, float]:
        """Return what Envoy and Python's processes have in memory now, code aside."""
        python = sum(memory(pid).anonymous for pid in self.python_pids)
        return memory(self.envoy_pid).anonymous * 1e6 / 1024, python * 1e6 / 1024

    def certificate(self, user: str, groups: Sequence[str] = (USER_GROUP,)) -> Path:
        """Return a kubeconfig with a client certificate, for the API server itself."""
        return self.scene.platform.user(user, groups)

    def http2(self, port: int, kubeconfig: Path, *, token: str = "") -> Http2Door:
        """Return a door by HTTP/2 to what listens on *port*."""
        door = Http2Door("127.0.0.1", port, self._context(kubeconfig, shows=not token), token=token)
        self.scene.closing.append(door.close)
        return door

    @property
    def api_port(self) -> int:
        """Where the API server listens."""
        return urlsplit(self.scene.plane.server).port or 0

    def door(self, port: int, kubeconfig: Path, *, token: str = "") -> Door:
        """Return a door by HTTP/1.1 to what listens on *port*; with a *token*, that is shown, else the certificate."""
        door = Door("127.0.0.1", port, self._context(kubeconfig, shows=not token), token=token)
        self.scene.doors.append(door)
        return door

    def _context(self, kubeconfig: Path, *, shows: bool) -> ssl.SSLContext:
        tls = load_config(kubeconfig=str(kubeconfig)).tls
        assert tls.ca is not None
        context = ssl.create_default_context(cadata=tls.ca.read().decode())
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if shows and tls.certificate is not None:
            pair = self.gateway.folder / "client.pem"
            pair.write_bytes(tls.certificate.certificate.read() + b"\n" + tls.certificate.key.read())
            context.load_cert_chain(pair)
        return context

    async def start_again(self) -> None:
        """Start the gateway anew; return when it is ready."""
        await self.gateway.stop()
        await self.gateway.run()
        await self.gateway.wait_ready()
        self.look()

    async def namespaces(self, total: int) -> None:
        """Have *total* namespaces in all, by copies in the store that belong to nobody."""
        admin = self.scene.admin
        there = await admin.items(f"{NAMESPACES}?resourceVersion=0")
        model = next(each for each in there if each["metadata"]["name"] == "default")
        await put(self.scene, (_namespace(model, number) for number in range(len(there), total)))

        async def is_there() -> bool:
            return len(await admin.items(f"{NAMESPACES}?resourceVersion=0")) >= total

        await self.scene.until(is_there, f"{total} namespaces", every_seconds=0.5)
        await self.settled()

    async def settled(self) -> None:
        """Return once the gateway and the API server have little to do."""

        async def is_idle() -> bool:
            before = self.usage()
            await asyncio.sleep(0.5)
            used = self.usage() - before
            return used.gateway < 0.03 and used.api_server < 0.15

        await self.scene.until(is_idle, "a quiet gateway", every_seconds=0)


def _namespace(model: dict[str, Any], number: int) -> tuple[str, str]:
    name = f"{_SEEDED}{number:05}"
    labels = {"kubernetes.io/metadata.name": name, "app.kubernetes.io/part-of": f"part-{number % 50}"}
    meta = {"name": name, "uid": f"00000000-0000-4000-8000-{number:012}", "labels": labels}
    meta["creationTimestamp"] = model["metadata"]["creationTimestamp"]
    stored = {
        "kind": "Namespace",
        "apiVersion": "v1",
        "metadata": meta,
        "spec": model["spec"],
        "status": model["status"],
    }
    return f"/registry/namespaces/{name}", json.dumps(stored)


@asynccontextmanager
async def site_of(scene: Scene) -> AsyncIterator[Site]:
    """Yield the gateway with a tenant of twenty namespaces, and all that its requests are about."""
    folder = scene.platform.folder / "gateway"
    folder.mkdir(exist_ok=True)
    authority = Authority(scene.plane.folder / "pki")
    issuer = await Issuer.start(authority, folder)
    plain: PlainEnvoy | None = None
    gateway: Gateway | None = None
    try:
        token = await _tenants(scene)
        identity = {"authenticationConfiguration": str(issuer.configuration)}
        gateway = await Gateway.start(scene.platform, folder, configuration={"identity": identity})
        plain = await PlainEnvoy.start(gateway)
        site = Site(scene=scene, gateway=gateway, plain=plain, issuer=issuer, token=token)
        site.look()
        async with _frozen(scene):
            await _pods(scene)
            yield site
    finally:
        if plain is not None:
            await plain.stop()
        if gateway is not None:
            await gateway.stop()
        await issuer.stop()


async def _tenants(scene: Scene) -> str:
    """Make the tenants, and return a token of the ServiceAccount that owns the first, too."""
    owners = [{"kind": "User", "name": OWNER}, {"kind": "ServiceAccount", "name": ACCOUNT}]
    await scene.tenant(OWNER, OWNER, {"owners": owners})
    await scene.tenant(FLAT, FLAT)
    await scene.namespaces(scene.owner(OWNER), SPACES, OWNER)
    await scene.namespaces(scene.owner(FLAT), [FLAT], FLAT)
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await scene.admin.must("POST", accounts, {"metadata": {"name": "speed"}})
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token: str = (await scene.admin.must("POST", f"{accounts}/speed/token", body)).json()["status"]["token"]
    await scene.quiet()
    return token


async def _pods(scene: Scene) -> None:
    for number in range(POD_COUNT):
        await scene.admin.must("POST", PODS, pod(f"pod-{number:02}"))


def pod(name: str) -> dict[str, Any]:
    """Return a Pod as workloads have them: a container with what is usual; on no node that exists."""
    container = {
        "name": "main",
        "image": "registry.example.com/team/service:1.2.3",
        "env": [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(8)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
    }
    spec = {"nodeName": "none", "containers": [container]}
    labels = {"app": "service", "app.kubernetes.io/name": "service", "pod-template-hash": "5d4f8c7b9"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


@asynccontextmanager
async def _frozen(scene: Scene) -> AsyncIterator[None]:
    """Stop the controllers meanwhile: what is put into the store is to stay as it is, and costs them much."""
    pids = [scene.plane.state.components[each].pid for each in _FROZEN]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        await remove(scene, f"/registry/namespaces/{_SEEDED}")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

"""A real Envoy between a client without manners, a stand-in for Python's side, and one for the API server."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import raw as raw_client
import trustme
from aiohttp import WSMsgType, web

from tenantry.gateway.envoy.credentials import is_pushed
from tenantry.gateway.envoy.inputs import ClusterInputs, Inputs
from tenantry.gateway.envoy.render import render
from tenantry.gateway.envoy.supervisor import Envoy
from tenantry.gateway.protocol import (
    ANSWER_HEADER,
    CREATED,
    IDENTIFY,
    MASKED,
    VERDICT,
    Answer,
    decode_lines,
    encode_lines,
)
from tenantry.gateway.runtime import RuntimeFolder
from tenantry.gateway.settings import (
    AuditSettings,
    Certificate,
    ClusterSettings,
    GatewaySettings,
    Limits,
    Listening,
)
from tenantry.kube.config import ClusterConfig
from tenantry.kube.credentials import StaticToken
from tenantry.kube.tls import Pem, TlsSettings

SECRET = "5e" * 32
ALICE = (
    (":fresh", "10"),
    (":stale", "300"),
    (":id", "00000000000000aa"),
    (":how", "oidc"),
    (":real", "alice"),
    ("impersonate-user", "alice"),
    ("impersonate-group", "devs"),
    ("impersonate-group", "a, b"),
)


@pytest.fixture(scope="session")
def raw() -> Any:
    """The raw client: ``Connection``, ``exchange``, ``request``."""
    return raw_client


@dataclass
class Seen:
    """A request as the API server's stand-in, or Python's, got it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name]


@dataclass
class ApiServer:
    """Keeps what it gets; answers by what the path says."""

    seen: list[Seen] = field(default_factory=list)
    status: int = 200
    body: dict[str, Any] = field(default_factory=lambda: {"kind": "List"})
    port: int = 0
    hangs_up: bool = False
    """Whether watches end at once."""
    pause_seconds: float = 0.5
    """Between what watches send, and before ordinary answers if it is longer."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("upgrade") == "websocket":
            self.seen.append(_seen(request))
            return await self._echo(request)
        self.seen.append(_seen(request, await request.read()))
        if request.query.get("watch") == "1" and not self.hangs_up:
            return await self._watch(request)
        if self.pause_seconds > 0.5:
            await asyncio.sleep(self.pause_seconds)
        return web.json_response(self.body, status=self.status)

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        answer = web.WebSocketResponse(protocols=("v5.channel.k8s.io", "v4.channel.k8s.io"))
        await answer.prepare(request)
        async for message in answer:
            if message.type is WSMsgType.TEXT:
                await answer.send_str(f"echo {message.data}")
        return answer

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-type": "application/json"})
        await answer.prepare(request)
        await answer.write(b'{"type":"ADDED"}\n')
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(self.pause_seconds)
                await answer.write(b'{"type":"BOOKMARK"}\n')
        return answer

    @property
    def last(self) -> Seen:
        return self.seen[-1]


def _seen(request: web.BaseRequest, body: bytes = b"") -> Seen:
    headers = [(name.decode().lower(), value.decode("latin-1")) for name, value in request.raw_headers]
    return Seen(request.method, request.raw_path, headers, body)


@dataclass
class Python:
    """Speaks Python's side of the protocol, with answers that tests set."""

    identify: Answer = field(default_factory=lambda: Answer(lines=ALICE))
    verdict: Answer = field(default_factory=lambda: Answer(lines=((":route", "upstream"), (":fresh", "1"))))
    masked: Answer = field(default_factory=lambda: Answer(status=204))
    created: Answer = field(default_factory=lambda: Answer(status=204))
    asked: list[tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=list)
    passed: list[Seen] = field(default_factory=list)
    runner: web.ServerRunner | None = None
    socket: Path = Path()

    def count(self, path: str) -> int:
        return sum(1 for each, _ in self.asked if each == path)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["x-tenantry-secret"] == SECRET
        body = await request.read()
        answers = {IDENTIFY: self.identify, VERDICT: self.verdict, MASKED: self.masked, CREATED: self.created}
        if request.path not in answers:
            self.passed.append(_seen(request, body))
            return web.json_response({"from": "python"})
        self.asked.append((request.path, decode_lines(body)))
        answer = answers[request.path]
        headers = {**dict(answer.headers), ANSWER_HEADER: "1"}
        return web.Response(status=answer.status, body=answer.body or encode_lines(answer.lines), headers=headers)

    async def start(self) -> None:
        self.runner = web.ServerRunner(web.Server(self.handle), shutdown_timeout=0.1)
        await self.runner.setup()
        await web.UnixSite(self.runner, str(self.socket)).start()

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None
        self.socket.unlink(missing_ok=True)


@dataclass
class Gateway:
    """Everything a test needs, running."""

    envoy: Envoy
    settings: GatewaySettings
    runtime: RuntimeFolder
    inputs: Inputs
    api: ApiServer
    python: Python
    ca: trustme.CA
    audit: Path
    pythons: dict[str, Python] = field(default_factory=dict)
    """By cluster."""

    @property
    def port(self) -> int:
        return self.settings.listening.port

    def tls(self, *, alpn: str = "http/1.1", certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        context.set_alpn_protocols([alpn])
        if certificate is not None:
            certificate.configure_cert(context)
        return context

    async def send(self, data: bytes, *, server_name: str = "gateway.test", **options: Any) -> Any:
        return await raw_client.exchange(data, self.port, tls=self.tls(**options), server_name=server_name)

    async def get(self, target: str, *headers: tuple[str, str], **options: Any) -> Any:
        shown = headers if any(name.lower() == "authorization" for name, _ in headers) else (*headers, TOKEN)
        return await self.send(raw_client.request(target, headers=shown, **options))

    def render(self, **changes: Any) -> dict[str, bytes]:
        return render(replace(self.settings, **changes), self.runtime, self.inputs)

    async def records(self, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Return the audit log once *holds* does; Envoy writes it every 200 ms."""
        async with asyncio.timeout(10):
            while True:
                lines = self.audit.read_text().splitlines() if self.audit.exists() else []
                found = [json.loads(line) for line in lines]
                if holds(found):
                    return found
                await asyncio.sleep(0.05)


TOKEN = ("Authorization", "Bearer of-alice")


async def room_for_an_envoy() -> None:
    """Wait until the machine has inotify instances left: 128 are shared by everything that runs on it."""
    libc = ctypes.CDLL(None)
    async with asyncio.timeout(120):
        while True:
            descriptors = [libc.inotify_init() for _ in range(12)]
            for descriptor in descriptors:
                if descriptor >= 0:
                    os.close(descriptor)
            if min(descriptors) >= 0:
                return
            await asyncio.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def make_gateway(tmp_path: Path) -> Any:
    """Start gateways; *change* may alter settings, inputs and the files before Envoy sees them."""

    @contextlib.asynccontextmanager
    async def start(
        *,
        cluster: ClusterSettings | None = None,
        limits: Limits | None = None,
        change: Callable[[dict[str, bytes]], dict[str, bytes]] = lambda files: files,
        credential: Any = None,
        upstream: ClusterConfig | None = None,
        client_ca: bytes | None = None,
        holds_streams: bool = False,
        token: str | None = "Bearer of-the-gateway",  # noqa: S107
        listening: dict[str, Any] | None = None,
        audit_bytes: int = 100_000_000,
        others: tuple[ClusterSettings, ...] = (),
    ) -> AsyncIterator[Gateway]:
        ca = trustme.CA()
        serving = ca.issue_cert("gateway.test", "other.test", "127.0.0.1")
        certificate, key = tmp_path / "serving.crt", tmp_path / "serving.key"
        serving.private_key_pem.write_to_path(key)
        certificate.write_bytes(b"".join(pem.bytes() for pem in serving.cert_chain_pems))
        api = ApiServer(port=free_port())
        clusters = (cluster or ClusterSettings(), *others)
        # Short: a Unix socket's path has 107 bytes, pytest's folders may take more.
        with tempfile.TemporaryDirectory(prefix="gw") as folder:
            runtime = RuntimeFolder(Path(folder))
            pythons = {each.name: Python(socket=runtime.python_socket(each.name)) for each in clusters}
            settings = GatewaySettings(
                listening=Listening(
                    **{
                        "address": "127.0.0.1",
                        "port": free_port(),
                        "certificates": (Certificate(certificate=certificate, key=key),),
                        **(listening or {}),
                    }
                ),
                limits=limits or Limits(),
                clusters=clusters,
                audit=AuditSettings(file=tmp_path / "audit.log", max_bytes=audit_bytes),
                drain_seconds=2,
                envoy_workers=1,
            )
            reached = upstream or ClusterConfig(
                server=f"https://127.0.0.1:{api.port}",
                tls=TlsSettings(ca=Pem(data=ca.cert_pem.bytes())),
                credentials=credential or StaticToken("of-the-gateway"),
            )
            given = ClusterInputs(upstream=reached, client_ca=Pem(data=client_ca) if client_ca else None)
            inputs = Inputs(
                secret=SECRET, clusters={each.name: given for each in clusters}, holds_streams=holds_streams
            )
            for python in pythons.values():
                await python.start()
            server = await _serve(api, serving)
            envoy = Envoy(settings, runtime)
            pushed = {each.name: token for each in clusters} if is_pushed(reached) else {}
            first = pythons[clusters[0].name]
            gateway = Gateway(envoy, settings, runtime, inputs, api, first, ca, tmp_path / "audit.log", pythons)
            try:
                await room_for_an_envoy()
                await envoy.start(change(render(settings, runtime, inputs)), pushed=pushed)
                yield gateway
            finally:
                await envoy.stop()
                await server.cleanup()
                for python in pythons.values():
                    await python.stop()

    return start


async def _serve(api: ApiServer, certificate: trustme.LeafCert) -> web.AppRunner:
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{rest:.*}", api.handle)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    runner = web.AppRunner(app, shutdown_timeout=0.1, max_field_size=1 << 18, max_line_size=1 << 18)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", api.port, ssl_context=context).start()
    return runner


@pytest.fixture
async def gateway(make_gateway: Any) -> AsyncIterator[Gateway]:
    """A gateway with everything as it is by default, and no relay."""
    async with make_gateway() as running:
        yield running

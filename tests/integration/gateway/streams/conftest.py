"""A real Envoy with the shipped filter, before an upstream that streams what it is told."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tenantry.foundation.clock import SystemClock
from tenantry.gateway.streams.envoy_filter import no_stream, not_ours, stream_cluster, stream_filter
from tenantry.gateway.streams.locks import LockSet
from tenantry.gateway.streams.records import StreamRecord
from tenantry.gateway.streams.supervisor import StreamSupervisor

SECRET = "5ec2e7"
ORDINARY = "/api/v1/namespaces/a/pods"
BODY = f"{ORDINARY}/body/attach?stdin=1"
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

# As the gateway's own script, it chooses the route after the filters of the request were made.
_SCRIPT = """
function envoy_on_request(handle)
  if string.find(handle:headers():get(":path"), "[?]") then
    handle:headers():replace("x-way", "stream")
    handle:clearRouteCache()
  end
end
"""


@dataclass
class Counts:
    """What was counted."""

    started: Counter[str] = field(default_factory=Counter)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def stream_started(self, kind: str) -> None:
        self.started[kind] += 1

    def stream_ended(self, kind: str, reason: str) -> None:
        self.ended[kind, reason] += 1

    def stream_refused(self, token: str) -> None:
        self.refused[token] += 1


class Upstream:
    """Streams chunks until told otherwise; answers upgrades with an echo; keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.live = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                path = head.split(" ", 2)[1]
                self.seen.append(path)
                self.live += 1
                try:
                    await self._one(path, head, reader, writer)
                finally:
                    self.live -= 1
        writer.close()

    async def _one(self, path: str, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "upgrade: spdy/3.1" in head:
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: SPDY/3.1\r\n\r\n")
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            raise ConnectionError
        if path.startswith(BODY):
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body = await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % length + body)
        elif "?" in path:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nhello\n\r\n")
            await self._events(path.split("/")[4], reader, writer)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async def _events(self, how: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match how:
            case "short":
                writer.write(b"0\r\n\r\n")
            case "trailers":
                writer.write(b"0\r\nx-last: yes\r\n\r\n")
            case "flood":
                while True:
                    writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                    await writer.drain()
            case _:
                await reader.read(1)  # Until Envoy goes.
                raise ConnectionError


@dataclass
class Stream:
    """A client's view of one request."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: str

    @property
    def status(self) -> int:
        return int(self.head.split(" ", 2)[1])

    async def rest(self) -> bytes:
        """Read to the end."""
        data = bytearray()
        with suppress(ConnectionError):
            while chunk := await self.reader.read(65536):
                data += chunk
        return bytes(data)

    async def echo(self, data: bytes) -> bytes:
        self.writer.write(data)
        return await asyncio.wait_for(self.reader.readexactly(len(data)), 5)


@dataclass
class Door:
    """Envoy, its upstream, and the supervisor of streams."""

    folder: Path
    upstream: Upstream
    supervisor: StreamSupervisor
    records: list[StreamRecord]
    counts: Counts
    envoy: asyncio.subprocess.Process
    _open: list[Stream] = field(default_factory=list)

    async def is_open(self) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(self.folder / "door.sock")
        except OSError:
            return False
        writer.close()
        return not list(self.supervisor.problems())

    @property
    def child(self) -> int:
        session = self.supervisor._session
        assert session is not None
        return session._process.pid

    async def watch(self, user: str, how: str = "idle", **headers: str) -> Stream:
        """Open a watch, in a namespace that says how it goes on, and read its first event."""
        path = f"/api/v1/namespaces/{how}/pods?watch=1"
        stream = await self.ask(path, {"impersonate-user": user, **headers})
        if stream.status == 200:
            assert await asyncio.wait_for(stream.reader.readuntil(b"hello\n\r\n"), 5)
        return stream

    async def exec(self, user: str, **headers: str) -> Stream:
        """Open an upgraded stream."""
        upgrade = {"connection": "Upgrade", "upgrade": "SPDY/3.1"}
        return await self.ask(f"{ORDINARY}/p/exec?command=sh", {"impersonate-user": user, **upgrade, **headers})

    async def ask(self, path: str, headers: dict[str, str], *, more: str = "", body: bytes = b"") -> Stream:
        """Send a request, the secret with it unless it is given; return when its head is answered."""
        reader, writer = await asyncio.open_unix_connection(self.folder / "door.sock", limit=2**20)
        sent = {"host": "door", "x-tenantry-secret": SECRET, "x-request-id": "a1", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in sent.items())
        if body:
            lines += f"content-length: {len(body)}\r\n"
        writer.write(f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\n{lines}{more}\r\n".encode() + body)
        async with asyncio.timeout(15):
            head = await reader.readuntil(b"\r\n\r\n")
        stream = Stream(reader, writer, head.decode())
        self._open.append(stream)
        return stream

    def leave(self) -> None:
        for stream in self._open:
            stream.writer.close()

    def ended(self) -> list[tuple[str, str, str]]:
        """Return user, kind and reason of ends, sorted."""
        return sorted((each.user.name, each.kind, each.reason) for each in self.records if each.stage == "Ended")


def _mapper() -> dict[str, Any]:
    failed = {"op": "GE", "value": {"default_value": 400, "runtime_key": "unused"}}
    return {
        "filter": {"and_filter": {"filters": [{"status_code_filter": {"comparison": failed}}, not_ours()]}},
        "body": {"inline_string": "Envoy's own words"},
    }


def _configuration(folder: Path) -> dict[str, Any]:
    filters = [
        {
            "name": "script",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "default_source_code": {"inline_string": _SCRIPT},
            },
        },
        stream_filter("streams"),
        {
            "name": "router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        },
    ]
    to_upstream = {"cluster": "upstream", "timeout": "0s"}
    routes = [
        {
            "match": {"prefix": "/", "headers": [{"name": "x-way", "string_match": {"exact": "stream"}}]},
            "route": to_upstream,
        },
        {"match": {"prefix": "/"}, "route": to_upstream, "typed_per_filter_config": no_stream()},
    ]
    manager = {
        "@type": _HCM,
        "stat_prefix": "door",
        "stream_idle_timeout": "0s",
        "delayed_close_timeout": "0.2s",
        "local_reply_config": {"mappers": [_mapper()]},
        "max_request_headers_kb": 96,
        "common_http_protocol_options": {"max_headers_count": 500},
        "upgrade_configs": [{"upgrade_type": "SPDY/3.1"}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": filters,
    }
    unlimited = {"max_connections": 10_000, "max_pending_requests": 10_000, "max_requests": 10_000}
    upstream = {
        "name": "upstream",
        "type": "STATIC",
        "typed_extension_protocol_options": {
            _OPTIONS: {
                "@type": f"type.googleapis.com/{_OPTIONS}",
                "common_http_protocol_options": {"max_headers_count": 500},
                "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
            }
        },
        "circuit_breakers": {"thresholds": [unlimited]},
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": str(folder / "upstream.sock")}}}}]}
            ],
        },
    }
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "door",
                    "address": {"pipe": {"path": str(folder / "door.sock")}},
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [upstream, stream_cluster("streams", folder / "streams.sock")],
        }
    }


@asynccontextmanager
async def _envoy(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    package = find_spec("envoy")
    assert package is not None
    assert package.submodule_search_locations
    program = Path(package.submodule_search_locations[0]) / "_bin" / "envoy"
    file = folder / "envoy.json"
    file.write_text(json.dumps(_configuration(folder)))
    with (folder / "envoy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            *("-c", file, "--disable-hot-restart", "--concurrency", "2", "-l", "warning"),
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.fixture
async def door(eventually: Any) -> AsyncIterator[Door]:
    """Everything, running."""
    # Not pytest's folder: its name is longer than a Unix socket's may be.
    with tempfile.TemporaryDirectory(prefix="tenantry-") as name:
        folder = Path(name)
        upstream, records, counts = Upstream(), list[StreamRecord](), Counts()
        supervisor = StreamSupervisor(
            folder / "streams.sock",
            secret=SECRET,
            locks=LockSet(),
            clock=SystemClock(),
            sink=records.append,
            counters=counts,
        )
        server = await asyncio.start_unix_server(upstream.answer, folder / "upstream.sock", backlog=1024, limit=2**20)
        async with _envoy(folder) as envoy, asyncio.TaskGroup() as group:
            running = group.create_task(supervisor.run())
            found = Door(folder, upstream, supervisor, records, counts, envoy)
            await eventually(found.is_open)
            try:
                yield found
            finally:
                found.leave()
                running.cancel()
        server.close()

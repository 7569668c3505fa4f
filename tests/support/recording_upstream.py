"""An API server's front for tests: it records what arrives, byte by byte, and passes it on or answers itself."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import yaml

from tenantry.controlplane.cluster import ControlPlane
from tenantry.controlplane.pki import Authority, utc_now
from tenantry.kube.config import load_config

HEAD_BYTES: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as it came over the wire."""

    connection: int
    """Which connection it came on; they are counted from 1."""
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    """In order, names as sent."""
    head: bytes = field(repr=False)
    """All of it, from the request line to the empty line."""
    body: bytes = field(repr=False, default=b"")

    def values(self, name: str) -> list[str]:
        """Return the values of all headers of that name, in any case."""
        return [value for each, value in self.headers if each.lower() == name]

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


Answer = Callable[[Arrived], bytes | None]
"""Says what a request is answered with, raw; None leaves it to the API server."""


class RecordingUpstream:
    """Listens with a certificate of the API server's own authority; made by :meth:`start`."""

    def __init__(self, plane: ControlPlane) -> None:
        config = load_config(kubeconfig=str(plane.kubeconfig))
        host, _, port = config.server.removeprefix("https://").partition(":")
        self._target = (host, int(port))
        # No certificate of the administrator's goes along: whoever comes shows a token, or is nobody.
        self._tls = ssl.create_default_context(cafile=str(Authority(plane.folder / "pki").certificate_file))
        self._answers: list[Answer] = []
        self._connections = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.arrived: list[Arrived] = []
        self.port = 0

    @classmethod
    async def start(cls, plane: ControlPlane, folder: Path) -> Self:
        """Listen before *plane*'s API server; *folder* is for the certificate."""
        upstream = cls(plane)
        pair = Authority(plane.folder / "pki").server(utc_now())
        (folder / "upstream.pem").write_bytes(pair.certificate + pair.key)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "upstream.pem")
        server = await asyncio.start_server(upstream._serve, "127.0.0.1", 0, ssl=tls, limit=HEAD_BYTES)
        upstream._server, upstream.port = server, server.sockets[0].getsockname()[1]
        return upstream

    async def stop(self) -> None:
        """Close every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def kubeconfig(self, original: Path, target: Path, token_file: Path) -> Path:
        """Write a copy of *original* that leads here, with a token from *token_file*; return where it is."""
        document = yaml.safe_load(original.read_text())
        for each in document["clusters"]:
            each["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        for each in document["users"]:
            each["user"] = {"tokenFile": str(token_file)}
        target.write_text(yaml.safe_dump(document))
        return target

    @contextmanager
    def answering(self, answer: Answer) -> Iterator[None]:
        """Have *answer* say what is answered, in the body."""
        self._answers.append(answer)
        try:
            yield
        finally:
            self._answers.remove(answer)

    @contextmanager
    def recording(self) -> Iterator[list[Arrived]]:
        """Yield a list of what arrives from now on; it is whole when the body ends."""
        start, found = len(self.arrived), list[Arrived]()
        try:
            yield found
        finally:
            found += self.arrived[start:]

    def by_agent(self, agent: str) -> list[Arrived]:
        """Return what a client with that User-Agent sent through the data plane."""
        return [each for each in self.arrived if each.values("user-agent") == [agent]]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connection(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # One of both sides went away, or the test is over.
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(self._connections)
        onward_reader, onward = await asyncio.open_connection(*self._target, ssl=self._tls)
        back = asyncio.create_task(_pipe(onward_reader, writer))
        try:
            while (arrived := await _request(reader, number)) is not None:
                self.arrived.append(arrived)
                answer = next(filter(None, (each(arrived) for each in reversed(self._answers))), None)
                if answer is not None:
                    writer.write(answer)
                    await writer.drain()
                    continue
                onward.write(arrived.head + arrived.body)
                await onward.drain()
                if arrived.values("upgrade"):
                    await _pipe(reader, onward)
                    return
        finally:
            back.cancel()
            onward.transport.abort()


async def _request(reader: asyncio.StreamReader, connection: int) -> Arrived | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = tuple((name, value.strip(" ")) for name, _, value in (line.partition(":") for line in lines))
    return Arrived(connection, method, target, headers, head, await _body(reader, headers))


async def _body(reader: asyncio.StreamReader, headers: Iterable[tuple[str, str]]) -> bytes:
    given = {name.lower(): value for name, value in headers}
    if "content-length" in given:
        return await reader.readexactly(int(given["content-length"]))
    body = b""
    if given.get("transfer-encoding") == "chunked":
        size = -1
        while size:
            line = await reader.readuntil(b"\r\n")
            size = int(line, 16)
            body += line + await reader.readexactly(size + 2)
    return body


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()


def response(status: int, body: object = None, *headers: tuple[str, str]) -> bytes:
    """Return a raw answer with *body* as JSON."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in (("Content-Type", "application/json"), *headers)]
    return "\r\n".join((*lines, "", "")).encode() + data

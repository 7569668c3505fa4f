"""The load generator: an HTTP/1.1 client that costs little, so that it takes little from what it measures."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Self, cast
from urllib.parse import urlsplit

from tenantry.kube.config import load_config
from tenantry.kube.tls import TlsContexts

ANSWER_SECONDS: Final = 60.0
JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
_HEAD_END: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and when."""

    status: int
    body: bytes
    sent_at: float
    """As perf_counter counts."""
    answered_at: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.answered_at - self.sent_at

    @property
    def is_done(self) -> bool:
        """Whether the server did what was asked."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self.body)


class UnexpectedAnswerError(Exception):
    """The API server refused what a measurement takes for granted."""


class _Connection(asyncio.Protocol):
    """One connection, on which one request is under way at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answered: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(_HEAD_END)
        if head_end < 0 or self._answered is None or self._answered.done():
            return
        head, start = bytes(self._received[:head_end]).lower(), head_end + len(_HEAD_END)
        at = head.find(b"content-length:")
        if at >= 0:
            length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self._received) >= start + length:
                self._finish(head, bytes(self._received[start : start + length]))
        elif self._received.endswith(_LAST_CHUNK):
            self._finish(head, _joined(self._received, start))

    def _finish(self, head: bytes, body: bytes) -> None:
        self._received.clear()
        assert self._answered is not None
        self._answered.set_result((int(head[9:12]), body))

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _joined(received: bytearray, start: int) -> bytes:
    """Return the chunks from *start* on as one."""
    parts: list[bytes] = []
    at = start
    while True:
        line_end = received.index(b"\r\n", at)
        size = int(received[at:line_end].split(b";", 1)[0], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(bytes(received[line_end + 2 : line_end + 2 + size]))
        at = line_end + 2 + size + 2


class Door:
    """Connections of one identity to one server, kept open, as many as are needed at once."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None = None, *, token: str = "") -> None:
        """Open nothing yet; *token* is shown with each request."""
        self._host, self._port, self._context = host, port, context
        self._credential = f"Authorization: Bearer {token}\r\n" if token else ""
        self._idle: list[_Connection] = []
        self._all: list[_Connection] = []

    @classmethod
    def plain(cls, port: int) -> Self:
        """Return a door to what serves HTTP on this machine."""
        return cls("127.0.0.1", port)

    @classmethod
    def of(cls, kubeconfig: Path) -> Self:
        """Return a door to the API server, for the user of *kubeconfig*."""
        config = load_config(kubeconfig=str(kubeconfig))
        parts = urlsplit(config.server)
        return cls(parts.hostname or "", parts.port or 443, TlsContexts(config.tls).current())

    async def open(self, count: int) -> None:
        """Have *count* connections ready."""
        while len(self._idle) < count:
            self._idle.append(await self._connect())

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Answer:
        """Send one request; any status is an answer."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        request = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nUser-Agent: bench\r\nAccept: {accept}\r\n"
            f"{self._credential}Content-Type: {content_type}\r\nContent-Length: {len(content)}\r\n\r\n"
        ).encode() + content
        connection = await self._free()
        sent_at = perf_counter()
        status, answer = await asyncio.wait_for(connection.exchange(request), ANSWER_SECONDS)
        answered_at = perf_counter()
        self._idle.append(connection)
        return Answer(status, answer, sent_at, answered_at)

    async def must(self, method: str, path: str, body: Any = None, *, content_type: str = JSON) -> Answer:
        """Send one request that has to succeed.

        Raises:
            UnexpectedAnswerError: It did not.
        """
        answer = await self.send(method, path, body, content_type=content_type)
        if not answer.is_done:
            raise UnexpectedAnswerError(f"{method} {path}: {answer.status} {answer.body[:500].decode()}")
        return answer

    async def get(self, path: str) -> Any:
        """Return what is at *path*, decoded."""
        return (await self.must("GET", path)).json()

    async def items(self, path: str) -> list[Any]:
        """Return the items of a list."""
        found: list[Any] = (await self.get(path))["items"]
        return found

    def close(self) -> None:
        """Drop all connections."""
        for connection in self._all:
            connection.close()
        self._all.clear()
        self._idle.clear()

    async def _free(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return await self._connect()

    async def _connect(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection,
            self._host,
            self._port,
            ssl=self._context,
            server_hostname=self._host if self._context else None,
        )
        self._all.append(connection)
        return connection


async def gather_limited(work: list[Any], limit: int) -> list[Any]:
    """Await all coroutines of *work*, *limit* at a time; return their results in order."""
    results: list[Any] = [None] * len(work)
    pending = iter(enumerate(work))

    async def worker() -> None:
        for index, coroutine in pending:
            results[index] = await coroutine

    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(worker())
        return results
    for _, coroutine in pending:
        coroutine.close()
    raise UnexpectedAnswerError("a part of the load failed")

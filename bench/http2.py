"""As the clients of Go do it: HTTP/2 over one connection, where what was sent before is named by its number.

No more of the protocol than a measurement needs, and so cheap that it takes little from what it measures.
Source: RFC 9113, RFC 7541.
"""

from __future__ import annotations

import asyncio
import ssl
from time import perf_counter
from typing import Final, cast

from bench.wire import ANSWER_SECONDS, JSON, Answer

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_PLENTY: Final = 1 << 30
_HEAD_BYTES: Final = 9
_TABLE_BYTES: Final = 4096
_ENTRY_BYTES: Final = 32
_FIRST_INDEX: Final = 62
_STATUSES: Final = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
_OTHER: Final = 999
"""A status that has no number of its own; whoever needs it better asks over HTTP/1.1."""


class Stream:
    """What comes back of one request."""

    __slots__ = ("body", "done", "status")

    def __init__(self) -> None:
        self.status = 0
        self.body = bytearray()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.streams: dict[int, Stream] = {}
        self.transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._unacknowledged = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        # No pushes; windows that never fill up.
        settings = b"\x00\x02\x00\x00\x00\x00" + b"\x00\x04" + _PLENTY.to_bytes(4)
        self.transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _window())

    def connection_lost(self, exc: Exception | None) -> None:
        for stream in self.streams.values():
            if not stream.done.done():
                stream.done.set_exception(exc or ConnectionResetError("the connection was closed"))
                stream.done.exception()  # Not everybody waits for the end.
        self.streams.clear()

    def data_received(self, data: bytes) -> None:
        self._received += data
        received, at = self._received, 0
        while len(received) - at >= _HEAD_BYTES:
            end = at + _HEAD_BYTES + int.from_bytes(received[at : at + 3])
            if end > len(received):
                break
            number = int.from_bytes(received[at + 5 : at + 9]) & 0x7FFFFFFF
            self._take(received[at + 3], received[at + 4], number, bytes(received[at + _HEAD_BYTES : end]))
            at = end
        del received[:at]

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        assert self.transport is not None
        if kind == _SETTINGS and not flags & _ACK:
            self.transport.write(_frame(_SETTINGS, _ACK, 0))
        elif kind == _PING and not flags & _ACK:
            self.transport.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            self.transport.close()
        elif (stream := self.streams.get(number)) is not None:
            self._of_stream(stream, kind, payload)
            if kind == _RESET or (kind in {_DATA, _HEADERS} and flags & _END_STREAM):
                del self.streams[number]
                stream.done.set_result(None)

    def _of_stream(self, stream: Stream, kind: int, payload: bytes) -> None:
        if kind == _HEADERS and not stream.status:
            stream.status = _status(payload)
        elif kind == _DATA:
            stream.body += payload
            self._unacknowledged += len(payload)
            if self._unacknowledged > _PLENTY // 2 and self.transport is not None:
                self.transport.write(_window(self._unacknowledged))
                self._unacknowledged = 0


class Http2Door:
    """One connection of one identity to one server."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, *, token: str = "") -> None:
        """Open nothing yet; *context* is this door's own, *token* is shown with each request."""
        context.set_alpn_protocols(["h2"])
        self._host, self._port, self._context = host, port, context
        self._credential = [("authorization", f"Bearer {token}")] if token else []
        self._connection: _Connection | None = None
        self._next = 1
        self._table: dict[tuple[str, str], int] = {}
        self._table_bytes = 0

    async def open(self) -> None:
        """Connect, if it is not yet."""
        if self._connection is None:
            _, self._connection = await asyncio.get_running_loop().create_connection(
                _Connection, self._host, self._port, ssl=self._context, server_hostname=self._host
            )

    async def send(self, method: str, path: str, *, accept: str = JSON) -> Answer:
        """Send one request without a body; any status is an answer."""
        sent_at = perf_counter()
        stream = await self.begin(method, path, accept=accept)
        await asyncio.wait_for(stream.done, ANSWER_SECONDS)
        return Answer(stream.status, bytes(stream.body), sent_at, perf_counter())

    async def begin(self, method: str, path: str, *, accept: str = JSON) -> Stream:
        """Send one request without a body; return what comes back, as it comes."""
        await self.open()
        assert self._connection is not None
        assert self._connection.transport is not None
        pairs = [
            (":method", method),
            (":scheme", "https"),
            (":authority", f"{self._host}:{self._port}"),
            (":path", path),
            ("user-agent", "bench"),
            ("accept", accept),
            *self._credential,
        ]
        block = b"".join([self._encoded(pair) for pair in pairs])
        stream = self._connection.streams[self._next] = Stream()
        self._connection.transport.write(_frame(_HEADERS, _END_HEADERS | _END_STREAM, self._next, block))
        self._next += 2
        return stream

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None and self._connection.transport is not None:
            self._connection.transport.abort()
        self._connection = None

    def _encoded(self, pair: tuple[str, str]) -> bytes:
        place = self._table.get(pair)
        if place is not None:
            return _number(_FIRST_INDEX + len(self._table) - 1 - place, 7, 0x80)
        text = b"".join(_number(len(part), 7, 0) + part.encode() for part in pair)
        size = len(pair[0]) + len(pair[1]) + _ENTRY_BYTES
        if self._table_bytes + size > _TABLE_BYTES:
            return b"\x00" + text  # Nothing is ever thrown out of the table, so nothing is lost sight of.
        self._table[pair] = len(self._table)
        self._table_bytes += size
        return b"\x40" + text


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def _window(size: int = _PLENTY) -> bytes:
    return _frame(_WINDOW, 0, 0, size.to_bytes(4))


def _number(value: int, bits: int, first: int) -> bytes:
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    encoded, value = bytearray((first | most,)), value - most
    while value >= 0x80:
        encoded.append(0x80 | value & 0x7F)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _status(block: bytes) -> int:
    at = 0
    while block[at] & 0xE0 == 0x20:  # The table's size comes first, if it changes.
        at += 1
    return _STATUSES.get(block[at], _OTHER)

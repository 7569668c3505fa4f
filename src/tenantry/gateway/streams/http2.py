"""As much of HTTP/2 (RFC 9113) and gRPC as a server of one method for one trusted client needs; no I/O.

Header blocks are skipped, not decoded: there is one method, and whatever matters stands in its messages.
So there is no HPACK state to keep, and a stream costs one entry in a dict.

A call can not be ended well here: gRPC's OK would let the request that it holds go on, unheld.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME_BYTES: Final = 16_384
"""What a peer may send that was told of no other limit."""
STREAM_WINDOW_BYTES: Final = 512 * 1024
"""All that a call may ever send: a request's headers, once, and its trailers.  It is never given back."""
CONNECTION_WINDOW_BYTES: Final = 16 * 1024 * 1024
MAX_STREAMS: Final = 50_000
"""On one connection; the data plane opens another then."""

_END_STREAM, _ACK, _END_HEADERS, _PADDED = 0x1, 0x1, 0x4, 0x8
_MAX_CONCURRENT_STREAMS, _INITIAL_WINDOW_SIZE = 3, 4
_DEFAULT_WINDOW: Final = 65_535
_REFUSED_STREAM, _CANCEL = 7, 8
_RESPONSE_HEADERS: Final = b"\x88\x0f\x10\x10application/grpc"
""":status 200 by its index, and content-type (31 in the static table) as a literal that nobody remembers."""


class _Kind(IntEnum):
    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Failure(IntEnum):
    """gRPC codes that a call may end with; all of them errors."""

    PERMISSION_DENIED = 7
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class ProtocolError(Exception):
    """The peer breaks the protocol: the connection, with all its calls, has to be closed."""


@dataclass(frozen=True, slots=True)
class Message:
    """A whole gRPC message of a call."""

    stream: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer gave up a call: the request that it held is over."""

    stream: int


Event = Message | Closed


class Connection:
    """The server's side of one connection."""

    def __init__(self) -> None:
        self._input = bytearray()
        self._output = bytearray(
            _frame(
                _Kind.SETTINGS,
                payload=struct.pack(
                    "!HIHI", _MAX_CONCURRENT_STREAMS, MAX_STREAMS, _INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES
                ),
            )
            + _window_update(CONNECTION_WINDOW_BYTES - _DEFAULT_WINDOW)
        )
        self._is_greeted = False
        self._streams: dict[int, bytearray | None] = {}
        """Open calls: what came of a message so far; None: nothing."""
        self._answered: set[int] = set()
        """Calls whose response headers are sent."""
        self._last_stream = 0
        self._continued = 0
        """The stream whose header block is not complete."""
        self._taken = 0
        """Bytes of data since the connection's window was last given back."""
        self._window = _DEFAULT_WINDOW
        self._stream_window = _DEFAULT_WINDOW

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes of the peer; return what they mean, in order.

        Raises:
            ProtocolError: Close the connection.
        """
        self._input += data
        if not self._is_greeted and not self._greeted():
            return []
        events: list[Event] = []
        start = 0
        while len(self._input) - start >= 9:
            length = int.from_bytes(self._input[start : start + 3], "big")
            if length > MAX_FRAME_BYTES:
                raise ProtocolError(f"a frame of {length} bytes")
            end = start + 9 + length
            if len(self._input) < end:
                break
            kind, flags = self._input[start + 3], self._input[start + 4]
            stream = int.from_bytes(self._input[start + 5 : start + 9], "big") & 0x7FFF_FFFF
            self._frame(kind, flags, stream=stream, payload=bytes(self._input[start + 9 : end]), events=events)
            start = end
        del self._input[:start]
        return events

    def taken_output(self) -> bytes:
        """Return what is to be sent, once."""
        output = bytes(self._output)
        self._output.clear()
        return output

    def send(self, stream: int, payload: bytes) -> bool:
        """Send a message on a call; say whether the call is still there."""
        if stream not in self._streams:
            return False
        data = b"\0" + len(payload).to_bytes(4, "big") + payload
        if len(data) > min(self._window, self._stream_window, MAX_FRAME_BYTES):
            # Never seen: the data plane's windows are far wider than all that is ever said.
            self.reset(stream)
            return False
        if stream not in self._answered:
            self._answered.add(stream)
            self._output += _frame(_Kind.HEADERS, flags=_END_HEADERS, stream=stream, payload=_RESPONSE_HEADERS)
        self._window -= len(data)
        self._output += _frame(_Kind.DATA, stream=stream, payload=data)
        return True

    def fail(self, stream: int, failure: Failure) -> None:
        """End a call, and so the request that it holds; one that is gone stays so."""
        if stream not in self._streams:
            return
        code = str(int(failure)).encode()
        block = b"\x00\x0bgrpc-status" + bytes((len(code),)) + code
        if stream not in self._answered:
            block = _RESPONSE_HEADERS + block
        self._output += _frame(_Kind.HEADERS, flags=_END_HEADERS | _END_STREAM, stream=stream, payload=block)
        self._forget(stream)

    def reset(self, stream: int, code: int = _CANCEL) -> None:
        """End a call without a word; for the data plane an error as any."""
        self._output += _frame(_Kind.RST_STREAM, stream=stream, payload=code.to_bytes(4, "big"))
        self._forget(stream)

    def _greeted(self) -> bool:
        if len(self._input) < len(PREFACE):
            if not PREFACE.startswith(self._input):
                raise ProtocolError("not HTTP/2")
            return False
        if not self._input.startswith(PREFACE):
            raise ProtocolError("not HTTP/2")
        del self._input[: len(PREFACE)]
        self._is_greeted = True
        return True

    def _frame(self, kind: int, flags: int, *, stream: int, payload: bytes, events: list[Event]) -> None:
        if self._continued and (kind != _Kind.CONTINUATION or stream != self._continued):
            raise ProtocolError("a header block was interrupted")
        match kind:
            case _Kind.DATA:
                self._data(flags, stream, payload, events)
            case _Kind.HEADERS:
                self._headers(flags, stream, events)
            case _Kind.RST_STREAM if stream in self._streams:
                self._forget(stream)
                events.append(Closed(stream))
            case _Kind.SETTINGS | _Kind.PING if not flags & _ACK:
                self._acknowledge(kind, payload)
            case _Kind.WINDOW_UPDATE:
                self._widen(stream, payload)
            case _Kind.CONTINUATION:
                self._continuation(flags, stream)
            case _:
                pass  # GOAWAY, PRIORITY, what is new: nothing to do about it.

    def _headers(self, flags: int, stream: int, events: list[Event]) -> None:
        if not flags & _END_HEADERS:
            self._continued = stream
        if stream > self._last_stream:
            if stream % 2 == 0:
                raise ProtocolError(f"a client opened stream {stream}")
            self._last_stream = stream
            self._streams[stream] = None
            if len(self._streams) > MAX_STREAMS:
                self.reset(stream, _REFUSED_STREAM)
        if flags & _END_STREAM:
            self._end(stream, events)

    def _continuation(self, flags: int, stream: int) -> None:
        if not self._continued or stream != self._continued:
            raise ProtocolError("a header block goes on that never began")
        if flags & _END_HEADERS:
            self._continued = 0

    def _data(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        self._taken += len(payload)
        if self._taken > CONNECTION_WINDOW_BYTES // 4:
            self._output += _window_update(self._taken)
            self._taken = 0
        if flags & _PADDED:
            if not payload or payload[0] >= len(payload):
                raise ProtocolError("padding longer than its frame")
            payload = payload[1 : len(payload) - payload[0]]
        if stream not in self._streams:
            return  # It crossed our end of the call.
        if payload:
            self._collect(stream, payload, events)
        if flags & _END_STREAM:
            self._end(stream, events)

    def _collect(self, stream: int, payload: bytes, events: list[Event]) -> None:
        buffer = self._streams[stream] or bytearray()
        buffer += payload
        while len(buffer) >= 5:
            length = int.from_bytes(buffer[1:5], "big")
            if buffer[0] or length > STREAM_WINDOW_BYTES:  # Compressed, or longer than may ever come.
                self.fail(stream, Failure.INTERNAL)
                events.append(Closed(stream))
                return
            if len(buffer) < 5 + length:
                break
            events.append(Message(stream, bytes(buffer[5 : 5 + length])))
            del buffer[: 5 + length]
        self._streams[stream] = buffer or None

    def _end(self, stream: int, events: list[Event]) -> None:
        # Its request is over.  Were it not, this would be an error, and end it.
        if stream in self._streams:
            self.reset(stream)
            events.append(Closed(stream))

    def _acknowledge(self, kind: int, payload: bytes) -> None:
        if kind == _Kind.PING:
            self._output += _frame(_Kind.PING, flags=_ACK, payload=payload)
            return
        if len(payload) % 6:
            raise ProtocolError("settings of a broken length")
        for name, value in struct.iter_unpack("!HI", payload):
            if name == _INITIAL_WINDOW_SIZE:
                self._stream_window = value
        self._output += _frame(_Kind.SETTINGS, flags=_ACK)

    def _widen(self, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ProtocolError("a window update of a broken length")
        if not stream:
            self._window += int.from_bytes(payload, "big") & 0x7FFF_FFFF

    def _forget(self, stream: int) -> None:
        self._streams.pop(stream, None)
        self._answered.discard(stream)


def _frame(kind: int, *, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _window_update(count: int) -> bytes:
    return _frame(_Kind.WINDOW_UPDATE, payload=count.to_bytes(4, "big"))

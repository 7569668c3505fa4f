"""The messages of Envoy's external processing, as far as they are said here (envoy.service.ext_proc.v3).

Protocol buffers' wire format is short enough to read and write by hand; a library would be a dependency
for four messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

Headers = tuple[tuple[str, str], ...]

PROCEED: Final = b"\x0a\x00"
"""ProcessingResponse.request_headers, empty: let the request go on as it is."""
PROCEED_TRAILERS: Final = b"\x32\x00"
"""ProcessingResponse.response_trailers, empty."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_REQUEST_HEADERS, _RESPONSE_TRAILERS = 2, 7
_OVERWRITE: Final = 2


class MessageError(ValueError):
    """Bytes that are no such message."""


def request_headers(message: bytes) -> Headers | None:
    """Return the headers, lower-case names and repeats in order, of a request that begins; None for what else is said.

    Raises:
        MessageError: It is no ProcessingRequest.
    """
    for field, value in _fields(message):
        if field == _REQUEST_HEADERS:
            headers = b"".join(part for number, part in _fields(value) if number == 1)
            return tuple(_header(pair) for number, pair in _fields(headers) if number == 1)
    return None


def is_response_trailers(message: bytes) -> bool:
    """Say whether it tells of the trailers of the response; raises as :func:`request_headers`."""
    return any(field == _RESPONSE_TRAILERS for field, _ in _fields(message))


def immediate_response(status: int, headers: Headers, body: bytes, *, details: str) -> bytes:
    """Return the message that answers the client in the server's stead; *details* are for Envoy's access log."""
    options = b"".join(
        _field(1, _field(1, _field(1, name.encode()) + _field(3, value.encode())) + _number(3, _OVERWRITE))
        for name, value in headers
    )
    answer = _field(1, _number(1, status)) + _field(2, options) + _field(3, body) + _field(5, details.encode())
    return _field(7, answer)


def headers_message(headers: Headers) -> bytes:
    """Return what Envoy says of a request's headers: the inverse of :func:`request_headers`."""
    pairs = b"".join(
        _field(1, _field(1, name.encode()) + _field(3, value.encode("utf-8", "surrogateescape")))
        for name, value in headers
    )
    return _field(_REQUEST_HEADERS, _field(1, pairs))


def _header(pair: bytes) -> tuple[str, str]:
    name, value = b"", b""
    for field, part in _fields(pair):
        if field == 1:
            name = part
        elif field in (2, 3) and part:  # Text, or raw bytes: Envoy fills one.
            value = part
    return name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of fields that hold bytes; skip the others."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        match tag & 7:
            case 0:
                _, position = _varint(message, position)
            case 1:
                position += 8
            case 5:
                position += 4
            case 2:
                length, position = _varint(message, position)
                if position + length > len(message):
                    raise MessageError("a field ends after its message")
                yield tag >> 3, message[position : position + length]
                position += length
            case kind:
                raise MessageError(f"a field of wire type {kind}")
    if position > len(message):
        raise MessageError("a number ends after its message")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise MessageError("a number without end")


def _number(field: int, value: int) -> bytes:
    return _encoded(field << 3 | _VARINT) + _encoded(value)


def _field(field: int, content: bytes) -> bytes:
    return _encoded(field << 3 | _BYTES) + _encoded(len(content)) + content


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

"""The little of protobuf that access reviews need: fields of a message, and the envelope of the Kubernetes API.

Source: https://protobuf.dev/programming-guides/encoding/ and
https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

MAGIC: Final = b"k8s\x00"

Value = int | bytes
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """The bytes are no such message."""


def fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """Yield number and value of each field of *message*; those of fixed width as bytes.

    Raises:
        WireError: It is cut off, or of a kind that nobody writes any more.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in {_FIXED64, _FIXED32}:
            length = 8 if kind == _FIXED64 else 4
        else:
            raise WireError(f"field {number} is of an unknown kind")
        if at + length > len(message):
            raise WireError(f"field {number} is cut off")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise WireError("a number is cut off")


def last(message: bytes, number: int) -> bytes | None:
    """Return the last field *number*, a message or a string; None where there is none."""
    found = None
    for field, value in fields(message):
        if field == number:
            found = _as_bytes(value)
    return found


def every(message: bytes, number: int) -> list[bytes]:
    """Return all fields *number*, messages or strings, in order."""
    return [_as_bytes(value) for field, value in fields(message) if field == number]


def text(message: bytes, number: int) -> str:
    """Return the string in field *number*; empty where there is none."""
    return _decoded(last(message, number) or b"")


def texts(message: bytes, number: int) -> tuple[str, ...]:
    """Return all strings in fields *number*."""
    return tuple(_decoded(value) for value in every(message, number))


def _as_bytes(value: Value) -> bytes:
    if isinstance(value, int):
        raise WireError("a number stands where a message or a string is expected")
    return value


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise WireError("a string is not UTF-8") from error


def number_field(number: int, value: int) -> bytes:
    """Return a field with a number or a boolean."""
    return _number(number << 3 | _VARINT) + _number(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """Return a field with a message."""
    return _number(number << 3 | _BYTES) + _number(len(value)) + value


def text_field(number: int, value: str) -> bytes:
    """Return a field with a string; nothing for an empty one."""
    return bytes_field(number, value.encode()) if value else b""


def text_fields(number: int, values: Iterable[str]) -> bytes:
    """Return one field a string, empty ones included: the core group is one."""
    return b"".join(bytes_field(number, value.encode()) for value in values)


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def enveloped(api_version: str, kind: str, message: bytes) -> bytes:
    """Return *message* as the Kubernetes API sends it: magic number, then ``runtime.Unknown``."""
    meta = text_field(1, api_version) + text_field(2, kind)
    return MAGIC + bytes_field(1, meta) + bytes_field(2, message)


def opened(body: bytes) -> tuple[str, bytes]:
    """Return kind and message of an envelope; WireError where it is none."""
    if not body.startswith(MAGIC):
        raise WireError("the body does not start as the Kubernetes API's protobuf does")
    unknown = body[len(MAGIC) :]
    return text(last(unknown, 1) or b"", 2), last(unknown, 2) or b""

"""Hashes that are part of object names, so that they come out as Capsule's do (spec 14.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_OFFSET: Final = 0xCBF29CE484222325
_PRIME: Final = 0x100000001B3
_MASK: Final = 0xFFFFFFFFFFFFFFFF


def fnv1a_64(data: bytes) -> int:
    """Return the 64-bit FNV-1a hash of *data*.

    Source: http://www.isthe.com/chongo/tech/comp/fnv/
    """
    value = _OFFSET
    for byte in data:
        value = ((value ^ byte) * _PRIME) & _MASK
    return value


def length_prefixed_hash(fields: Iterable[str]) -> str:
    """Return the hash of *fields* in order, each as 8-byte little-endian length and UTF-8 bytes.

    It is hexadecimal without leading zeros: the name of a managed RoleBinding ends with it.
    """
    data = bytearray()
    for text in fields:
        encoded = text.encode()
        data += len(encoded).to_bytes(8, "little")
        data += encoded
    return f"{fnv1a_64(bytes(data)):x}"

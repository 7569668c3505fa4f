"""JSON and the typed structs: the one module that knows the codec library."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar, dataclass_transform

import msgspec

T = TypeVar("T")

field = msgspec.field
replaced = msgspec.structs.replace
"""Returns a copy of a struct with some fields changed."""
Raw = msgspec.Raw
"""Bytes of a JSON value that nobody has parsed yet."""


# Said again for type checkers: what a subclass inherits from a plain Struct they can't see.
@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Base of every struct that is read from or written to the Kubernetes API.

    Fields are snake_case here and camelCase on the wire.  Unknown fields are dropped
    when reading, so only what is declared ever becomes a Python object.
    """


@dataclass_transform(kw_only_default=True, field_specifiers=(msgspec.field,))
class MutableModel(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """As Model, for the few structs that are built up step by step."""


class DecodeError(ValueError):
    """The bytes are not JSON, or not of the expected shape."""


@lru_cache(maxsize=512)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, strict=True)


_encoder = msgspec.json.Encoder(order=None)


def decode(data: bytes | str | Raw, kind: type[T]) -> T:
    """Return *data* as a *kind*; raise DecodeError, which names the JSON path at fault."""
    try:
        value: T = _decoder(kind).decode(data)  # type: ignore[arg-type] # mypy: types are hashable
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(str(error)) from error
    return value


def decode_any(data: bytes | str | Raw) -> Any:
    """Return *data* as plain Python values."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(str(error)) from error


def encode(value: object) -> bytes:
    """Return *value* as compact JSON."""
    return _encoder.encode(value)


def to_plain(value: object) -> Any:
    """Return *value* as dicts, lists, strings, numbers, as it would stand on the wire."""
    # Over the wire and back: to_builtins would keep tuples, which equal no list that came from JSON.
    return msgspec.json.decode(_encoder.encode(value))


def from_plain(value: object, kind: type[T]) -> T:
    """Return plain *value* as a *kind*; raise DecodeError, which names the path at fault."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise DecodeError(str(error)) from error

"""OpenAPI v3 schemas of the API types, as structural schemas of CRDs want them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from tenantry.api.docstrings import field_docs, struct_doc
from tenantry.api.meta import LabelSelector
from tenantry.api.schema import QUANTITY, UNSET, Schema
from tenantry.api.shared import Subject
from tenantry.foundation.codec import Model

JSON = dict[str, Any]

ATOMIC: Final = frozenset({LabelSelector, Subject})
"""Types that server-side apply replaces whole, as Kubernetes' own declarations of them say."""
_NO_HINTS: Final = Schema()
_SCALARS: Final = {str: "string", bool: "boolean", int: "integer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a struct, as it stands on the wire."""

    name: str
    type: Any
    """Without ``Annotated`` and ``None``."""
    hints: Schema
    doc: str
    """What its docstring says; empty where it has none."""


def fields(struct: type[Model]) -> Iterator[Field]:
    """Yield the fields of *struct* in declaration order, those of its bases first."""
    annotations = get_type_hints(struct, include_extras=True)
    docs = field_docs(struct)
    for name, wire_name in zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True):
        kind, hints = bare(annotations[name])
        yield Field(name=wire_name, type=kind, hints=hints, doc=docs.get(name, ""))


def bare(annotation: Any) -> tuple[Any, Schema]:
    """Return *annotation* without ``Annotated`` and ``None``, and what was annotated."""
    hints = _NO_HINTS
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *extras = get_args(annotation)
            hints = next((extra for extra in extras if isinstance(extra, Schema)), hints)
        elif origin in {Union, types.UnionType} and type(None) in get_args(annotation):
            annotation = Union[tuple(part for part in get_args(annotation) if part is not type(None))]  # noqa: UP007
        else:
            return annotation, hints


def is_struct(kind: Any) -> bool:
    """Return whether *kind* is one of the API types."""
    return isinstance(kind, type) and issubclass(kind, Model)


def structs_in(kind: Any) -> Iterator[type[Model]]:
    """Yield the API types that *kind* is or holds: none for scalars, one for most others."""
    if is_struct(kind):
        yield kind
        return
    for argument in get_args(kind):
        yield from structs_in(bare(argument)[0])


def struct_schema(struct: type[Model]) -> JSON:
    """Return the schema of *struct*; nothing is required that its hints do not say is."""
    members = list(fields(struct))
    schema: JSON = {"type": "object"}
    doc = struct_doc(struct)
    if doc:
        schema["description"] = doc
    schema["properties"] = {member.name: field_schema(member) for member in members}
    required = [member.name for member in members if member.hints.required]
    if required:
        schema["required"] = required
    if struct in ATOMIC:
        schema["x-kubernetes-map-type"] = "atomic"
    return schema


def field_schema(member: Field) -> JSON:
    """Return the schema of one field: its type's, with the field's own description, limits and default."""
    schema = _typed(member.type, member.hints)
    if member.doc:
        schema["description"] = member.doc
    schema.update(_limits(member.hints))
    if member.hints.default is not UNSET:
        schema["default"] = deepcopy(member.hints.default)
    return schema


def _typed(kind: Any, hints: Schema) -> JSON:
    if hints.any_value:
        return {"x-kubernetes-preserve-unknown-fields": True}
    if hints.int_or_string:
        return {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": QUANTITY,
            "x-kubernetes-int-or-string": True,
        }
    if is_struct(kind):
        return struct_schema(kind)
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return _array(arguments[0], hints)
    if origin is dict:
        return _map(arguments[1], hints)
    raise TypeError(f"{kind!r} has no place in a CRD: teach tenantry.api.openapi about it")


def _array(item: Any, hints: Schema) -> JSON:
    kind, item_hints = bare(item)
    items = _typed(kind, Schema(preserve_unknown=True) if hints.preserve_unknown else item_hints)
    for key, value in (
        ("enum", list(hints.item_enum)),
        ("pattern", hints.item_pattern),
        ("minLength", hints.item_min_length),
    ):
        if value:
            items[key] = value
    schema: JSON = {"type": "array", "items": items}
    if hints.list_map_key:
        schema["x-kubernetes-list-type"] = "map"
        schema["x-kubernetes-list-map-keys"] = [hints.list_map_key]
    return schema


def _map(value: Any, hints: Schema) -> JSON:
    if hints.preserve_unknown:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    kind, value_hints = bare(value)
    return {"type": "object", "additionalProperties": _typed(kind, value_hints)}


def _limits(hints: Schema) -> JSON:
    limits = {
        "enum": list(hints.enum) or None,
        "minimum": hints.minimum,
        "maximum": hints.maximum,
        "minLength": hints.min_length,
        "maxLength": hints.max_length,
        "minItems": hints.min_items,
        "maxItems": hints.max_items,
        "pattern": hints.pattern,
        "format": hints.format,
    }
    return {name: limit for name, limit in limits.items() if limit is not None}

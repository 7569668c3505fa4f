"""The configuration as JSON Schema, for editors."""

from __future__ import annotations

from typing import Any, Final, get_args, get_origin

from tenantry.api.docstrings import struct_doc
from tenantry.api.openapi import Field, bare, fields, is_struct
from tenantry.api.schema import Schema
from tenantry.foundation.codec import Model, to_plain
from tenantry.gateway.config.model import API_VERSION, NETWORK, GatewayConfiguration

JSON = dict[str, Any]
_TYPES: Final = {str: "string", bool: "boolean", int: "integer", float: "number"}
_LIMITS: Final = {
    "minimum": "minimum",
    "maximum": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_items": "minItems",
    "pattern": "pattern",
}


def json_schema() -> JSON:
    """Return the schema of the whole file (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://{API_VERSION}/gatewayconfiguration.json",
        "title": "GatewayConfiguration",
        **_struct(GatewayConfiguration),
    }


def default_of(struct: type[Model], name: str) -> Any:
    """Return the default of the field called *name* in Python, as plain JSON; None where it has none."""
    return to_plain(getattr(struct(), name))


def _struct(struct: type[Model]) -> JSON:
    members = list(zip(fields(struct), struct.__struct_fields__, strict=True))
    schema: JSON = {
        "description": struct_doc(struct),
        "type": ["object", "null"],
        "properties": {member.name: _field(member, default_of(struct, name)) for member, name in members},
        "additionalProperties": False,
    }
    required = [member.name for member, _ in members if member.hints.required]
    if required:
        schema |= {"type": "object", "required": required}
    return schema


def _field(member: Field, default: Any) -> JSON:
    schema = _typed(member.type, member.hints)
    schema["description"] = member.doc
    if not member.hints.required and not is_struct(member.type) and default is not None:
        schema["default"] = default
    return schema


def _typed(kind: Any, hints: Schema) -> JSON:
    if is_struct(kind):
        return _struct(kind)
    limits = {there: getattr(hints, here) for here, there in _LIMITS.items() if getattr(hints, here) is not None}
    if get_origin(kind) is tuple:
        item, item_hints = bare(get_args(kind)[0])
        if hints.item_enum or hints.item_pattern:
            item_hints = Schema(enum=hints.item_enum, pattern=hints.item_pattern)
        return {"type": "array", "items": _typed(item, item_hints), **limits}
    schema: JSON = {"type": _TYPES[kind], **limits}
    if hints.enum:
        schema = {"enum": list(hints.enum)}
    if hints.format == NETWORK:
        schema["examples"] = ["10.0.0.0/8", "fd00::/8"]
    return schema

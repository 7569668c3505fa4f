"""The reference page of the configuration file, generated from its types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, get_args, get_origin

from tenantry.api.docstrings import struct_doc
from tenantry.api.openapi import Field, bare, fields, is_struct, structs_in
from tenantry.api.schema import Schema
from tenantry.foundation.codec import Model
from tenantry.gateway.config.model import ADDRESS, API_VERSION, EXPRESSION, FILE, KIND, NETWORK, GatewayConfiguration
from tenantry.gateway.config.schema import default_of

_SCALARS: Final = {str: "string", bool: "boolean", int: "integer", float: "number"}
_FORMATS: Final = {FILE: "file", NETWORK: "network (CIDR)", ADDRESS: "address", EXPRESSION: "RE2 expression"}
_HEAD: Final = f"""\
# The gateway's configuration

This page is for whoever configures `tenantry gateway`: every field of its one file, `{KIND}` in `{API_VERSION}`.
Generated from the types: change a docstring in `src/tenantry/gateway/config/model.py`, not this page.

`tenantry gateway check FILE` says what is wrong with a file, by line; `tenantry gateway schema` prints a JSON Schema
for editors. Every field but `apiVersion` and `kind` may be left out. How to use it: [gateway](../how-to/gateway.md).
"""


def configuration_page() -> str:
    """Return the page as Markdown: a table for each type, in the order in which a reader meets them."""
    structs = _structs(GatewayConfiguration)
    sections = [f"## {title(struct)}\n\n{struct_doc(struct)}\n\n{_table(struct)}" for struct in structs]
    return "\n".join([_HEAD, *sections])


def title(struct: type[Model]) -> str:
    """Return what a section is called: the type's name, without what all of them end with."""
    return struct.__name__ if struct is GatewayConfiguration else struct.__name__.removesuffix("Configuration")


def _structs(struct: type[Model]) -> list[type[Model]]:
    found = [struct]
    for member in fields(struct):
        for child in structs_in(member.type):
            found += [each for each in _structs(child) if each not in found]
    return found


def _table(struct: type[Model]) -> str:
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for member, name in zip(fields(struct), struct.__struct_fields__, strict=True):
        meaning = " ".join([member.doc, *_limits(member.hints)])
        cells = (f"`{member.name}`", _type(member.type, member.hints), _default(struct, member, name), meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _type(kind: Any, hints: Schema) -> str:
    if is_struct(kind):
        return f"[{title(kind)}](#{title(kind).lower()})"
    if get_origin(kind) is tuple:
        return f"list of {_type(*bare(get_args(kind)[0]))}"
    return _FORMATS.get(hints.format or "", _SCALARS[kind])


def _default(struct: type[Model], member: Field, name: str) -> str:
    value = default_of(struct, name)
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    is_shown = value not in (None, "", []) and not is_struct(member.type) and not list(structs_in(member.type))
    return f"`{json.dumps(value)}`" if is_shown and not member.hints.required else ""


def _limits(hints: Schema) -> Iterator[str]:
    if hints.required:
        yield "Required."
    choices = hints.enum or hints.item_enum
    if choices:
        prefix = "Each one of" if hints.item_enum else "One of" if len(choices) > 1 else "Always"
        yield f"{prefix} {', '.join(f'`{each}`' for each in choices)}."
    low, high = hints.minimum, hints.maximum
    if low is not None and high is not None:
        yield f"From {low} to {high}."
    elif low is not None:
        yield f"At least {low}."
    if hints.max_length is not None:
        yield f"At most {hints.max_length} characters."
    pattern = hints.pattern or hints.item_pattern
    if pattern:
        yield f"{'Each must match' if hints.item_pattern else 'Must match'} `{pattern}`."

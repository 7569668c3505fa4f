"""The reference page of all fields, generated from the API types.

``python tools/write_reference.py`` writes it with the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, get_args, get_origin

from tenantry.api.crds import KINDS, Kind
from tenantry.api.docstrings import struct_doc
from tenantry.api.meta import CAPSULE_API_VERSION, CAPSULE_GROUP, CAPSULE_VERSION
from tenantry.api.openapi import Field, bare, fields, is_struct, structs_in
from tenantry.api.schema import UNSET, Schema
from tenantry.foundation.codec import Model

_ENVELOPE: Final = frozenset({"apiVersion", "kind", "metadata"})
_SCALARS: Final = {str: "string", bool: "boolean", int: "integer", Any: "any"}
_HEAD: Final = f"""\
# Fields

This page is for whoever writes manifests: every field of every kind that is served, in `{CAPSULE_API_VERSION}`
where no other version is named. Generated from the types: change a docstring in `src/tenantry/api`, not this page.
Fields with a default are filled in by the API server. Expressions are
[RE2](https://github.com/google/re2/wiki/Syntax) and match where they are *found*; anchor them with `^` and `$`.
"""


def fields_page() -> str:
    """Return the page as Markdown: a table for each type, under the first kind that has it."""
    shown: set[type[Model]] = set()
    sections = [_HEAD]
    for kind in KINDS:
        sections.append(_kind_section(kind))
        for struct in structs_below(kind.type):
            if struct not in shown:
                shown.add(struct)
                sections.append(f"### {struct.__name__}\n\n{struct_doc(struct)}\n\n{_table(struct)}")
    return "\n".join(sections)


def structs_below(struct: type[Model]) -> list[type[Model]]:
    """Return the types of fields under *struct*, each once, in the order in which a reader meets them."""
    found: dict[type[Model], None] = {}

    def visit(parent: type[Model]) -> None:
        for member in fields(parent):
            if member.name in _ENVELOPE and parent is struct:
                continue
            for child in structs_in(member.type):
                if child not in found:
                    found[child] = None
                    visit(child)

    visit(struct)
    return list(found)


def _kind_section(kind: Kind) -> str:
    scope = "Namespaced" if kind.is_namespaced else "Cluster-scoped"
    short = "".join(f", short name `{name}`" for name in kind.short_names)
    version = "" if kind.version == CAPSULE_VERSION else f", in `{CAPSULE_GROUP}/{kind.version}`"
    return f"## {kind.name}\n\n{struct_doc(kind.type)} {scope}{short}{version}.\n\n{_table(kind.type)}"


def _table(struct: type[Model]) -> str:
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for member in fields(struct):
        if member.doc:  # All but apiVersion, kind and metadata of a whole object have one.
            cells = (f"`{member.name}`", _type_text(member.type, member.hints), _default(member), _meaning(member))
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _type_text(kind: Any, hints: Schema) -> str:
    if hints.int_or_string:
        return "quantity"
    if is_struct(kind):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    if get_origin(kind) is tuple:
        return f"list of {_type_text(*bare(get_args(kind)[0]))}"
    if get_origin(kind) is dict:
        value = _type_text(*bare(get_args(kind)[1]))
        return "object" if value == "any" else f"map to {value}"
    return _SCALARS[kind]


def _default(member: Field) -> str:
    return "" if member.hints.default is UNSET else f"`{json.dumps(member.hints.default)}`"


def _meaning(member: Field) -> str:
    required = ["Required."] if member.hints.required and member.hints.default is UNSET else []
    return " ".join([member.doc, *_limits(member.hints), *required])


def _limits(hints: Schema) -> Iterator[str]:
    if hints.enum:
        yield f"One of {_choices(hints.enum)}."
    if hints.item_enum:
        yield f"Each one of {_choices(hints.item_enum)}."
    for low, high, unit in (
        (hints.minimum, hints.maximum, ""),
        (hints.min_length, hints.max_length, " characters"),
        (hints.min_items, hints.max_items, " items"),
    ):
        yield from _range(low, high, unit)
    if hints.item_min_length:
        yield f"Each at least {hints.item_min_length} characters."
    pattern = hints.pattern or hints.item_pattern
    if pattern:
        yield f"{'Must match' if hints.pattern else 'Each must match'} `{pattern}`."


def _range(low: int | None, high: int | None, unit: str) -> Iterator[str]:
    if low is not None and high is not None:
        yield f"From {low} to {high}{unit}."
    elif low is not None:
        yield f"At least {low}{unit}."
    elif high is not None:
        yield f"At most {high}{unit}."


def _choices(values: tuple[str, ...]) -> str:
    return ", ".join(f"`{value}`" for value in values)

"""Whether plain values have the shape of the configuration's types; everything that is wrong is found at once."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from ipaddress import ip_network
from typing import Any, Final, get_args, get_origin

from tenantry.api.openapi import Field, bare, fields, is_struct
from tenantry.api.schema import Schema
from tenantry.foundation.codec import Model
from tenantry.foundation.expressions import expression
from tenantry.gateway.config.model import ADDRESS, EXPRESSION, NETWORK
from tenantry.gateway.config.problems import Fault, Path
from tenantry.gateway.config.text import address_fault, expression_fault

ABSENT: Final = object()
"""In place of a value that is wrong: the field's default stands in, so that the rest can be looked at."""
_TYPES: Final[dict[type, tuple[str, tuple[type, ...]]]] = {
    str: ("text", (str,)),
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
}
_SHOWN_CHARACTERS: Final = 60


def checked_shape(value: Any, struct: type[Model]) -> tuple[dict[str, Any], list[Fault]]:
    """Return what of *value* is right, as *struct* takes it, and all that is wrong."""
    shape = _Shape()
    found = shape.struct(value, struct, ())
    return (found if isinstance(found, dict) else {}), shape.faults


class _Shape:
    """One pass; each method returns the value without what is wrong in it, or ABSENT."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def struct(self, value: Any, struct: type[Model], path: Path) -> Any:
        if not isinstance(value, dict):
            return self._wrong(path, f"{shown(value)} is {kind_of(value)}", f"write {_some(struct)} below it")
        known = {member.name: member for member in fields(struct)}
        found: dict[str, Any] = {}
        for key, each in value.items():
            if key not in known:
                self._unknown(key, list(known), path)
            elif each is not None:  # As in Kubernetes: null is as good as nothing.
                below = self.field(each, known[key], (*path, key))
                if below is not ABSENT:
                    found[key] = below
        for name, member in known.items():
            if member.hints.required and value.get(name) is None:
                fix = f"write {name}: {member.hints.enum[0]}" if len(member.hints.enum) == 1 else f"write {name}"
                self._wrong((*path, name), "it is missing", fix)
        return found

    def field(self, value: Any, member: Field, path: Path) -> Any:
        return self._value(value, member.type, member.hints, path)

    def _value(self, value: Any, kind: Any, hints: Schema, path: Path) -> Any:
        if is_struct(kind):
            return self.struct(value, kind, path)
        if get_origin(kind) is tuple:
            return self._list(value, kind, hints, path)
        return self._scalar(value, kind, hints, path)

    def _list(self, value: Any, kind: Any, hints: Schema, path: Path) -> Any:
        if not isinstance(value, list):
            return self._wrong(path, f"{shown(value)} is {kind_of(value)}", "write a list: one `- ...` a line")
        if hints.min_items and not value:
            return self._wrong(path, "the list is empty", "leave the field out, or list something")
        item, item_hints = bare(get_args(kind)[0])
        if hints.item_enum or hints.item_pattern:
            item_hints = Schema(enum=hints.item_enum, pattern=hints.item_pattern)
        found = [
            ABSENT
            if each is None and self._wrong((*path, index), "it is empty", "take the dash away")
            else self._value(each, item, item_hints, (*path, index))
            for index, each in enumerate(value)
        ]
        return [each for each in found if each is not ABSENT]

    def _scalar(self, value: Any, kind: type, hints: Schema, path: Path) -> Any:
        wanted, types = _TYPES[kind]
        if not isinstance(value, types) or (isinstance(value, bool) and kind is not bool):
            fix = f"write {wanted}"
            if kind is str and isinstance(value, bool | int | float):
                fix += f', in quotes: "{str(value).lower() if isinstance(value, bool) else value}"'
            return self._wrong(path, f"{shown(value)} is {kind_of(value)}", fix)
        for check in (_choice, _range, _length, _pattern, _format):
            fault = check(value, hints)
            if fault is not None:
                return self._wrong(path, *fault)
        return value

    def _unknown(self, key: str, known: list[str], path: Path) -> None:
        lowered = {name.lower(): name for name in known}
        close = get_close_matches(key.lower(), lowered, n=1, cutoff=0.6)
        fix = f"did you mean {lowered[close[0]]}?" if close else f"there are {', '.join(known)}"
        self._wrong((*path, key), "there is no such field", fix)

    def _wrong(self, path: Path, what: str, fix: str) -> Any:
        self.faults.append(Fault(path=path, what=what, fix=fix))
        return ABSENT


def shown(value: object) -> str:
    """Return *value* as it may stand in a sentence."""
    if isinstance(value, dict | list):
        return "this"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "...'"


def kind_of(value: object) -> str:
    """Return what *value* is, in the words of YAML."""
    names: tuple[tuple[type, str], ...] = (
        (bool, "a truth value"),
        (int, "a number"),
        (float, "a number"),
        (str, "text"),
        (list, "a list"),
        (dict, "a mapping"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "nothing")


def _some(struct: type[Model]) -> str:
    names = [f"{member.name}: ..." for member in fields(struct)]
    return ", ".join(names[:2])


Finding = tuple[str, str] | None
"""What is wrong, and what would be right."""


def _choice(value: Any, hints: Schema) -> Finding:
    if not hints.enum or value in hints.enum:
        return None
    close = get_close_matches(str(value).lower(), {each.lower(): each for each in hints.enum}, n=1)
    meant = next((each for each in hints.enum if close and each.lower() == close[0]), None)
    fix = f"did you mean {meant}?" if meant else f"write {' or '.join(hints.enum)}"
    return f"{shown(value)} is none of {', '.join(hints.enum)}", fix


def _range(value: Any, hints: Schema) -> Finding:
    low, high = hints.minimum, hints.maximum
    # A comparison with NaN is never true.
    if (low is None or value >= low) and (high is None or value <= high):
        return None
    between = f"from {low} to {high}" if low is not None and high is not None else f"at least {low}"
    return f"{shown(value)} is out of range", f"write a number {between}"


def _length(value: Any, hints: Schema) -> Finding:
    if hints.min_length is not None and not value:
        return "it is empty", "write something, or leave the field out"
    if hints.max_length is not None and len(value) > hints.max_length:
        return f"{shown(value)} is too long", f"write at most {hints.max_length} characters"
    return None


def _pattern(value: Any, hints: Schema) -> Finding:
    if hints.pattern is None or expression(hints.pattern).search(value):
        return None
    return f"{shown(value)} has characters that may not be there", f"it must match {hints.pattern}"


def _network(value: str) -> Finding:
    try:
        ip_network(value)
    except ValueError as error:
        try:
            meant = str(ip_network(value, strict=False))
        except ValueError:
            return f"{shown(value)} is no network ({error})", "write one in CIDR notation, as 10.0.0.0/8"
        return f"{shown(value)} has bits set beyond its prefix", f"did you mean {meant}?"
    return None


_FORMATS: Final[dict[str, Callable[[str], Finding]]] = {
    NETWORK: _network,
    ADDRESS: address_fault,
    EXPRESSION: expression_fault,
}


def _format(value: Any, hints: Schema) -> Finding:
    check = _FORMATS.get(hints.format or "")
    return check(value) if check is not None else None

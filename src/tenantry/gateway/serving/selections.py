"""What of a kind a client asks for: by labels, by name, by the few fields that the server indexes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from tenantry.foundation.codec import Model, decode
from tenantry.gateway.serving.items import Item
from tenantry.gateway.serving.kinds import Kind
from tenantry.gateway.serving.label_selectors import Requirement, SelectorError, parsed_labels
from tenantry.gateway.serving.refusals import bad_request

_FIELD_TERM: Final = re.compile(r"(.*?)(==|!=|=)((?:\\[\\,=]|[^\\,=])*)", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class _Spec(Model):
    unschedulable: bool = False


class _Status(Model):
    phase: str = ""


class _Fields(Model):
    spec: _Spec = _Spec()
    status: _Status = _Status()


_NAMES: Final = frozenset({"metadata.name", "name"})
_OTHERS: Final = {("", "namespaces"): "status.phase", ("", "nodes"): "spec.unschedulable"}
"""The other field of a kind that the server selects by."""


@dataclass(frozen=True, slots=True)
class _FieldTerm:
    field: str
    is_equal: bool
    value: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What the client's selectors take; AND-ed with what may be seen (invariant 12); hashable."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[_FieldTerm, ...] = ()

    @property
    def is_all(self) -> bool:
        """Whether it takes everything."""
        return not (self.labels or self.fields)

    @property
    def name(self) -> str | None:
        """Return the one name that can match; None where several can."""
        return next((term.value for term in self.fields if term.is_equal and term.field in _NAMES), None)

    def takes(self, item: Item) -> bool:
        """Return whether *item* is asked for."""
        for requirement in self.labels:
            if not requirement.holds(item.labels):
                return False
        return all((_value(term.field, item) == term.value) == term.is_equal for term in self.fields)


ALL: Final = Selection()


def selection(kind: Kind, label_selector: str, field_selector: str) -> Selection | None:
    """Return what the selectors take; None where the server alone can tell.

    Raises:
        RefusedError: One of them is none.
    """
    try:
        labels = parsed_labels(label_selector) if label_selector else ()
    except SelectorError as error:
        raise bad_request(f"unable to parse requirement: {error}") from error
    terms = _terms(field_selector) if field_selector else ()
    fields: list[_FieldTerm] = []
    for term in terms:
        if term.field not in _known_fields(kind):
            return None
        fields.append(term)
    return Selection(labels, tuple(fields))


def _known_fields(kind: Kind) -> set[str]:
    known = {"metadata.name"}
    if (other := _OTHERS.get((kind.group, kind.plural))) is not None:
        known |= {other}
    if (kind.group, kind.plural) == ("", "namespaces"):
        known |= {"name"}
    return known


def _value(field: str, item: Item) -> str:
    if field in _NAMES:
        return item.name
    fields: Any = decode(item.head + item.tail, _Fields)
    return fields.status.phase if field == "status.phase" else str(fields.spec.unschedulable).lower()


def _terms(text: str) -> tuple[_FieldTerm, ...]:
    terms = []
    for part in re.findall(r"(?:\\.|[^,\\])+", text, re.DOTALL):
        found = _FIELD_TERM.fullmatch(part)
        if found is None:
            raise bad_request(f"invalid field selector: {text!r} has a part without = or !=")
        field, operator, value = found.groups()
        terms.append(_FieldTerm(field.strip(), operator != "!=", _ESCAPED.sub(r"\1", value)))
    if not terms or text.endswith("\\"):
        raise bad_request(f"invalid field selector: {text!r}")
    return tuple(terms)

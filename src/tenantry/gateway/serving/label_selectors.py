"""Label selectors as the query spells them.

Source: the grammar of ``Parse`` in k8s.io/apimachinery/pkg/labels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tenantry.foundation.names import label_key_problem, label_value_problem

_TOKENS: Final = re.compile(r"\s*(?:(==|!=|=|!|,|\(|\)|<|>)|([^\s=!,()<>]+))\s*")
_SETS: Final = frozenset({"in", "notin"})
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}")


class SelectorError(ValueError):
    """The text is no selector."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One part: *operator* is ``in``, ``notin``, ``exists``, ``absent``, ``>`` or ``<``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether *labels* satisfy it."""
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
            case "exists":
                return value is not None
            case "absent":
                return value is None
            case _:
                return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        if not _NUMBER.fullmatch(value):
            return False
        bound = int(self.values[0])
        return int(value) > bound if self.operator == ">" else int(value) < bound


@lru_cache(maxsize=1024)
def parsed_labels(text: str) -> tuple[Requirement, ...]:
    """Return the parts, all of which have to hold; raise SelectorError."""
    tokens = _tokens(text)
    requirements: list[Requirement] = []
    while tokens:
        requirements.append(_requirement(tokens))
        if tokens and (tokens.pop() != "," or not tokens):
            raise SelectorError("expected ',' between two requirements, and one after it")
    return tuple(requirements)


def _tokens(text: str) -> list[str]:
    """Return the tokens, the last one first."""
    tokens, at = [], 0
    text = text.strip()
    while at < len(text):
        found = _TOKENS.match(text, at)
        if found is None:
            raise SelectorError(f"unexpected {text[at]!r}")
        tokens.append(found[1] or found[2])
        at = found.end()
    tokens.reverse()
    return tokens


def _requirement(tokens: list[str]) -> Requirement:
    first = tokens.pop()
    if first == "!":
        return Requirement(_key(tokens), "absent")
    tokens.append(first)
    key = _key(tokens)
    if not tokens or tokens[-1] == ",":
        return Requirement(key, "exists")
    operator = tokens.pop()
    if operator in _SETS:
        return Requirement(key, operator, _set(tokens))
    if operator not in {"=", "==", "!=", "<", ">"}:
        raise SelectorError(f"found {operator!r}, expected: in, notin, =, ==, !=, gt, lt")
    value = _value(tokens)
    if operator in {"<", ">"}:
        if not _NUMBER.fullmatch(value):
            raise SelectorError(f"{value!r} is no integer, which {operator!r} needs")
        return Requirement(key, operator, (value,))
    return Requirement(key, "notin" if operator == "!=" else "in", (value,))


def _key(tokens: list[str]) -> str:
    key = tokens.pop() if tokens else ""
    if problem := label_key_problem(key):
        raise SelectorError(f"key {key!r}: {problem}")
    return key


def _value(tokens: list[str]) -> str:
    """Return the next value: none at all is the empty one."""
    value = "" if not tokens or tokens[-1] in {",", ")"} else tokens.pop()
    if problem := label_value_problem(value):
        raise SelectorError(f"value {value!r}: {problem}")
    return value


def _set(tokens: list[str]) -> tuple[str, ...]:
    if not tokens or tokens.pop() != "(":
        raise SelectorError("expected '(' after in or notin")
    values = [_value(tokens)]
    while tokens:
        closing = tokens.pop()
        if closing == ")":
            return tuple(values)
        if closing != ",":
            break
        values.append(_value(tokens))
    raise SelectorError("found '', expected: ',', ')' or identifier")

"""How ordered blocks decide about one value (E-1 to E-3), the same for every family.

A *lane* is what all blocks together say about one kind of value (the images of init
containers, say), in the tenant's order.  The last allow or deny item that matches wins.
Where none matches, a lane with any allow item refuses: it is a list of what is allowed.
Audit items only tell.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Generic, Protocol, TypeVar

from tenantry.api.rules import ExpressionMatch
from tenantry.foundation.expressions import Expression, expression

_MEMO_SIZE: Final = 512
_MEMO_LENGTH: Final = 512


class Action(StrEnum):
    """What becomes of a value that an item matches (RL-6)."""

    ALLOW = "allow"
    DENY = "deny"
    AUDIT = "audit"


class Item(Protocol):
    """One entry of a block, as far as deciding goes."""

    @property
    def action(self) -> Action:
        """The action of its block."""
        ...

    @property
    def text(self) -> str:
        """The item as messages show it."""
        ...

    def matches(self, value: Any) -> bool:
        """Return whether the item is about *value*."""
        ...


I = TypeVar("I", bound=Item)  # noqa: E741 - an item; the letter that the field's generics would use


class Ruling(StrEnum):
    """How a lane decides."""

    UNTOUCHED = "untouched"
    """Nothing decides, and nothing is a list of what is allowed."""
    ALLOWED = "allowed"
    DENIED = "denied"
    MISSED = "missed"
    """There is a list of what is allowed, and the value is not on it."""


@dataclass(frozen=True, slots=True)
class Decision(Generic[I]):
    """What a lane says about one value."""

    ruling: Ruling
    item: I | None = None
    """The item that decided, where one did."""
    audits: tuple[I, ...] = ()
    """Audit items that match, in order; they have no part in *ruling*."""

    @property
    def refuses(self) -> bool:
        """Whether the value is refused."""
        return self.ruling in {Ruling.DENIED, Ruling.MISSED}


@dataclass(frozen=True, slots=True)
class Lane(Generic[I]):
    """Items about one kind of value, in the tenant's order."""

    items: tuple[I, ...] = ()
    _memo: dict[Hashable, Decision[I]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def allows(self) -> tuple[I, ...]:
        """The list of what is allowed."""
        return tuple(item for item in self.items if item.action is Action.ALLOW)

    @property
    def decides(self) -> bool:
        """Whether any item allows or denies: a lane of audits alone only tells."""
        return any(item.action is not Action.AUDIT for item in self.items)

    def decide(self, value: Hashable) -> Decision[I]:
        """Return the decision about *value*, remembered: a rollout asks the same thing many times.

        What users send is the key, so the memory is bounded, in entries and in the length of each.
        """
        if isinstance(value, str) and len(value) > _MEMO_LENGTH:
            return _decision(self.items, value)
        known = self._memo.get(value)
        if known is None:
            if len(self._memo) >= _MEMO_SIZE:
                self._memo.clear()
            known = self._memo[value] = _decision(self.items, value)
        return known


def _decision(items: Sequence[I], value: Hashable) -> Decision[I]:
    audits = tuple(item for item in items if item.action is Action.AUDIT and item.matches(value))
    # From the end, as the last match wins: the search stops at it.
    for item in reversed(items):
        if item.action is not Action.AUDIT and item.matches(value):
            return Decision(Ruling.ALLOWED if item.action is Action.ALLOW else Ruling.DENIED, item, audits)
    has_list = any(item.action is Action.ALLOW for item in items)
    return Decision(Ruling.MISSED if has_list else Ruling.UNTOUCHED, None, audits)


@dataclass(frozen=True, slots=True)
class Match:
    """An ExpressionMatch, compiled: one of *exact*, or *pattern* found in the value; *negate* then turns that."""

    exact: frozenset[str]
    pattern: Expression | None
    negate: bool
    text: str

    def matches(self, value: str) -> bool:
        """Return whether *value* matches."""
        hit = value in self.exact or (self.pattern is not None and self.pattern.search(value))
        return hit is not self.negate


@dataclass(frozen=True, slots=True)
class MatchItem:
    """An ExpressionMatch of a block."""

    action: Action
    match: Match

    @property
    def text(self) -> str:
        """The match as messages show it."""
        return self.match.text

    def matches(self, value: str) -> bool:
        """Return whether *value* matches."""
        return self.match.matches(value)


@dataclass(frozen=True, slots=True)
class ValueItem:
    """A block's list of plain values: a value matches that is one of them."""

    action: Action
    values: tuple[str, ...]

    @property
    def text(self) -> str:
        """The values as messages show them."""
        return ", ".join(self.values)

    def matches(self, value: str) -> bool:
        """Return whether *value* is one of them."""
        return value in self.values


def match_text(match: ExpressionMatch) -> str:
    """Return *match* as messages show it: ``exact: a, b; exp: re``, with ``not `` before it when negated."""
    parts = [f"exact: {', '.join(match.exact)}"] if match.exact else []
    parts += [f"exp: {match.exp}"] if match.exp else []
    return ("not " if match.negate else "") + "; ".join(parts)


def compiled_match(match: ExpressionMatch) -> Match:
    """Return *match* ready for use; raise ExpressionError where its expression does not compile."""
    return Match(
        exact=frozenset(match.exact),
        pattern=expression(match.exp) if match.exp else None,
        negate=match.negate,
        text=match_text(match),
    )


def match_items(action: Action, matches: Sequence[ExpressionMatch]) -> tuple[MatchItem, ...]:
    """Return an item for each of *matches*; raise ExpressionError where one does not compile."""
    return tuple(MatchItem(action, compiled_match(match)) for match in matches)

"""Ordered blocks: the last that matches decides, whatever stands before it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.api.rules import ExpressionMatch
from tenantry.foundation.expressions import ExpressionError
from tenantry.tenancy.rules.matching import (
    Action,
    Decision,
    Lane,
    MatchItem,
    Ruling,
    ValueItem,
    compiled_match,
    match_items,
    match_text,
)

VALUES = ["a", "b", "ab", "c"]
MATCHES = st.builds(
    ExpressionMatch,
    exact=st.lists(st.sampled_from(VALUES), max_size=2).map(tuple),
    exp=st.sampled_from(["", "a", "^b$", "."]),
    negate=st.booleans(),
)
ITEMS = st.builds(lambda action, match: MatchItem(action, compiled_match(match)), st.sampled_from(Action), MATCHES)
LANES = st.lists(ITEMS, max_size=6).map(tuple)
VALUE = st.sampled_from(VALUES)


def item(action: str, **match: Any) -> MatchItem:
    return match_items(Action(action), [ExpressionMatch(**match)])[0]


@given(items=LANES, value=VALUE)
def test_a_matching_deny_at_the_end_always_denies(items: tuple[MatchItem, ...], value: str) -> None:
    last = item("deny", exact=(value,))
    decision = Lane((*items, last)).decide(value)
    assert (decision.ruling, decision.item) == (Ruling.DENIED, last)


@given(items=LANES, value=VALUE)
def test_a_matching_allow_after_it_always_allows(items: tuple[MatchItem, ...], value: str) -> None:
    decision = Lane((*items, item("deny", exact=(value,)), item("allow", exact=(value,)))).decide(value)
    assert decision.ruling is Ruling.ALLOWED


@given(items=LANES, value=VALUE, at=st.integers(0, 6))
def test_audits_never_decide_wherever_they_stand(items: tuple[MatchItem, ...], value: str, at: int) -> None:
    with_audit = (*items[:at], item("audit", exact=(value,)), *items[at:])
    before, after = Lane(items).decide(value), Lane(with_audit).decide(value)
    assert (after.ruling, after.item) == (before.ruling, before.item)
    assert len(after.audits) == len(before.audits) + 1


@given(items=LANES, value=VALUE)
def test_a_decision_does_not_change_when_asked_again(items: tuple[MatchItem, ...], value: str) -> None:
    lane = Lane(items)
    assert lane.decide(value) == lane.decide(value) == Lane(items).decide(value)


@given(items=LANES, value=VALUE)
def test_only_a_list_of_what_is_allowed_refuses_what_nothing_matches(items: tuple[MatchItem, ...], value: str) -> None:
    decision = Lane(items).decide(value)
    if decision.item is None:
        assert decision.refuses is any(each.action is Action.ALLOW for each in items)


@given(match=MATCHES, value=VALUE)
def test_negate_turns_the_match(match: ExpressionMatch, value: str) -> None:
    other = ExpressionMatch(exact=match.exact, exp=match.exp, negate=not match.negate)
    assert compiled_match(match).matches(value) is not compiled_match(other).matches(value)


@pytest.mark.parametrize(
    ("match", "text"),
    [
        (ExpressionMatch(exact=("a", "b")), "exact: a, b"),
        (ExpressionMatch(exp="^a"), "exp: ^a"),
        (ExpressionMatch(exact=("a", "b"), exp="^a", negate=True), "not exact: a, b; exp: ^a"),
    ],
)
def test_the_text_of_a_match(match: ExpressionMatch, text: str) -> None:
    assert match_text(match) == text


def test_long_values_are_judged_and_not_remembered() -> None:
    lane = Lane((item("deny", exp="x"),))
    assert lane.decide("x" * 10_000).ruling is Ruling.DENIED
    for number in range(2_000):
        lane.decide(str(number))
    assert 0 < len(lane._memo) <= 512
    assert max(map(len, map(str, lane._memo))) <= 512


def test_an_empty_lane_has_nothing_to_say() -> None:
    empty: Lane[ValueItem] = Lane()
    assert empty.decide("a") == Decision(Ruling.UNTOUCHED)


def test_what_does_not_compile_is_an_error() -> None:
    with pytest.raises(ExpressionError):
        match_items(Action.DENY, [ExpressionMatch(exp="(?=look)")])

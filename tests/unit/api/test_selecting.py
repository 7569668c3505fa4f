"""Selectors of the API types match labels."""

from __future__ import annotations

import pytest

from tenantry.api.meta import LabelSelector, LabelSelectorRequirement
from tenantry.api.selecting import is_empty, matches, problem


@pytest.mark.parametrize("selector", [None, LabelSelector(), LabelSelector(match_labels={})])
def test_no_selector_and_an_empty_one_match_everything(selector: LabelSelector | None) -> None:
    assert is_empty(selector)
    assert matches(selector, None)
    assert matches(selector, {"a": "b"})
    assert problem(selector) is None


def test_labels_and_expressions_must_both_hold() -> None:
    selector = LabelSelector(
        match_labels={"env": "prod"},
        match_expressions=(LabelSelectorRequirement(key="tier", operator="NotIn", values=("db",)),),
    )

    assert not is_empty(selector)
    assert [matches(selector, labels) for labels in ({"env": "prod"}, {"env": "prod", "tier": "db"}, {}, None)] == [
        True,
        False,
        False,
        False,
    ]


def test_a_selector_that_kubernetes_refuses_matches_nothing_and_is_explained() -> None:
    selector = LabelSelector(match_expressions=(LabelSelectorRequirement(key="tier", operator="Gt", values=("1",)),))

    assert not matches(selector, {"tier": "2"})
    assert problem(selector) == "matchExpressions[0]: operator 'Gt' is none of In, NotIn, Exists, DoesNotExist"

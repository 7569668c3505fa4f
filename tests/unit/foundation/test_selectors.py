"""Label selectors match as the API server's do."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tenantry.foundation.selectors import selector_matches, selector_problem


class Part(NamedTuple):
    key: str
    operator: str
    values: tuple[str, ...] = ()


@pytest.mark.parametrize("labels", [None, {}, {"a": "b"}])
def test_a_selector_without_parts_matches_everything(labels: dict[str, str] | None) -> None:
    assert selector_matches(None, (), labels)
    assert selector_matches({}, (), labels)


@pytest.mark.parametrize(
    ("part", "with_prod", "with_dev", "without"),
    [
        (Part("env", "In", ("prod", "stage")), True, False, False),
        (Part("env", "NotIn", ("prod", "stage")), False, True, True),
        (Part("env", "Exists"), True, True, False),
        (Part("env", "DoesNotExist"), False, False, True),
        (Part("env", "In"), False, False, False),
        (Part("env", "NotIn"), False, False, False),
        (Part("env", "Exists", ("prod",)), False, False, False),
        (Part("env", "DoesNotExist", ("prod",)), False, False, False),
        (Part("env", "Gt", ("1",)), False, False, False),
    ],
)
def test_each_operator(part: Part, *, with_prod: bool, with_dev: bool, without: bool) -> None:
    answers = [selector_matches(None, [part], labels) for labels in ({"env": "prod"}, {"env": "dev"}, None)]

    assert answers == [with_prod, with_dev, without]


def test_all_parts_must_hold() -> None:
    parts = [Part("env", "Exists"), Part("tier", "NotIn", ("db",))]

    assert selector_matches({"a": "1"}, parts, {"a": "1", "env": "x"})
    assert not selector_matches({"a": "2"}, parts, {"a": "1", "env": "x"})
    assert not selector_matches({"a": "1"}, parts, {"a": "1", "env": "x", "tier": "db"})


@pytest.mark.parametrize(
    ("match_labels", "parts", "problem"),
    [
        ({"env": "prod"}, [Part("env", "In", ("a",)), Part("x/y", "Exists")], None),
        (
            {"env/": "prod"},
            [],
            "matchLabels env/=prod: name part must not be empty",
        ),
        (
            {"env": "a" * 64},
            [],
            f"matchLabels env={'a' * 64}: must be no more than 63 characters",
        ),
        (
            None,
            [Part("env", "Gt", ("1",))],
            "matchExpressions[0]: operator 'Gt' is none of In, NotIn, Exists, DoesNotExist",
        ),
        (None, [Part("a", "Exists"), Part("env", "In")], "matchExpressions[1]: operator In needs values"),
        (None, [Part("env", "Exists", ("a",))], "matchExpressions[0]: operator Exists takes no values"),
        (None, [Part("", "Exists")], "matchExpressions[0]: key '' name part must not be empty"),
        (
            None,
            [Part("env", "In", ("a" * 64,))],
            f"matchExpressions[0]: value {'a' * 64!r} must be no more than 63 characters",
        ),
    ],
)
def test_what_the_api_server_would_refuse_is_explained(
    match_labels: dict[str, str] | None, parts: list[Part], problem: str | None
) -> None:
    assert selector_problem(match_labels, parts) == problem

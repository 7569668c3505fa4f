"""Regular expressions mean what they mean in Go."""

from __future__ import annotations

import pytest

from tenantry.foundation.expressions import ExpressionError, expression, expression_problem, is_valid_expression


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("arbor", "harbor.example.com/x", True),
        ("^arbor", "harbor.example.com/x", False),
        ("", "anything", True),
        ("^$", "", True),
        ("x$", "x\n", False),  # Python's re would match before the line break.
        ("a.b", "a\nb", False),
        ("^prod-[0-9]+$", "prod-12", True),
        (r"^\d+$", "\u0663", False),  # Python's re counts it as a digit.
        ("(?i)PROD", "my-prod", True),
        ("^.$", "é", True),
        (r"^\w+\z", "abc", True),
        ("[[:alpha:]]", "1a", True),
    ],
)
def test_the_search_is_unanchored_and_by_re2(pattern: str, text: str, *, found: bool) -> None:
    assert expression(pattern).search(text) is found


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(?=x)", "invalid perl operator: (?="),
        (r"(a)\1", r"invalid escape sequence: \1"),
        ("a[", "missing ]: ["),
        ("*", "no argument for repetition operator: *"),
        ("a{1001}", "invalid repetition size: {1001}"),
        ("(", "missing ): ("),
    ],
)
def test_what_re2_does_not_know_is_refused_with_its_words(pattern: str, problem: str) -> None:
    with pytest.raises(ExpressionError, match="is not a valid regular expression") as caught:
        expression(pattern)

    assert caught.value.problem == problem
    assert expression_problem(pattern) == problem
    assert not is_valid_expression(pattern)


def test_a_lone_surrogate_is_an_error_of_the_pattern() -> None:
    assert not is_valid_expression("\ud800")


def test_equal_patterns_are_equal_expressions() -> None:
    assert {expression("a"), expression("a"), expression("b")} == {expression("b"), expression("a")}
    assert repr(expression("a+")) == "Expression('a+')"
    assert is_valid_expression("a+")


def test_a_pattern_that_backtracks_elsewhere_takes_linear_time_here() -> None:
    assert not expression("^(a+)+$").search("a" * 5000 + "b")

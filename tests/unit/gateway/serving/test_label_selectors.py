"""The grammar of label selectors, as the API server's tests have it."""

from __future__ import annotations

import pytest

from tenantry.gateway.serving.label_selectors import SelectorError, parsed_labels

LABELS = {"x": "a", "y": "b", "number": "7", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        ("x=a", True),
        ("x==a", True),
        (" x = a , y = b ", True),
        ("x!=b", True),
        ("z!=b", True),
        ("x=b", False),
        ("x in (a,b)", True),
        ("x in(a)", True),
        ("x in (b, c)", False),
        ("z in (a)", False),
        ("x notin (b)", True),
        ("z notin (b)", True),
        ("x notin (a)", False),
        ("x", True),
        ("z", False),
        ("!z", True),
        ("!x", False),
        ("! z", True),
        ("empty=", True),
        ("empty in ()", True),
        ("x=", False),
        ("z=", False),
        ("number>6", True),
        ("number>7", False),
        ("number<8", True),
        ("x>1", False),
        ("z>1", False),
        ("x in (a,),y", True),
        ("in in (a)", False),
        ("kubernetes.io/metadata.name=x", False),
        ("", True),
    ],
)
def test_a_selector_holds_as_in_kubernetes(selector: str, holds: bool) -> None:  # noqa: FBT001 - a table's column
    assert all(requirement.holds(LABELS) for requirement in parsed_labels(selector)) is holds


@pytest.mark.parametrize(
    "selector",
    [
        "x=a||y=b",
        "x==a==b",
        "!x=a",
        "x<a",
        ",",
        "x=a,",
        ",x=a",
        "x in",
        "x in (",
        "x in (a",
        "x in a",
        "x=a b",
        "!",
        "-x=a",
    ],
)
def test_what_is_no_selector_is_refused(selector: str) -> None:
    with pytest.raises(SelectorError):
        parsed_labels(selector)

"""Quantities parse, print, add and compare as Kubernetes' own package does."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.foundation.quantities import ZERO, Format, Quantity, QuantityError, parse_quantity, quantity_or_none

VECTORS = [
    tuple(line.split(" | "))
    for line in (Path(__file__).parent / "data" / "quantities.txt").read_text().splitlines()
    if line
]
"""Written by a Go program over k8s.io/apimachinery v0.36.3: input, canonical text and format."""


def evaluated(term: str) -> Quantity:
    left, *rest = term.split(" ")
    quantity = parse_quantity(left)
    if rest:
        operator, right = rest
        quantity = quantity + parse_quantity(right) if operator == "+" else quantity - parse_quantity(right)
    return quantity


@pytest.mark.parametrize(("term", "expected"), VECTORS, ids=[term for term, _ in VECTORS])
def test_text_and_family_are_those_of_go(term: str, expected: str) -> None:
    quantity = evaluated(term)

    assert f"{quantity} {quantity.family.value}" == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "+", "abc", "1KI", "1ki", "1Kib", "1e", "1e1.5", "1 ", " 1", "1,5", "0x10", "--1", "1K", "1mm"),
        *("1ee3", "1iM", "NaN", "Inf", "1_000", "\u0663", "1\n", "1e65", "1e999999999999", "1" * 257),
    ],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="is no quantity"):
        parse_quantity(text)
    assert quantity_or_none(text) is None


def test_a_boolean_is_no_quantity_although_python_counts_it_as_a_number() -> None:
    with pytest.raises(QuantityError):
        parse_quantity(True)  # noqa: FBT003 - the value under test


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (5, "5"), (-5, "-5"), (0.5, "500m"), (1e22, "10e21"), (1e-7, "100e-9"), (2.0, "2")],
)
def test_bare_numbers_are_read_as_their_text(number: float, text: str) -> None:
    assert str(parse_quantity(number)) == text


def test_tiny_amounts_round_up_to_the_finest_unit_however_small() -> None:
    assert parse_quantity("1e-999999999999") == Quantity(1)


def test_amounts_beyond_the_last_suffix_keep_it() -> None:
    """Go prints the number without any suffix there, which is another amount."""
    assert str(parse_quantity("1000E")) == "1000E"
    assert str(parse_quantity("7Ei") * 1024) == "7168Ei"


def test_equality_order_and_hash_go_by_value() -> None:
    same = [parse_quantity(text) for text in ("1Gi", "1024Mi", "1073741824", "1073741824000m")]

    assert len(set(same)) == 1
    assert parse_quantity("1G") < parse_quantity("1Gi") <= same[1]
    assert parse_quantity("1Gi") > parse_quantity("1G") >= parse_quantity("1e9")
    assert parse_quantity("1Gi") != "1Gi"


@pytest.mark.parametrize(
    ("text", "factor", "product"),
    [
        ("1Gi", Fraction(3, 2), "1536Mi"),
        ("500m", Fraction(3, 2), "750m"),
        ("1Gi", 2, "2Gi"),
        ("1", Fraction(1, 3), "333333334n"),
        ("-1", Fraction(1, 3), "-333333334n"),
        ("1n", Fraction(1, 2), "1n"),
        ("1Gi", 0, "0"),
    ],
)
def test_products_keep_the_family_and_round_away_from_zero(text: str, factor: int | Fraction, product: str) -> None:
    assert str(parse_quantity(text) * factor) == product
    assert str(factor * parse_quantity(text)) == product


def test_values_in_units_round_away_from_zero() -> None:
    quantity = parse_quantity("1500m")

    assert (quantity.scaled_value(), quantity.scaled_value(-3), (-quantity).scaled_value(), quantity.value) == (
        2,
        1500,
        -2,
        Fraction(3, 2),
    )


def test_zero_is_zero_in_every_family() -> None:
    assert parse_quantity("0Gi").is_zero
    assert not parse_quantity("0e3")
    assert parse_quantity("0Gi") == ZERO
    assert quantity_or_none(None) is None


quantities = st.builds(Quantity, st.integers(-(10**30), 10**30), st.sampled_from(Format))


@given(quantities)
def test_printing_loses_nothing(quantity: Quantity) -> None:
    again = parse_quantity(str(quantity))

    # Binary text ends at 2^63-1 in Go; sums may be larger, their text is not.
    if abs(quantity.value) > 2**63 - 1:
        return
    assert again == quantity
    # A binary number without a suffix reads as a decimal one, in Go too: 15625000 is then printed as 15625k.
    assert str(again) == str(quantity) or again.family is not quantity.family


@given(quantities, quantities)
def test_a_sum_minus_one_part_is_the_other_part(left: Quantity, right: Quantity) -> None:
    assert left + right - right == left
    assert left + right == right + left
    assert left - right == -(right - left)

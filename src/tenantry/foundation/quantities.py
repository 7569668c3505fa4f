"""Kubernetes quantities: exact values that keep their suffix family and print as Go prints them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import Final, final, overload

_NANO: Final = 10**9
_MAX_BINARY: Final = (2**63 - 1) * _NANO
_MAX_LENGTH: Final = 256
_MAX_EXPONENT: Final = 64
"""Beyond any real amount; a bound on what a hostile ``1e999999999`` makes us compute."""
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_TEXT: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_TEXT: Final = ("", *_BINARY)
_SYNTAX: Final = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?"
)


class Format(Enum):
    """The suffix family that a quantity was written in and is printed in."""

    DECIMAL_SI = "DecimalSI"
    """``12M`` is twelve millions."""
    BINARY_SI = "BinarySI"
    """``12Mi`` is twelve times 2^20."""
    DECIMAL_EXPONENT = "DecimalExponent"
    """``12e6``."""


class QuantityError(ValueError):
    """The text is no quantity."""

    def __init__(self, text: object) -> None:
        shown = repr(text)
        super().__init__(
            f"{shown if len(shown) <= 80 else shown[:77] + '...'} is no quantity: write a number with an optional "
            "suffix, as 500m, 2, 1.5Gi or 12e6"
        )


@final
@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """An exact multiple of 10^-9.

    Equality, order and hash go by value alone: ``1Gi == 1073741824``.

    Source: ``k8s.io/apimachinery/pkg/api/resource``.
    """

    nanos: int
    family: Format = field(default=Format.DECIMAL_SI)

    @property
    def value(self) -> Fraction:
        """The exact amount."""
        return Fraction(self.nanos, _NANO)

    @property
    def is_zero(self) -> bool:
        """Whether the amount is nought."""
        return self.nanos == 0

    def scaled_value(self, exponent: int = 0) -> int:
        """Return the amount in units of 10^*exponent*, rounded away from zero; -9 is the finest unit."""
        return _divided_up(self.nanos, 10 ** (exponent + 9))

    def __str__(self) -> str:
        if self.family is Format.BINARY_SI and abs(self.nanos) >= 1024 * _NANO and self.nanos % _NANO == 0:
            return _binary_text(self.nanos // _NANO)
        return _decimal_text(self.nanos, self.family)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos + other.nanos, self._family_with(other))

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos - other.nanos, self._family_with(other))

    def __mul__(self, factor: int | Fraction) -> Quantity:
        """Return the product, rounded away from zero to 10^-9 as Go does when it parses."""
        ratio = Fraction(factor)
        return Quantity(_divided_up(self.nanos * ratio.numerator, ratio.denominator), self.family)

    __rmul__ = __mul__

    def __neg__(self) -> Quantity:
        return Quantity(-self.nanos, self.family)

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __eq__(self, other: object) -> bool:
        return self.nanos == other.nanos if isinstance(other, Quantity) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __lt__(self, other: Quantity) -> bool:
        return self.nanos < other.nanos

    def __le__(self, other: Quantity) -> bool:
        return self.nanos <= other.nanos

    def __gt__(self, other: Quantity) -> bool:
        return self.nanos > other.nanos

    def __ge__(self, other: Quantity) -> bool:
        return self.nanos >= other.nanos

    def _family_with(self, other: Quantity) -> Format:
        # Go keeps the left operand's format, but a zero has none of its own to keep.
        return other.family if self.nanos == 0 else self.family


ZERO: Final = Quantity(0)


@lru_cache(maxsize=4096, typed=True)
def parse_quantity(text: str | float) -> Quantity:
    """Return the quantity that *text* means; numbers are what YAML makes of an unquoted one.

    What is finer than 10^-9 is rounded away from zero to it, and binary quantities
    end at 2^63-1, both as in Go.

    Raises:
        QuantityError: It is none, or its exponent is beyond any real amount.
    """
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise QuantityError(text)
    written = str(text)
    match = _SYNTAX.fullmatch(written) if len(written) <= _MAX_LENGTH else None
    if match is None or not (match["whole"] or match["part"]):
        raise QuantityError(text)
    part = match["part"] or ""
    digits = int(match["whole"] + part)
    suffix = match["suffix"] or ""
    family = _family_of(suffix)
    if family is Format.BINARY_SI:
        nanos = min(_divided_up((digits << _BINARY[suffix]) * _NANO, 10 ** len(part)), _MAX_BINARY)
        if nanos < _NANO:
            family = Format.DECIMAL_SI if digits else family
    else:
        nanos = _scaled(digits, _exponent_of(suffix, text) - len(part) + 9)
    return Quantity(-nanos if match["sign"] == "-" else nanos, family)


@overload
def quantity_or_none(text: str | float) -> Quantity | None: ...
@overload
def quantity_or_none(text: None) -> None: ...
def quantity_or_none(text: str | float | None) -> Quantity | None:
    """Return as parse_quantity, or None where *text* is None or no quantity."""
    if text is None:
        return None
    try:
        return parse_quantity(text)
    except QuantityError:
        return None


def _family_of(suffix: str) -> Format:
    if suffix in _BINARY:
        return Format.BINARY_SI
    return Format.DECIMAL_SI if suffix in _DECIMAL else Format.DECIMAL_EXPONENT


def _exponent_of(suffix: str, text: object) -> int:
    if suffix in _DECIMAL:
        return _DECIMAL[suffix]
    exponent = int(suffix[1:])
    if exponent > _MAX_EXPONENT:
        raise QuantityError(text)
    return max(exponent, -2 * _MAX_LENGTH)  # Whatever is smaller still rounds up to one 10^-9.


def _scaled(digits: int, exponent: int) -> int:
    """Return *digits* times 10^*exponent*, rounded up."""
    return digits * 10**exponent if exponent >= 0 else _divided_up(digits, 10**-exponent)


def _divided_up(amount: int, divisor: int) -> int:
    """Return *amount* / *divisor*, rounded away from zero."""
    return -(-amount // divisor) if amount >= 0 else amount // divisor


def _decimal_text(nanos: int, family: Format) -> str:
    if nanos == 0:
        return "0"
    exponent = -9
    while nanos % 1000 == 0 and (exponent < 18 or family is Format.DECIMAL_EXPONENT):
        nanos //= 1000
        exponent += 3
    if family is not Format.DECIMAL_EXPONENT:
        return f"{nanos}{_DECIMAL_TEXT[exponent]}"
    return f"{nanos}e{exponent}" if exponent else str(nanos)


def _binary_text(amount: int) -> str:
    steps = 0
    while amount % 1024 == 0 and steps < len(_BINARY):
        amount //= 1024
        steps += 1
    return f"{amount}{_BINARY_TEXT[steps]}"

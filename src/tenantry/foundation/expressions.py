"""Regular expressions with the meaning they have in Go: RE2 syntax, unanchored search."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, final

import re2  # type: ignore[import-untyped]


class ExpressionError(ValueError):
    """The pattern is not RE2 syntax; the message is RE2's own."""

    def __init__(self, pattern: str, problem: str) -> None:
        self.pattern = pattern
        self.problem = problem
        super().__init__(f"{pattern!r} is not a valid regular expression: {problem}")


@final
class Expression:
    """A compiled pattern; equal patterns are equal expressions."""

    __slots__ = ("_compiled", "pattern")

    def __init__(self, pattern: str, compiled: Any) -> None:
        """Wrap what RE2 *compiled*; use :func:`expression`."""
        self.pattern = pattern
        self._compiled = compiled

    def search(self, text: str) -> bool:
        """Return whether the pattern matches anywhere in *text*, as Go's ``MatchString``."""
        return self._compiled.search(text) is not None

    def __eq__(self, other: object) -> bool:
        return self.pattern == other.pattern if isinstance(other, Expression) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"Expression({self.pattern!r})"


@lru_cache(maxsize=2048)
def expression(pattern: str) -> Expression:
    """Return *pattern* compiled.

    Raises:
        ExpressionError: It is not RE2 syntax: look-around and back-references are not.

    Source: https://github.com/google/re2/wiki/Syntax
    """
    try:
        # The pattern goes in as text: as bytes, RE2 would read it as Latin-1.
        return Expression(pattern, re2.compile(pattern, _options()))
    except (re2.error, UnicodeEncodeError) as error:
        raise ExpressionError(pattern, _message(error)) from error


def expression_problem(pattern: str) -> str | None:
    """Return why *pattern* does not compile, None where it does."""
    try:
        expression(pattern)
    except ExpressionError as error:
        return error.problem
    return None


def is_valid_expression(pattern: str) -> bool:
    """Return whether *pattern* compiles."""
    return expression_problem(pattern) is None


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False  # RE2 would print to stderr what the exception says anyway.
    options.never_capture = True  # Only yes or no is asked for.
    return options


def _message(error: Exception) -> str:
    first = error.args[0] if error.args else str(error)
    return first.decode(errors="replace") if isinstance(first, bytes) else str(error)

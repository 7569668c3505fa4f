"""Which label and annotation keys a forbidden list refuses (T-13, T-32, CF-7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tenantry.api.shared import ForbiddenList
from tenantry.foundation.expressions import ExpressionError, expression


def forbidden_keys(forbidden: ForbiddenList | None, keys: Iterable[str]) -> list[str]:
    """Return those of *keys* that are listed or match the expression, sorted.

    An expression that does not compile forbids every key: what the platform meant to refuse
    can't be told apart from the rest.
    """
    if forbidden is None or not (forbidden.denied or forbidden.denied_regex):
        return []
    return sorted(key for key in keys if key in forbidden.denied or _matches(forbidden.denied_regex, key))


def forbidden_text(forbidden: ForbiddenList) -> str:
    """Return what is forbidden, for a message."""
    parts = []
    if forbidden.denied:
        parts.append(f"forbidden are: {', '.join(forbidden.denied)}")
    if forbidden.denied_regex:
        parts.append(f"forbidden is what matches the regular expression: {forbidden.denied_regex}")
    return "; ".join(parts)


def set_keys(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> set[str]:
    """Return the keys that *new* adds or gives another value."""
    before = old or {}
    return {key for key, value in (new or {}).items() if before.get(key) != value}


def changed_keys(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> set[str]:
    """Return the keys that are added, removed or get another value."""
    return set_keys(old, new) | set_keys(new, old)


def _matches(pattern: str, key: str) -> bool:
    if not pattern:
        return False
    try:
        return expression(pattern).search(key)
    except ExpressionError:
        return True

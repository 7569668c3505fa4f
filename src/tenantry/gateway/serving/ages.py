"""How long ago something was, as kubectl prints it."""

from __future__ import annotations

from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_YEAR: Final = 365 * _DAY

UNKNOWN: Final = "<unknown>"
"""For what has no time of creation; JSON of Go escapes its brackets, which means the same."""


def age(created_seconds: int | None, now_seconds: float) -> str:
    """Return the age, both times in Unix seconds.

    Source:
        ``HumanDuration`` of k8s.io/apimachinery/pkg/util/duration.
    """
    if created_seconds is None:
        return UNKNOWN
    # Go cuts towards zero: half a second in the future is "0s".
    seconds = int(now_seconds - created_seconds)
    if seconds < -1:
        return "<invalid>"
    if seconds < 2 * _MINUTE:
        return f"{max(seconds, 0)}s"
    return _minutes_and_hours(seconds) if seconds < 48 * _HOUR else _days_and_years(seconds)


def _minutes_and_hours(seconds: int) -> str:
    if seconds < 10 * _MINUTE:
        return _two(seconds // _MINUTE, "m", seconds % _MINUTE, "s")
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 8 * _HOUR:
        return _two(seconds // _HOUR, "h", seconds // _MINUTE % 60, "m")
    return f"{seconds // _HOUR}h"


def _days_and_years(seconds: int) -> str:
    if seconds < 8 * _DAY:
        return _two(seconds // _DAY, "d", seconds // _HOUR % 24, "h")
    if seconds < 2 * _YEAR:
        return f"{seconds // _DAY}d"
    if seconds < 8 * _YEAR:
        return _two(seconds // _YEAR, "y", seconds // _DAY % 365, "d")
    return f"{seconds // _YEAR}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"

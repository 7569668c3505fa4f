"""Growing pauses with jitter, for whatever is tried again."""

from __future__ import annotations

import random


def jittered(seconds: float, spread: float = 0.5) -> float:
    """Return *seconds*, less up to *spread* of it at random, so that clients do not act in step."""
    return seconds * (1 - spread * random.random())  # noqa: S311 - it spreads load, it guards nothing


class Backoff:
    """Pauses that double from *initial_seconds* to *max_seconds*, each jittered, until reset."""

    def __init__(self, initial_seconds: float, max_seconds: float) -> None:
        self._initial = initial_seconds
        self._max = max_seconds
        self._failures = 0

    def next_seconds(self) -> float:
        """Return the pause before the next try."""
        seconds = delay_seconds(self._failures, initial_seconds=self._initial, max_seconds=self._max)
        self._failures += 1
        return seconds

    def reset(self) -> None:
        """Start again at the shortest pause."""
        self._failures = 0


def delay_seconds(failures: int, *, initial_seconds: float, max_seconds: float) -> float:
    """Return the jittered pause after *failures* earlier failures in a row."""
    # The exponent is bounded: 2.0**1024 would overflow, after hours of an unreachable server.
    return jittered(min(max_seconds, initial_seconds * 2.0 ** min(failures, 32)))

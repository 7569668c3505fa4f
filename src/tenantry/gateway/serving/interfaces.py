"""What this room needs from the rest of the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from tenantry.access.identity import Identity
from tenantry.access.visibility import PrincipalView

ViewChanged = Callable[[frozenset[str] | None, int], None]
"""Told whose view changed, by subject keys (None: everybody's), and at which version."""

Happening = Literal[
    "list_cached",
    "list_live",
    "get_cached",
    "get_live",
    "get_hidden",
    "watch_started",
    "watch_expired",
    "watch_ended_slow",
    "event_delivered",
    "view_moved",
    "refused",
]


class Knowledge(Protocol):
    """What is known of who sees what."""

    def view(self, identity: Identity) -> PrincipalView | None:
        """Return what *identity* sees; None for whoever is not filtered."""
        ...

    def changed_version(self, identity: Identity) -> int:
        """Return the lowest version from which a watch of *identity* may resume."""
        ...

    def subscribe(self, callback: ViewChanged) -> None:
        """Have *callback* called after each change; :meth:`view` already answers by it."""
        ...

    def follow_versions(self, source: Callable[[], int]) -> None:
        """Have *source* asked for the highest version that clients were given."""
        ...


class Counters(Protocol):
    """Counts what happens, for the metrics."""

    def happened(self, what: Happening, count: int = 1) -> None:
        """Count so many of it."""
        ...


class NoCounters:
    """Counts nothing."""

    def happened(self, what: Happening, count: int = 1) -> None:
        """Do nothing."""

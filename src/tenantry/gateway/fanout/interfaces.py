"""What reads over all namespaces need from the rest of the gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from tenantry.access.identity import Identity
from tenantry.access.visibility import PrincipalView

ViewChanged = Callable[[frozenset[str] | None, int], None]
"""Told whose view changed, by subject keys (None: everybody's), and at which version."""

Happening = Literal[
    "list", "list_failed", "list_cut", "part_left_out", "watch", "watch_refused", "watch_expired", "watch_slow"
]
"""``cut``: the answer had begun; ``left_out``: the API server forbade one namespace."""


class Knowledge(Protocol):
    """What the gateway knows about who may see which namespaces."""

    def view(self, identity: Identity) -> PrincipalView | None:
        """Return what *identity* sees; None where it is not filtered."""
        ...

    def subscribe(self, callback: ViewChanged) -> None:
        """Tell *callback* of every change of a view from now on."""
        ...

    def follow_versions(self, source: Callable[[], int]) -> None:
        """Have *source* asked for the highest version that clients were given: a change counts as later."""
        ...

    def changed_version(self, identity: Identity) -> int:
        """Return from which resource version on the view of *identity* is what it is now."""
        ...


@dataclass(slots=True)
class Given:
    """The highest resource version that clients were given."""

    highest: int = 0

    def note(self, version: int) -> None:
        """Take note of one, before it goes out."""
        self.highest = max(self.highest, version)


class Counters(Protocol):
    """Counts what happens, for the metrics."""

    def happened(self, what: Happening) -> None:
        """Count one."""
        ...


class NoCounters:
    """Counts nothing."""

    def happened(self, what: Happening) -> None:
        """Do nothing."""

"""Watchers that are told the same, and what one change is for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tenantry.access.sight import Sight
from tenantry.gateway.serving.formats import Format
from tenantry.gateway.serving.items import Item, restamped
from tenantry.gateway.serving.selections import Selection
from tenantry.gateway.serving.shelf import Change, EventType

Told = tuple[EventType, Item]
"""What one audience is told of one change."""


@dataclass(frozen=True, slots=True)
class Audience:
    """All watchers that are told the same; found by it."""

    sight: Sight
    selection: Selection
    format: Format

    def sees(self, item: Item | None) -> bool:
        """Return whether *item* is shown and asked for."""
        return item is not None and self.sight.shows(item.name, item.labels) and self.selection.takes(item)

    def told(self, change: Change) -> Told | None:
        """Return what *change* is here: what leaves the sight or the selectors is deleted (invariant 11)."""
        before, after = self.sees(change.before), self.sees(change.after)
        if after:
            return ("MODIFIED" if before else "ADDED"), change.last
        if not before:
            return None
        if change.after is None:
            return "DELETED", change.last
        assert change.before is not None
        return "DELETED", restamped(change.before, change.version)

    @property
    def names(self) -> Iterable[str] | None:
        """Return the only objects whose changes can be of interest; None where any may be."""
        if self.selection.name is not None:
            return (self.selection.name,)
        return None if self.sight.everything or self.sight.rules else self.sight.names

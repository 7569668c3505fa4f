"""Which objects of a shelf a sight shows, without looking at all of them each time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tenantry.access.sight import Sight
from tenantry.gateway.serving.items import Item
from tenantry.gateway.serving.shelf import Shelf

_KEPT: Final = 512


@dataclass(slots=True)
class _Shown:
    """What a sight with rules shows, up to which change."""

    seen: int
    restarts: int
    names: set[str]
    in_order: list[str] | None = field(default=None)


class Visible:
    """Answers by names where a sight has only those, else from what it worked out before.

    Either way :meth:`Sight.shows` is asked about each object that is shown: it alone decides.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._kept: OrderedDict[Sight, _Shown] = OrderedDict()

    def names(self, sight: Sight) -> list[str]:
        """Return the names of what *sight* shows now, in order; not to be changed."""
        items = self._shelf.items
        if sight.everything:
            return self._shelf.names()
        if not sight.rules:
            return sorted([name for name in sight.names if name in items and sight.shows(name, items[name].labels)])
        shown = self._by_rules(sight)
        if shown.in_order is None:
            shown.in_order = sorted(shown.names)
        return shown.in_order

    def _by_rules(self, sight: Sight) -> _Shown:
        shelf, shown = self._shelf, self._kept.get(sight)
        changes = None
        if shown is not None and shown.restarts == shelf.restarts:
            changes = shelf.last_changes(shelf.changes_seen - shown.seen)
        if shown is None or changes is None:
            names = {name for name, item in shelf.items.items() if sight.shows(name, item.labels)}
            shown = self._kept[sight] = _Shown(shelf.changes_seen, shelf.restarts, names)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return shown
        self._kept.move_to_end(sight)
        if changes:
            _follow(shown, sight, ((change.name, change.after) for change in changes))
            shown.seen = shelf.changes_seen
        return shown


def _follow(shown: _Shown, sight: Sight, changes: Iterable[tuple[str, Item | None]]) -> None:
    for name, item in changes:
        is_shown = item is not None and sight.shows(name, item.labels)
        if is_shown != (name in shown.names):
            shown.names ^= {name}
            shown.in_order = None

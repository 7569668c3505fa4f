"""All objects of one kind as far as they are known, and what changed lately; no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from tenantry.gateway.serving.items import Item

HISTORY_CHANGES: Final = 4096
HISTORY_BYTES: Final = 16 * 1024 * 1024
"""Of the objects that only the history still holds, about."""

EventType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True)
class Change:
    """One object before and after; None where it is not there."""

    version: int
    name: str
    before: Item | None
    after: Item | None
    last: Item
    """What to show of it: the new state, or what the server told of the deletion."""


class Shelf:
    """Takes what the server sends, in order, and remembers the last of it.

    Whatever is at or below :attr:`version` was taken already, and comes twice only where two
    streams overlap: it is passed over.
    """

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.columns = b"[]"
        """The table's column definitions as JSON."""
        self.version = 0
        """Everything up to here is known."""
        self.floor = 0
        """What changed after this is all in the history."""
        self.changes_seen = 0
        self.restarts = 0
        self._history: deque[Change] = deque()
        self._history_bytes = 0
        self._names: list[str] | None = None
        self.on_change: Callable[[Change], None] = _ignore
        self.on_bookmark: Callable[[], None] = _nothing
        self.on_reset: Callable[[], None] = _nothing
        """Called when the server went back in time: nothing that was sent before holds."""

    def take(self, event: EventType, item: Item) -> None:
        """Take one event of a watch."""
        if item.version > self.version:
            self._apply(item.version, item.name, None if event == "DELETED" else item, item)

    def bookmark(self, version: int) -> None:
        """Take note that everything up to *version* was sent."""
        if version > self.version:
            self.version = version
            self.on_bookmark()

    def replace(self, items: Iterable[Item], version: int) -> None:
        """Take a whole list as of *version*; one that is older than what is known is passed over.

        What changed meanwhile is told as it is now: a watcher misses steps, but no result.
        """
        if version < self.version:
            return
        listed = {item.name: item for item in items}
        changed = [item for item in listed.values() if item.version > self.version]
        gone = sorted(self.items.keys() - listed.keys())
        for item in sorted(changed, key=_version_of):
            self._apply(item.version, item.name, item, item)
        for name in gone:
            self._apply(version, name, None, self.items[name])
        self.bookmark(version)

    def restart(self, items: Iterable[Item], version: int) -> None:
        """Take a whole list, and forget all that was known: the first one, or the server went back in time."""
        self.items = {item.name: item for item in items}
        self.version = self.floor = version
        self.changes_seen += 1
        self.restarts += 1
        self._history.clear()
        self._history_bytes = 0
        self._names = None
        self.on_reset()

    def names(self) -> list[str]:
        """Return the names of all, sorted; not to be changed."""
        if self._names is None:
            self._names = sorted(self.items)
        return self._names

    def since(self, version: int) -> list[Change]:
        """Return what changed after *version*, at or above :attr:`floor`, in order."""
        recent = []
        for change in reversed(self._history):
            if change.version <= version:
                break
            recent.append(change)
        recent.reverse()
        return recent

    def last_changes(self, count: int) -> list[Change] | None:
        """Return the last *count* changes, oldest first; None where they are forgotten."""
        if count > len(self._history):
            return None
        return list(islice(self._history, len(self._history) - count, None))

    def at(self, version: int) -> Mapping[str, Item | None] | None:
        """Return how objects that changed since stood at *version*; None where that is forgotten."""
        if version < self.floor:
            return None
        return {change.name: change.before for change in reversed(self.since(version))}

    def _apply(self, version: int, name: str, after: Item | None, last: Item) -> None:
        before = self.items.get(name)
        if after is not None:
            self.items[name] = after
        elif before is None:
            self.version = max(self.version, version)
            return
        else:
            del self.items[name]
        if before is None or after is None:
            self._names = None
        self.version = max(self.version, version)
        self.changes_seen += 1
        change = Change(version, name, before, after, last)
        self._remember(change)
        self.on_change(change)

    def _remember(self, change: Change) -> None:
        self._history.append(change)
        self._history_bytes += len(change.last.tail)
        while len(self._history) > HISTORY_CHANGES or self._history_bytes > HISTORY_BYTES:
            oldest = self._history.popleft()
            self._history_bytes -= len(oldest.last.tail)
            self.floor = oldest.version


def _version_of(item: Item) -> int:
    return item.version


def _ignore(change: Change) -> None:
    del change


def _nothing() -> None:
    return

"""Events to watchers: found by the object's name, put into bytes once a form, and never waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import time
from typing import Final

from tenantry.access.identity import Identity
from tenantry.access.sight import Sight
from tenantry.gateway.serving.audiences import Audience, Told
from tenantry.gateway.serving.formats import Format
from tenantry.gateway.serving.interfaces import Counters
from tenantry.gateway.serving.items import Item, restamped
from tenantry.gateway.serving.kinds import Kind
from tenantry.gateway.serving.rendering import bookmark, event
from tenantry.gateway.serving.shelf import Change, EventType, Shelf
from tenantry.gateway.serving.visible import Visible
from tenantry.gateway.serving.watchers import Watcher

_Frames = dict[tuple[EventType, Item, Format, bool], bytes]
_NONE: Final[frozenset[Audience]] = frozenset()


class Delivery:
    """The watchers of one kind."""

    def __init__(self, kind: Callable[[], Kind], shelf: Shelf, visible: Visible, counters: Counters) -> None:
        self._kind = kind
        self._shelf = shelf
        self._visible = visible
        self._counters = counters
        self._audiences: dict[Audience, set[Watcher]] = {}
        self._by_name: dict[str, set[Audience]] = {}
        self._anywhere: set[Audience] = set()
        self._by_identity: dict[Identity, set[Watcher]] = {}
        self._keys: dict[Identity, frozenset[str]] = {}
        self._by_key: dict[str, set[Identity]] = {}
        shelf.on_change = self._changed
        shelf.on_bookmark = self._bookmarked
        shelf.on_reset = self._reset

    def __len__(self) -> int:
        return sum(map(len, self._by_identity.values()))

    def add(self, watcher: Watcher, audience: Audience, keys: frozenset[str]) -> None:
        """Tell *watcher* from now on; its identity is found by its subject *keys*."""
        identity = watcher.identity
        if identity not in self._by_identity:
            self._by_identity[identity], self._keys[identity] = set(), keys
            for key in keys:
                self._by_key.setdefault(key, set()).add(identity)
        self._by_identity[identity].add(watcher)
        self._join(watcher, audience)

    def remove(self, watcher: Watcher) -> None:
        """Tell *watcher* nothing any more; harmless where that is so already."""
        identity = watcher.identity
        own = self._by_identity.get(identity)
        if own is None or watcher not in own:
            return
        own.discard(watcher)
        self._leave(watcher)
        if own:
            return
        del self._by_identity[identity]
        for key in self._keys.pop(identity):
            self._by_key[key].discard(identity)
            if not self._by_key[key]:
                del self._by_key[key]

    def affected(self, keys: frozenset[str] | None) -> set[Identity]:
        """Return which identities that watch have one of *keys*; all for None."""
        if keys is None:
            return set(self._by_identity)
        return set().union(*(self._by_key.get(key, ()) for key in keys))

    def watchers(self) -> Iterator[Watcher]:
        """Yield all; they may be removed meanwhile."""
        for own in list(self._by_identity.values()):
            yield from list(own)

    def watchers_of(self, identity: Identity) -> list[Watcher]:
        """Return the watchers of *identity*."""
        return list(self._by_identity.get(identity, ()))

    def initial(self, audience: Audience, *, needs_columns: bool) -> list[bytes]:
        """Return what there is now as ADDED events, in name order."""
        items = self._shelf.items
        names = self._visible.names(audience.sight)
        if (only := audience.selection.name) is not None:
            names = [only] if only in items else []
        seen = [item for name in names if audience.sees(item := items[name])]
        return self._frames([("ADDED", item) for item in seen], audience.format, needs_columns=needs_columns)

    def since(self, audience: Audience, version: int, *, needs_columns: bool) -> list[bytes]:
        """Return what changed after *version*, which the history has."""
        told = [told for change in self._shelf.since(version) if (told := audience.told(change)) is not None]
        return self._frames(told, audience.format, needs_columns=needs_columns)

    def bookmark(self, watcher: Watcher, *, ends_initial_events: bool = False) -> bytes:
        """Return the bookmark of now in the form of *watcher*."""
        return bookmark(
            self._kind(),
            self._shelf.version,
            watcher.audience.format,
            self._shelf.columns,
            ends_initial_events=ends_initial_events,
        )

    def move(self, identity: Identity, sight: Sight) -> bool:
        """Tell the watchers of *identity*, who see *sight* now, what came and what went (8.3).

        Returns whether one of them now waits for a bookmark to go on from.
        """
        needs_bookmark = False
        for watcher in self.watchers_of(identity):
            before = watcher.audience
            if before.sight == sight:
                continue
            after = Audience(sight, before.selection, before.format)
            self._leave(watcher)
            self._join(watcher, after)
            self._tell(watcher, self._difference(before, after))
            self._counters.happened("view_moved")
            if watcher.has_bookmarks:
                # A synthetic ADDED has an old version, and from there the client would resume.
                watcher.send(self.bookmark(watcher))
                needs_bookmark = True
        return needs_bookmark

    def _difference(self, before: Audience, after: Audience) -> list[Told]:
        items, version = self._shelf.items, self._shelf.version
        old, new = set(self._visible.names(before.sight)), set(self._visible.names(after.sight))
        gone = [items[name] for name in sorted(old - new)]
        come = [items[name] for name in sorted(new - old)]
        told: list[Told] = [("DELETED", restamped(item, version)) for item in gone if before.selection.takes(item)]
        return told + [("ADDED", item) for item in come if after.selection.takes(item)]

    def _join(self, watcher: Watcher, audience: Audience) -> None:
        watchers = self._audiences.get(audience)
        if watchers is None:
            watchers = self._audiences[audience] = set()
            if (names := audience.names) is None:
                self._anywhere.add(audience)
            else:
                for name in names:
                    self._by_name.setdefault(name, set()).add(audience)
        watchers.add(watcher)
        watcher.audience = audience

    def _leave(self, watcher: Watcher) -> None:
        audience = watcher.audience
        watchers = self._audiences[audience]
        watchers.discard(watcher)
        if watchers:
            return
        del self._audiences[audience]
        self._anywhere.discard(audience)
        for name in audience.names or ():
            interested = self._by_name.get(name)
            if interested is not None:
                interested.discard(audience)
                if not interested:
                    del self._by_name[name]

    def _changed(self, change: Change) -> None:
        frames: _Frames = {}
        for audience in (*self._by_name.get(change.name, _NONE), *self._anywhere):
            told = audience.told(change)
            if told is None:
                continue
            watchers = self._audiences.get(audience, ())
            for watcher in tuple(watchers):
                if change.version > watcher.since:
                    watcher.send(self._frame(told, audience.format, frames, needs_columns=watcher.needs_columns))
                    watcher.needs_columns = False
            self._counters.happened("event_delivered", len(watchers))

    def _bookmarked(self) -> None:
        version, made = self._shelf.version, dict[Format, bytes]()
        for watcher in self.watchers():
            watcher.end_if_left()
            if not watcher.has_bookmarks or version < watcher.since:
                continue
            fmt = watcher.audience.format
            if fmt not in made:
                made[fmt] = self.bookmark(watcher)
            watcher.send(made[fmt])

    def _reset(self) -> None:
        for watcher in self.watchers():
            watcher.expire("the versions that were given out before are of no use any more")

    def _tell(self, watcher: Watcher, told: Iterable[Told]) -> None:
        for frame in self._frames(told, watcher.audience.format, needs_columns=watcher.needs_columns):
            watcher.needs_columns = False
            watcher.send(frame)

    def _frames(self, told: Iterable[Told], fmt: Format, *, needs_columns: bool) -> list[bytes]:
        frames = []
        for one in told:
            frames.append(self._frame(one, fmt, {}, needs_columns=needs_columns))
            needs_columns = False
        return frames

    def _frame(self, told: Told, fmt: Format, made: _Frames, *, needs_columns: bool) -> bytes:
        kind, item = told
        has_columns = needs_columns and fmt.form == "table"
        key = (kind, item, fmt, has_columns)
        frame = made.get(key)
        if frame is None:
            frame = made[key] = event(kind, item, fmt, self._shelf.columns if has_columns else None, time())
        return frame

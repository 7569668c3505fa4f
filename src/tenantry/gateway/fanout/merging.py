"""One stream of events out of several: in the order of versions, with bookmarks that hold for all of them.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#watch-bookmarks and #streaming-lists (KEP-3157)
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import Final

from tenantry.gateway.fanout.frames import Frame, bookmark_like, with_columns

HOLD_SECONDS: Final = 0.02
"""How long an event waits for older ones of other namespaces.

The API server hands one change after the other to all its watches, so connections differ by
scheduling and the network alone.  A client that resumes at the last version it saw misses what
was older and came later than this; streams that lag for a known reason (one had to be opened
again) end with 410 instead, and then nothing is missed either.
"""


@dataclass(slots=True)
class Source:
    """What is known of the watch of one namespace."""

    is_initial: bool
    """Whether the events that say what is there already may still come."""
    has_end: bool
    """Whether a bookmark of its own tells when those are over, so that they need not be held."""
    is_awaited: bool = False
    """Whether the bookmark that ends those was not handed on yet."""
    seen: int = 0
    """The version up to which everything was received: where the watch goes on if it has to be opened again."""
    sent: int = 0
    """The same of what was handed on."""

    def __post_init__(self) -> None:
        self.is_awaited = self.is_initial

    def received(self, frame: Frame) -> None:
        """Take note of *frame*, on its arrival."""
        if frame.type == "BOOKMARK":
            self.is_initial = False
        if not self.is_initial:
            self.seen = max(self.seen, frame.version)


class Merge:
    """Takes events as they come, and hands them on in order; knows no clock."""

    def __init__(self, *, wants_bookmarks: bool, wants_end: bool) -> None:
        """Begin.

        Args:
            wants_bookmarks: Whether the client takes bookmarks.
            wants_end: Whether it waits for the one after all initial events.
        """
        self._wants_bookmarks = wants_bookmarks
        self._wants_end = wants_end
        self._sources: dict[str, Source] = {}
        self._held: list[tuple[int, int, str, Frame]] = []
        self._deadlines: deque[tuple[float, int]] = deque()
        self._ready: list[bytes] = []
        self._count = 0
        self._bookmarked = 0
        self._columns: bytes | None = None
        self._has_sent_columns = False
        self.size_bytes = 0
        """What is held now."""
        self.highest = 0
        """The highest version of all that was handed on."""

    def add_source(self, namespace: str, source: Source) -> None:
        """Take events of *namespace* from now on; bookmarks wait for it."""
        self._sources[namespace] = source

    def ended(self, line: bytes) -> None:
        """Hand on *line* as the bookmark after all initial events: there are none to wait for."""
        self._wants_end = False
        self._ready.append(line)

    def add(self, namespace: str, frame: Frame, now: float) -> None:
        """Take an event that arrived *now* (seconds)."""
        source = self._sources[namespace]
        self.size_bytes += len(frame.line)
        if frame.columns is not None and not frame.lacks_columns:
            self._columns = frame.columns
        if source.is_initial and source.has_end and frame.type != "BOOKMARK":
            self._release(namespace, frame)
            return
        self._count += 1
        source.received(frame)
        heapq.heappush(self._held, (frame.version, self._count, namespace, frame))
        self._deadlines.append((now + HOLD_SECONDS, frame.version))

    @property
    def next_due(self) -> float | None:
        """When something may be handed on; None while nothing is here."""
        if self._ready:
            return 0.0
        return self._deadlines[0][0] if self._deadlines else None

    def take(self, now: float | None) -> list[bytes]:
        """Return the lines that are due *now*; all there are with None."""
        newest = -1
        while self._deadlines and (now is None or self._deadlines[0][0] <= now):
            newest = max(newest, self._deadlines.popleft()[1])
        while self._held and self._held[0][0] <= newest:
            _, _, namespace, frame = heapq.heappop(self._held)
            self._release(namespace, frame)
        lines, self._ready = self._ready, []
        if not self._held:
            self._deadlines.clear()
            self.size_bytes = 0
        else:
            self.size_bytes = sum(len(frame.line) for _, _, _, frame in self._held)
        return lines

    def _release(self, namespace: str, frame: Frame) -> None:
        source = self._sources.get(namespace)
        if frame.type == "BOOKMARK":
            if source is not None:
                was_awaited, source.is_awaited = source.is_awaited, False
                source.sent = max(source.sent, frame.version)
                self._bookmark(frame.line, is_new=was_awaited)
            return
        if source is not None and not source.is_awaited:
            source.sent = max(source.sent, frame.version)
        self.highest = max(self.highest, frame.version)
        self._ready.append(self._with_columns(frame))

    def _bookmark(self, line: bytes, *, is_new: bool) -> None:
        if any(source.is_awaited for source in self._sources.values()):
            return
        lowest = min(source.sent for source in self._sources.values())
        if self._wants_end:
            self._wants_end = False
            self._ready.append(bookmark_like(line, lowest, is_end=True))
        elif not self._wants_bookmarks or not (lowest > self._bookmarked or (is_new and lowest > 0)):
            return
        else:
            # Also where it has not risen: after objects of a new namespace the client's version is one of theirs.
            self._ready.append(bookmark_like(line, lowest, is_end=False))
        self._bookmarked = max(self._bookmarked, lowest)
        self.highest = max(self.highest, lowest)

    def _with_columns(self, frame: Frame) -> bytes:
        """Return the line; the first of a Table has the columns, whichever bookmark took them along."""
        if self._has_sent_columns or frame.columns is None:
            return frame.line
        self._has_sent_columns = True
        return with_columns(frame.line, self._columns) if frame.lacks_columns and self._columns else frame.line

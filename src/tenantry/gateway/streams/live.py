"""The streams that are live, found by whose they are and by when they expire; no I/O, no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from tenantry.foundation.codec import replaced
from tenantry.gateway.streams.heads import StreamHead
from tenantry.gateway.streams.locks import LockSet
from tenantry.gateway.streams.records import Principal, StreamRecord


class Link(Protocol):
    """The connection on which a stream is held."""

    def fail(self, stream: int) -> None:
        """End the stream of that number."""
        ...


Key = tuple[Link, int]


@dataclass(frozen=True, slots=True)
class LiveStream:
    """A stream that goes on."""

    key: Key
    record: StreamRecord
    """Of its start."""
    expires: float | None
    started: float
    """Unix seconds."""
    number: int
    """Counted from 1, within this process."""


class LiveStreams:
    """All of them; every method that returns streams has taken them out."""

    def __init__(self) -> None:
        self._streams: dict[Key, LiveStream] = {}
        self._of: dict[Principal, set[Key]] = {}
        """Thousands of streams of somebody in hundreds of groups ask for one look, and share one value."""
        self._next_expiry = math.inf
        """Nothing expires before."""
        self._count = 0

    def __len__(self) -> int:
        return len(self._streams)

    def __contains__(self, key: Key) -> bool:
        return key in self._streams

    def add(self, key: Key, head: StreamHead, *, time: str, now: float) -> LiveStream:
        """Take in a stream that begins *now* (Unix seconds), which is *time* in its records."""
        user = head.record.user
        keys = self._of.get(user)
        if keys is None:
            keys = self._of[user] = set()
        else:
            user = self._streams[next(iter(keys))].record.user
        keys.add(key)
        self._count += 1
        record = replaced(head.record, time=time, user=user)
        stream = self._streams[key] = LiveStream(key, record, head.expires, now, self._count)
        if head.expires is not None:
            self._next_expiry = min(self._next_expiry, head.expires)
        return stream

    def remove(self, key: Key) -> LiveStream | None:
        """Take one out; None if it is not there."""
        stream = self._streams.pop(key, None)
        if stream is not None:
            keys = self._of[stream.record.user]
            keys.discard(key)
            if not keys:
                del self._of[stream.record.user]
        return stream

    def take_locked(self, locks: LockSet) -> list[LiveStream]:
        """Take out whatever belongs to somebody locked."""
        return self._take([key for principal, keys in self._of.items() if locks.holds(principal) for key in keys])

    def take_expired(self, now: float) -> list[LiveStream]:
        """Take out what has expired by *now*; cheap while nothing can have."""
        if now < self._next_expiry:
            return []
        expired = self._take(
            [key for key, each in self._streams.items() if each.expires is not None and each.expires <= now]
        )
        self._next_expiry = min(
            (each.expires for each in self._streams.values() if each.expires is not None), default=math.inf
        )
        return expired

    def take_unending(self, share: float) -> list[LiveStream]:
        """Take out the oldest *share* (0 to 1, rounded up) of the watches and logs, which never end by themselves."""
        unending = [key for key, each in self._streams.items() if each.record.kind in ("watch", "log")]
        return self._take(unending[: math.ceil(len(unending) * share)])

    def take_all(self) -> list[LiveStream]:
        """Take out all."""
        return self._take(list(self._streams))

    def _take(self, keys: list[Key]) -> list[LiveStream]:
        return [stream for key in keys if (stream := self.remove(key)) is not None]

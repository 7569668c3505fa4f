"""Bounded memory of answers, and one question at a time for each key."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TimedCache(Generic[K, V]):
    """At most *size* values, each until its time; the least recently used goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def get(self, key: K, now: float) -> V | None:
        """Return the value, None where there is none or its time is over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, until = entry
        if now >= until:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V, until: float) -> None:
        """Keep *value* until a time of the clock that *get* is given."""
        self._entries[key] = (value, until)
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget *key*, if it is known."""
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)


class SingleFlight(Generic[K, V]):
    """Whoever asks while the same is being asked waits for that answer, be it a value or an error."""

    def __init__(self) -> None:
        self._flights: dict[K, asyncio.Future[V]] = {}

    def is_busy(self, key: K) -> bool:
        """Return whether somebody asks for *key* at this moment."""
        return key in self._flights

    async def do(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """Return what *ask* returns, or what it returns to the one who asks already."""
        while (flight := self._flights.get(key)) is not None:
            # Shielded: one who stops waiting must not take the answer from the others.
            try:
                return await asyncio.shield(flight)
            except asyncio.CancelledError:
                if not flight.cancelled():
                    raise
                # Whoever asked went away: the next one asks.
        flight = asyncio.get_running_loop().create_future()
        self._flights[key] = flight
        try:
            value = await ask()
        except asyncio.CancelledError:
            flight.cancel()
            raise
        except Exception as error:
            flight.set_exception(error)
            flight.exception()  # Nobody else may be waiting, and that is no mistake.
            raise
        else:
            flight.set_result(value)
            return value
        finally:
            del self._flights[key]

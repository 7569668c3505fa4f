"""A work queue of keys: each at most once waiting, and never twice at work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import structlog

from tenantry.foundation.errors import TenantryError
from tenantry.kube.backoff import delay_seconds

K = TypeVar("K", bound=Hashable)
Reconcile = Callable[[K], Awaitable[float | None]]
"""Makes the world match for one key; returns after how many seconds to run again, or None."""

_log = structlog.get_logger(__name__)


class WorkQueue(Generic[K]):
    """Level-triggered: a key says "look at this", never what happened.

    A key that is added while it waits is one key; added while it is worked on, it runs again
    afterwards.  Use it from one event loop.
    """

    def __init__(
        self,
        name: str,
        *,
        base_delay_seconds: float = 0.05,
        max_delay_seconds: float = 60,
        min_interval_seconds: float = 0.0,
    ) -> None:
        """Start empty.

        Args:
            name: For logs and metrics.
            base_delay_seconds: The pause after a first failure; it doubles with each in a row.
            max_delay_seconds: The longest such pause.
            min_interval_seconds: The least time from the end of a key's run to its next:
                a burst of changes becomes one run.
        """
        self.name = name
        self._base_delay = base_delay_seconds
        self._max_delay = max_delay_seconds
        self._min_interval = min_interval_seconds
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: set[K] = set()
        self._processing: set[K] = set()
        self._resting: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}

    @property
    def depth(self) -> int:
        """How many keys wait; those due later are not among them."""
        return len(self._waiting)

    @property
    def processing(self) -> int:
        """How many keys are worked on."""
        return len(self._processing)

    def add(self, key: K) -> None:
        """Have *key* run as soon as possible."""
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._processing and key not in self._resting:
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have *key* run in *seconds*; of several such wishes the earliest counts."""
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._due, key)

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    async def run(self, reconcile: Reconcile[K], *, workers: int) -> None:
        """Work on keys, up to *workers* at a time, until cancelled.

        An exception of *reconcile* is logged, and the key runs again after a growing pause.
        A key whose run was cancelled waits for the next :meth:`run`.
        """
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(reconcile), name=f"{self.name}-{number}")

    async def _work(self, reconcile: Reconcile[K]) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._processing.add(key)
            try:
                await self._reconcile(key, reconcile)
            except asyncio.CancelledError:
                self.add(key)
                raise
            finally:
                self._processing.discard(key)
                self._after_run(key)

    async def _reconcile(self, key: K, reconcile: Reconcile[K]) -> None:
        try:
            again_seconds = await reconcile(key)
        except Exception as error:  # noqa: BLE001 - whatever one key raises, the others go on
            self._failed(key, error)
        else:
            self._failures.pop(key, None)
            if again_seconds is not None:
                self.add_after(key, again_seconds)

    def _failed(self, key: K, error: Exception) -> None:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        pause = delay_seconds(failures, initial_seconds=self._base_delay, max_seconds=self._max_delay)
        _log.warning(
            "reconcile.failed",
            queue=self.name,
            key=key,
            failures=failures + 1,
            retry_seconds=round(pause, 3),
            error=str(error),
            exc_info=not isinstance(error, TenantryError),  # A refusal needs no stack; a bug does.
        )
        self.add_after(key, pause)

    def _after_run(self, key: K) -> None:
        if self._min_interval > 0:
            self._resting.add(key)
            asyncio.get_running_loop().call_later(self._min_interval, self._rested, key)
        elif key in self._waiting:
            self._ready.put_nowait(key)

    def _rested(self, key: K) -> None:
        self._resting.discard(key)
        if key in self._waiting and key not in self._processing:
            self._ready.put_nowait(key)

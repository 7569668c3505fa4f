"""The kinds that are followed: begun when first asked for, a bounded number, dropped when nobody asks any more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import monotonic
from typing import Final

import structlog

from tenantry.foundation.errors import TenantryError
from tenantry.gateway.serving.delivery import Delivery
from tenantry.gateway.serving.following import Follower
from tenantry.gateway.serving.interfaces import Counters
from tenantry.gateway.serving.kinds import Kind, KindKey, Kinds
from tenantry.gateway.serving.reads import OwnReads
from tenantry.gateway.serving.visible import Visible

MAX_KINDS: Final = 64
IDLE_SECONDS: Final = 600.0
SWEEP_SECONDS: Final = 60.0
SYNC_SECONDS: Final = 15.0
"""How long a first request waits for the first list."""

_log = structlog.get_logger(__name__)


class Followed:
    """One kind with its watchers."""

    def __init__(self, follower: Follower, counters: Counters) -> None:
        self.follower = follower
        self.shelf = follower.shelf
        self.visible = Visible(self.shelf)
        self.delivery = Delivery(lambda: follower.kind, self.shelf, self.visible, counters)
        self.used_at = monotonic()
        self.task: asyncio.Task[None] | None = None

    @property
    def kind(self) -> Kind:
        """The kind as it is served now."""
        return self.follower.kind


class Stock:
    """Keeps what is followed."""

    def __init__(self, reads: OwnReads, kinds: Kinds, counters: Counters, *, pinned: frozenset[KindKey]) -> None:
        """Follow the *pinned* kinds all the time, the others on demand."""
        self._reads = reads
        self._kinds = kinds
        self._counters = counters
        self._pinned = pinned
        self._followed: dict[KindKey, Followed] = {}
        self._dropped: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Followed]:
        return iter(list(self._followed.values()))

    def get(self, key: KindKey) -> Followed | None:
        """Return what is followed under *key*, if it is."""
        followed = self._followed.get(key)
        if followed is not None and followed.follower.is_gone:
            self._drop(key)
            return None
        if followed is not None:
            followed.used_at = monotonic()
        return followed

    def begin(self, kind: Kind) -> Followed | None:
        """Follow *kind*; None where no more can be."""
        if (known := self.get(kind.key)) is not None:
            return known
        if len(self._followed) >= MAX_KINDS and not self._make_room():
            return None
        followed = Followed(Follower(self._reads, self._kinds, kind), self._counters)
        followed.task = asyncio.get_running_loop().create_task(_run(followed.follower), name=f"serving-{kind.plural}")
        self._followed[kind.key] = followed
        return followed

    async def run(self) -> None:
        """Begin the pinned ones, and drop the idle ones, until cancelled; then drop all."""
        try:
            while True:
                for key in self._pinned - self._followed.keys():
                    await self._begin_pinned(key)
                is_complete = self._pinned <= self._followed.keys()
                await asyncio.sleep(SWEEP_SECONDS if is_complete else 1.0)
                for key, followed in list(self._followed.items()):
                    if followed.follower.is_gone or self._is_idle(key, followed, IDLE_SECONDS):
                        self._drop(key)
        finally:
            for key in list(self._followed):
                self._drop(key)
            await asyncio.gather(*self._dropped, return_exceptions=True)

    async def _begin_pinned(self, key: KindKey) -> None:
        try:
            kind = await self._kinds.find(key)
        except TenantryError as error:
            _log.warning("serving.kind_unknown", kind=key[2], error=str(error))
            return
        if kind is not None and kind.is_cached:
            self.begin(kind)

    def _make_room(self) -> bool:
        idle = [(one.used_at, key) for key, one in self._followed.items() if self._is_idle(key, one, 0)]
        if not idle:
            return False
        self._drop(min(idle)[1])
        return True

    def _is_idle(self, key: KindKey, followed: Followed, seconds: float) -> bool:
        return key not in self._pinned and not followed.delivery and monotonic() - followed.used_at >= seconds

    def _drop(self, key: KindKey) -> None:
        followed = self._followed.pop(key)
        for watcher in followed.delivery.watchers():
            watcher.expire("the kind is no longer followed")
        if followed.task is not None:
            followed.task.cancel()
            self._dropped.add(followed.task)
            followed.task.add_done_callback(self._dropped.discard)


async def _run(follower: Follower) -> None:
    try:
        await follower.run()
    finally:
        await follower.close()

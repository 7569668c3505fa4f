"""Steady requests while something happens, for tests of what must not be noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from tenantry.foundation.errors import TenantryError

IN_FLIGHT: Final = 32


@dataclass(slots=True)
class Load:
    """How a load has fared so far."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)
    """Messages of those that were not let through."""
    changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    async def more(self, count: int) -> None:
        """Return once *count* more requests were answered or failed."""
        wanted = self.answered + len(self.failures) + count
        while self.answered + len(self.failures) < wanted:
            self.changed.clear()
            await self.changed.wait()


@asynccontextmanager
async def steady(request: Callable[[int], Awaitable[object]], *, per_second: float) -> AsyncIterator[Load]:
    """Send requests for as long as the body runs; those under way at its end are waited for.

    No more than IN_FLIGHT are under way at once, so that a slow machine sends fewer.
    """
    load, slots, is_over = Load(), asyncio.Semaphore(IN_FLIGHT), asyncio.Event()

    async def one(number: int) -> None:
        try:
            await request(number)
        except TenantryError as error:
            load.failures.append(str(error))
        else:
            load.answered += 1
        finally:
            load.changed.set()
            slots.release()

    async def send() -> None:
        async with asyncio.TaskGroup() as group:
            number = 0
            while not is_over.is_set():
                await slots.acquire()
                number += 1
                group.create_task(one(number))
                await asyncio.sleep(1 / per_second)

    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        try:
            yield load
        finally:
            is_over.set()

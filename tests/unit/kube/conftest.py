"""A loop whose time jumps, and a small real HTTP server, for the Kubernetes layer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

Serve = Callable[[Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]], Any]


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting until a timer is due, moves the clock there."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


@pytest.fixture
def run_jumping() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on a loop where an hour of sleep takes no time."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
            return runner.run(work)

    return run


@pytest.fixture
def serve() -> Serve:
    """Start an HTTP server on the loopback interface; use what this returns in ``async with``."""

    @asynccontextmanager
    async def start(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
        server = web.Server(handler)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    return start

"""Gateways that a test may break: each has a link of its own to the API server, and files of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest_asyncio
from breakable_gateway import BreakableGateway

from tenantry.testing.platform import Platform

Make = Callable[..., Awaitable[BreakableGateway]]


@pytest_asyncio.fixture(loop_scope="session")
async def broken(platform: Platform, tmp_path: Path) -> AsyncIterator[Make]:
    """Start gateways that end with the test; arguments as of :meth:`BreakableGateway.started`."""
    async with AsyncExitStack() as stack:
        count = 0

        async def make(**configuration: Any) -> BreakableGateway:
            nonlocal count
            count += 1
            gateway = BreakableGateway.started(platform, tmp_path / f"gw{count}", **configuration)
            return await stack.enter_async_context(gateway)

        yield make

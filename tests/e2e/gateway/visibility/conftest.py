"""What a test of visibility has: hands on both sides of the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from stage import Stage

from tenantry.testing.gateway import Gateway
from tenantry.testing.world import World


@pytest_asyncio.fixture(loop_scope="session")
async def stage(world: World, gateway: Gateway) -> AsyncIterator[Stage]:
    """Objects that go with the test, and users through the shared gateway."""
    async with Stage(world, gateway) as stage:
        yield stage

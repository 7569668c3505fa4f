"""One whole installation for all end-to-end tests: real processes, real rights, real users."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tenantry.controlplane.cluster import ControlPlane
from tenantry.testing.breakable import Breakable
from tenantry.testing.platform import Platform
from tenantry.testing.world import World


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """The installation; tests that stop a part of it start it again."""
    folder: Path = tmp_path_factory.mktemp("platform")
    platform = await Platform.start(control_plane, folder)
    yield platform
    await platform.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def world(platform: Platform, unique: Callable[[str], str]) -> AsyncIterator[World]:
    """Clients for any user, and tenants that go with the test."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(World(platform, unique))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def breakable(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Breakable]:
    """What tests may break without others noticing; each leaves it running and mended."""
    async with Breakable.running(tmp_path_factory.mktemp("breakable")) as breakable:
        yield breakable


@pytest_asyncio.fixture(loop_scope="session")
async def breakable_world(breakable: Breakable, unique: Callable[[str], str]) -> AsyncIterator[World]:
    """As ``world``, in the breakable installation."""
    async with World(breakable.platform, unique) as world:
        yield world


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Run all tests of this folder on the session's loop: the platform's processes belong to it."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and "asyncio" in item.keywords:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)

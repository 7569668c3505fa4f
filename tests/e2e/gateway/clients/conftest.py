"""Two teams that are neighbours in one cluster, shared by all tests of a module."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio
from metrics_api import MetricsApi
from teams import Team, made, manifest, pod

from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import Platform
from tenantry.testing.world import World


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Who share a cluster and must not see each other."""

    world: World
    oil: Team
    gas: Team


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def neighbours(platform: Platform, gateway: Gateway, unique: Callable[[str], str]) -> AsyncIterator[Neighbours]:
    """Oil with three namespaces and gas with one: in each two pods and a ConfigMap; tests only read them."""
    async with World(platform, unique) as world:
        oil, gas = await asyncio.gather(
            made(world, gateway, prefix="oil", namespaces=3), made(world, gateway, prefix="gas")
        )
        await asyncio.gather(*(_furnish(team, namespace) for team in (oil, gas) for namespace in team.namespaces))
        yield Neighbours(world, oil, gas)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def metrics_api(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MetricsApi]:
    """Usage of nodes and pods, by an aggregated API."""
    served = await MetricsApi.start(platform.plane, tmp_path_factory.mktemp("metrics"))
    yield served
    await served.stop()


async def _furnish(team: Team, namespace: str) -> None:
    items = [pod("one", app="shop"), pod("two"), manifest("ConfigMap", "settings", data={"a": "1"})]
    whole = {"apiVersion": "v1", "kind": "List", "items": items}
    await team.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(whole))
    await team.kubectl("wait", "pod", "--all", "-n", namespace, "--for=condition=Ready", "--timeout=60s")

"""A replica ends while others serve: no request is lost, streams end in time, and clients go on at another (R-078)."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
from breakable_gateway import BreakableGateway, User, next_event, until
from teams import Team, made

from tenantry.testing.gateway import another_port
from tenantry.testing.link import Link
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

DRAIN_SECONDS: Final = 4
PAUSE_SECONDS: Final = 0.05
LAG_SECONDS: Final = 0.5
"""What it takes until all nodes know which Pods a Service has."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(
    platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[BreakableGateway, BreakableGateway]]:
    """Two replicas; tests leave both running."""
    folder = tmp_path_factory.mktemp("pair")
    async with BreakableGateway.started(platform, folder / "first", drainSeconds=DRAIN_SECONDS) as first:
        second = replace(first, gateway=another_port(first.gateway, folder / "second"))
        try:
            await second.gateway.run()
            await second.gateway.wait_ready()
            yield first, second
        finally:
            await second.gateway.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def team(world: World, pair: tuple[BreakableGateway, BreakableGateway]) -> Team:
    """A tenant of three namespaces."""
    return await made(world, pair[0].gateway, namespaces=3)


@asynccontextmanager
async def ending(gateway: BreakableGateway) -> AsyncIterator[Callable[[], Coroutine[Any, Any, int]]]:
    """Yield a function that sends SIGTERM to a replica and returns its exit code; run it again afterwards."""

    async def end() -> int:
        process = gateway.gateway.part.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DRAIN_SECONDS + 10):
            return await process.wait()

    yield end
    await gateway.gateway.stop()
    await gateway.gateway.run()
    await gateway.gateway.wait_ready()


async def test_a_replica_that_ends_loses_no_request(
    pair: tuple[BreakableGateway, BreakableGateway], team: Team
) -> None:
    """A Service takes a Pod off its list only after it said that it is not ready, and clients come until then."""
    first, second = pair
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    seen: Counter[object] = Counter()
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(Link(first.gateway.port, second.gateway.port))
        fresh = await stack.enter_async_context(User(team.kubeconfig, port=service.port, keeps_alive=False))
        kept = await stack.enter_async_context(User(team.kubeconfig, port=service.port))
        end = await stack.enter_async_context(ending(first))
        is_over = asyncio.Event()

        async def load(client: User, path: str) -> None:
            while not is_over.is_set():
                try:
                    seen[(await client.get(path)).status] += 1
                except aiohttp.ClientPayloadError as error:
                    # A watch began, and was among those that are ended bit by bit.
                    seen[200 if "watch" in path else repr(error)] += 1
                except aiohttp.ClientError as error:
                    seen[repr(error)] += 1
                # Now and then nobody asks anything: that must not end it early.
                await asyncio.sleep(PAUSE_SECONDS)

        async def watch_endpoints() -> None:
            await until(lambda: _is_unready(first))
            await asyncio.sleep(LAG_SECONDS)
            service.targets = (second.gateway.port,)

        async with asyncio.TaskGroup() as tasks:
            short = f"{pods}?watch=true&timeoutSeconds=1"
            for client, path in ((fresh, pods), (fresh, "/api/v1/namespaces"), (kept, pods), (fresh, short)):
                tasks.create_task(load(client, path))
            await until(lambda: seen[200] > 20)
            tasks.create_task(watch_endpoints())
            code = await end()
            before = seen[200]
            await until(lambda: seen[200] > before + 20)
            is_over.set()
    assert set(seen) == {200}, seen
    assert code == 0


async def test_streams_end_in_time_and_well(pair: tuple[BreakableGateway, BreakableGateway], team: Team) -> None:
    """Those that are filtered and those that are not: the last bytes arrive, and a record says why they ended."""
    first, _ = pair
    loop = asyncio.get_running_loop()
    paths = (f"/api/v1/namespaces/{team.namespace}/pods", "/api/v1/namespaces", "/api/v1/configmaps")
    async with AsyncExitStack() as stack:
        end = await stack.enter_async_context(ending(first))
        client = await stack.enter_async_context(first.client(team.owner))
        streams = [await stack.enter_async_context(client.watching(path)) for path in paths]
        started = loop.time()
        ended = asyncio.create_task(end())
        for stream in streams:
            # Those over all namespaces first tell of what is there.
            while await next_event(stream) is not None:
                pass
        assert loop.time() - started < DRAIN_SECONDS + 3
        assert await ended == 0
    told = {one["reason"] for one in first.records if one["stage"] == "Ended" and one["user"]["name"] == team.owner}
    assert told <= {"Draining", "Closed"}
    assert "Draining" in told


async def test_pages_go_on_at_another_replica(pair: tuple[BreakableGateway, BreakableGateway], team: Team) -> None:
    """A ``continue`` of one is understood by the other, over all namespaces and of namespaces themselves."""
    for path in ("/api/v1/configmaps", "/api/v1/namespaces"):
        found: list[str] = []
        token, turn = "", 0
        while True:
            async with pair[turn % 2].client(team.owner) as client:
                answer = await client.get(path, params={"limit": "1", **({"continue": token} if token else {})})
            assert answer.status == 200, answer
            found += [_name(item) for item in answer.body["items"]]
            token, turn = answer.body["metadata"].get("continue", ""), turn + 1
            if not token:
                break
        expected = list(team.namespaces)
        if path != "/api/v1/namespaces":
            expected = [f"{each}/kube-root-ca.crt" for each in expected]
        assert found == expected
        assert turn == 3


async def test_a_watch_goes_on_at_another_replica(
    pair: tuple[BreakableGateway, BreakableGateway], team: Team, world: World
) -> None:
    """From the version of the one; what the other can't know for certain is 410, and a list tells it."""
    first, second = pair
    owner = await world.user(team.owner)
    async with first.client(team.owner) as here, second.client(team.owner) as there:
        changes: dict[str, Callable[[], Coroutine[Any, Any, str]]] = {
            "/api/v1/namespaces": lambda: world.namespace(owner, team.tenant),
            "/api/v1/configmaps": lambda: _config_map(here, team, world.unique("seen")),
        }
        for path, change in changes.items():
            listed = await here.get(path)
            name = await change()
            version = listed.body["metadata"]["resourceVersion"]
            assert await _learned(there, path, version, name)


async def _learned(client: User, path: str, version: str, name: str) -> bool:
    """Say whether a client that resumes from *version* learns of *name*, as informers do it."""
    answer = await client.get(path, params={"watch": "true", "resourceVersion": version, "timeoutSeconds": "3"})
    assert answer.status in {200, 410}, answer
    # One line is JSON, and several are not.
    text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
    if name in text:
        return True
    assert '"code":410' in text.replace(" ", ""), text
    return any(_name(item).rpartition("/")[2] == name for item in (await client.get(path)).body["items"])


async def _config_map(client: User, team: Team, name: str) -> str:
    assert await client.post(f"/api/v1/namespaces/{team.namespace}/configmaps", {"metadata": {"name": name}}) == 201
    return name


def _name(item: dict[str, Any]) -> str:
    metadata = item["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else str(metadata["name"])


async def _is_unready(gateway: BreakableGateway) -> bool:
    return (await gateway.readiness())[0] != 200

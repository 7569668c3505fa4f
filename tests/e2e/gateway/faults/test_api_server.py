"""The API server away, slow or silent: what clients are told, what becomes of others, and how it mends itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
import pytest_asyncio
from breakable_gateway import UNAVAILABLE, BreakableGateway, User, linked_account, until
from teams import made

from tenantry.kube.config import load_config
from tenantry.testing.link import Link
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

Make = Callable[..., Awaitable[BreakableGateway]]
FAR: Final = "far.test"
MANY: Final = 30


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def far_link(platform: Platform) -> AsyncIterator[Link]:
    """The way to the second cluster, which is the same API server; tests leave it mended."""
    server = load_config(kubeconfig=str(platform.plane.kubeconfig)).server
    async with Link(int(server.rpartition(":")[2])) as link:
        yield link


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(
    platform: Platform, far_link: Link, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BreakableGateway]:
    """A gateway of two clusters; tests leave it mended."""
    folder = tmp_path_factory.mktemp("two")
    account = await linked_account(platform, folder / "far.kubeconfig", far_link)
    other = {"name": "far", "hosts": [FAR], "kubeconfig": str(account)}
    async with BreakableGateway.started(platform, folder, others=[other]) as gateway:
        yield gateway


def far(gateway: BreakableGateway, user: str, **options: Any) -> User:
    """Return a client of the second cluster."""
    return gateway.client(user, host=FAR, **options)


async def test_an_api_server_that_is_away_is_a_503_and_comes_back(two: BreakableGateway, world: World) -> None:
    """In the form that Kubernetes' clients read, and never the word 401; what is cached is still answered."""
    team = await made(world, two.gateway)
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    async with two.client(team.owner) as client, two.client(world.unique("stranger")) as stranger:
        assert (await client.get(pods)).status == 200
        await two.link.cut()
        try:
            for target in (pods, f"{pods}/p", f"{pods}?watch=true", "/version", "/apis/apps/v1"):
                assert (await client.get(target)).outage == UNAVAILABLE, target
            # Who has a certificate is known without asking.
            assert (await stranger.get(pods)).outage == UNAVAILABLE
            listed = await client.get("/api/v1/namespaces")
            assert [item["metadata"]["name"] for item in listed.body["items"]] == [team.namespace]
        finally:
            two.link.mend()
        await until(lambda: _answers(client, pods))


async def test_one_cluster_down_neither_slows_nor_closes_the_others(
    two: BreakableGateway, far_link: Link, world: World
) -> None:
    """While many requests to a silent cluster hang, as many to the other are answered; the gateway stays ready."""
    team = await made(world, two.gateway)
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(two.client(team.owner))
        there = await stack.enter_async_context(far(two, team.owner))
        assert (await there.get(pods)).status == 200
        far_link.swallow()
        stack.callback(far_link.mend)
        hanging = [asyncio.create_task(there.get(pods)) for _ in range(MANY)]
        await until(lambda: _active(two, "api-far", MANY))

        answers = await asyncio.gather(*(here.get(pods) for _ in range(MANY)))
        listed = await here.get("/api/v1/namespaces")

        assert not any(each.done() for each in hanging)
        assert {each.status for each in answers} == {200}
        assert [item["metadata"]["name"] for item in listed.body["items"]] == [team.namespace]
        far_link.mend()
        # What was swallowed arrives late: nothing is lost.
        assert {each.status for each in await asyncio.gather(*hanging)} == {200}


async def test_a_new_connection_to_a_silent_api_server_is_given_up(
    two: BreakableGateway, far_link: Link, world: World
) -> None:
    """Five seconds, not the client's patience."""
    await far_link.cut()
    far_link.mend()
    async with far(two, world.unique("user")) as there:
        assert (await there.get("/version")).status == 200
        await far_link.cut()
        far_link.mend()
        far_link.swallow()
        try:
            assert (await there.get("/version")).outage == UNAVAILABLE
        finally:
            far_link.mend()


async def test_a_slow_api_server_is_waited_for(two: BreakableGateway, world: World) -> None:
    """Half a second each way: every kind of answer comes, late, and is the same."""
    team = await made(world, two.gateway)
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    async with two.client(team.owner) as client, two.client(world.unique("stranger")) as stranger:
        two.link.delay_seconds = 0.5
        try:
            statuses = await asyncio.gather(
                client.status(pods),
                client.status("/api/v1/pods"),
                stranger.status(pods),
                client.status("/api/v1/nodes"),
                client.status("/api/v1/namespaces"),
            )
        finally:
            two.link.delay_seconds = 0.0
        assert list(statuses) == [200, 200, 403, 200, 200]


async def test_a_cluster_that_is_away_keeps_no_other_from_being_served(
    two: BreakableGateway, far_link: Link, world: World
) -> None:
    """From the start on: the gateway is ready for the one, says what it lacks of the other, and takes it up later."""
    team = await made(world, two.gateway)
    await two.gateway.stop()
    await far_link.cut()
    try:
        await two.gateway.run()
        await two.gateway.wait_ready()
        async with two.client(team.owner) as here, far(two, team.owner) as there:
            pods = f"/api/v1/namespaces/{team.namespace}/pods"
            assert (await here.get(pods)).status == 200
            assert (await there.get(pods)).outage == UNAVAILABLE
            status, text = await two.readiness()
            assert status == 200
            assert "cluster far: " in text
            far_link.mend()
            await until(lambda: _answers(there, pods))
    finally:
        far_link.mend()
    await until(lambda: _says(two, (200, "ok\n")))


async def test_a_start_without_an_api_server_waits_for_it(broken: Make, world: World) -> None:
    """The process stays up and says what it waits for; nobody gets in, and it becomes ready by itself."""
    gateway = await broken(is_started=False, is_cut=True)
    user = world.unique("user")
    await gateway.gateway.run()
    status, text = await until(lambda: _waits(gateway))
    assert status == 503
    assert "cluster default: " in text
    async with gateway.client(user) as client:
        assert (await client.get("/api/v1/namespaces")).outage == UNAVAILABLE
        assert (await client.get("/api/v1/namespaces/default/pods")).outage == UNAVAILABLE
        gateway.link.mend()
        await gateway.gateway.wait_ready()
        await until(lambda: _answers(client, "/version"))
    assert gateway.gateway.part.process is not None
    assert gateway.gateway.part.process.returncode is None


async def _answers(client: User, path: str) -> bool:
    return await client.status(path) == 200


async def _active(gateway: BreakableGateway, cluster: str, count: int) -> bool:
    stats = await gateway.admin(f"/stats?format=json&filter=^cluster.{cluster}.upstream_rq_active$")
    return bool(sum(each["value"] for each in stats["stats"]) == count)


async def _says(gateway: BreakableGateway, wanted: tuple[int, str]) -> bool:
    return await gateway.readiness() == wanted


async def _waits(gateway: BreakableGateway) -> tuple[int, str] | None:
    """Return what it says once its data plane listens."""
    status, text = await gateway.readiness()
    return (status, text) if status == 503 and "starting" not in text else None

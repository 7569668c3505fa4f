"""Processes of the gateway that stop or die: what can be served goes on, and nothing passes unjudged (8.7)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
from breakable_gateway import UNAVAILABLE, BreakableGateway, User, is_running, next_event, until
from teams import Team, made

from tenantry.testing.platform import Platform
from tenantry.testing.world import World

STOPPED_SECONDS: Final = 20
FRESH_SECONDS: Final = 2


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def broken_gateway(
    platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BreakableGateway]:
    """A gateway that asks again for who is known after two seconds; each test leaves it mended."""
    identity = {"freshSeconds": FRESH_SECONDS}
    async with BreakableGateway.started(platform, tmp_path_factory.mktemp("gw"), identity=identity) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="session")
async def team(world: World, broken_gateway: BreakableGateway) -> Team:
    """A tenant with a user who comes through it."""
    return await made(world, broken_gateway.gateway)


@pytest_asyncio.fixture(loop_scope="session")
async def client(team: Team) -> AsyncIterator[User]:
    """The team's owner, whom the gateway knows."""
    async with User(team.kubeconfig) as user:
        assert (await user.get(f"/api/v1/namespaces/{team.namespace}/pods")).status == 200
        yield user


async def test_python_that_stops_costs_known_users_nothing(
    broken_gateway: BreakableGateway, team: Team, client: User, world: World, tenant_user: Any
) -> None:
    """Under load for 20 seconds: pass-through goes on, streams begin and live, others are told to come back."""
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    config_maps = f"/api/v1/namespaces/{team.namespace}/configmaps"
    seen: Counter[int] = Counter()
    async with AsyncExitStack() as stack:
        silent = await stack.enter_async_context(client.watching(f"/api/v1/namespaces/{team.namespace}/secrets"))
        broken_gateway.gateway.signal(signal.SIGSTOP)
        stack.callback(broken_gateway.gateway.signal, signal.SIGCONT)
        end = time.monotonic() + STOPPED_SECONDS

        async def load() -> None:
            while time.monotonic() < end:
                seen[await client.status(pods)] += 1

        async with asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(load())
            # Of a known user, streams too begin: nobody of Python's main process is needed for them.
            stream = await stack.enter_async_context(client.watching(config_maps))
            stranger = await stack.enter_async_context(broken_gateway.client(tenant_user("stranger")[0]))
            assert (await stranger.get(pods)).outage == UNAVAILABLE
            # What only Python knows is no guess of the data plane's.
            assert (await client.get("/api/v1/namespaces")).outage == UNAVAILABLE
            await world.admin.request("POST", config_maps, body=b'{"metadata":{"name":"while-stopped"}}')
            while (event := await next_event(stream)) is not None:
                if event["object"]["metadata"]["name"] == "while-stopped":
                    break
        assert event is not None
        broken_gateway.gateway.signal(signal.SIGCONT)
        # It saw no byte for twenty seconds, which is longer than Envoy's default limit of 15.
        await world.admin.request(
            "POST", f"/api/v1/namespaces/{team.namespace}/secrets", body=b'{"metadata":{"name":"after"}}'
        )
        after = await next_event(silent)
    assert after is not None
    assert after["object"]["metadata"]["name"] == "after"
    assert set(seen) == {200}
    assert seen[200] > STOPPED_SECONDS
    await until(lambda: _is(client, "/api/v1/namespaces", 200))
    assert [item["metadata"]["name"] for item in (await client.get("/api/v1/namespaces")).body["items"]] == [
        team.namespace
    ]


async def test_python_that_dies_takes_everything_with_it(
    broken_gateway: BreakableGateway, team: Team, client: User
) -> None:
    """Nothing is left to let anybody in, no port stays taken, and the next process serves."""
    gateway = broken_gateway.gateway
    processes = broken_gateway.children()
    assert set(processes) == {"envoy", "streams"}
    async with client.watching(f"/api/v1/namespaces/{team.namespace}/pods") as stream:
        os.kill(gateway.python_pid, signal.SIGKILL)
        assert await next_event(stream) is None
    await until(lambda: not any(map(is_running, processes.values())))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", gateway.port))

    await gateway.stop()
    await gateway.run()
    await gateway.wait_ready()
    assert (await client.get(f"/api/v1/namespaces/{team.namespace}/pods")).status == 200


async def test_an_envoy_that_dies_is_started_again(broken_gateway: BreakableGateway, team: Team, client: User) -> None:
    """Whoever was known is known again, and sees their own."""
    before = broken_gateway.children()["envoy"]

    os.kill(before, signal.SIGKILL)

    await until(lambda: not is_running(before))
    await until(lambda: _is(client, f"/api/v1/namespaces/{team.namespace}/pods", 200))
    assert broken_gateway.children()["envoy"] != before
    # It starts without any credential or script but those in its files.
    await until(lambda: _is_ready(broken_gateway))
    assert (await client.get("/api/v1/namespaces")).body["items"][0]["metadata"]["name"] == team.namespace
    assert broken_gateway.logged("envoy_ended")[-1]["exit_code"] == -signal.SIGKILL


async def test_the_process_of_streams_dies_and_no_stream_outlives_it(
    broken_gateway: BreakableGateway, team: Team, client: User
) -> None:
    """Nobody could end them any more; ordinary requests go on, and new streams begin with the next process."""
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    before = broken_gateway.children()["streams"]
    async with client.watching(pods) as stream:
        os.kill(before, signal.SIGKILL)
        assert await next_event(stream) is None
    assert (await client.get(pods)).status == 200

    async def begins() -> bool:
        try:
            async with client.watching(pods):
                return True
        except (AssertionError, aiohttp.ClientError):
            return False

    await until(begins)
    assert broken_gateway.children()["streams"] != before
    ended = [one for one in broken_gateway.records if one["stage"] == "Ended" and one["namespace"] == team.namespace]
    assert [(one["kind"], one["user"]["name"], one["reason"]) for one in ended[:1]] == [
        ("watch", team.owner, "Aborted")
    ]


BROKEN_SCRIPTS: Final = {
    "an error": "function envoy_on_request(handle) error('on purpose') end",
    "an answer, too late": "function envoy_on_request(handle) handle:body(); error('on purpose') end",
    "nothing to run": "local nothing = 1",
    "no mark": """
        function envoy_on_request(handle)
          handle:headers():replace("impersonate-user", "root")
          handle:headers():replace("x-tenantry-route", "upstream")
          handle:clearRouteCache()
        end""",
    "a mark without a user": """
        function envoy_on_request(handle)
          handle:headers():replace("x-tenantry-route", "upstream")
          handle:clearRouteCache()
          handle:streamInfo():dynamicMetadata():set("tenantry", "ok", "yes")
        end""",
}


async def test_a_broken_script_lets_nobody_through(broken_gateway: BreakableGateway, team: Team, client: User) -> None:
    """Over the good one, as a bug of ours would push it: 403, whatever it leaves out, and the next push mends it."""
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    file = broken_gateway.runtime / "envoy" / "script-default.json"
    good = file.read_text()
    for source in BROKEN_SCRIPTS.values():
        _swap(file, good)
        await until(lambda: _is(client, pods, 200))
        _swap(file, _with_source(good, source))
        await until(lambda: _is(client, pods, 403))
        answer = await client.get(pods)
        assert (answer.status, answer.body["kind"], answer.body["reason"]) == (403, "Status", "Forbidden")
    # What does not even parse is not taken.
    _swap(file, _with_source(good, "function ("))
    assert (await client.get(pods)).status == 403
    # Whatever pushes the scripts anew, a lock for example, puts the right one there.
    broken_gateway.gateway.configuration["locks"] = {"users": ["nobody-here"]}
    broken_gateway.gateway.write_configuration()
    await until(lambda: _is(client, pods, 200))
    await until(lambda: broken_gateway.logged("gateway.configuration_applied"))
    del broken_gateway.gateway.configuration["locks"]


def _with_source(file: str, source: str) -> str:
    whole = json.loads(file)
    whole["resources"][0]["typed_config"]["default_source_code"]["inline_string"] = source
    return json.dumps(whole)


def _swap(file: Path, text: str) -> None:
    fresh = file.with_name("swapped")
    fresh.write_text(text)
    fresh.rename(file)


async def _is(client: User, path: str, status: int) -> bool:
    return await client.status(path) == status


async def _is_ready(broken_gateway: BreakableGateway) -> bool:
    return (await broken_gateway.readiness())[0] == 200

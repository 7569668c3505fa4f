"""Full disks, descriptors that run out, clients that give or take too little: the gateway serves on, and says so."""

from __future__ import annotations

import asyncio
import resource
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
import pytest_asyncio
import raw
from breakable_gateway import BreakableGateway, User, next_event, until
from teams import Team, made

from tenantry.kube.config import load_config
from tenantry.kube.tls import TlsContexts
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

Make = Callable[..., Awaitable[BreakableGateway]]
PARALLEL: Final = 400
STREAMS: Final = 100
KIB: Final = 1024
HEADERS, RESET, SETTINGS = 1, 3, 4
"""Frames of HTTP/2."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def broken_gateway(
    platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BreakableGateway]:
    """A gateway under stress; each test leaves it as it was."""
    limits = {"headerSeconds": 2, "streamsPerConnection": STREAMS}
    async with BreakableGateway.started(platform, tmp_path_factory.mktemp("gw"), limits=limits) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="session")
async def team(world: World, broken_gateway: BreakableGateway) -> Team:
    """A tenant with a user who comes through it."""
    return await made(world, broken_gateway.gateway)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of half a megabyte, which root alone can make; its path is short enough for sockets."""
    with TemporaryDirectory(prefix="small-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs", folder], check=True)
        yield Path(folder)
        subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_runtime_folder_lets_nobody_in_who_is_locked_out(
    broken: Make, world: World, small_disk: Path
) -> None:
    """It serves on, streams of whoever is locked end at once, their requests soon, and readiness says why."""
    gateway = await broken(runtime_folder=small_disk, identity={"freshSeconds": 2})
    team, other = await made(world, gateway.gateway), await made(world, gateway.gateway)
    pods, others = (f"/api/v1/namespaces/{each.namespace}/pods" for each in (team, other))
    async with User(team.kubeconfig) as client, User(other.kubeconfig) as bystander:
        assert (await client.get(pods)).status == 200
        assert (await bystander.get(others)).status == 200
        async with client.watching(pods) as stream:
            fill(small_disk / "filler")
            gateway.gateway.configuration["locks"] = {"users": [team.owner]}
            gateway.gateway.write_configuration()
            assert await next_event(stream) is None
        await until(lambda: _is(client, pods, 403))
        assert (await bystander.get(others)).status == 200
        assert gateway.logged("gateway.script_not_pushed")
        _, text = await gateway.readiness()
        assert "the runtime folder can not be written, so locks take effect late: No space left on device\n" in text
        (small_disk / "filler").unlink()
        await until(lambda: _is_ready(gateway))
        assert (await client.get(pods)).status == 403
        # What could not be taken over then can be now.
        gateway.gateway.configuration["locks"] = {}
        gateway.gateway.write_configuration()
        await until(lambda: _is(client, pods, 200))


async def test_a_full_audit_file_is_told_and_stops_nobody(broken: Make, world: World, small_disk: Path) -> None:
    """Requests and streams go on; each side that could not write says so, and writes again when there is room."""
    gateway = await broken(audit={"file": str(small_disk / "audit.log")})
    team = await made(world, gateway.gateway)
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    async with User(team.kubeconfig) as client:
        fill(small_disk / "filler")
        for _ in range(20):
            assert (await client.get(pods)).status == 200
        async with client.watching(pods):
            assert (await client.get(pods)).status == 200
        await until(lambda: gateway.logged("audit_not_written"))
        await until(lambda: gateway.logged("gateway.audit_not_written"))
        assert await gateway.metric("envoy_filesystem_write_failed") > 0
        (small_disk / "filler").unlink()
        known = len(gateway.records)
        await client.get(pods)
        await until(lambda: len(gateway.records) > known)


async def test_rotation_loses_no_record(broken: Make, world: World) -> None:
    """The file is renamed many times under load; each request has exactly one record."""
    gateway = await broken(audit={"maxBytes": 64 * KIB, "keepFiles": 100})
    team = await made(world, gateway.gateway)
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    asked: list[str] = []
    file = gateway.gateway.audit_file
    async with User(team.kubeconfig) as client:

        async def load(number: int) -> None:
            while not file.with_name(f"{file.name}.2").exists():
                agent = f"load-{number}-{len(asked)}"
                asked.append(agent)
                assert (await client.get(pods, headers={"User-Agent": agent})).status == 200

        await asyncio.gather(*(load(number) for number in range(4)))

        def recorded() -> Counter[str]:
            return Counter(one["userAgent"] for one in gateway.records if one.get("userAgent", "").startswith("load-"))

        await until(lambda: sum(recorded().values()) >= len(asked))
        assert recorded() == Counter(asked)


async def test_many_requests_at_once_are_all_answered(team: Team) -> None:
    """400 on as many connections, of somebody whom the gateway does not know yet."""
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    async with User(team.kubeconfig) as client:
        paths = (pods, "/api/v1/namespaces", "/api/v1/pods", f"/api/v1/namespaces/{team.namespace}")
        answers = await asyncio.gather(*(client.status(paths[number % 4]) for number in range(PARALLEL)))
    assert Counter(answers) == {200: PARALLEL}


async def test_slow_clients_are_closed_and_keep_nobody_waiting(broken_gateway: BreakableGateway, team: Team) -> None:
    """Invariant 20: a hundred that write a byte now and then, in TLS or not even that, while others are served."""
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    tls = TlsContexts(load_config(kubeconfig=str(team.kubeconfig)).tls).current()
    port = broken_gateway.gateway.port
    async with AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(await raw.Connection.open(port, tls=tls)) for _ in range(50)]
        silent = [await stack.enter_async_context(await raw.Connection.open(port)) for _ in range(50)]
        for each in slow:
            await each.send(b"GET /version HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        async with User(team.kubeconfig) as client:
            assert Counter([await client.status(pods) for _ in range(20)]) == {200: 20}
            ended = await asyncio.gather(*map(_end, (*slow, *silent)))
            assert (await client.get(pods)).status == 200
    # The first are told why.
    assert [text[:12] for text in ended[:50]] == [b"HTTP/1.1 408"] * 50
    assert ended[50:] == [b""] * 50


async def test_streams_that_nobody_reads_keep_nobody_waiting(broken_gateway: BreakableGateway, team: Team) -> None:
    """A hundred watches, none of which is read, while objects come and go."""
    config_maps = f"/api/v1/namespaces/{team.namespace}/configmaps"
    tls = TlsContexts(load_config(kubeconfig=str(team.kubeconfig)).tls).current()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(User(team.kubeconfig))
        for target in (f"{config_maps}?watch=1", "/api/v1/namespaces?watch=1"):
            for _ in range(STREAMS // 2):
                connection = await raw.Connection.open(broken_gateway.gateway.port, tls=tls)
                await stack.enter_async_context(connection)
                await connection.send(raw.request(target))
        await until(lambda: _streams(broken_gateway, STREAMS))
        for number in range(5):
            body = {"metadata": {"name": f"big-{number}"}, "data": {"text": "x" * 200 * KIB}}
            assert await client.post(config_maps, body) == 201
        assert len((await client.get(config_maps)).body["items"]) >= 5
    await until(lambda: _streams(broken_gateway, 0))


async def test_streams_on_one_connection_have_a_limit(broken_gateway: BreakableGateway, team: Team) -> None:
    """R-077: as many watches as are allowed live on one HTTP/2 connection; more are refused, and the others live on."""
    tls = TlsContexts(load_config(kubeconfig=str(team.kubeconfig)).tls).current()
    tls.set_alpn_protocols(["h2"])
    target = f"/api/v1/namespaces/{team.namespace}/secrets?watch=1".encode()
    block = raw.header_block(
        ((b":method", b"GET"), (b":scheme", b"https"), (b":path", target), (b":authority", b"127.0.0.1"))
    )
    async with await raw.Connection.open(broken_gateway.gateway.port, tls=tls) as connection:
        await connection.send(raw.PREFACE + raw.frame(SETTINGS, 0, 0, b""))
        for number in range(STREAMS + 5):
            await connection.send(raw.frame(HEADERS, 5, 2 * number + 1, block))
        begun: set[int] = set()
        refused: set[int] = set()
        async with asyncio.timeout(20):
            while len(begun) < STREAMS or len(refused) < 5:
                head = await connection.reader.readexactly(9)
                await connection.reader.readexactly(int.from_bytes(head[:3], "big"))
                stream = int.from_bytes(head[5:], "big")
                if head[3] in {HEADERS, RESET}:
                    (begun if head[3] == HEADERS else refused).add(stream)
        assert (len(begun), len(refused)) == (STREAMS, 5)
        assert begun.isdisjoint(refused)
        await until(lambda: _streams(broken_gateway, STREAMS))
    await until(lambda: _streams(broken_gateway, 0))


async def test_running_out_of_descriptors_ends_no_stream_and_passes(
    broken_gateway: BreakableGateway, team: Team
) -> None:
    """New connections wait or are closed; what runs goes on, and afterwards all is as before."""
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    envoy = broken_gateway.children()["envoy"]
    before = resource.prlimit(envoy, resource.RLIMIT_NOFILE)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(User(team.kubeconfig))
        assert (await client.get(pods)).status == 200
        stream = await stack.enter_async_context(client.watching(pods))
        stack.callback(resource.prlimit, envoy, resource.RLIMIT_NOFILE, before)
        resource.prlimit(envoy, resource.RLIMIT_NOFILE, (_descriptors(envoy) + 5, before[1]))
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(10):
                for _ in range(20):
                    connection = await raw.Connection.open(broken_gateway.gateway.port)
                    await stack.enter_async_context(connection)
        assert broken_gateway.children()["envoy"] == envoy
        assert (await client.get(pods)).status == 200
        assert not stream.content.at_eof()
        resource.prlimit(envoy, resource.RLIMIT_NOFILE, before)
        async with User(team.kubeconfig) as another:
            await until(lambda: _is(another, pods, 200))
        assert await client.post(pods, _pod()) == 201
        event = await next_event(stream)
    assert event is not None
    assert event["object"]["metadata"]["name"] == "seen"


def fill(file: Path) -> None:
    """Write to *file* until nothing more fits."""
    with file.open("wb", buffering=0) as output, suppress(OSError):
        for size in (KIB * 4, 1):
            with suppress(OSError):
                while True:
                    output.write(b"x" * size)


async def _end(connection: raw.Connection) -> bytes:
    """Return what came until the other side closed."""
    async with asyncio.timeout(20):
        with suppress(OSError):
            return await connection.reader.read()
    return b""


async def _streams(gateway: BreakableGateway, count: int) -> bool:
    return await gateway.metric("tenantry_gateway_streams") == count


def _descriptors(pid: int) -> int:
    return max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())


async def _is(client: User, path: str, status: int) -> bool:
    return await client.status(path) == status


async def _is_ready(gateway: BreakableGateway) -> bool:
    return (await gateway.readiness())[0] == 200


def _pod() -> dict[str, object]:
    return {
        "metadata": {"name": "seen"},
        "spec": {"containers": [{"name": "main", "image": "registry.example.org/a:1"}]},
    }

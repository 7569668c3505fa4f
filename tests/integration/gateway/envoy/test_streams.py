"""Long-running requests are held by the process that can end them; ordinary ones are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tenantry.foundation.clock import SystemClock
from tenantry.gateway.protocol import Answer
from tenantry.gateway.settings import ClusterSettings, IdentitySettings
from tenantry.gateway.streams.locks import LockSet
from tenantry.gateway.streams.records import StreamRecord
from tenantry.gateway.streams.supervisor import StreamSupervisor

TOKEN = ("Authorization", "Bearer of-alice")
SECRET = "5e" * 32
WATCH = "/api/v1/namespaces/team/pods?watch=1"
WEBSOCKET = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


@dataclass
class Counts:
    refused: list[str] = field(default_factory=list)

    def stream_started(self, kind: str) -> None: ...

    def stream_ended(self, kind: str, reason: str) -> None: ...

    def stream_refused(self, token: str) -> None:
        self.refused.append(token)


@dataclass
class Holder:
    streams: StreamSupervisor
    records: list[StreamRecord]

    async def ended(self) -> list[tuple[str, str, str]]:
        """Return stage, kind and reason of the records once there are two: they come from another process."""
        async with asyncio.timeout(10):
            while len(self.records) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return [(record.stage, record.kind, record.reason) for record in self.records]


@asynccontextmanager
async def holding(gateway: Any) -> AsyncIterator[Holder]:
    records: list[StreamRecord] = []
    streams = StreamSupervisor(
        gateway.runtime.streams_socket,
        secret=SECRET,
        locks=LockSet(users=frozenset(), groups=frozenset()),
        clock=SystemClock(),
        sink=records.append,
        counters=Counts(),
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(streams.run())
        async with asyncio.timeout(10):
            while list(streams.problems()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        yield Holder(streams, records)
        running.cancel()


@asynccontextmanager
async def opened(gateway: Any, raw: Any, target: str, *headers: tuple[str, str]) -> AsyncIterator[Any]:
    async with await raw.Connection.open(gateway.port, tls=gateway.tls(), server_name="gateway.test") as connection:
        await connection.send(raw.request(target, headers=(TOKEN, *headers)))
        yield connection


async def test_a_lock_ends_the_streams_of_its_user(make_gateway: Any, raw: Any) -> None:
    async with (
        make_gateway(holds_streams=True) as gateway,
        holding(gateway) as holder,
        opened(gateway, raw, WATCH) as watch,
        opened(gateway, raw, "/api/v1/namespaces/team/pods/p/exec", *WEBSOCKET) as shell,
    ):
        assert ((await watch.head()).status, (await shell.head()).status) == (200, 101)
        seen = gateway.api.seen
        assert [[name for name, _ in each.headers if name.startswith("x-tenantry")] for each in seen] == [[], []]
        assert [each.values("impersonate-user") for each in seen] == [["alice"], ["alice"]]

        ended = await holder.streams.apply(LockSet(users=frozenset({"alice"}), groups=frozenset()))

        assert ended == 2
        async with asyncio.timeout(2):
            await watch.reader.read()
            await shell.reader.read()
        started = [record for record in holder.records if record.stage == "Started"]
        assert [(each.kind, each.user.name, each.user.how, each.cluster) for each in started] == [
            ("watch", "alice", "oidc", "default"),
            ("exec", "alice", "oidc", "default"),
        ]
        completed = await gateway.records(lambda found: len(found) == 2)
        assert {each["auditID"] for each in completed} == {each.audit_id for each in started}


async def test_a_filtered_watch_is_held_too(make_gateway: Any) -> None:
    async with make_gateway(holds_streams=True) as gateway, holding(gateway) as holder:
        gateway.python.verdict = Answer(lines=((":route", "python"),))

        await gateway.get("/api/v1/namespaces?watch=1")

        (passed,) = gateway.python.passed
        assert passed.values("x-tenantry-secret") == [SECRET]
        assert await holder.ended() == [("Started", "watch", ""), ("Ended", "watch", "Closed")]


async def test_ordinary_requests_need_nobody_to_hold_them(make_gateway: Any) -> None:
    async with make_gateway(holds_streams=True) as gateway:
        assert (await gateway.get("/api/v1/namespaces/team/pods")).status == 200
        assert (await gateway.get(WATCH)).status in {503, 504}

        assert [seen.target for seen in gateway.api.seen] == ["/api/v1/namespaces/team/pods"]


async def test_a_stream_ends_with_its_credential(make_gateway: Any, raw: Any) -> None:
    async with make_gateway(holds_streams=True) as gateway, holding(gateway) as holder:
        soon = f"{int(SystemClock().now().timestamp()) + 2}"
        gateway.python.identify = Answer(lines=((":expires", soon), *gateway.python.identify.lines))
        async with opened(gateway, raw, WATCH) as watch:
            assert (await watch.head()).status == 200
            async with asyncio.timeout(6):
                await watch.reader.read()
        assert await holder.ended() == [("Started", "watch", ""), ("Ended", "watch", "Expired")]


@pytest.mark.parametrize("target", [WATCH, "/api/v1/namespaces/team/pods/p/log?follow=true"])
async def test_streams_with_the_own_token_are_held(make_gateway: Any, raw: Any, target: str) -> None:
    cluster = ClusterSettings(identity=IdentitySettings(own_token="Always"))
    async with make_gateway(holds_streams=True, cluster=cluster) as gateway, holding(gateway) as holder:
        gateway.python.identify = Answer(lines=((":own", "1"), *gateway.python.identify.lines))
        async with opened(gateway, raw, target) as stream:
            assert (await stream.head()).status == 200

        seen = gateway.api.last
        assert seen.values("authorization") == ["Bearer of-alice"]
        assert [name for name, _ in seen.headers if name.startswith(("x-tenantry", "impersonate"))] == []
        assert holder.records[0].user.name == "alice"


@pytest.mark.parametrize(
    ("target", "is_held"),
    [
        ("/api/v1/namespaces/team/pods?watch=true", True),
        ("/api/v1/namespaces/team/pods?watch=yes", True),
        ("/api/v1/namespaces/team/pods?%77atch=1&x=", True),
        ("/api/v1/watch/namespaces/team/pods", True),
        ("/api/v1/namespaces/team/pods/p/log?follow=1", True),
        ("/api/v1/namespaces/team/pods/p/attach", True),
        ("/api/v1/namespaces/team/pods/p/portforward", True),
        ("/api/v1/namespaces/team/services/s/proxy/a/b", True),
        ("/api/v1/nodes/n/proxy/metrics", True),
        ("/api/v1/namespaces/team/pods/p?watch=1", False),
        ("/api/v1/namespaces/team/pods?watch=false", False),
        ("/api/v1/namespaces/team/pods?watch=0", False),
        ("/api/v1/namespaces/team/pods?x=watch", False),
        ("/api/v1/namespaces/team/pods/p/log", False),
        ("/api/v1/namespaces/team/pods/exec", False),
    ],
)
async def test_what_is_long_running(gateway: Any, target: str, *, is_held: bool) -> None:
    gateway.api.hangs_up = True

    await gateway.get(target)

    (record,) = await gateway.records(lambda found: len(found) == 1)
    assert (record["longRunning"], record["route"]) == (is_held, "upstream-stream" if is_held else "upstream")


async def test_a_silent_stream_is_let_be_and_a_silent_request_is_not(make_gateway: Any, raw: Any) -> None:
    """R-072: with a tenth of a second instead of two minutes."""

    def impatient(files: dict[str, bytes]) -> dict[str, bytes]:
        return files | {"lds.json": files["lds.json"].replace(b'"120s"', b'"0.1s"')}

    async with make_gateway(change=impatient) as gateway:
        gateway.api.pause_seconds = 0.8
        async with opened(gateway, raw, WATCH) as watch:
            assert (await watch.head()).status == 200
            for _ in range(3):
                assert b"type" in await watch.chunk()
        reply = await gateway.get("/api/v1/namespaces/team/pods")
        assert (reply.status, b"did not answer in time" in reply.body) == (504, True)

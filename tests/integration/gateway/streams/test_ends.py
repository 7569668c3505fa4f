"""Live streams end when they must, behind a real Envoy."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tenantry.foundation.codec import decode_any
from tenantry.gateway.streams.locks import LockSet

if TYPE_CHECKING:
    from .conftest import Door
else:
    Door = Any

PROMISED_SECONDS = 2
WATCH = "/api/v1/namespaces/a/pods?watch=1"

_GATEWAY = """
import asyncio, sys
from pathlib import Path
from tenantry.foundation.clock import SystemClock
from tenantry.foundation.codec import decode_any
from tenantry.gateway.streams.locks import LockSet
from tenantry.gateway.streams.supervisor import StreamSupervisor

async def main():
    path = Path(sys.argv[1], "s")
    kept = StreamSupervisor(path, secret="s", locks=LockSet(), clock=SystemClock(), sink=print, counters=None)
    running = asyncio.create_task(kept.run())
    while list(kept.problems()):
        await asyncio.sleep(0.01)
    await kept.apply(LockSet())
    print(kept._session._process.pid, flush=True)
    await running

asyncio.run(main())
"""


async def test_a_lock_ends_a_watch_and_an_upgraded_stream_and_nobody_elses(door: Door) -> None:
    """Within two seconds, for the user, for a group of hers, and for who acts as somebody else."""
    theirs = [
        await door.watch("alice"),
        await door.exec("alice"),
        await door.watch("carol", impersonate_group="locked-group"),
        await door.watch("dave", x_tenantry_real="mallory"),
    ]
    others = [await door.watch("bob", impersonate_group="other"), await door.exec("bob")]

    locks = LockSet(users=frozenset({"alice", "mallory"}), groups=frozenset({"locked-group"}))
    async with asyncio.timeout(PROMISED_SECONDS):
        assert await door.supervisor.apply(locks) == 4
        rests = await asyncio.gather(*(stream.rest() for stream in theirs))

    assert rests == [b""] * 4  # No final chunk: clients see a stream that broke, not one that is complete.
    assert await others[1].echo(b"still here") == b"still here"
    assert not others[0].reader.at_eof()
    assert door.supervisor.active == {"watch": 1, "exec": 1}
    assert ((await door.watch("alice")).status, (await door.exec("alice")).status) == (403, 403)
    assert (await door.watch("bob")).status == 200
    assert door.ended() == [
        ("alice", "exec", "Locked"),
        ("alice", "watch", "Locked"),
        ("carol", "watch", "Locked"),
        ("dave", "watch", "Locked"),
    ]
    assert (await door.supervisor.apply(LockSet()), (await door.watch("alice")).status) == (0, 200)


async def test_a_client_that_reads_nothing_is_ended_all_the_same(door: Door, eventually: Any) -> None:
    """Its stream holds no memory here, and goes when it is locked."""
    reader, writer = await asyncio.open_unix_connection(door.folder / "door.sock", limit=1024)
    writer.write(
        b"GET /api/v1/namespaces/flood/pods/p/log?follow=1 HTTP/1.1\r\nhost: d\r\nx-tenantry-secret: 5ec2e7\r\n"
        b"impersonate-user: slow\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    await eventually(lambda: door.supervisor.active.get("log"))
    async with asyncio.timeout(PROMISED_SECONDS):
        assert await door.supervisor.apply(LockSet(users=frozenset({"slow"}))) == 1
        while door.upstream.live:  # noqa: ASYNC110 - of what is outside
            await asyncio.sleep(0.01)
    writer.close()


async def test_a_stream_ends_with_the_credential(door: Door) -> None:
    now = int(time.time())
    ending = await door.watch("alice", x_tenantry_expires=str(now + 2))
    lasting = await door.watch("alice", x_tenantry_expires=str(now + 3600))
    async with asyncio.timeout(5):
        assert await ending.rest() == b""
    assert not lasting.reader.at_eof()
    assert door.ended() == [("alice", "watch", "Expired")]
    assert (await door.watch("alice", x_tenantry_expires=str(now))).status == 401


async def test_streams_that_end_by_themselves_end_well(door: Door, eventually: Any) -> None:
    """The last chunk arrives; a client that leaves is noticed."""
    short = await door.watch("alice", "short")
    assert await asyncio.wait_for(short.reader.readexactly(5), 5) == b"0\r\n\r\n"
    left = await door.exec("bob")
    assert await left.echo(b"x") == b"x"
    left.writer.close()
    await eventually(lambda: len(door.ended()) == 2)
    assert door.ended() == [("alice", "watch", "Closed"), ("bob", "exec", "Closed")]
    assert +door.counts.started == {"watch": 1, "exec": 1}
    assert not any(door.supervisor.active.values())
    await eventually(lambda: door.upstream.live == 0)


async def test_bodies_and_trailers_pass_and_the_stream_is_over_after_them(door: Door, eventually: Any) -> None:
    headers = {"impersonate-user": "alice"}
    posted = await door.ask("/api/v1/namespaces/a/pods/body/attach?stdin=1", headers, body=b"y" * 100_000)
    assert await asyncio.wait_for(posted.reader.readexactly(100_000), 5) == b"y" * 100_000
    trailed = await door.ask("/api/v1/namespaces/trailers/pods?watch=1", headers)
    assert await asyncio.wait_for(trailed.reader.readexactly(16), 2) == b"6\r\nhello\n\r\n0\r\n\r\n"
    await eventually(lambda: len(door.ended()) == 2)
    assert door.ended() == [("alice", "attach", "Closed"), ("alice", "watch", "Closed")]


async def test_somebody_in_hundreds_of_groups_is_held_too(door: Door) -> None:
    """All that the largest head may hold arrives, over several frames."""
    groups = "".join(f"impersonate-group: {'long-name' * 20}-{number}\r\n" for number in range(400))
    stream = await door.ask(WATCH, {"impersonate-user": "alice"}, more=groups)
    assert stream.status == 200
    assert len(door.records[-1].user.groups) == 400
    assert await door.supervisor.apply(LockSet(groups=frozenset({f"{'long-name' * 20}-399"}))) == 1


async def test_the_process_dying_ends_every_stream(door: Door, eventually: Any) -> None:
    """Fails closed: what nobody holds does not go on; the next process serves the next streams."""
    held = [await door.watch("alice"), await door.exec("bob")]
    os.kill(door.child, signal.SIGKILL)
    async with asyncio.timeout(PROMISED_SECONDS):
        assert [await stream.rest() for stream in held] == [b"", b""]
    await eventually(lambda: not list(door.supervisor.problems()))
    assert door.ended() == [("alice", "watch", "Aborted"), ("bob", "exec", "Aborted")]
    assert (await door.watch("alice")).status == 200


async def test_a_stopped_process_stalls_no_stream_and_a_lock_gets_through_it(door: Door) -> None:
    """Bytes do not pass here; a lock that is not confirmed in time ends everybody's streams."""
    watch, shell = await door.watch("alice"), await door.exec("bob")
    os.kill(door.child, signal.SIGSTOP)
    assert await shell.echo(b"goes on") == b"goes on"
    assert (await door.ask("/api/v1/namespaces/a/pods", {})).status == 200
    unheld = await door.watch("carol")
    assert unheld.status == 504
    assert await asyncio.wait_for(unheld.reader.readexactly(17), 5) == b"Envoy's own words"
    async with asyncio.timeout(PROMISED_SECONDS):
        assert await door.supervisor.apply(LockSet(users=frozenset({"alice"}))) == 2
        assert [await stream.rest() for stream in (watch, shell)] == [b"", b""]
    assert (await door.watch("alice")).status == 403
    assert (await door.watch("bob")).status == 200


async def test_the_process_ends_with_the_gateways(tmp_path_factory: pytest.TempPathFactory, eventually: Any) -> None:
    """Killed, the gateway can tell nobody; what it started goes all the same."""
    program = tmp_path_factory.mktemp("gateway") / "gateway.py"
    program.write_text(_GATEWAY)
    with tempfile.TemporaryDirectory(prefix="tenantry-") as folder:
        gateway = await asyncio.create_subprocess_exec(sys.executable, program, folder, stdout=asyncio.subprocess.PIPE)
        assert gateway.stdout is not None
        child = int(await asyncio.wait_for(gateway.stdout.readline(), 20))
        assert _is_running(child)
        gateway.kill()
        await gateway.wait()
        await eventually(lambda: not _is_running(child))


async def test_a_drain_lets_none_begin_and_ends_all(door: Door) -> None:
    watch, shell = await door.watch("alice"), await door.exec("bob")
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(door.supervisor.drain(1.5))
        assert await watch.rest() == b""
        assert await shell.rest() == b""
    assert door.ended() == [("alice", "watch", "Draining"), ("bob", "exec", "Draining")]
    late = await door.watch("alice")
    assert (late.status, "retry-after: 1\r\n" in late.head) == (503, True)


@pytest.mark.parametrize(
    ("headers", "more", "status", "token"),
    [
        ({"x-tenantry-secret": "wrong"}, "", 403, "Secret"),
        ({"x-tenantry-secret": ""}, "", 403, "Secret"),
        ({}, "x-tenantry-secret: 5ec2e7\r\n", 403, "Secret"),
        ({"impersonate-user": ""}, "", 403, "NoUser"),
        ({}, "impersonate-user: bob\r\n", 400, "Doubled"),
        ({"x-tenantry-stream": "own"}, "x-tenantry-impersonate-user: bob\r\n", 403, "TwoUsers"),
        ({"x-tenantry-expires": "soon"}, "", 400, "Expires"),
    ],
)
async def test_a_head_that_is_not_the_scripts_goes_nowhere(
    door: Door, headers: dict[str, str], more: str, status: int, token: str
) -> None:
    stream = await door.ask(WATCH, {"impersonate-user": "alice", **headers}, more=more)
    assert (stream.status, f"x-tenantry-reason: {token}\r\n" in stream.head) == (status, True)
    assert "content-type: application/json\r\n" in stream.head
    length = int(stream.head.partition("content-length: ")[2].partition("\r\n")[0])
    said = decode_any(await asyncio.wait_for(stream.reader.readexactly(length), 5))
    assert (said["kind"], said["status"], said["code"]) == ("Status", "Failure", status)
    assert door.upstream.seen == []
    assert [(each.stage, each.reason) for each in door.records] == [("Refused", token)]
    assert dict(door.counts.refused) == {token: 1}


async def test_a_thousand_idle_streams_take_little(door: Door) -> None:
    await door.watch("warm")
    before = _resident_kb(door.child)
    for _ in range(1000):
        await door.watch("alice", impersonate_group="devs")
    assert door.supervisor.active == {"watch": 1001}
    assert (_resident_kb(door.child) - before) / 1000 < 4
    async with asyncio.timeout(PROMISED_SECONDS):
        assert await door.supervisor.apply(LockSet(groups=frozenset({"devs"}))) == 1000
        while door.upstream.live > 1:  # noqa: ASYNC110 - of what is outside
            await asyncio.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

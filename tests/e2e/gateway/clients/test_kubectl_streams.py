"""Streams with kubectl, over websockets and over SPDY: logs, exec, attach, cp and port-forward."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from kubelet import StandInKubelet
from teams import Team, made

from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

PROTOCOLS = pytest.mark.parametrize("websockets", ["true", "false"], ids=["websocket", "SPDY"])


@pytest_asyncio.fixture(loop_scope="session")
async def team(world: World, gateway: Gateway, kubelet: StandInKubelet) -> AsyncIterator[Team]:
    """A team with a pod called ``shell`` that streams."""
    team = await made(world, gateway)
    await kubelet.pod(team.namespace, "shell")
    yield team


@PROTOCOLS
async def test_exec_is_a_conversation(team: Team, websockets: str) -> None:
    """R-071: what is written arrives, what is answered comes at once."""
    command = (
        "exec",
        "-i",
        "shell",
        "-n",
        team.namespace,
        "--",
        "sh",
        "-c",
        "while read line; do echo got $line; done",
    )
    async with team.running(*command, KUBECTL_REMOTE_COMMAND_WEBSOCKETS=websockets) as session:
        for word in ("one", "two"):
            await session.write(f"{word}\n")
            await session.said(f"got {word}")

    assert session.lines[:2] == ["got one", "got two"]


@PROTOCOLS
async def test_exec_carries_much_and_reports_failure(team: Team, websockets: str) -> None:
    """Three MiB come whole, standard error too, and a command that fails makes kubectl fail."""
    much = (
        "exec",
        "shell",
        "-n",
        team.namespace,
        "--",
        "sh",
        "-c",
        "yes 0123456789abcde | head -n 196608; echo end >&2",
    )
    async with team.running(*much, KUBECTL_REMOTE_COMMAND_WEBSOCKETS=websockets) as session:
        assert await session.ended() == 0
    fails = ("exec", "shell", "-n", team.namespace, "--", "sh", "-c", "exit 3")
    async with team.running(*fails, KUBECTL_REMOTE_COMMAND_WEBSOCKETS=websockets) as failing:
        code = await failing.ended()

    # Its errors may come in the middle of a line.
    assert "".join(session.lines).replace("end", "", 1) == "0123456789abcde" * 196608
    assert (code != 0, "exit status 3" in "".join(failing.lines)) == (True, True)


async def test_streams_that_say_nothing_stay(
    team: Team, kubelet: StandInKubelet, platform: Platform, tmp_path: Path
) -> None:
    """R-072: idle for twice the idle limit, exec, logs and watches go on, and what comes then comes at once."""
    strict = await Gateway.start(
        platform, tmp_path / "gw", configuration={"limits": {"idleSeconds": 5, "headerSeconds": 1}}
    )
    there = replace(team, gateway=strict, kubeconfig=strict.user(team.owner))
    space = ("-n", team.namespace)
    kubelet.write_log(f"first of {team.owner}")
    async with (
        there.running("logs", "-f", "shell", *space) as logs,
        there.running("get", "pods", "-w", "-o", "name", *space) as watch,
        there.running("get", "pods", "-w", "-A", "-o", "name") as watch_all,
        # The command is the clock: nobody says anything for so long.
        there.running("exec", "-i", "shell", *space, "--", "sh", "-c", "sleep 10; echo awake; cat") as session,
    ):
        await logs.said(f"first of {team.owner}")
        await session.said("awake")
        await session.write("still here\n")
        await session.said("still here", seconds=5)
        kubelet.write_log(f"last of {team.owner}")
        await logs.said(f"last of {team.owner}", seconds=5)
        await team.kubectl("label", "pod", "shell", "seen=yes", *space)
        for each in (watch, watch_all):
            await each.said("pod/shell", times=2, seconds=5)
    await strict.stop()
    last = await team.kubectl("logs", "shell", "-n", team.namespace, "--tail=1")

    assert last.stdout == f"last of {team.owner}\n"


@PROTOCOLS
async def test_attach_shows_what_runs(team: Team, kubelet: StandInKubelet, websockets: str) -> None:
    """``attach`` follows a container's output."""
    async with team.running(
        "attach", "shell", "-n", team.namespace, KUBECTL_REMOTE_COMMAND_WEBSOCKETS=websockets
    ) as session:
        async with asyncio.timeout(30):
            while not any("attached" in line for line in session.lines):
                kubelet.write_log("attached")  # It may begin at the end of what is there.
                await asyncio.sleep(0.1)


async def test_files_are_copied_out(team: Team, tmp_path: Path) -> None:
    """``cp`` is an exec of tar: a file comes whole."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(range(256)) * 4096)
    await team.kubectl("cp", f"{team.namespace}/shell:{source}", str(target))

    assert target.read_bytes() == source.read_bytes()


@PROTOCOLS
async def test_ports_are_forwarded(team: Team, websockets: str) -> None:
    """R-071: two connections at a time, each with its own bytes, over one tunnel."""
    command = ("port-forward", "pod/shell", ":80", "-n", team.namespace, "--address=127.0.0.1")
    async with team.running(*command, KUBECTL_PORT_FORWARD_WEBSOCKETS=websockets) as forward:
        said = await forward.said("Forwarding from 127.0.0.1:")
        found = re.search(r"127\.0\.0\.1:(\d+)", said[0])
        assert found is not None
        sent = [bytes([number]) * 300_000 for number in (1, 2)]
        assert await asyncio.gather(*(_echoed(int(found[1]), data) for data in sent)) == sent


async def test_a_neighbours_streams_are_refused(team: Team, gateway: Gateway, world: World) -> None:
    """Who has no right to a pod gets the API server's 403, for each kind of stream."""
    other = await made(world, gateway)
    attempts = [
        ("logs", "-f", "shell"),
        ("exec", "shell", "--", "true"),
        ("attach", "shell"),
        ("port-forward", "pod/shell", ":80"),
    ]
    answers = [await other.kubectl(*each[:2], "-n", team.namespace, *each[2:], check=False) for each in attempts]

    assert [(each.code, f'User "{other.owner}" cannot get' in each.stderr) for each in answers] == [(1, True)] * 4


async def _echoed(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.readexactly(len(data)), 30)
    writer.close()
    return answer

"""A lock ends what runs for its user within two seconds, keeps everybody else's, and refuses what comes (8.7.4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from time import monotonic

import pytest
import pytest_asyncio
from commands import Running
from kubelet import StandInKubelet
from teams import Team, made

from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

SECONDS = 2.0
STREAMS = {
    "exec": ("exec", "-i", "shell", "-n", "SPACE", "--", "sh", "-c", "echo started; cat"),
    "logs": ("logs", "-f", "shell", "-n", "SPACE"),
    "port-forward": ("port-forward", "pod/shell", ":80", "-n", "SPACE"),
    "watch of a namespace": ("get", "pods", "-w", "-n", "SPACE", "-o", "name"),
    "filtered watch": ("get", "namespaces", "-w", "-o", "name"),
    "watch of all namespaces": ("get", "pods", "-w", "-A", "-o", "name"),
}
FORWARDED = frozenset({"port-forward"})
"""kubectl listens on, whatever becomes of the connection behind it, and fails at the next use."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lockable(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A gateway whose configuration tests change."""
    gateway = await Gateway.start(platform, tmp_path_factory.mktemp("lockable"))
    yield gateway
    await gateway.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def teams(world: World, lockable: Gateway, kubelet: StandInKubelet) -> AsyncIterator[tuple[Team, Team]]:
    """Who is locked out, and who is not; each with a pod that streams."""
    kubelet.write_log("started")
    both = [await made(world, lockable) for _ in range(2)]
    for team in both:
        await kubelet.pod(team.namespace, "shell")
    yield both[0], both[1]
    await _lock(lockable)


@pytest.mark.parametrize("by", ["user", "group"])
async def test_a_lock_ends_everything_of_its_user_and_nothing_else(
    teams: tuple[Team, Team], lockable: Gateway, world: World, by: str
) -> None:
    """exec, logs, port-forward and three kinds of watch: all end in time; the neighbour's go on."""
    locked, free = teams
    if by == "group":
        kubeconfig = lockable.user(locked.owner, ("projectcapsule.dev", f"of-{locked.owner}"))
        locked = replace(locked, kubeconfig=kubeconfig)
    async with AsyncExitStack() as stack:
        theirs = await _streams(stack, locked)
        others = await _streams(stack, free)
        begun = monotonic()
        await _lock(lockable, **({"users": [locked.owner]} if by == "user" else {"groups": [f"of-{locked.owner}"]}))
        await asyncio.gather(
            *(each.ended(seconds=SECONDS * 2) for name, each in theirs.items() if name not in FORWARDED)
        )
        seconds = monotonic() - begun
        refused = await locked.kubectl("get", "--raw", "/api/v1/namespaces", check=False)
        await free.kubectl("run", "later", "--image=registry.example.org/later:1", "-n", free.namespace)
        await others["watch of all namespaces"].said("pod/later")
        await others["exec"].write("still here\n")
        await others["exec"].said("still here")
        still_running = [name for name, each in others.items() if each.is_running]
    await _lock(lockable)

    async def is_let_in() -> bool:
        return (await locked.kubectl("get", "namespaces", "-o", "name", check=False)).stdout != ""

    await world.eventually(is_let_in, seconds=5)

    assert seconds < SECONDS
    assert refused.stderr.startswith("Error from server (Forbidden)")
    assert "locked" in refused.stderr
    assert still_running == list(STREAMS)


async def _streams(stack: AsyncExitStack, team: Team) -> dict[str, Running]:
    found = {}
    for name, command in STREAMS.items():
        arguments = [team.namespace if word == "SPACE" else word for word in command]
        found[name] = await stack.enter_async_context(team.running(*arguments))
    for each in found.values():
        await each.until(bool)
    return found


async def _lock(gateway: Gateway, **locks: list[str]) -> None:
    gateway.configuration["locks"] = locks
    gateway.write_configuration()

"""Leader election on real Leases: at most one leads, and another takes over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tenantry.kube.client import Client
from tenantry.kube.lease import LeaderElection
from tenantry.kube.resources import LEASES

Eventually = Callable[[Callable[[], Any]], Awaitable[None]]


class _Stage:
    """Who leads right now; it notes when two did."""

    def __init__(self) -> None:
        self.leading: list[str] = []
        self.history: list[str] = []
        self.most = 0

    def part(self, name: str) -> Callable[[], Any]:
        async def lead() -> None:
            self.leading.append(name)
            self.history.append(name)
            self.most = max(self.most, len(self.leading))
            try:
                await asyncio.Event().wait()
            finally:
                self.leading.remove(name)

        return lead


def _candidate(client: Client, namespace: str, identity: str, **times: float) -> LeaderElection:
    short: dict[str, Any] = {"lease_seconds": 2.0, "renew_seconds": 1.2, "retry_seconds": 0.2}
    return LeaderElection(client, namespace=namespace, name="lease", identity=identity, **(short | times))


@asynccontextmanager
async def _running(stage: _Stage, **candidates: LeaderElection) -> AsyncIterator[dict[str, asyncio.Task[None]]]:
    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(one.run(stage.part(name))) for name, one in candidates.items()}
        try:
            yield tasks
        finally:
            for task in tasks.values():
                task.cancel()


async def test_of_several_candidates_one_leads(admin: Client, namespace: str, eventually: Eventually) -> None:
    stage = _Stage()
    candidates = {name: _candidate(admin, namespace, name) for name in "abc"}
    async with _running(stage, **candidates):
        await eventually(lambda: stage.leading)
        lease = await admin.get(LEASES, "lease", namespace)
        renewed = lease.spec.renew_time

        async def is_renewed_thrice() -> bool:
            return (
                int((await admin.get(LEASES, "lease", namespace)).metadata.resource_version)
                >= int(lease.metadata.resource_version) + 3
            )

        await eventually(is_renewed_thrice)
        now = await admin.get(LEASES, "lease", namespace)
        assert (
            [name for name, one in candidates.items() if one.is_leader] == stage.leading == [now.spec.holder_identity]
        )
        assert (now.spec.acquire_time, now.spec.lease_transitions) == (lease.spec.acquire_time, 0)
        assert now.spec.renew_time != renewed
    assert (stage.most, len(stage.history)) == (1, 1)


async def test_a_clean_stop_hands_over_at_once(admin: Client, namespace: str, eventually: Eventually) -> None:
    """The lease lasts a minute here: only its release explains that another leads soon."""
    stage = _Stage()
    times = {"lease_seconds": 60.0, "renew_seconds": 40.0}
    candidates = {name: _candidate(admin, namespace, name, **times) for name in "ab"}
    async with _running(stage, **candidates) as tasks:
        await eventually(lambda: stage.leading)
        first = stage.leading[0]
        tasks[first].cancel()
        await eventually(lambda: stage.leading and stage.leading != [first])
        lease = await admin.get(LEASES, "lease", namespace)

    assert (stage.most, len(stage.history), lease.spec.lease_transitions) == (1, 2, 1)
    released = await admin.get(LEASES, "lease", namespace)
    assert (released.spec.holder_identity or "", released.spec.lease_duration_seconds) == ("", 1)


async def test_a_leader_that_vanished_is_followed_after_its_time(
    admin: Client, namespace: str, eventually: Eventually
) -> None:
    times = {"holderIdentity": "gone", "leaseDurationSeconds": 1, "renewTime": "2026-01-01T00:00:00.000000Z"}
    await admin.create(LEASES, {"metadata": {"name": "lease", "namespace": namespace}, "spec": times})
    stage = _Stage()
    started = asyncio.get_running_loop().time()
    async with _running(stage, a=_candidate(admin, namespace, "a")):
        await eventually(lambda: stage.leading)

    # Its renewal is long ago by the clock, but that is another machine's clock.
    assert asyncio.get_running_loop().time() - started >= 1


async def test_a_leader_that_cannot_reach_the_server_stops_before_another_starts(
    admin: Client, wired: Client, wire: Any, namespace: str, eventually: Eventually
) -> None:
    stage = _Stage()
    async with _running(stage, cut=_candidate(wired, namespace, "cut")):
        await eventually(lambda: stage.leading == ["cut"])
        async with _running(stage, other=_candidate(admin, namespace, "other")):
            wire.cut()
            await eventually(lambda: stage.leading == ["other"])
            wire.mend()
        # The other released it: the first, mended, leads again.
        await eventually(lambda: stage.leading == ["cut"])

    assert (stage.most, stage.history) == (1, ["cut", "other", "cut"])


async def test_a_leader_that_was_deposed_stops(admin: Client, namespace: str, eventually: Eventually) -> None:
    stage = _Stage()
    candidate = _candidate(admin, namespace, "a")
    async with _running(stage, a=candidate):
        await eventually(lambda: stage.leading == ["a"])
        usurped = {"spec": {"holderIdentity": "usurper", "leaseDurationSeconds": 1}}
        await admin.patch(LEASES, "lease", namespace, patch=usurped, kind="merge")
        await eventually(lambda: not stage.leading)
        assert not candidate.is_leader
        await eventually(lambda: stage.leading == ["a"])


async def test_work_that_ends_gives_the_lease_back(admin: Client, namespace: str) -> None:
    candidate = _candidate(admin, namespace, "a")

    async def lead() -> None:
        assert candidate.is_leader

    await candidate.run(lead)

    assert not candidate.is_leader
    assert not (await admin.get(LEASES, "lease", namespace)).spec.holder_identity


async def test_what_the_work_raises_is_raised_after_the_release(admin: Client, namespace: str) -> None:
    async def lead() -> None:
        raise ValueError("bug")

    with pytest.raises(ValueError, match="bug"):
        await _candidate(admin, namespace, "a").run(lead)

    assert not (await admin.get(LEASES, "lease", namespace)).spec.holder_identity


def test_times_that_cannot_be_safe_are_refused(admin_config: Any) -> None:
    with pytest.raises(ValueError, match="does not hold"):
        _candidate(Client(admin_config), "n", "a", lease_seconds=1, renew_seconds=2)

"""The work queue, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantry.foundation.errors import TenantryError
from tenantry.kube.queue import WorkQueue

RunJumping = Callable[[Coroutine[Any, Any, Any]], Any]
_shared_runner = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _work_for(queue: WorkQueue[str], seconds: float, reconcile: Any, *, workers: int = 2) -> None:
    try:
        async with asyncio.timeout(seconds):
            await queue.run(reconcile, workers=workers)
    except TimeoutError:
        pass


@_shared_runner
@given(
    adds=st.lists(st.tuples(st.floats(0, 10), st.sampled_from("abc"), st.sampled_from([0.0, 0.0, 1.0, 3.0]))),
    durations=st.lists(st.floats(0, 2), min_size=1),
    workers=st.integers(1, 4),
    interval=st.sampled_from([0.0, 0.5]),
    failures=st.sets(st.integers(0, 10)),
)
def test_a_key_never_runs_twice_at_once_and_no_add_is_lost(
    run_jumping: RunJumping,
    adds: list[tuple[float, str, float]],
    durations: list[float],
    workers: int,
    interval: float,
    failures: set[int],
) -> None:
    """Each add is followed by a run that starts after it; no two runs of a key overlap."""

    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue("test", min_interval_seconds=interval, max_delay_seconds=1)
        running: set[str] = set()
        added: dict[str, float] = {}
        started: dict[str, float] = {}
        runs = 0

        async def reconcile(key: str) -> None:
            nonlocal runs
            assert key not in running
            running.add(key)
            assert len(running) <= workers
            started[key] = _now()
            runs += 1
            number = runs
            await asyncio.sleep(durations[number % len(durations)])
            running.discard(key)
            if number in failures:
                raise TenantryError("not yet")

        def add(key: str, seconds: float) -> None:
            added[key] = _now()
            queue.add_after(key, seconds)

        for moment, key, seconds in adds:
            asyncio.get_running_loop().call_later(moment, add, key, seconds)
        await _work_for(queue, 1000, reconcile, workers=workers)

        assert {key: started[key] >= moment for key, moment in added.items()} == dict.fromkeys(added, True)
        assert (queue.depth, queue.processing, running) == (0, 0, set())

    run_jumping(scenario())


def test_adding_a_key_that_waits_changes_nothing(run_jumping: RunJumping) -> None:
    async def scenario() -> list[str]:
        queue: WorkQueue[str] = WorkQueue("test")
        runs: list[str] = []
        for key in "aabab":
            queue.add(key)
        assert queue.depth == 2

        async def reconcile(key: str) -> None:
            runs.append(key)

        await _work_for(queue, 1, reconcile)
        return runs

    assert run_jumping(scenario()) == ["a", "b"]


def test_an_add_during_a_run_runs_once_more_afterwards(run_jumping: RunJumping) -> None:
    async def scenario() -> list[float]:
        queue: WorkQueue[str] = WorkQueue("test")
        runs: list[float] = []

        async def reconcile(key: str) -> None:
            runs.append(_now())
            await asyncio.sleep(1)
            if len(runs) == 1:
                queue.add(key)
                queue.add(key)

        queue.add("a")
        await _work_for(queue, 10, reconcile)
        return runs

    assert run_jumping(scenario()) == [0, 1]


def test_what_a_run_returns_is_when_it_runs_again(run_jumping: RunJumping) -> None:
    async def scenario() -> list[float]:
        queue: WorkQueue[str] = WorkQueue("test")
        runs: list[float] = []

        async def reconcile(_: str) -> float | None:
            runs.append(_now())
            return 30.0 if len(runs) < 3 else None

        queue.add("a")
        await _work_for(queue, 1000, reconcile)
        return runs

    assert run_jumping(scenario()) == [0, 30, 60]


def test_of_several_delays_the_earliest_counts(run_jumping: RunJumping) -> None:
    async def scenario() -> list[float]:
        queue: WorkQueue[str] = WorkQueue("test")
        runs: list[float] = []

        async def reconcile(_: str) -> None:
            runs.append(_now())

        for seconds in (20, 10, 30):
            queue.add_after("a", seconds)
        await _work_for(queue, 1000, reconcile)
        return runs

    assert run_jumping(scenario()) == [10]


def test_failures_are_tried_again_with_growing_pauses_until_one_succeeds(run_jumping: RunJumping) -> None:
    async def scenario() -> list[float]:
        queue: WorkQueue[str] = WorkQueue("test", base_delay_seconds=1, max_delay_seconds=4)
        runs: list[float] = []

        async def reconcile(_: str) -> None:
            runs.append(_now())
            if len(runs) < 6:
                raise ValueError("not yet")

        queue.add("a")
        await _work_for(queue, 1000, reconcile)
        return [after - before for before, after in pairwise(runs)]

    pauses = run_jumping(scenario())

    assert len(pauses) == 5
    for pause, full in zip(pauses, (1, 2, 4, 4, 4), strict=True):
        assert full / 2 <= pause <= full


def test_after_a_success_the_pauses_start_small_again(run_jumping: RunJumping) -> None:
    async def scenario() -> float:
        queue: WorkQueue[str] = WorkQueue("test", base_delay_seconds=1)
        runs: list[float] = []

        async def reconcile(_: str) -> float | None:
            runs.append(_now())
            if len(runs) in {1, 2, 3, 4, 6}:
                raise ValueError("not yet")
            return 10.0 if len(runs) == 5 else None

        queue.add("a")
        await _work_for(queue, 1000, reconcile)
        return runs[6] - runs[5]

    assert run_jumping(scenario()) <= 1


def test_a_burst_becomes_one_run_per_interval(run_jumping: RunJumping) -> None:
    async def scenario() -> list[float]:
        queue: WorkQueue[str] = WorkQueue("test", min_interval_seconds=5)
        runs: list[float] = []

        async def reconcile(_: str) -> None:
            runs.append(_now())

        for moment in range(12):
            asyncio.get_running_loop().call_later(moment, queue.add, "a")
        await _work_for(queue, 1000, reconcile)
        return runs

    assert run_jumping(scenario()) == [0, 5, 10, 15]


def test_a_cancelled_run_is_done_by_the_next_workers(run_jumping: RunJumping) -> None:
    """A new leader starts where the old one was cut off."""

    async def scenario() -> list[str]:
        queue: WorkQueue[str] = WorkQueue("test")
        done: list[str] = []

        async def slow(_: str) -> None:
            await asyncio.sleep(100)

        async def quick(key: str) -> None:
            done.append(key)

        queue.add("a")
        await _work_for(queue, 1, slow)
        assert (queue.depth, queue.processing) == (1, 0)
        await _work_for(queue, 1, quick)
        return done

    assert run_jumping(scenario()) == ["a"]


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_keys_run_at_once_than_there_are_workers(run_jumping: RunJumping, workers: int) -> None:
    async def scenario() -> int:
        queue: WorkQueue[str] = WorkQueue("test")
        most = 0

        async def reconcile(_: str) -> None:
            nonlocal most
            most = max(most, queue.processing)
            await asyncio.sleep(1)

        for key in "abcdefgh":
            queue.add(key)
        await _work_for(queue, 100, reconcile, workers=workers)
        return most

    assert run_jumping(scenario()) == workers

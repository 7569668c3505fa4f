"""One real control plane for all tests of a run, and what every test may need."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tenantry.controlplane.cluster import ControlPlane

T = TypeVar("T")


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[ControlPlane]:
    """The run's control plane, shared by all workers; it goes with the last of them.

    A program that is missing and cannot be had is an error here, never a skip.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "control-plane"
    plane = run_apart(ControlPlane.start(folder))
    yield plane
    plane.release()


@pytest.fixture
def private_control_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane for one test, which may break it as it likes."""
    plane = run_apart(ControlPlane.start(tmp_path / "control-plane"))
    yield plane
    run_apart(plane.stop())


@pytest.fixture(scope="session")
def kubeconfig(control_plane: ControlPlane) -> Path:
    """The administrator's kubeconfig."""
    return control_plane.kubeconfig


@pytest.fixture(scope="session")
def unique(worker_id: str) -> Callable[[str], str]:
    """Make a name that no other test of the run has: ``unique("team")`` -> ``team-gw0-3f2a-7``.

    The process id keeps runs apart that share a cluster, the count keeps tests apart.
    """
    count = itertools.count(1)
    run = f"{os.getpid():x}"
    return lambda prefix: f"{prefix}-{worker_id}-{run}-{next(count)}"


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Coroutine[Any, Any, None]]:
    """Wait until a condition holds (it may be a coroutine function), or fail after 30 seconds."""

    async def wait(is_done: Callable[[], Any], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while True:
                result = is_done()
                if await result if asyncio.iscoroutine(result) else result:
                    return
                await asyncio.sleep(0.05)

    return wait


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* on a loop and a thread of its own, so that no test's loop is touched."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()

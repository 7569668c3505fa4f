"""Starts a supervisor process, and waits for what other processes do."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tenantry.controlplane.errors import StartError
from tenantry.controlplane.files import open_lock, try_lock
from tenantry.controlplane.process import last_lines
from tenantry.controlplane.settings import Settings
from tenantry.controlplane.state import read_state
from tenantry.foundation.codec import encode

STARTUP_SECONDS: Final = 240.0
SHUTDOWN_SECONDS: Final = 60.0

_POLL_SECONDS: Final = 0.05
_children: Final[list[subprocess.Popen[bytes]]] = []
"""Supervisors started from here: kept, so that they can be reaped."""


async def launch(settings: Settings) -> None:
    """Start a supervisor; return when its control plane is ready.

    Raises:
        StartError: It is not; nothing is left running.
    """
    layout = settings.layout
    supervisor = _spawn(settings)
    _children.append(supervisor)

    def is_settled() -> bool:
        if supervisor.poll() is not None:
            return True
        state = read_state(layout)
        return state is not None and state.supervisor == supervisor.pid and state.phase != "starting"

    try:
        settled = await eventually(is_settled, STARTUP_SECONDS)
    except BaseException:
        supervisor.terminate()  # Cancelled: it stops what it had started so far.
        raise
    state = read_state(layout)
    if settled and state is not None and state.supervisor == supervisor.pid and state.phase == "ready":
        return
    supervisor.terminate()
    await eventually(lambda: supervisor.poll() is not None, SHUTDOWN_SECONDS)
    raise _start_error(settings, supervisor.pid)


async def eventually(is_done: Callable[[], bool], seconds: float) -> bool:
    """Return True as soon as *is_done*, False if it is not within *seconds*."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not is_done():
        if asyncio.get_running_loop().time() > deadline:
            return False
        for child in _children:
            child.poll()
        await asyncio.sleep(_POLL_SECONDS)
    return True


async def locked(path: Path, *, shared: bool = False) -> int:
    """Return a descriptor that holds the lock of *path*; waits for it as long as it takes."""
    descriptor = open_lock(path)
    try:
        while not try_lock(descriptor, shared=shared):  # noqa: ASYNC110 - the holder is another process
            await asyncio.sleep(_POLL_SECONDS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _spawn(settings: Settings) -> subprocess.Popen[bytes]:
    with settings.layout.log("supervisor").open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, "-m", "tenantry.controlplane.supervisor", encode(settings).decode()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _start_error(settings: Settings, supervisor: int) -> StartError:
    layout = settings.layout
    state = read_state(layout)
    if state is None or state.supervisor != supervisor or state.failure is None:
        log = layout.log("supervisor")
        return StartError("supervisor", "it ended early", log, last_lines(log))
    failure = state.failure
    return StartError(failure.component, failure.why, layout.log(failure.component), failure.last_lines)

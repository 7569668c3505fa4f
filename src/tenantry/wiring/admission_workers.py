"""The supervisor of several admission workers: it starts them again, and answers the probes for all."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from tenantry.kube.backoff import Backoff
from tenantry.wiring.admission import AdmissionProcess, status_name, until_signal
from tenantry.wiring.logs import configure_logs
from tenantry.wiring.metrics_files import METRICS_FOLDER, give_back_room
from tenantry.wiring.probes import Probes

STOP_SECONDS: Final = 25.0
"""How long workers may take to stop, below the 30 s that Kubernetes gives."""
HEALTHY_SECONDS: Final = 30.0
"""A worker that ran so long was well: its next start is not put off."""

_log = structlog.get_logger(__name__)


def supervise(process: AdmissionProcess, command: Sequence[str], *, workers: int) -> None:
    """Keep *workers* processes running until SIGTERM or SIGINT.

    Args:
        process: For the probes and the logs.
        command: Starts a worker; ``--worker-index`` and ``--status-folder`` are added.
        workers: At least 2.
    """
    configure_logs(process.log_level, process="admission-supervisor")
    with TemporaryDirectory(prefix="tenantry-admission-") as folder:
        asyncio.run(_run(process, Supervisor(command, Path(folder), workers=workers)))


async def _run(process: AdmissionProcess, supervisor: Supervisor) -> None:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(supervisor.folder))  # type: ignore[no-untyped-call]  # it has no types
    probes = Probes(registry=registry, readiness=supervisor.problems)
    async with probes.serving(health=process.health_address, metrics=process.metrics_address):
        await until_signal(supervisor.run())


class Supervisor:
    """Starts workers, and starts them again when they end."""

    def __init__(self, command: Sequence[str], folder: Path, *, workers: int) -> None:
        self._command = tuple(command)
        self.folder = folder
        self._workers = workers

    def problems(self) -> Iterable[str]:
        """Say why no worker can answer; nothing while one can, for the port is shared."""
        found: list[str] = []
        for index in range(self._workers):
            try:
                text = (self.folder / status_name(index)).read_text()
            except FileNotFoundError:
                found.append(f"worker {index} is starting")
                continue
            if not text:
                return ()
            found += [f"worker {index}: {line}" for line in text.splitlines()]
        return found

    async def run(self) -> None:
        """Keep all running until cancelled; then stop them."""
        async with asyncio.TaskGroup() as group:
            for index in range(self._workers):
                group.create_task(self._keep(index), name=f"worker {index}")

    async def _keep(self, index: int) -> None:
        backoff = Backoff(0.5, 30)
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            code = await self._run_once(index)
            if loop.time() - started > HEALTHY_SECONDS:
                backoff.reset()
            pause = backoff.next_seconds()
            _log.error("worker.ended", worker=index, exit_code=code, restart_in_seconds=round(pause, 1))
            await asyncio.sleep(pause)

    async def _run_once(self, index: int) -> int:
        child = await asyncio.create_subprocess_exec(
            *self._command,
            "--worker-index",
            str(index),
            "--status-folder",
            str(self.folder),
            env={**os.environ, METRICS_FOLDER: str(self.folder)},
        )
        try:
            return await child.wait()
        finally:
            await _stopped(child)
            (self.folder / status_name(index)).unlink(missing_ok=True)
            # As multiprocess.mark_process_dead: gauges of what lives no more.
            for file in self.folder.glob(f"gauge_live*_{child.pid}.db"):
                file.unlink()
            give_back_room(self.folder, child.pid)


async def _stopped(child: Process) -> None:
    if child.returncode is not None:
        return
    child.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()

"""The admission server's process: one worker, or a supervisor of several that share the port."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from tenantry.admission.metrics import AdmissionMetrics
from tenantry.admission.settings import AdmissionSettings
from tenantry.admission.worker import Worker
from tenantry.foundation.clock import SystemClock
from tenantry.kube.client import Client
from tenantry.kube.config import load_config
from tenantry.wiring.logs import configure_logs
from tenantry.wiring.memory import memory_given_back, use_little_memory
from tenantry.wiring.probes import Probes

STATUS_SECONDS: Final = 0.5
_PR_SET_PDEATHSIG: Final = 1

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionProcess:
    """Everything that is set about one process."""

    admission: AdmissionSettings
    kubeconfig: str | None = None
    context: str | None = None
    health_address: str = ":10080"
    metrics_address: str = ":8080"
    log_level: str = "info"
    status_folder: Path | None = None
    """Where a supervised worker writes what keeps it from being ready; None: it serves its own probes."""


def run_admission(process: AdmissionProcess) -> None:
    """Answer reviews until SIGTERM or SIGINT; then finish what is open and end.

    Raises:
        ConfigurationError: A setting is wrong, a port is taken, or no cluster is configured.
    """
    configure_logs(process.log_level, process="admission")
    if process.status_folder is not None:
        _end_with_parent()
    use_little_memory()
    asyncio.run(_run(process))


async def _run(process: AdmissionProcess) -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    metrics = AdmissionMetrics(registry)
    config = load_config(kubeconfig=process.kubeconfig, context=process.context)
    async with Client(config, user_agent="tenantry-admission", observer=metrics.requested) as client:
        worker = Worker(client, process.admission, metrics, SystemClock())
        async with memory_given_back(), _probed(process, worker, registry):
            await until_signal(worker.run())


@asynccontextmanager
async def _probed(process: AdmissionProcess, worker: Worker, registry: CollectorRegistry) -> AsyncIterator[None]:
    if process.status_folder is None:
        probes = Probes(registry=registry, readiness=worker.problems)
        async with probes.serving(health=process.health_address, metrics=process.metrics_address):
            yield
        return
    async with asyncio.TaskGroup() as group:
        report = group.create_task(_report(process.status_folder / status_name(process.admission.worker), worker))
        try:
            yield
        finally:
            report.cancel()


async def _report(status: Path, worker: Worker) -> None:
    told = ""
    while True:
        try:
            write_status(status, worker.problems())
        except OSError as error:  # A full disk: the answers to reviews need none.
            if str(error) != told:
                told = str(error)
                _log.error("status.not_written", file=str(status), error=told)
        await asyncio.sleep(STATUS_SECONDS)


def status_name(worker: int) -> str:
    """Return the name of the file in which a worker tells its supervisor what is wrong."""
    return f"worker-{worker}.status"


def write_status(status: Path, problems: Iterable[str]) -> None:
    """Write *problems*, a line each, at once: a reader never sees half of them."""
    draft = status.with_suffix(".draft")
    draft.write_text("\n".join(sorted(problems)))
    draft.replace(status)


async def until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Run *work* until it ends, or cancel it at SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(work, name="work")
        waiting = group.create_task(stop.wait(), name="signals")
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        _log.info("admission.stopping")
        running.cancel()
        waiting.cancel()


def _end_with_parent() -> None:
    """Have the kernel stop this worker when its supervisor dies: nobody else would."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:
            raise SystemExit("the supervisor is gone")

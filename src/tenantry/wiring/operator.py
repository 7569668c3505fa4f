"""The operator's process: settings become caches, controllers, probes; signals end it."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, disable_created_metrics

from tenantry.api.labels import CAPSULE_LEASE
from tenantry.foundation.clock import SystemClock
from tenantry.kube.client import Client
from tenantry.kube.config import load_config
from tenantry.kube.lease import LeaderElection
from tenantry.operator.metrics import OperatorCollector, RequestMetrics
from tenantry.operator.process import Operator
from tenantry.operator.settings import OperatorSettings
from tenantry.wiring.logs import configure_logs
from tenantry.wiring.memory import memory_given_back, use_little_memory
from tenantry.wiring.probes import Probes

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionSettings:
    """How candidates for the lease behave; the names are those of Capsule's flags."""

    enabled: bool = True
    lease_seconds: float = 15.0
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorProcess:
    """Everything that is set about one process."""

    operator: OperatorSettings
    election: ElectionSettings = ElectionSettings()
    kubeconfig: str | None = None
    context: str | None = None
    health_address: str = ":10080"
    metrics_address: str = ":8080"
    log_level: str = "info"


def run_operator(process: OperatorProcess) -> None:
    """Run until SIGTERM or SIGINT; then give the lease back and end.

    Raises:
        ConfigurationError: A setting is wrong, or no cluster is configured.
    """
    configure_logs(process.log_level, process="operator")
    use_little_memory()
    asyncio.run(_run(process))


async def _run(process: OperatorProcess) -> None:
    # They are a second series for each counter, which no dashboard asks for.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    metrics = RequestMetrics(registry)
    config = load_config(kubeconfig=process.kubeconfig, context=process.context)
    async with Client(config, user_agent="tenantry-operator", observer=metrics.request) as client:
        operator = Operator(client, process.operator, clock=SystemClock(), timer=metrics.reconcile)
        registry.register(OperatorCollector(operator))
        probes = Probes(registry=registry, readiness=operator.problems)
        serving = probes.serving(health=process.health_address, metrics=process.metrics_address)
        async with memory_given_back(), serving:
            await _until_signal(operator, _election(process, client))


def _election(process: OperatorProcess, client: Client) -> LeaderElection | None:
    if not process.election.enabled:
        return None
    return LeaderElection(
        client,
        namespace=process.operator.namespace,
        name=CAPSULE_LEASE,
        identity=process.operator.identity,
        lease_seconds=process.election.lease_seconds,
        renew_seconds=process.election.renew_seconds,
        retry_seconds=process.election.retry_seconds,
    )


async def _until_signal(operator: Operator, election: LeaderElection | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(operator.run(election), name="operator")
        waiting = group.create_task(stop.wait(), name="signals")
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        _log.info("operator.stopping")
        running.cancel()
        waiting.cancel()

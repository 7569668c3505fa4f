"""The gateway's process: settings become a data plane and what stands behind it; signals and a changed file act."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, disable_created_metrics

from tenantry.foundation.clock import SystemClock
from tenantry.foundation.codec import encode
from tenantry.foundation.errors import ConfigurationError, TenantryError
from tenantry.gateway.config.reading import read_settings
from tenantry.gateway.metrics import GatewayMetrics
from tenantry.gateway.process import Gateway
from tenantry.gateway.runtime import RuntimeFolder
from tenantry.gateway.settings import GatewaySettings
from tenantry.gateway.streams.records import Sink, StreamRecord
from tenantry.wiring.logs import configure_logs
from tenantry.wiring.memory import memory_given_back, use_little_memory
from tenantry.wiring.probes import Probes

LOOK_SECONDS: Final = 0.5
"""How often the files of the configuration are looked at: a lock is to hold within two seconds."""
LONGEST_ROOT: Final = 60
"""So that the sockets' paths stay under the 107 bytes that the kernel takes."""

_log = structlog.get_logger(__name__)


def _as_it_is(settings: GatewaySettings) -> GatewaySettings:
    return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayProcess:
    """Everything that is set about one process."""

    settings: GatewaySettings
    config_file: Path | None = None
    """Where the settings come from, read again when it changes; None: they stay as they are."""
    overrides: Callable[[GatewaySettings], GatewaySettings] = _as_it_is
    """Puts the command line's word over what the file says."""
    runtime_folder: Path | None = None
    """For sockets and the data plane's files; None: one of its own, gone at the end."""


def run_gateway(process: GatewayProcess) -> None:
    """Serve until SIGTERM or SIGINT; then drain and end.

    Raises:
        ConfigurationError: A setting is wrong, or can't be served.
    """
    configure_logs(process.settings.log_level, process="gateway")
    use_little_memory()
    with _runtime_folder(process.runtime_folder) as runtime:
        try:
            asyncio.run(_run(process, runtime))
        except* TenantryError as group:
            raise _first(group) from group


async def _run(process: GatewayProcess, runtime: RuntimeFolder) -> None:
    # They are a second series for each counter, which no dashboard asks for.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    metrics = GatewayMetrics(registry)
    settings = process.settings
    gateway = Gateway(settings, runtime, clock=SystemClock(), metrics=metrics, sink=_audit_sink(settings.audit.file))
    probes = Probes(registry=registry, readiness=gateway.problems, checks=gateway.checks, more_metrics=gateway.stats)
    serving = probes.serving(health=settings.health_address, metrics=settings.metrics_address)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with memory_given_back(), serving, gateway.running(), asyncio.TaskGroup() as group:
        _log.info("gateway.serving", address=settings.listening.address, port=settings.listening.port)
        following = group.create_task(_follow(process, gateway, metrics), name="configuration")
        await stop.wait()
        _log.info("gateway.draining", seconds=gateway.settings.drain_seconds)
        following.cancel()
        await gateway.drain()


async def _follow(process: GatewayProcess, gateway: Gateway, metrics: GatewayMetrics) -> None:
    """Take over what changes in the configuration file, and in the files that are read with it."""
    if process.config_file is None:
        return
    seen = _fingerprint(process.config_file, gateway.settings)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        found = _fingerprint(process.config_file, gateway.settings)
        if found == seen:
            continue
        try:
            # In a thread: it reads files and checks certificates, and requests do not wait for it.
            settings = process.overrides(await asyncio.to_thread(read_settings, process.config_file))
            await gateway.apply(settings)
        except (TenantryError, OSError) as error:
            metrics.reloads.labels("refused").inc()
            _log.error("gateway.configuration_refused", file=str(process.config_file), error=str(error))
        else:
            metrics.reloads.labels("applied").inc()
            _log.info("gateway.configuration_applied", file=str(process.config_file))
        # Those that the new settings name, too; what changed meanwhile shows the next time.
        seen = found if found[0] != _stamp(process.config_file) else _fingerprint(process.config_file, gateway.settings)


def _fingerprint(config_file: Path, settings: GatewaySettings) -> tuple[object, ...]:
    named = [
        path
        for cluster in settings.clusters
        for path in (cluster.identity.authentication_configuration, cluster.kubeconfig)
        if path is not None
    ]
    return (_stamp(config_file), *(_stamp(Path(path)) for path in named))


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _audit_sink(file: Path | None) -> Sink:
    """Return what writes the records of streams where the data plane writes those of requests."""

    def to_file(record: StreamRecord) -> None:
        # Opened each time: the file is renamed when it is full, and streams begin and end rarely.
        assert file is not None
        try:
            with file.open("ab", buffering=0) as output:
                output.write(encode(record) + b"\n")
        except OSError as error:
            _log.error("gateway.audit_not_written", file=str(file), error=str(error))

    def to_output(record: StreamRecord) -> None:
        with suppress(OSError):
            sys.stdout.buffer.write(encode(record) + b"\n")
            sys.stdout.buffer.flush()

    return to_output if file is None else to_file


@contextmanager
def _runtime_folder(given: Path | None) -> Iterator[RuntimeFolder]:
    if given is not None:
        given.mkdir(mode=0o700, parents=True, exist_ok=True)
        if given.stat().st_mode & 0o077:
            raise ConfigurationError(f"{given} is open to others: give it mode 0700")
        yield RuntimeFolder(_short(given))
        return
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    with tempfile.TemporaryDirectory(prefix="tenantry-gateway-", dir=base) as folder:
        yield RuntimeFolder(_short(Path(folder)))


def _short(root: Path) -> Path:
    if len(str(root)) > LONGEST_ROOT:
        raise ConfigurationError(
            f"the runtime folder {root} has a path of more than {LONGEST_ROOT} bytes: name a shorter one"
        )
    return root


def _first(group: BaseExceptionGroup[TenantryError]) -> TenantryError:
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("an exception group is never empty")

"""The Envoy process: started, fed with files, watched, drained, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from tenantry.foundation.errors import ConfigurationError, UnavailableError
from tenantry.gateway.envoy import credentials, names
from tenantry.gateway.envoy.admin import Admin
from tenantry.gateway.envoy.binary import check_free, find_binary, launched, validate
from tenantry.gateway.envoy.files import replace_file, rotate, size_of
from tenantry.gateway.envoy.render import Files
from tenantry.gateway.envoy.script import of_epoch
from tenantry.gateway.runtime import RuntimeFolder
from tenantry.gateway.settings import AuditSettings, GatewaySettings

START_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.05
WATCH_SECONDS: Final = 2.0
APPLY_SECONDS: Final = 3.0
STOP_SECONDS: Final = 5.0
LINGER_SECONDS: Final = 5.0
"""How long connections are taken after readiness is gone: until every node has heard of it."""
FIRST_BACKOFF_SECONDS: Final = 0.2
LONGEST_BACKOFF_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 60.0
"""Whoever ran this long starts again without waiting."""
ALARM_SECONDS: Final = 30.0
"""How long a refusal of our credential counts as a problem after it was last seen."""
ORDER: Final = (names.CLUSTERS, "", names.LISTENERS)
"""What is referred to comes before what refers to it; "" is everything else."""

log = structlog.get_logger()


class Envoy:
    """One Envoy, its files and what is known about it.

    ``start`` must be called in the main thread: Envoy is killed by the kernel when the thread that
    started it ends, which is how it never outlives a killed Python.
    """

    def __init__(self, settings: GatewaySettings, runtime: RuntimeFolder) -> None:
        """Workers, drain time, log level and audit file are taken from *settings* once."""
        self._settings = settings
        self._runtime = runtime
        self._admin = Admin(runtime.admin_socket)
        self._binary = Path()
        self._files: Files = {}
        """What is wanted."""
        self._written: Files = {}
        """What lies there."""
        self._missing: frozenset[str] = frozenset()
        """Clusters whose token file is not there."""
        self._given: dict[str, bool] = {}
        """Of each cluster whose credential is pushed: whether there is one."""
        self._process: asyncio.subprocess.Process | None = None
        self._started = 0.0
        self._stopping = False
        self._epoch = 0
        self._refused: dict[str, tuple[int, float]] = {}
        """Of each cluster: how often its API server refused our credential, and when that last grew."""
        self._unwritten = 0
        """How often Envoy could not write to the audit file."""
        self._applying = asyncio.Lock()

    @property
    def linger_seconds(self) -> float:
        """How long a drain still takes new connections."""
        return min(LINGER_SECONDS, self._settings.drain_seconds / 4)

    @property
    def pid(self) -> int | None:
        """The process id; None while none runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self, files: Files, *, pushed: Mapping[str, str | None] | None = None) -> None:
        """Write *files*, start Envoy, and return when it takes connections.

        Args:
            files: As rendered.
            pushed: For each cluster whose credential Python obtains, the Authorization header's value.

        Raises:
            ConfigurationError: There is no Envoy, or it refuses the files.
            UnavailableError: The port is taken, or it did not get ready; it is stopped again.
        """
        self._binary = find_binary()
        self._runtime.envoy.mkdir(mode=0o700, exist_ok=True)
        for cluster, authorization in (pushed or {}).items():
            self.set_token(cluster, authorization)
        self._prepare(files)
        await validate(self._binary, files, self._runtime.envoy / ".check.json")
        self._write(files)
        check_free(self._settings.listening.address, self._settings.listening.port)
        await self._launch()
        try:
            await self._until_ready()
            await self._see_listening()
        except BaseException:
            await self.stop()
            raise

    async def run(self) -> None:
        """Keep it running, its log files short, and *problems* true; ends when it is stopped."""
        backoff = FIRST_BACKOFF_SECONDS
        while not self._stopping:
            if self.pid is None:
                if monotonic() - self._started > STEADY_SECONDS:
                    backoff = FIRST_BACKOFF_SECONDS
                code = self._process.returncode if self._process else None
                log.error("envoy_ended", exit_code=code, restart_seconds=backoff)
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, LONGEST_BACKOFF_SECONDS)
                if not self._stopping:
                    await self._launch()
                continue
            await self._ended_within(WATCH_SECONDS)
            with contextlib.suppress(UnavailableError):
                try:
                    await self._look()
                except OSError as error:  # A full disk, perhaps: Envoy serves on.
                    log.error("envoy_not_looked_after", error=str(error))  # noqa: TRY400  # it says all

    async def _ended_within(self, seconds: float) -> None:
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._process.wait()

    async def apply(self, files: Files) -> bool:
        """Put *files* in place of the last ones; return whether a restart is needed for all of it.

        Raises:
            ConfigurationError: Envoy refuses them, in its own words; the last ones stay in force.
        """
        async with self._applying:
            self._prepare(files)
            await validate(self._binary, files, self._runtime.envoy / ".check.json")
            before = self._files
            rejected = await self._rejected_updates()
            try:
                self._write(self._at_epoch(files))
                await self._see_accepted(rejected)
            except BaseException:
                self._write(self._at_epoch(before))
                raise
            return before.get(names.BOOTSTRAP) != files[names.BOOTSTRAP]

    async def push_script(self) -> None:
        """Give Envoy its scripts anew, so that they forget every identity and verdict; within a second."""
        # It does not wait for a configuration that is being applied: somebody may be locked out.
        self._epoch += 1
        self._write(self._at_epoch(self._files))

    def set_token(self, cluster: str, authorization: str | None) -> None:
        """Set the gateway's own credential: the value of the Authorization header; None withdraws it."""
        self._given[cluster] = bool(authorization)
        path = self._runtime.envoy / names.token_file(cluster)
        replace_file(path, credentials.pushed_secret(authorization))

    async def drain(self) -> None:
        """Send clients elsewhere, let requests end for ``drain_seconds`` at most, then stop."""
        self._stopping = True
        deadline = monotonic() + self._settings.drain_seconds
        with contextlib.suppress(UnavailableError):
            await self._admin.post("/healthcheck/fail")
            # Connections that stay are told to go: GOAWAY, or Connection: close on the next answer.
            await self._admin.post("/drain_listeners?graceful")
            await self._ended_within(self.linger_seconds)
            await self._admin.post("/drain_listeners")
            while monotonic() < deadline and self.pid is not None and await self._active_requests():  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS * 4)
        await self.stop()

    async def stop(self) -> None:
        """End it now; safe to call twice."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            await self._ended_within(STOP_SECONDS)
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        await self._admin.close()

    def problems(self) -> tuple[str, ...]:
        """Return why nobody can be served, one sentence each."""
        return () if self.pid is not None else ("Envoy does not run",)

    def credential_problems(self, cluster: str) -> tuple[str, ...]:
        """Return what is wrong with our own credential for *cluster*, one sentence each."""
        found = []
        if not self._given.get(cluster, True) or cluster in self._missing:
            found.append(f"cluster {cluster}: the gateway has no credential")
        if cluster in self._refused and monotonic() - self._refused[cluster][1] < ALARM_SECONDS:
            found.append(f"cluster {cluster}: the API server refuses the gateway's own credential")
        return tuple(found)

    async def stats(self) -> str:
        """Return Envoy's metrics as Prometheus text; raise UnavailableError while it does not answer."""
        return await self._admin.prometheus()

    # Files

    def _at_epoch(self, files: Files) -> Files:
        return {
            name: of_epoch(content, self._epoch) if name.startswith("script-") else content
            for name, content in files.items()
        }

    def _prepare(self, files: Files) -> None:
        """See to it that each pushed credential has a file: Envoy refuses a cluster whose file is missing."""
        clusters = {each: names.token_file(each) for each in map(names.cluster_of_script, files) if each}
        for name in clusters.values():
            path = self._runtime.envoy / name
            if name not in files and not path.exists():
                replace_file(path, credentials.pushed_secret(None))
        pushed = {cluster for cluster, name in clusters.items() if name not in files}
        self._given = {cluster: given for cluster, given in self._given.items() if cluster in pushed}
        self._refused = {cluster: seen for cluster, seen in self._refused.items() if cluster in clusters}

    def _write(self, files: Files) -> None:
        """Write what differs; files that are no longer named stay, as Envoy may still look at them."""
        self._files = dict(files)
        missing = frozenset(cluster for cluster in map(names.cluster_of_token, files) if self._lacks_token(cluster))
        # Envoy never again looks for a file that was not there.
        withheld = dict.fromkeys(map(names.token_file, missing), credentials.pushed_secret(None))
        changed = {
            name: content for name, content in {**files, **withheld}.items() if self._written.get(name) != content
        }
        for turn in ORDER:
            for name, content in changed.items():
                if name == turn or (turn == "" and name not in ORDER):
                    replace_file(self._runtime.envoy / name, content)
                    self._written[name] = content
        self._missing = missing

    def _lacks_token(self, cluster: str) -> bool:
        path = credentials.named_file(self._files[names.token_file(cluster)]) if cluster else None
        return path is not None and not path.exists()

    async def _rejected_updates(self) -> int:
        counters = await self._admin.counters(r"(update_rejected|config_fail|update_failure)$")
        return sum(counters.values())

    async def _see_accepted(self, before: int) -> None:
        """Return once what was just written is in use; *before* is how many updates were refused until then."""
        deadline = monotonic() + APPLY_SECONDS
        while monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS * 4)
            if await self._rejected_updates() > before:
                reasons = "; ".join(await self._admin.rejections()) or "its log says why"
                raise ConfigurationError(f"Envoy refuses the configuration: {reasons}")
            warming = await self._admin.counters("(total_listeners_warming|warming_clusters)$")
            if not any(warming.values()):
                return
        raise ConfigurationError("Envoy does not get ready with the configuration: a file it names may be missing")

    # Process

    async def _launch(self) -> None:
        settings = self._settings
        arguments = [
            "-c", str(self._runtime.envoy / names.BOOTSTRAP),
            "--disable-hot-restart",
            "--drain-time-s", f"{max(1, round(settings.drain_seconds))}",
            "--drain-strategy", "immediate",
            "--file-flush-interval-msec", "200",
            "-l", "warning" if settings.log_level == "info" else settings.log_level,
            "--log-format", '{"timestamp":"%Y-%m-%dT%T.%FZ","level":"%l","logger":"envoy.%n","event":"%j"}',
        ]  # fmt: skip
        workers = settings.envoy_workers or len(os.sched_getaffinity(0))
        arguments += ["--concurrency", str(workers)]
        command = launched(self._binary, *arguments, parent=os.getpid())
        # Its own group: Ctrl-C in a terminal reaches Python alone, which drains.
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        self._started = monotonic()

    async def _until_ready(self) -> None:
        deadline = monotonic() + START_SECONDS
        while not await self._admin.is_ready():
            if self.pid is None:
                raise UnavailableError(f"Envoy ended at once with {self._ending()}")
            if monotonic() > deadline:
                raise UnavailableError(f"Envoy did not get ready within {START_SECONDS:.0f} s")
            await asyncio.sleep(POLL_SECONDS)

    def _ending(self) -> str:
        code = self._process.returncode if self._process else None
        # It aborts without a word; each file that it follows takes an instance, about nine for a cluster.
        hint = ", which may be fs.inotify.max_user_instances" if code == -signal.SIGABRT else ""
        return f"code {code}: its log says why{hint}"

    async def _see_listening(self) -> None:
        """Raise where the listener is not there: Envoy calls itself ready all the same."""
        listening = await self._admin.counters("^listener_manager.total_listeners_active$")
        if not any(listening.values()):
            reasons = "; ".join(await self._admin.rejections()) or "its log says why"
            raise UnavailableError(f"Envoy does not listen: {reasons}")

    async def _active_requests(self) -> int:
        counters = await self._admin.counters(r"^http\.(clients)\.downstream_rq_active$")
        return sum(counters.values())

    # Watching

    async def _look(self) -> None:
        await self._rotate(self._settings.audit)
        if self._missing:
            self._write(self._files)
        await self._see_written()
        counters = await self._admin.counters("tenantry_gateway.credential_refused")
        now = monotonic()
        for name, count in counters.items():
            cluster = _cluster_of(name)
            last_count, last = self._refused.get(cluster, (0, -ALARM_SECONDS))
            if count < last_count:
                last_count = 0  # Envoy was started anew.
            if count > last_count:
                log.error("credential_refused", cluster=cluster, count=count - last_count)
                last = now
            self._refused[cluster] = (count, last)

    async def _see_written(self) -> None:
        """Tell of audit records that are lost: Envoy itself drops them without a word."""
        counters = await self._admin.counters("^filesystem.write_failed$")
        count = sum(counters.values())
        if count > self._unwritten:
            log.error("audit_not_written", count=count - self._unwritten)
        self._unwritten = count

    async def _rotate(self, audit: AuditSettings) -> None:
        if audit.file is None or size_of(audit.file) < audit.max_bytes:
            return
        rotate(audit.file, audit.keep_files)
        await self._admin.post("/reopen_logs")


def _cluster_of(counter: str) -> str:
    return counter.rpartition("cluster.")[2]

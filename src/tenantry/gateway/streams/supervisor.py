"""Keeps the process that holds the streams, tells it who is locked out, and takes its records."""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from tenantry.foundation.clock import Clock, rfc3339_micro
from tenantry.foundation.codec import DecodeError, replaced
from tenantry.foundation.errors import ConfigurationError
from tenantry.gateway.streams.channel import (
    LINE_BYTES,
    Complaint,
    Configure,
    Drain,
    Lock,
    Locked,
    Recorded,
    Report,
    encode_line,
    read_report,
)
from tenantry.gateway.streams.locks import LockSet
from tenantry.gateway.streams.records import Sink, StreamCounters, StreamRecord
from tenantry.kube.backoff import Backoff

LOCK_SECONDS: Final = 1.2
"""A lock that is not confirmed by then ends everybody's streams: two seconds are promised."""
LIFE_SECONDS: Final = 30.0
"""How long the process may be silent when there is nothing new; a machine under load is no reason to end streams."""
CHECK_SECONDS: Final = 10.0
HEALTHY_SECONDS: Final = 30.0
_BACKLOG: Final = 1024

_log = structlog.get_logger(__name__)


class StreamSupervisor:
    """The gateway's side; one for all clusters."""

    def __init__(
        self,
        path: Path,
        *,
        secret: str,
        locks: LockSet,
        clock: Clock,
        sink: Sink,
        counters: StreamCounters,
    ) -> None:
        """Take what to rest on.

        Args:
            path: Where to make the Unix socket, in a folder of mode 0700.
            secret: The word by which the script is known.
            locks: Who is locked out from the start.
            clock: For the records of streams that end with their process.
            sink: Takes the audit records.
            counters: Takes counts.
        """
        self._path = path
        self._secret = secret
        self._locks = locks
        self._clock = clock
        self._sink = sink
        self._counters = counters
        self._session: _Session | None = None
        self._is_draining = False

    @property
    def active(self) -> Mapping[str, int]:
        """How many streams are live, by kind."""
        return {} if self._session is None else self._session.active

    def problems(self) -> Iterable[str]:
        """Say why no stream could begin; nothing if one could."""
        if self._session is None:
            yield "the process that holds streams does not run"
        elif not self._session.is_confirmed:
            yield "the process that holds streams has not answered yet"

    async def run(self) -> None:
        """Keep the process running until cancelled; all streams end with it."""
        backoff = Backoff(0.1, 5)
        loop = asyncio.get_running_loop()
        # Bound here, once: while the process starts again, whoever comes waits instead of failing.
        with _listener(self._path) as listener:
            while True:
                started = loop.time()
                code = await self._run_once(listener)
                if loop.time() - started > HEALTHY_SECONDS:
                    backoff.reset()
                pause = backoff.next_seconds()
                _log.error("streams.process_ended", exit_code=code, restart_in_seconds=round(pause, 1))
                await asyncio.sleep(pause)

    async def apply(self, locks: LockSet) -> int:
        """Lock out exactly these; return how many streams were ended, none of which is live any more.

        If the process does not confirm in time it is killed, and all streams end, whoever's they are.
        """
        self._locks = locks
        session = self._session
        if session is None:
            return 0  # Nothing is live, and the next process begins with these.
        return await session.lock(locks, LOCK_SECONDS)

    async def drain(self, seconds: float) -> None:
        """Let no stream begin; return when all have ended, after *seconds* at most (and a moment)."""
        self._is_draining = True
        session = self._session
        if session is None:
            return
        session.tell(Drain(seconds=seconds))
        try:
            async with asyncio.timeout(seconds + LOCK_SECONDS):
                await session.idle.wait()
        except TimeoutError:
            session.kill("it did not drain")

    async def _run_once(self, listener: socket.socket) -> int | None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                fds = (theirs.fileno(), listener.fileno())
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "tenantry.gateway.streams.child", *map(str, fds), pass_fds=fds
                )
        except OSError as error:
            ours.close()
            _log.warning("streams.process_failed", error=str(error))
            return None
        reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_BYTES)
        session = self._session = _Session(process, writer, self._clock, self._sink, self._counters)
        try:
            session.tell(Configure(secret=self._secret, users=self._locks.users, groups=self._locks.groups))
            if self._is_draining:
                session.tell(Drain(seconds=0))
            async with asyncio.TaskGroup() as group:
                checks = group.create_task(self._check(session), name="streams check")
                await session.read(reader)
                checks.cancel()
        finally:
            self._session = None
            await session.end()
        return process.returncode

    async def _check(self, session: _Session) -> None:
        """Ask for a sign of life now and then: a process that hangs lets no stream begin."""
        while True:
            await session.lock(self._locks, LIFE_SECONDS)
            await asyncio.sleep(CHECK_SECONDS)


class _Session:
    """One run of the process."""

    def __init__(
        self, process: Process, writer: asyncio.StreamWriter, clock: Clock, sink: Sink, counters: StreamCounters
    ) -> None:
        self._process = process
        self._writer = writer
        self._clock = clock
        self._sink = sink
        self._counters = counters
        self._live: dict[int, StreamRecord] = {}
        self._asked: dict[int, asyncio.Future[int]] = {}
        self._serial = 0
        self.is_confirmed = False
        self.active: Counter[str] = Counter()
        self.idle = asyncio.Event()
        self.idle.set()

    def tell(self, order: Configure | Lock | Drain) -> None:
        """Say something; a process that is gone hears nothing."""
        if not self._writer.transport.is_closing():
            self._writer.write(encode_line(order))

    def kill(self, why: str) -> None:
        """End the process at once."""
        if self._process.returncode is None:
            _log.error("streams.process_killed", why=why, live=len(self._live))
            self._process.kill()

    async def lock(self, locks: LockSet, seconds: float) -> int:
        """Have *locks* confirmed, or end the process; return how many streams ended."""
        self._serial += 1
        serial = self._serial
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._asked[serial] = answer
        self.tell(Lock(serial=serial, users=locks.users, groups=locks.groups))
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            count = len(self._live)
            self.kill(f"it did not confirm a lock within {seconds} s")
            return count
        finally:
            del self._asked[serial]

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Take reports until the process is gone."""
        try:
            while (report := await read_report(reader)) is not None:
                self._take(report)
        except DecodeError as error:
            self.kill(f"it said what is no report: {error}")

    async def end(self) -> None:
        """See to it that the process is gone, and tell of what went with it."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        self._writer.close()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_result(len(self._live))
        now = rfc3339_micro(self._clock.now())
        for number, record in list(self._live.items()):
            self._record(number, replaced(record, stage="Ended", time=now, reason="Aborted"))

    def _take(self, report: Report) -> None:
        match report:
            case Recorded(number=number, record=record):
                self._record(number, record)
            case Locked(serial=serial, ended=ended):
                self.is_confirmed = True
                answer = self._asked.get(serial)
                if answer is not None and not answer.done():
                    answer.set_result(ended)
            case Complaint(text=text):
                _log.warning("streams.complaint", text=text)

    def _record(self, number: int, record: StreamRecord) -> None:
        match record.stage:
            case "Started":
                # For its end, should the process die.  In its groups, which may be hundreds, is no more news then.
                bare = replaced(record.user, groups=(), real_groups=())
                self._live[number] = replaced(record, user=bare)
                self.active[record.kind] += 1
                self._counters.stream_started(record.kind)
            case "Ended":
                self._live.pop(number, None)
                self.active[record.kind] -= 1
                self._counters.stream_ended(record.kind, record.reason)
            case "Refused":
                self._counters.stream_refused(record.reason)
        if self._live:
            self.idle.clear()
        else:
            self.idle.set()
        self._sink(record)


@contextmanager
def _listener(path: Path) -> Iterator[socket.socket]:
    if path.parent.stat().st_mode & 0o077:
        raise ConfigurationError(f"{path.parent} is open to others: give it mode 0700")
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(_BACKLOG)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)

"""The watch of one namespace: opened as the user, and again where it breaks, without a gap."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from enum import Enum, auto
from typing import Final, Protocol

from tenantry.foundation.codec import DecodeError
from tenantry.foundation.errors import TenantryError, UnavailableError
from tenantry.gateway.fanout.answers import FailedReadError, expired, failed_read
from tenantry.gateway.fanout.frames import Frame, read_frame
from tenantry.gateway.fanout.merging import Source
from tenantry.gateway.fanout.reading import Reader
from tenantry.kube.backoff import delay_seconds
from tenantry.kube.errors import ApiError, ForbiddenError, NotFoundError
from tenantry.kube.watch import IDLE_SECONDS

UPSTREAM_SECONDS: Final = (300, 600)
"""How long one upstream watch lasts: so often the API server looks again whether the user may read."""
REFUSED_SECONDS: Final = 60.0
_TRIES: Final = 5
_ALL_THERE_IS: Final = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
_LINE_BYTES: Final = 32 * 1024 * 1024


class State(Enum):
    """How a part is."""

    OPENING = auto()
    OPEN = auto()
    REFUSED = auto()
    BROKEN = auto()


class Stream(Protocol):
    """The client's watch, which the parts make up."""

    @property
    def opening(self) -> asyncio.Semaphore:
        """Held while a part opens."""
        ...

    async def opened(self, part: Part) -> None:
        """Take note that *part* is open or refused; return when it may be read."""
        ...

    async def push(self, part: Part, frame: Frame) -> None:
        """Take an event; wait where there is no room."""
        ...

    def end(self, how: FailedReadError | bytes) -> None:
        """End the stream by an error, or by an ERROR event's line."""
        ...


class Part:
    """One namespace of a watch."""

    def __init__(self, namespace: str, reader: Reader, stream: Stream, query: dict[str, str] | None) -> None:
        """Start as *query* says; without one, with all objects there are, as after a grant."""
        self.namespace = namespace
        self.state = State.OPENING
        self.is_unknown = False
        """Whether the API server knows no such kind."""
        self._reader = reader
        self._stream = stream
        self._query = _ALL_THERE_IS if query is None else query
        self._is_granted = query is None
        self._failures = 0
        self._retry = asyncio.Event()
        self._refused_seconds = 0.5 if self._is_granted else REFUSED_SECONDS
        self.source = self._new_source()

    def try_again(self) -> None:
        """Ask again whether the user may read, if that was refused."""
        self._refused_seconds = 0.5
        self._retry.set()

    async def follow(self) -> None:
        """Read until the stream ends."""
        while True:
            try:
                await self._watch()
            except (ForbiddenError, NotFoundError) as error:
                if self._was_open:
                    self._stream.end(expired(f"namespace {self.namespace} is closed to you now"))
                    return
                await self._refused(error)
            except (TenantryError, DecodeError) as error:
                if not await self._is_worth_another(error):
                    return
            else:
                if self.source.is_initial:
                    self._stream.end(expired(f"the watch of namespace {self.namespace} ended early"))
                    return

    @property
    def _was_open(self) -> bool:
        return self.state in {State.OPEN, State.BROKEN}

    async def _watch(self) -> None:
        async with AsyncExitStack() as stack:
            async with self._stream.opening:
                answer = self._reader.part(self.namespace, self._options(), idle_seconds=IDLE_SECONDS)
                chunks = await stack.enter_async_context(answer)
            self.state = State.OPEN
            await self._stream.opened(self)
            async for line in _lines(chunks):
                frame = read_frame(line)
                if frame.type == "ERROR":
                    self._error(frame)
                    return
                await self._stream.push(self, frame)
                self._failures = 0

    def _error(self, frame: Frame) -> None:
        if self.source.seen and frame.code != 410:
            # Of a watch that had been fine: most often another API server, which is behind.
            raise UnavailableError(f"the watch of namespace {self.namespace} ended with code {frame.code}")
        self._stream.end(frame.line)

    def _options(self) -> dict[str, str]:
        seconds = random.randint(*UPSTREAM_SECONDS)  # noqa: S311 - so that not all end at once
        query = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        if self.source.seen:
            return query | {"resourceVersion": str(self.source.seen)}
        return query | self._query

    async def _refused(self, error: ApiError) -> None:
        """Wait until it is worth asking again; what is there then comes as new."""
        self.state = State.REFUSED
        self.is_unknown = isinstance(error, NotFoundError)
        self._is_granted = True
        await self._stream.opened(self)
        self._retry.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._refused_seconds * random.uniform(0.8, 1.2)):  # noqa: S311 - jitter
                await self._retry.wait()
        self._refused_seconds = min(2 * self._refused_seconds, REFUSED_SECONDS)
        self._query = _ALL_THERE_IS
        self.source = self._new_source()

    async def _is_worth_another(self, error: Exception) -> bool:
        """Wait a little and return True; or end the stream and return False."""
        self._failures += 1
        is_refused_form = isinstance(error, ApiError) and error.status in {400, 422}
        if self._is_granted and is_refused_form and self._query:
            self._query = {}  # This kind can not say when its initial events are over.
            self.source = self._new_source()
            return True
        if not self._was_open and not self._is_granted:
            self._stream.end(failed_read(error, self.namespace))
            return False
        if (self._was_open and self.source.is_initial) or self._failures > _TRIES:
            # Its client can't know what it missed, and would go on at a version of another namespace.
            self._stream.end(expired(f"the watch of namespace {self.namespace} broke"))
            return False
        self.state = State.BROKEN if self._was_open else self.state
        await asyncio.sleep(delay_seconds(self._failures - 1, initial_seconds=0.1, max_seconds=2.0))
        return True

    def _new_source(self) -> Source:
        has_end = self._query.get("sendInitialEvents", "").lower() not in {"", "false", "0"}
        version = self._query.get("resourceVersion", "0")
        start = 0 if has_end else int(version or "0")
        return Source(is_initial=not start, has_end=has_end, seen=start, sent=start)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    pending: list[bytes] = []
    size = 0
    async for chunk in chunks:
        pending.append(chunk)
        size += len(chunk)
        if size > _LINE_BYTES:
            raise DecodeError("a watch event without an end")
        if b"\n" not in chunk:
            continue
        *lines, last = b"".join(pending).split(b"\n")
        pending, size = [last], len(last)
        for line in lines:
            if line:
                yield line

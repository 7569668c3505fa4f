"""One watch over all namespaces: its parts, its clock, and what goes out to the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

from aiohttp import web

from tenantry.access.visibility import PrincipalView
from tenantry.foundation.codec import DecodeError
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.fanout.answers import FailedReadError, expired, failed_read, not_served
from tenantry.gateway.fanout.following import Part, State
from tenantry.gateway.fanout.frames import Frame, end_bookmark
from tenantry.gateway.fanout.interfaces import Given, Happening
from tenantry.gateway.fanout.merging import Merge
from tenantry.gateway.fanout.reading import Reader
from tenantry.gateway.protocol import ANSWER_HEADER

BUFFER_BYTES: Final = 1024 * 1024
"""What waits for one client; then its parts wait, and the API server ends those that fall too far behind."""
WRITE_SECONDS: Final = 30.0
"""A client that does not take what is buffered in this time is left."""
_OPEN_SECONDS: Final = 20.0
_OPENING_AT_ONCE: Final = 8
_EARLY_SECONDS: Final = 0.001  # A timer may come a little early; then it would not come again.
_LOOK_SECONDS: Final = 5.0
"""How often it is looked whether the client is still there: a silent one leaves without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """What was asked for."""

    query: dict[str, str]
    """Where each part starts."""
    wants_bookmarks: bool
    wants_end: bool
    """Whether the client waits for the bookmark after the initial events."""
    seconds: float
    api_version: str
    version_if_empty: int
    most_namespaces: int


class WatchRun:
    """One client's watch; a :class:`Stream` to its parts."""

    def __init__(
        self, request: web.BaseRequest, reader: Reader, options: WatchOptions, *, slots: Callable[[int], bool]
    ) -> None:
        """Take what was asked; *slots* takes (or gives back) upstream watches, False where there are not enough."""
        self.opening = asyncio.Semaphore(_OPENING_AT_ONCE)
        self._request = request
        self._reader = reader
        self._options = options
        self._slots = slots
        self._loop = asyncio.get_running_loop()
        self._merge = Merge(wants_bookmarks=options.wants_bookmarks, wants_end=options.wants_end)
        self._parts: dict[str, tuple[Part, asyncio.Task[None]]] = {}
        self._view: Callable[[], PrincipalView | None] | None = None
        self._unopened: set[str] = set()
        self._all_opened = asyncio.Event()
        self._may_read = asyncio.Event()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._end: FailedReadError | bytes | None = None
        self._is_aborted = False
        self._response: web.StreamResponse | None = None
        self._group: asyncio.TaskGroup | None = None
        self.given = Given()
        """Where versions are noted before they go out."""
        self.outcome: Happening | None = None
        """What is to be counted once it is over."""

    def end(self, how: FailedReadError | bytes) -> None:
        """End the stream with an error; the first one counts."""
        if self._end is None:
            self._end = how
        self._all_opened.set()
        self._wake.set()

    def abort(self) -> None:
        """End the stream now, without a word."""
        self._is_aborted = True
        if self._request.transport is not None:
            self._request.transport.abort()
        self._all_opened.set()
        self._wake.set()

    def review(self, view: Callable[[], PrincipalView | None]) -> None:
        """Look at *view* again soon: it changed."""
        self._view = view
        self._wake.set()

    async def opened(self, part: Part) -> None:
        """See :class:`Stream`."""
        self._unopened.discard(part.namespace)
        if not self._unopened:
            self._all_opened.set()
        if part.state is State.OPEN:
            self._merge.add_source(part.namespace, part.source)
            await self._may_read.wait()

    async def push(self, part: Part, frame: Frame) -> None:
        """See :class:`Stream`."""
        while self._merge.size_bytes > BUFFER_BYTES:
            self._room.clear()
            await self._room.wait()
        was_idle = self._merge.next_due is None
        self._merge.add(part.namespace, frame, monotonic())
        if was_idle:
            self._wake_when_due()

    async def run(self, namespaces: Sequence[str]) -> web.StreamResponse:
        """Answer; *namespaces* have their slots already.

        Raises:
            FailedReadError: It fails, and nothing of an answer was sent.
        """
        failure: FailedReadError | None = None
        response: web.StreamResponse = web.Response(status=503)
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                response = await self._serve(namespaces)
            except FailedReadError as error:
                failure = error  # Out of the group, which would wrap it.
            except ConnectionError:
                self.abort()
            except TimeoutError:
                self.outcome = "watch_slow"
                self.abort()
            for _, task in self._parts.values():
                task.cancel()
        if failure is not None:
            raise failure
        return self._response if self._response is not None else response

    @property
    def slots_held(self) -> int:
        """How many upstream watches are its own."""
        return len(self._parts)

    async def _serve(self, namespaces: Sequence[str]) -> web.StreamResponse:
        deadline = monotonic() + self._options.seconds
        self._unopened = set(namespaces)
        for namespace in namespaces:
            self._start(namespace, self._options.query)
        await self._open()
        headers = {"content-type": "application/json", "cache-control": "no-cache, private", ANSWER_HEADER: "1"}
        self._response = web.StreamResponse(headers=headers)
        await self._response.prepare(self._request)
        self._may_read.set()
        with self._looking(deadline):
            while self._end is None and not self._is_aborted and monotonic() < deadline:
                await self._step()
        if not self._is_aborted:
            await self._finish()
        return self._response

    async def _open(self) -> None:
        """Wait for the first answer to each part."""
        if self._unopened:
            try:
                async with asyncio.timeout(_OPEN_SECONDS):
                    await self._all_opened.wait()
            except TimeoutError:
                raise FailedReadError(504, "Timeout", "the API server did not open the watches in time") from None
        if isinstance(self._end, FailedReadError) and self._end.status != 410:
            raise self._end
        parts = [part for part, _ in self._parts.values()]
        if any(part.state is State.OPEN for part in parts):
            return
        if any(part.is_unknown for part in parts):
            raise not_served()
        if self._options.wants_end:
            await self._write_end()

    async def _write_end(self) -> None:
        try:
            kind = await self._reader.kind()
        except (TenantryError, DecodeError) as error:
            raise failed_read(error, "") from error
        version = int(self._options.query.get("resourceVersion") or "0")
        options = self._options
        self._merge.ended(
            end_bookmark(kind, options.api_version, max(version, options.version_if_empty), accept=self._reader.accept)
        )

    async def _step(self) -> None:
        """Hand on what is due, or wait until something is."""
        if self._view is not None:
            self._review()
            return
        now = monotonic() + _EARLY_SECONDS
        due = self._merge.next_due
        if due is not None and due <= now:
            await self._write(self._merge.take(now))
            self._wake_when_due()
            return
        self._wake.clear()
        await self._wake.wait()
        transport = self._request.transport
        self._is_aborted |= transport is None or transport.is_closing()

    def _wake_when_due(self) -> None:
        # Timers of the loop itself: a time limit around each wait would cost as much as all else for an event.
        due = self._merge.next_due
        if due is not None:
            self._loop.call_at(due, self._wake.set)

    @contextmanager
    def _looking(self, deadline: float) -> Iterator[None]:
        """While open, wake up now and then, and at *deadline*."""
        timers = [self._loop.call_at(deadline, self._wake.set)]

        def look() -> None:
            self._wake.set()
            timers[1:] = [self._loop.call_later(_LOOK_SECONDS, look)]

        look()
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()

    async def _write(self, lines: list[bytes]) -> None:
        self._room.set()
        self.given.note(self._merge.highest)
        if lines and self._response is not None:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._response.write(b"\n".join(lines) + b"\n")

    async def _finish(self) -> None:
        end = self._end
        if end is None and any(part.state is State.BROKEN for part, _ in self._parts.values()):
            end = expired("a namespace could not be followed to the end")
        if end is None:
            await self._write(self._merge.take(None))
        else:
            self.outcome = "watch_expired"
            await self._write([end if isinstance(end, bytes) else end.event().rstrip(b"\n")])
        if self._response is not None:
            await self._response.write_eof()

    def _start(self, namespace: str, query: dict[str, str] | None) -> None:
        assert self._group is not None
        part = Part(namespace, self._reader, self, query)
        self._parts[namespace] = (part, self._group.create_task(part.follow()))

    def _review(self) -> None:
        """Follow what may be seen now: what is new comes as ADDED; what is gone ends the stream.

        With 410 the client lists again and finds out itself what is gone, with the objects as
        it knew them; DELETED events from here could only carry names, for objects that exist.
        """
        assert self._view is not None
        view, self._view = self._view(), None
        if view is None:
            self.end(expired("who sees what has changed"))
            return
        names = set(view.all_namespaces())
        for namespace in sorted(self._parts.keys() - names):
            part, task = self._parts[namespace]
            if part.state is not State.REFUSED:
                self.end(expired(f"namespace {namespace} is no longer visible to you"))
                return
            task.cancel()
            del self._parts[namespace]
            self._slots(-1)
        for part, _ in self._parts.values():
            part.try_again()
        new = sorted(names - self._parts.keys())
        if len(self._parts) + len(new) > self._options.most_namespaces or not self._slots(len(new)):
            self.end(expired("more namespaces are visible to you than one more watch can follow here"))
            return
        for namespace in new:
            self._start(namespace, None)

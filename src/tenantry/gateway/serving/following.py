"""A kind followed for ever: listed, then watched, as tables that hold the whole objects."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Final, cast

import structlog

from tenantry.foundation.codec import DecodeError, Model, Raw, decode
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.serving.items import Cutter, Item, TablePage
from tenantry.gateway.serving.kinds import Kind, Kinds, age_columns
from tenantry.gateway.serving.reads import OwnReads
from tenantry.gateway.serving.shelf import EventType, Shelf
from tenantry.kube.backoff import Backoff
from tenantry.kube.errors import ForbiddenError, GoneError, NotFoundError, Status, UndecodableError, error_from_status
from tenantry.kube.listing import list_version

TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
PAGE: Final = 500
SMALL: Final = 2_000
"""Up to so many objects it is cheaper to list them again than to wait for a bookmark."""
CATCH_UP_SECONDS: Final = 0.25
"""Between two times of catching up, at least."""
PROBE_SECONDS: Final = 3
"""The API server sends a watch's bookmark two seconds before its end, so this one's soon."""
REFUSED_SECONDS: Final = 1.5
"""At most so long between two tries of what the account may not read: the right works soon after it is granted."""

_log = structlog.get_logger(__name__)


class _Frame(Model):
    type: str
    object: Raw


@dataclass(frozen=True, slots=True)
class _Listed:
    items: list[Item]
    version: int
    columns: bytes


class Follower:
    """Keeps a shelf up to date."""

    def __init__(self, reads: OwnReads, kinds: Kinds, kind: Kind) -> None:
        self.kind = kind
        self.shelf = Shelf()
        self._reads = reads
        self._kinds = kinds
        self._cutter = Cutter(kind)
        self._watch_version = 0
        self._synced = asyncio.Event()
        self._advanced = asyncio.Event()
        self._catching_up: asyncio.Task[None] | None = None
        self._caught_up_at = float("-inf")
        self.last_error: TenantryError | None = None
        """Why the server is not followed right now; None while it is."""
        self.heard_at = monotonic()
        self.is_watching = False
        """Whether the server has accepted the watch that is open now."""
        self.is_gone = False
        """Whether the server no longer has the kind."""

    @property
    def synced(self) -> bool:
        """Whether the first list is in; it stays so while the server is away."""
        return self._synced.is_set()

    @property
    def is_catching_up(self) -> bool:
        """Whether it reads apart from its watch, for now."""
        return self._catching_up is not None and not self._catching_up.done()

    @property
    def silent_seconds(self) -> float:
        """How long ago the server was last heard of."""
        return monotonic() - self.heard_at

    async def wait_synced(self, seconds: float) -> None:
        """Return once the first list is in.

        Raises:
            TenantryError: The server refused it.
            TimeoutError: It takes longer than *seconds*.
        """
        async with asyncio.timeout(seconds):
            while not self.synced:
                if self.last_error is not None:
                    raise self.last_error
                await self._progress()

    async def reach(self, version: int, seconds: float) -> bool:
        """Return whether everything up to *version* is known within *seconds*."""
        if self.shelf.version >= version:
            return True
        try:
            async with asyncio.timeout(seconds):
                while self.shelf.version < version:
                    self.catch_up(version)
                    await self._progress()
        except TimeoutError:
            return False
        return True

    def catch_up(self, version: int = 0) -> None:
        """Learn soon up to where the server is, if that is *version* or more; one try.

        The server tells that about every minute.  A version of another kind's change, and a
        version that another replica gave out, is most often ahead of the last one told.
        """
        if not self.is_catching_up:
            self._catching_up = asyncio.get_running_loop().create_task(self._catch_up(version))

    async def close(self) -> None:
        """End what runs apart from :meth:`run`."""
        if self._catching_up is not None:
            self._catching_up.cancel()
            await asyncio.gather(self._catching_up, return_exceptions=True)

    async def run(self) -> None:
        """Keep the shelf up to date until cancelled, or until the server no longer has the kind."""
        backoff = Backoff(0.2, 5)
        needs_check = needs_list = True
        while not self.is_gone:
            try:
                if needs_list or (needs_check and await self._has_other_past()):
                    await self._list()
                needs_list = needs_check = False
                await self._watch(backoff)
                needs_check = self.kind.is_custom  # Its columns may be why the watch ended.
            except GoneError:
                needs_list = True
                await asyncio.sleep(backoff.next_seconds())
            except TenantryError as error:
                self._note(error)
                needs_check = True
                pause = backoff.next_seconds()
                await asyncio.sleep(min(pause, REFUSED_SECONDS) if isinstance(error, ForbiddenError) else pause)

    async def _has_other_past(self) -> bool:
        """Return whether what is known has to be read again: the server went back, or the columns are others."""
        if self.kind.is_custom and not await self._is_as_before():
            return True
        body = await self._reads.read(self.kind.path, {"limit": "1"})
        return list_version(body) < self._watch_version

    async def _is_as_before(self) -> bool:
        kind = await self._kinds.find(self.kind.key, fresh=True)
        if kind is None or not kind.is_cached:
            self.is_gone = True
            raise UndecodableError(f"{self.kind.plural} is no longer what it was")
        if kind == self.kind:
            return True
        self.kind, self._cutter = kind, Cutter(kind)
        self._watch_version = 0
        return False

    async def _list(self) -> None:
        listed = await self._listed()
        self.shelf.columns = listed.columns
        # The cells of what did not change are made anew, too, where a definition has other columns now.
        if listed.version < self.shelf.version or not self._watch_version:
            self.shelf.restart(listed.items, listed.version)
        else:
            self.shelf.replace(listed.items, listed.version)
        self._watch_version = listed.version
        self.last_error = None
        self._synced.set()
        self._wake()

    async def _listed(self) -> _Listed:
        for size in (PAGE, PAGE, 0):
            try:
                return await self._pages(size)
            except GoneError:
                if not size:
                    raise
        raise AssertionError("the last round returns or raises")

    async def _pages(self, size: int) -> _Listed:
        query = {"includeObject": "Object", **({"limit": str(size)} if size else {})}
        items: list[Item] = []
        columns = b"[]"
        while True:
            page = _decoded(await self._reads.read(self.kind.path, query, accept=TABLE))
            if (definitions := bytes(page.column_definitions)) != b"null":
                columns = definitions
                self._cutter.ages = age_columns(self.kind, columns)
            items += [self._cutter.item(row) for row in page.rows or ()]
            if not page.metadata.token:
                version = page.metadata.resource_version
                return _Listed(items, int(version) if version.isdigit() else 0, columns)
            query["continue"] = page.metadata.token

    async def _watch(self, backoff: Backoff) -> None:
        seconds = random.randint(300, 600)  # noqa: S311 - so that watches do not all end at once
        try:
            async with aclosing(self._events(self._watch_version, seconds)) as events:
                async for event, page in events:
                    self.last_error = None
                    backoff.reset()
                    self._take(event, page)
                    # The event's own, not the highest seen: the watch goes on from what it sent.
                    self._watch_version = int(page.metadata.resource_version or self._watch_version)
        finally:
            self.is_watching = False

    async def _events(self, version: int, seconds: int) -> AsyncGenerator[tuple[str, TablePage], None]:
        query = {
            "includeObject": "Object",
            "resourceVersion": str(version),
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        rest = b""
        async with self._reads.watch(self.kind.path, query, accept=TABLE) as chunks:
            self.is_watching = True
            async for chunk in chunks:
                *lines, rest = (rest + chunk if rest else chunk).split(b"\n")
                for line in lines:
                    if line:
                        yield _event(line)

    def _take(self, event: str, page: TablePage) -> None:
        version = int(page.metadata.resource_version or 0)
        if event == "BOOKMARK":
            self.shelf.bookmark(version)
        elif event in {"ADDED", "MODIFIED", "DELETED"}:
            for row in page.rows or ():
                try:
                    item = self._cutter.item(row)
                except DecodeError as error:
                    _log.error("serving.undecodable", kind=self.kind.plural, error=str(error))
                    continue
                self.shelf.take(cast("EventType", event), item)
        self._wake()

    async def _catch_up(self, version: int) -> None:
        await asyncio.sleep(max(0.0, self._caught_up_at + CATCH_UP_SECONDS - monotonic()))
        try:
            # Any caller can name a version: one that the server has not reached costs no more than this.
            # It also makes the server ask its storage how far it is, which its bookmarks then tell.
            if list_version(await self._reads.read(self.kind.path, {"limit": "1"})) >= version:
                await (self._list_again() if len(self.shelf.items) <= SMALL else self._probe())
        except TenantryError as error:
            _log.info("serving.catch_up_failed", kind=self.kind.plural, error=str(error))
        self._caught_up_at = monotonic()
        self._wake()

    async def _list_again(self) -> None:
        restarts = self.shelf.restarts
        listed = await self._listed()
        if restarts == self.shelf.restarts:  # Else it may be of a past that did not happen.
            self.shelf.replace(listed.items, listed.version)

    async def _probe(self) -> None:
        """Take part in the changes by a second, short watch, whose first bookmark comes soon."""
        async with aclosing(self._events(self.shelf.version, PROBE_SECONDS)) as events:
            async for event, page in events:
                self._take(event, page)
                if event == "BOOKMARK":
                    return

    async def _progress(self) -> None:
        await self._advanced.wait()

    def _wake(self) -> None:
        """Let all who wait look again."""
        if self.last_error is None:
            self.heard_at = monotonic()
        self._advanced.set()
        self._advanced = asyncio.Event()

    def _note(self, error: TenantryError) -> None:
        is_known = isinstance(error, ForbiddenError) and isinstance(self.last_error, ForbiddenError)
        self.last_error = error
        self.is_gone = self.is_gone or (isinstance(error, NotFoundError) and self.kind.is_custom)
        if not is_known:
            _log.warning("serving.interrupted", kind=self.kind.plural, synced=self.synced, error=str(error))
        self._wake()


def _decoded(body: bytes) -> TablePage:
    try:
        page = decode(body, TablePage)
    except DecodeError as error:
        raise UndecodableError(f"not a table: {error}") from error
    if page.kind != "Table":
        raise UndecodableError(f"asked for a Table, got a {page.kind or 'list'}")
    return page


def _event(line: bytes) -> tuple[str, TablePage]:
    try:
        frame = decode(line, _Frame)
        if frame.type == "ERROR":
            raise error_from_status(decode(frame.object, Status))
        return frame.type, _decoded(bytes(frame.object))
    except DecodeError as error:
        raise UndecodableError(f"not a watch's event: {error}") from error

"""A list over all namespaces: read one namespace after the other as the user, spliced together as bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tenantry.foundation.codec import DecodeError
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.fanout.answers import failed_read, not_served, unavailable
from tenantry.gateway.fanout.cursor import Cursor
from tenantry.gateway.fanout.envelopes import Envelope, closing, empty_list, lowest, opening, read_envelope
from tenantry.gateway.fanout.paging import Paging, Piece
from tenantry.gateway.fanout.reading import Reader
from tenantry.gateway.fanout.scanning import ElementScanner
from tenantry.gateway.fanout.writing import ListWriter
from tenantry.kube.errors import ApiError, ForbiddenError, NotFoundError
from tenantry.kube.retry import pause_before_retry

_QUEUED: Final = 1
"""Chunks that wait for their turn, a piece; what follows waits in the API server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """What was asked for."""

    namespaces: Sequence[str]
    """Those still to be read, in order."""
    limit: int | None = None
    cursor: Cursor = field(default_factory=lambda: Cursor(namespace=""))
    """Where the list goes on; without a namespace at its beginning."""
    accept: str = "application/json"
    api_version: str = "v1"
    version_if_empty: str = ""


class _Part:
    """One piece while it is read."""

    def __init__(self, piece: Piece) -> None:
        self.piece = piece
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED)
        """Elements; an empty one at the end."""
        self.scanner = self._new_scanner()
        self.envelope: Envelope | None = None
        self.error: Exception | None = None
        self.task: asyncio.Task[None] | None = None

    async def fill(self, reader: Reader, query: dict[str, str]) -> None:
        """Read until the end or an error, which stays in :attr:`error`."""
        retries = 0
        while (pause := await self._read(reader, query, retries)) is not None:
            await asyncio.sleep(pause)
            retries += 1
            self.scanner = self._new_scanner()
        await self.chunks.put(b"")

    def _new_scanner(self) -> ElementScanner:
        return ElementScanner(counts=self.piece.limit is not None)

    async def _read(self, reader: Reader, query: dict[str, str], retries: int) -> float | None:
        """Read once; return a pause where it is worth another try."""
        try:
            async with reader.part(self.piece.namespace, query) as chunks:
                async for chunk in chunks:
                    if elements := self.scanner.feed(chunk):
                        await self.chunks.put(elements)
            elements, document = self.scanner.finish()
            if elements:
                await self.chunks.put(elements)
            self.envelope, self.error = read_envelope(document), None
        except (TenantryError, DecodeError) as error:
            self.error = error
            if self.scanner.count or (isinstance(error, ApiError) and error.has_cause("ResourceVersionTooLarge")):
                return None
            return pause_before_retry(error, retries=retries, is_read=True, is_idempotent=True)
        return None


class ListRun:
    """One list, from the first read to the last byte."""

    def __init__(self, reader: Reader, writer: ListWriter, options: ListOptions) -> None:
        self._reader = reader
        self._writer = writer
        self._options = options
        self._paging = Paging(options.namespaces, token=options.cursor.token, limit=options.limit)
        self._ahead: deque[_Part] = deque()
        self._begun: Envelope | None = None
        self._ended: Envelope | None = None
        self._versions = [options.cursor.version] if options.cursor.version else []
        self._has_elements = False
        self._is_unknown = False
        self.left_out = 0
        """Namespaces that the user may not read."""

    async def run(self) -> Cursor | None:
        """Write all but the end; return where the next page begins.

        Raises:
            FailedReadError: A namespace could not be read; a list without it would look complete.
            ConnectionError, TimeoutError: The client left, or takes nothing.
        """
        failure: Exception | None = None
        async with asyncio.TaskGroup() as group:
            try:
                await self._take_all(group)
            except (TenantryError, DecodeError, ConnectionError, TimeoutError) as error:
                failure = error  # Out of the group, which would wrap it.
            self._drop(len(self._ahead))
        if failure is not None:
            raise failure
        rest = self._paging.rest
        if rest is None:
            return None
        asked = self._options.cursor
        return Cursor(
            namespace=rest.namespace,
            token=rest.token,
            version=self.version,
            resource_version=asked.resource_version,
            resource_version_match=asked.resource_version_match,
        )

    @property
    def version(self) -> str:
        """The whole list's, once all was read: the lowest of its parts; empty where they have none."""
        return lowest(self._versions)

    async def finish(self, token: str) -> None:
        """Write the end, with *token* for the next page; nothing readable at all is an empty list."""
        if self._begun is not None and self._ended is not None:
            await self._writer.write(closing(self._begun, self._ended, version=self.version, token=token))
            return
        if self._is_unknown:
            raise not_served()
        try:
            kind = await self._reader.kind()
        except (TenantryError, DecodeError) as error:
            raise failed_read(error, "") from error
        options = self._options
        version = options.cursor.version or options.version_if_empty
        await self._writer.write(empty_list(kind, options.api_version, accept=options.accept, version=version))

    async def _take_all(self, group: asyncio.TaskGroup) -> None:
        while not self._paging.is_full:
            while (piece := self._paging.begin()) is not None:
                part = _Part(piece)
                part.task = group.create_task(part.fill(self._reader, self._query(piece)))
                self._ahead.append(part)
            if not self._ahead:
                return
            part = self._ahead.popleft()
            await self._take(part)
            token = part.envelope.metadata.token if part.envelope is not None else ""
            self._drop(len(self._paging.done(count=part.scanner.count, token=token)))

    async def _take(self, part: _Part) -> None:
        is_first = True
        while data := await part.chunks.get():
            if is_first:
                await self._begin(read_envelope(part.scanner.head))
                if self._has_elements:
                    await self._writer.write(b",")
                is_first, self._has_elements = False, True
            await self._writer.write(data)
        if part.error is not None:
            self._leave_out(part)
        elif part.envelope is not None:
            await self._begin(part.envelope)
            self._ended = part.envelope
            self._versions.append(part.envelope.metadata.resource_version)

    def _leave_out(self, part: _Part) -> None:
        """Go on without a namespace that the user may not read; anything else fails the whole list."""
        error = part.error
        assert error is not None
        if not isinstance(error, ForbiddenError | NotFoundError):
            raise failed_read(error, part.piece.namespace) from error
        self.left_out += 1
        self._is_unknown |= isinstance(error, NotFoundError)

    async def _begin(self, envelope: Envelope) -> None:
        if self._begun is None:
            self._begun = envelope
            await self._writer.write(opening(envelope))
        elif not self._begun.fits(envelope):
            raise unavailable("the kind's definition changed while it was read: try again")

    def _query(self, piece: Piece) -> dict[str, str]:
        query = {} if piece.limit is None else {"limit": str(piece.limit)}
        if piece.token:
            return query | {"continue": piece.token}
        cursor = self._options.cursor
        if cursor.resource_version:
            query["resourceVersion"] = cursor.resource_version
        if cursor.resource_version_match:
            query["resourceVersionMatch"] = cursor.resource_version_match
        return query

    def _drop(self, count: int) -> None:
        """Stop reading the last *count* pieces that were begun; their turn comes again, or never."""
        for _ in range(count):
            task = self._ahead.pop().task
            if task is not None:
                task.cancel()

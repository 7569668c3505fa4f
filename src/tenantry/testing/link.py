"""A network of our own between two programs, for tests: it delays, cuts, swallows, and balances."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

_CHUNK_BYTES: Final = 64 * 1024


class Link:
    """Forwards TCP connections from a port of its own to others, in turn; use as an async context manager.

    What is changed below counts for open connections too, but for :attr:`targets`: like a
    Service, which takes a Pod that is not ready out of its list and leaves its connections.
    """

    def __init__(self, *targets: int) -> None:
        """Open nothing yet; *targets* are ports on 127.0.0.1."""
        self.targets: Sequence[int] = targets
        self.port = 0
        self.connections = 0
        """How many were accepted so far."""
        self.delay_seconds = 0.0
        """Added to each chunk, in both directions."""
        self._flow = asyncio.Event()
        self._flow.set()
        self._is_cut = False
        self._turn = itertools.count()
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._drop()

    async def cut(self) -> None:
        """Break all connections, and each new one at once."""
        self._is_cut = True
        await self._drop()

    def swallow(self) -> None:
        """Be a black hole: connections stand and are accepted, and nothing goes through."""
        self._flow.clear()

    def mend(self) -> None:
        """Forward again; what was swallowed arrives late."""
        self._is_cut = False
        self._flow.set()

    async def _drop(self) -> None:
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            if not self._is_cut and self.targets:
                await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # One side is gone, or the link is cut: the other sees that by the abort below.
        else:
            writer.close()
        finally:
            self._open.discard(task)
            if not writer.is_closing():
                writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = self.targets[next(self._turn) % len(self.targets)]
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        try:
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        except BaseException:
            far_writer.transport.abort()
            raise
        far_writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            await self._flow.wait()
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            writer.write(chunk)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

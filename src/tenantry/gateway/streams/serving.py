"""The socket on which the data plane tells of streams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from tenantry.gateway.streams.holding import TICK_SECONDS, Streams
from tenantry.gateway.streams.http2 import Closed, Connection, Failure, Message, ProtocolError

UNSENT_BYTES: Final = 4 * 1024 * 1024
"""What waits for a data plane that reads nothing; beyond, the connection goes, and its streams with it."""

Complain = Callable[[str], None]
"""Takes a sentence about a defect, for the log."""


@asynccontextmanager
async def serving(listener: socket.socket, streams: Streams, complain: Complain) -> AsyncIterator[None]:
    """Serve on a bound Unix socket, and look at the time, while open; then every stream ends."""
    links: set[_Link] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: _Link(streams, complain, links), sock=listener)
    ticking = loop.create_task(_tick(streams, complain), name="streams tick")
    try:
        yield
    finally:
        ticking.cancel()
        server.close()
        for link in list(links):
            link.abort()


async def _tick(streams: Streams, complain: Complain) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        try:
            streams.tick()
        except Exception as error:  # noqa: BLE001 - the next look must come all the same
            complain(f"looking for what expired failed: {error!r}")


class _Link(asyncio.Protocol):
    """One connection of the data plane: one a worker thread."""

    def __init__(self, streams: Streams, complain: Complain, links: set[_Link]) -> None:
        self._streams = streams
        self._complain = complain
        self._links = links
        self._http = Connection()
        self._held: set[int] = set()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._links.add(self)
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._http.receive(data):
                match event:
                    case Message(stream, payload):
                        self._answer(stream, payload)
                    case Closed(stream):
                        self._held.discard(stream)
                        self._streams.closed(self, stream)
        except ProtocolError as error:
            self._complain(f"the data plane's connection is closed: {error}")
            self.abort()
            return
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # Whatever it was, the data plane has ended the requests of all calls by now.
        self._links.discard(self)
        for stream in self._held:
            self._streams.closed(self, stream)
        self._held.clear()

    def fail(self, stream: int) -> None:
        """End a stream."""
        self._held.discard(stream)
        self._http.fail(stream, Failure.PERMISSION_DENIED)
        self._flush()

    def abort(self) -> None:
        """Close the connection at once; all its streams end."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, stream: int, payload: bytes) -> None:
        try:
            answer = self._streams.answer(self, stream, payload)
        except Exception as error:  # noqa: BLE001 - a defect of ours ends this stream, not everybody's
            self._complain(f"a stream could not be decided about: {error!r}")
            answer = None
        if answer is None:
            self._http.fail(stream, Failure.INTERNAL)
        if answer is not None and self._http.send(stream, answer):
            self._held.add(stream)
        else:
            self._held.discard(stream)
            self._streams.closed(self, stream)

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if output := self._http.taken_output():
            self._transport.write(output)
        if self._transport.get_write_buffer_size() > UNSENT_BYTES:
            self.abort()

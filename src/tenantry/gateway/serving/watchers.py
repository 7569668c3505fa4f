"""One client's watch: where its events go, and why it ends."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from tenantry.access.identity import Identity
from tenantry.gateway.serving.audiences import Audience
from tenantry.gateway.serving.refusals import expired
from tenantry.gateway.serving.rendering import error_event

QUEUE_BYTES: Final = 1024 * 1024
"""What may wait for a client that reads too slowly; then its watch ends, and it lists again."""


class Wire(Protocol):
    """What an asyncio transport has, as far as it is needed."""

    def write(self, data: bytes) -> None:
        """Send *data*, or keep it until it can be sent."""
        ...

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are kept."""
        ...

    def is_closing(self) -> bool:
        """Return whether nothing is sent any more."""
        ...

    def abort(self) -> None:
        """Close at once, and forget what was kept."""
        ...


class Watcher:
    """Small on purpose: thousands are open at once.

    Once it has caught up, events are written to the connection as they come.  There is no
    task and no queue of its own: what the client has not read waits in the connection's
    buffer, which is the bounded queue.
    """

    __slots__ = (
        "_is_live",
        "_pending",
        "_pending_bytes",
        "_wire",
        "audience",
        "ended",
        "has_bookmarks",
        "identity",
        "needs_columns",
        "since",
    )

    audience: Audience
    """Set by whoever delivers."""

    def __init__(self, identity: Identity, wire: Wire, *, since: int, has_bookmarks: bool) -> None:
        self.identity = identity
        self.since = since
        """Changes up to this version are not told."""
        self.has_bookmarks = has_bookmarks
        self.needs_columns = True
        """Whether no event was sent yet: a table's columns come with the first."""
        self.ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        """Done when the watch is to end; the result is a last line for the client, or nothing."""
        self._wire = wire
        self._is_live = False
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def begin(self, frames: list[bytes]) -> None:
        """Have *frames* sent before all else; they do not count against the bound."""
        self._pending = frames
        self.needs_columns = self.needs_columns and not frames

    def send(self, frame: bytes) -> None:
        """Send one line, now or after what was sent before; never waits."""
        if self.ended.done():
            return
        if not self._is_live:
            self._pending.append(frame)
            self._pending_bytes += len(frame)
            if self._pending_bytes > QUEUE_BYTES:
                self.cut()
        elif self._wire.is_closing():
            self.end()
        elif self._wire.get_write_buffer_size() > QUEUE_BYTES:
            self.cut()
        else:
            self._wire.write(b"%x\r\n%b\r\n" % (len(frame), frame))

    def taken(self) -> list[bytes]:
        """Return what is to be sent before events go straight to the connection, and forget it."""
        frames, self._pending, self._pending_bytes = self._pending, [], 0
        return frames

    def go_live(self) -> None:
        """Write to the connection, in HTTP/1.1 chunks, from now on; nothing is left of what came before."""
        self._is_live = True

    def end(self, last: bytes = b"") -> None:
        """End the watch, after one more line."""
        if not self.ended.done():
            self.ended.set_result(last)

    def end_if_left(self) -> None:
        """End the watch of a client that is gone."""
        if self._wire.is_closing():
            self.end()

    def expire(self, message: str) -> None:
        """End the watch so that the client lists again."""
        self.end(error_event(expired(message).answer.body))

    def cut(self) -> None:
        """End the watch at once, whether or not the client reads."""
        self.end()
        self._wire.abort()

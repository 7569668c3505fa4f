"""The process that holds the streams: small, and busy with nothing else, so that it answers at once.

It is given two open descriptors: its end of the channel to the gateway's process, and the bound socket.
It ends with the gateway's process, whose end of the channel closes then; every stream ends with it.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import Final

from tenantry.foundation.clock import SystemClock
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
    locks_of,
    read_order,
)
from tenantry.gateway.streams.holding import Streams
from tenantry.gateway.streams.serving import serving

BEHIND_BYTES: Final = 16 * 1024 * 1024
"""Records that the gateway's process has not taken; then no stream begins, and the ends of those that are live fit."""


async def hold(channel: socket.socket, listener: socket.socket) -> None:
    """Hold streams until the channel closes."""
    reader, writer = await asyncio.open_connection(sock=channel, limit=LINE_BYTES)

    def report(message: Report) -> None:
        if not writer.transport.is_closing():
            writer.write(encode_line(message))

    first = await read_order(reader)
    if not isinstance(first, Configure):
        return
    streams = Streams(
        secret=first.secret,
        locks=locks_of(first),
        clock=SystemClock(),
        sink=lambda number, record: report(Recorded(number=number, record=record)),
        is_behind=lambda: writer.transport.get_write_buffer_size() > BEHIND_BYTES,
    )
    async with serving(listener, streams, lambda text: report(Complaint(text=text))):
        while (order := await read_order(reader)) is not None:
            match order:
                case Lock():
                    report(Locked(serial=order.serial, ended=streams.lock(locks_of(order))))
                case Drain():
                    streams.drain(order.seconds)
                case Configure():
                    report(Complaint(text="configured twice"))


def main(channel: int, listener: int) -> None:
    """Run; the arguments are the descriptors."""
    # A terminal's Ctrl-C reaches the whole group; when to end is for the gateway's process to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    asyncio.run(hold(socket.socket(fileno=channel), socket.socket(fileno=listener)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

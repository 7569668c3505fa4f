"""What the gateway's process and the one that holds streams say to each other: JSON, a line a message."""

from __future__ import annotations

import asyncio
from typing import Final

from tenantry.foundation.codec import Model, decode, encode
from tenantry.gateway.streams.locks import LockSet
from tenantry.gateway.streams.records import StreamRecord

LINE_BYTES: Final = 16 * 1024 * 1024
"""Many thousand locked names."""


class Configure(Model, tag="configure"):
    """Comes first; nothing is served before."""

    secret: str
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


class Lock(Model, tag="lock"):
    """Lock out exactly these; it is answered, so it asks for a sign of life as well."""

    serial: int
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


class Drain(Model, tag="drain"):
    """Let none begin, end all within that time."""

    seconds: float


class Locked(Model, tag="locked"):
    """That lock holds, and so many streams were ended for it."""

    serial: int
    ended: int


class Recorded(Model, tag="recorded"):
    """A record, with its stream's number (0: it never began)."""

    number: int
    record: StreamRecord


class Complaint(Model, tag="complaint"):
    """A defect, for the log."""

    text: str


Order = Configure | Lock | Drain
Report = Locked | Recorded | Complaint


def encode_line(message: Order | Report) -> bytes:
    """Return the message as a line."""
    return encode(message) + b"\n"


async def read_order(reader: asyncio.StreamReader) -> Order | None:
    """Return what the gateway says next; None: it is gone."""
    line = await _line(reader)
    return None if line is None else decode(line, Order)  # type: ignore[arg-type] # mypy: a union is no type


async def read_report(reader: asyncio.StreamReader) -> Report | None:
    """Return what the process that holds streams says next; None: it is gone."""
    line = await _line(reader)
    return None if line is None else decode(line, Report)  # type: ignore[arg-type]


async def _line(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        return None


def locks_of(message: Configure | Lock) -> LockSet:
    """Return the locks that it carries."""
    return LockSet(users=message.users, groups=message.groups)

"""What keeps a process small whose work is many TLS connections: some idle for ever, some there for a burst."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from asyncio import sslproto
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

_BUFFER_BYTES: Final = 8 * 1024
"""Held twice for each connection.  The default of 256 KiB is meant for bulk transfers; lists cost a tenth more so."""
_LOOK_SECONDS: Final = 5.0
_GROWTH: Final = 1.05
_LOOKS: Final = 6
"""After so many in a row that found no growth, memory is given back all the same: of connections that ended."""
_NEEDLESS: Final = ("rich", "better_exceptions")
"""structlog loads them where they are installed, for tracebacks on a terminal; our logs are JSON.  3 MB."""
_STATM: Final = Path("/proc/self/statm")


@contextmanager
def lean_imports() -> Iterator[None]:
    """While open, have imports do without what libraries load only because it is there."""
    hidden = [name for name in _NEEDLESS if name not in sys.modules]
    modules: dict[str, object] = sys.modules  # type: ignore[assignment]  # None stops an import, typeshed does not know
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]


def use_little_memory() -> None:
    """Call this once, after the imports and before the first connection."""
    protocol: Any = sslproto.SSLProtocol
    # asyncio has no public setting for this.  Measured with 20 watches: 4.5 MB less.
    # If the attribute goes away, nothing happens.
    if getattr(protocol, "max_size", 0) > _BUFFER_BYTES:
        protocol.max_size = _BUFFER_BYTES
    # What was imported lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def memory_given_back() -> AsyncIterator[None]:
    """While open, give memory back to the kernel that a burst of work left unused.

    The C library keeps freed memory that lies between pieces in use.  After 200 connections
    at once that was 15 of 75 MB, for good.
    """
    trim = _trim()
    if trim is None:
        yield
        return
    # No TaskGroup: it would wrap what the body raises, and this task fails with nobody.
    looking = asyncio.create_task(_look_after(trim), name="memory")
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait({looking})


async def _look_after(trim: Callable[[int], int]) -> None:
    after_last, looks = 0, 0
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        looks += 1
        if looks >= _LOOKS or _resident_pages() > _GROWTH * after_last:
            trim(0)
            after_last, looks = _resident_pages(), 0


def _trim() -> Callable[[int], int] | None:
    """Return glibc's malloc_trim; None where the C library has none, or the kernel does not tell what is resident."""
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim if _STATM.exists() else None


def _resident_pages() -> int:
    return int(_STATM.read_text().split()[1])

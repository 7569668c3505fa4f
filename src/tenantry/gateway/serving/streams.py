"""The HTTP side of a watch."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from time import monotonic
from typing import Final

from aiohttp import web

from tenantry.gateway.protocol import ANSWER_HEADER
from tenantry.gateway.serving.rendering import batches
from tenantry.gateway.serving.watchers import Watcher

MIN_SECONDS: Final = 1800
"""How long a watch is kept whose client does not say, at least; at most twice that.  As kube-apiserver."""

HEADERS: Final = {
    "Content-Type": "application/json",
    "Cache-Control": "no-cache, private",
    ANSWER_HEADER: "1",
}


async def streamed(
    request: web.BaseRequest, watcher: Watcher, *, seconds: int, bookmark: Callable[[], bytes]
) -> web.StreamResponse:
    """Answer with what *watcher* is told, until it ends or *seconds* are over (0: ours to choose)."""
    response = web.StreamResponse(headers=HEADERS)
    response.enable_chunked_encoding()
    await response.prepare(request)
    # The headers at once: until then a client does not know that it watches.
    await response.write(b"")
    limit = seconds or random.randint(MIN_SECONDS, 2 * MIN_SECONDS)  # noqa: S311 - so that not all end at once
    until = monotonic() + limit
    try:
        async with asyncio.timeout(limit):
            await _caught_up(response, watcher)
    except TimeoutError:
        watcher.cut()  # It does not even read what there was.
        return response
    # Not awaited itself: a time limit would cancel the future, and it could not be set any more.
    await asyncio.wait((watcher.ended,), timeout=until - monotonic())
    if watcher.ended.done():
        last = watcher.ended.result()
    else:
        watcher.end()
        last = bookmark() if watcher.has_bookmarks else b""  # So that the next watch goes on from now.
    if last:
        await response.write(last)
    await response.write_eof()
    return response


async def _caught_up(response: web.StreamResponse, watcher: Watcher) -> None:
    """Send what there was, and what came meanwhile, as fast as the client reads."""
    while frames := watcher.taken():
        for piece in batches(frames):
            await response.write(piece)
            if watcher.ended.done():
                return
    watcher.go_live()

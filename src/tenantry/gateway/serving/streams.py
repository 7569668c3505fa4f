"""The HTTP side of a watch."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
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
    last = b""
    try:
        async with asyncio.timeout(seconds or random.randint(MIN_SECONDS, 2 * MIN_SECONDS)):  # noqa: S311
            await _caught_up(response, watcher)
            last = await watcher.ended
    except TimeoutError:
        if watcher.has_bookmarks and not watcher.ended.done():
            last = bookmark()  # So that the next watch goes on from now.
    watcher.end()
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

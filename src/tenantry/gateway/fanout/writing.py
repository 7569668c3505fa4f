"""A list on its way to the client: held while it is short, then sent as it comes."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from tenantry.gateway.protocol import ANSWER_HEADER

HOLD_BYTES: Final = 256 * 1024
"""A list up to this size is whole before its first byte goes out, so that any failure has a status of its own."""
WRITE_SECONDS: Final = 60.0
"""A client that takes no more than a buffer in this time is left."""


class ListWriter:
    """Sends one list."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._response: web.StreamResponse | None = None

    @property
    def is_begun(self) -> bool:
        """Whether a status has been sent, which can't be taken back."""
        return self._response is not None

    async def write(self, data: bytes) -> None:
        """Take *data*; wait where the client is slow.

        Raises:
            ConnectionError, TimeoutError: It left, or takes nothing.
        """
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes >= HOLD_BYTES:
            await self._send()

    async def finish(self) -> web.StreamResponse:
        """Send what is left, and the end."""
        if self._response is None:
            return web.Response(body=b"".join(self._held), headers=_HEADERS)
        await self._send()
        await self._response.write_eof()
        return self._response

    def abort(self) -> web.StreamResponse:
        """Break the connection, so that what was sent does not look complete."""
        if self._request.transport is not None:
            self._request.transport.abort()
        return self._response if self._response is not None else web.Response(status=503)

    async def _send(self) -> None:
        async with asyncio.timeout(WRITE_SECONDS):
            if self._response is None:
                self._response = web.StreamResponse(headers=_HEADERS)
                await self._response.prepare(self._request)
            await self._response.write(b"".join(self._held))
        self._held.clear()
        self._held_bytes = 0


_HEADERS: Final = {"content-type": "application/json", "cache-control": "no-cache, private", ANSWER_HEADER: "1"}

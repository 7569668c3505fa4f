"""Reads under the gateway's own account: GET of cluster-scoped kinds, and nothing else (invariant 10)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

from tenantry.foundation.errors import InvalidError
from tenantry.kube.config import Impersonation
from tenantry.kube.requests import impersonation_headers, url_of
from tenantry.kube.transport import Call, Transport

LIST_SECONDS: Final = 60.0
WATCH_IDLE_SECONDS: Final = 150.0
"""The API server sends bookmarks about every minute."""

_SEGMENT: Final = r"[A-Za-z0-9][A-Za-z0-9._:~%@-]*"
_PATH: Final = re.compile(rf"/(api/{_SEGMENT}|apis/{_SEGMENT}/{_SEGMENT})(/(?P<plural>{_SEGMENT})(/{_SEGMENT})?)?")
"""A group's version, a collection, or one object of it: what lies in a namespace is one segment deeper."""


class OwnReads:
    """The one way out of this room.

    It has no method but GET, and takes no path but that of a cluster-scoped kind or object:
    whatever a caller managed to get into a request, it is not sent with our rights.
    """

    def __init__(self, transport: Transport, *, impersonation: Impersonation | None = None) -> None:
        """Read over *transport*, open while this is used; *impersonation* is what our own kubeconfig says."""
        self._transport = transport
        self._identity = impersonation_headers(impersonation)

    async def read(self, path: str, query: Mapping[str, str], *, accept: str = "application/json") -> bytes:
        """Return the body of the answer.

        Raises:
            InvalidError: The path is not one of a cluster-scoped kind.
            ApiError, UnreachableError, CredentialsError: There is none.
        """
        return await self._transport.exchange(self._call(path, query, accept, timeout_seconds=LIST_SECONDS))

    async def request(self, method: str, path: str) -> bytes:
        """Return the body of a GET: what :class:`tenantry.kube.discovery.ApiCatalog` asks with."""
        if method != "GET":
            raise InvalidError("method", method, "the gateway's own account only reads")
        return await self.read(path, {})

    def watch(
        self, path: str, query: Mapping[str, str], *, accept: str
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Return the chunks of a watch's answer."""
        return self._transport.stream(
            self._call(path, {"watch": "1", **query}, accept), idle_seconds=WATCH_IDLE_SECONDS
        )

    def _call(self, path: str, query: Mapping[str, str], accept: str, *, timeout_seconds: float | None = None) -> Call:
        parts = _PATH.fullmatch(path)
        if parts is None:
            raise InvalidError("path", path, "the gateway's own account reads cluster-scoped kinds alone")
        is_watch = "watch" in query
        return Call(
            method="GET",
            path=url_of(path, query),
            verb="watch" if is_watch else "list",
            plural=parts["plural"] or "",
            headers=(("Accept", accept), *self._identity),
            timeout_seconds=timeout_seconds,
            is_idempotent=True,
        )

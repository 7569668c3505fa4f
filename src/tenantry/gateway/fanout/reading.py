"""One user's reads of a kind in one namespace after the other, made as that user and as bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Final
from urllib.parse import quote

from tenantry.access.identity import Identity
from tenantry.access.identity_headers import identity_lines
from tenantry.access.requests import Query, RequestInfo
from tenantry.foundation.codec import DecodeError, Model, decode
from tenantry.gateway.fanout.answers import not_served
from tenantry.kube.errors import UndecodableError
from tenantry.kube.requests import url_of
from tenantry.kube.transport import Call, Transport

LIST_IDLE_SECONDS: Final = 60.0
"""How long the API server may be silent within a list: it gives up after a minute, too."""
PART_BUFFER_BYTES: Final = 64 * 1024
_DISCOVERY_BYTES: Final = 4 * 1024 * 1024

_OURS: Final = frozenset(
    {
        "limit",
        "continue",
        "watch",
        "resourceVersion",
        "resourceVersionMatch",
        "sendInitialEvents",
        "allowWatchBookmarks",
        "timeoutSeconds",
        "pretty",
    }
)
"""Parameters that mean something for the whole; the others go to each part as they are."""


class _ApiResource(Model):
    name: str
    kind: str = ""
    namespaced: bool = False


class _ApiResourceList(Model):
    resources: tuple[_ApiResource, ...] = ()


class Reader:
    """Reads as one identity; there is no way to write, or to read as the gateway itself (invariants 3, 10)."""

    def __init__(
        self, transport: Transport, identity: Identity, info: RequestInfo, *, accept: str, audit_id: str = ""
    ) -> None:
        """Take what is asked for by whom.

        Raises:
            ValueError: *identity* is none that can be impersonated.
        """
        self._transport = transport
        self._info = info
        self._headers = identity_lines(identity)
        if audit_id:
            self._headers += (("Audit-ID", audit_id),)
        self.accept = accept
        """For the parts, and so for the whole."""
        self.selection: Query = tuple(pair for pair in info.query if pair[0] not in _OURS)
        """What of the query decides which objects are read."""

    def part(
        self, namespace: str, query: dict[str, str], *, idle_seconds: float = LIST_IDLE_SECONDS
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Return the answer for one namespace, as chunks; *query* is added to the client's selectors.

        Raises:
            ApiError, UnreachableError, CredentialsError: As :meth:`Transport.stream`.
        """
        info = self._info
        path = f"{self._group_path}/namespaces/{quote(namespace, safe='')}/{quote(info.resource, safe='')}"
        return self._get(url_of(path, dict(self.selection) | query), info.verb, idle_seconds=idle_seconds)

    async def kind(self) -> str:
        """Return the kind of the resource, by discovery.

        Raises:
            FailedReadError: The API server serves no such kind in namespaces.
        """
        body = b""
        async with self._get(
            self._group_path, "get", idle_seconds=LIST_IDLE_SECONDS, accept="application/json"
        ) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > _DISCOVERY_BYTES:
                    raise UndecodableError(f"discovery of {self._group_path}: too long")
        try:
            served = decode(body, _ApiResourceList).resources
        except DecodeError as error:
            raise UndecodableError(f"discovery of {self._group_path}: {error}") from error
        for resource in served:
            if resource.name == self._info.resource and resource.namespaced:
                return resource.kind
        raise not_served()

    @property
    def _group_path(self) -> str:
        version = quote(self._info.api_version, safe="")
        return f"/apis/{quote(self._info.api_group, safe='')}/{version}" if self._info.api_group else f"/api/{version}"

    def _get(
        self, path: str, verb: str, *, idle_seconds: float, accept: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        call = Call(
            method="GET",
            path=path,
            verb=verb,
            plural=self._info.resource,
            headers=(("Accept", accept or self.accept), *self._headers),
        )
        return self._transport.stream(call, idle_seconds=idle_seconds, buffer_bytes=PART_BUFFER_BYTES)

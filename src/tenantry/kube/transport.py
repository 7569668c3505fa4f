"""Requests as bytes: one HTTP session, credentials, time limits, retries, and errors of our tree."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

import aiohttp

from tenantry.foundation.errors import ConfigurationError
from tenantry.kube.config import ClusterConfig
from tenantry.kube.credentials import Grant
from tenantry.kube.errors import UnauthorizedError, UnreachableError, error_from_response
from tenantry.kube.proxies import proxy_for
from tenantry.kube.retry import pause_before_retry
from tenantry.kube.tls import TlsContexts

if TYPE_CHECKING:
    import ssl

Observer = Callable[[str, str, int, float], None]
"""Told of each answer: verb, plural, HTTP status (0: none came), seconds."""

CONNECT_SECONDS = 5.0
# Less than any server or load balancer on the way keeps an idle connection, and short since each takes 70 kB:
# what a burst opened is gone soon, what is used now and then stays.
_KEEP_ALIVE_SECONDS = 15.0
_STREAM_BUFFER_BYTES = 256 * 1024  # Some milliseconds of decoding: what else runs in the loop waits no longer.


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, ready to be sent any number of times."""

    method: str
    path: str
    """Escaped, with the query."""
    verb: str
    """As RBAC calls it, ``apply`` apart; for the observer."""
    plural: str = ""
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    timeout_seconds: float | None = None
    is_idempotent: bool = False


class Transport:
    """The connections to one server."""

    def __init__(
        self, config: ClusterConfig, *, user_agent: str, timeout_seconds: float, observer: Observer | None = None
    ) -> None:
        self._server = config.server
        self._tls = TlsContexts(config.tls) if config.server.startswith("https:") else None
        self._server_name = config.tls.server_name
        self._source = config.credentials.source()
        self._proxy = proxy_for(config.server, config.proxy_url, os.environ)
        self._user_agent = user_agent
        self._timeout_seconds = timeout_seconds
        self._observer = observer
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # Without a limit: each watch holds a connection, and a read must not wait behind those.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Compression costs both sides more CPU than it saves on a cluster's network.
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            auto_decompress=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def exchange(self, call: Call) -> bytes:
        """Return the body of the answer to *call*.

        Raises:
            ApiError: The server refused.
            UnreachableError: No answer came.
            CredentialsError: No credential could be had.
        """
        retries = 0
        was_refreshed = False
        while True:
            grant = await self._source.grant()
            try:
                async with self._answer(call, grant, self._limits(call)) as response:
                    return await response.read()
            except UnauthorizedError:
                if was_refreshed or not self._source.reject(grant):
                    raise
                was_refreshed = True
            except Exception as error:
                pause = pause_before_retry(
                    error, retries=retries, is_read=call.method == "GET", is_idempotent=call.is_idempotent
                )
                if pause is None:
                    raise
                retries += 1
                await asyncio.sleep(pause)

    @asynccontextmanager
    async def stream(
        self, call: Call, *, idle_seconds: float, buffer_bytes: int = _STREAM_BUFFER_BYTES
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the chunks of a long answer; never tried again but once after a 401.

        Of what is not taken, about twice *buffer_bytes* is held; then the server has to wait.

        Raises:
            ApiError: The server refused.
            UnreachableError: The connection failed or broke, or was silent for *idle_seconds*.
        """
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=idle_seconds)
        grant = await self._source.grant()
        try:
            async with self._answer(call, grant, limits, buffer_bytes) as response:
                try:
                    yield response.content.iter_any()
                finally:
                    _abort(response)
        except UnauthorizedError:
            self._source.reject(grant)  # The caller's next try gets a new one.
            raise

    async def authorization(self) -> str | None:
        """Return the Authorization header that the next request would have; None for none.

        Raises:
            CredentialsError: No credential could be had.
        """
        return (await self._source.grant()).authorization

    def _limits(self, call: Call) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=call.timeout_seconds or self._timeout_seconds, sock_connect=CONNECT_SECONDS)

    @asynccontextmanager
    async def _answer(
        self, call: Call, grant: Grant, limits: aiohttp.ClientTimeout, buffer_bytes: int = _STREAM_BUFFER_BYTES
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise ConfigurationError("the client is not open: use it as an async context manager")
        started, status = monotonic(), 0
        try:
            async with self._session.request(
                call.method,
                self._server + call.path,
                data=call.body,
                headers=_headers(call, grant),
                ssl=self._context(grant),
                server_hostname=self._server_name,
                proxy=self._proxy,
                timeout=limits,
                allow_redirects=False,
                read_bufsize=buffer_bytes,
            ) as response:
                status = response.status
                if not 200 <= status < 300:
                    body = await response.read()
                    raise error_from_response(status, body, retry_after=response.headers.get("Retry-After"))
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(call, error) from error
        finally:
            if self._observer is not None:
                self._observer(call.verb, call.plural, status, monotonic() - started)

    def _context(self, grant: Grant) -> ssl.SSLContext | bool:
        return self._tls.current(grant.certificate) if self._tls is not None else True

    def _unreachable(self, call: Call, error: Exception) -> UnreachableError:
        is_timeout = isinstance(error, TimeoutError)
        what = "no answer in time" if is_timeout else str(error) or type(error).__name__
        return UnreachableError(
            f"{call.method} {self._server}{call.path}: {what}",
            was_sent=not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError),
            timed_out=is_timeout,
        )


def _abort(response: aiohttp.ClientResponse) -> None:
    """Drop the connection of an answer that still goes on, without TLS's good-bye, which would outlive us."""
    connection = response.connection
    if connection is not None and isinstance(connection.transport, asyncio.WriteTransport):
        connection.transport.abort()


def _headers(call: Call, grant: Grant) -> list[tuple[str, str]]:
    headers = list(call.headers)
    if grant.authorization is not None:
        headers.append(("Authorization", grant.authorization))
    return headers

"""Fetches an issuer's discovery document and keys: over TLS, bounded, from the URLs of the configuration alone."""

from __future__ import annotations

import os
import ssl
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp

from tenantry.api.authentication import Issuer
from tenantry.foundation.codec import DecodeError, decode
from tenantry.foundation.errors import UnavailableError
from tenantry.gateway.identity.tokens import Key, read_keys
from tenantry.kube.proxies import proxy_for

FETCH_SECONDS: Final = 4.0
"""Of each of the two requests.  A token of an unknown key waits for both, and has to hear before the data plane, which
waits ten seconds, gives up: that would be 503, and clients would try it again and again."""
MAX_DOCUMENT_BYTES: Final = 1024 * 1024
WELL_KNOWN: Final = "/.well-known/openid-configuration"


class KeyServer:
    """Where one issuer publishes its keys; an async context manager."""

    def __init__(self, issuer: Issuer, *, timeout_seconds: float = FETCH_SECONDS) -> None:
        """Connect to nothing yet."""
        self._issuer = issuer
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._tls = ssl.create_default_context(cadata=issuer.certificate_authority or None)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # The keys are asked for once a minute: no connection is worth keeping so long.
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(ssl=self._tls, force_close=True),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(self) -> tuple[Key, ...]:
        """Return the issuer's keys, at least one.

        Raises:
            UnavailableError: They could not be had; the text says why.
        """
        where = self._issuer.discovery_url or self._issuer.url.removesuffix("/") + WELL_KNOWN
        document = await self._read(where)
        try:
            discovered = decode(document, dict[str, Any])
        except DecodeError as error:
            raise UnavailableError(f"{where}: not a discovery document: {error}") from error
        if discovered.get("issuer") != self._issuer.url:
            raise UnavailableError(
                f"{where}: the document is of issuer {discovered.get('issuer')!r}, not {self._issuer.url!r}"
            )
        source = discovered.get("jwks_uri")
        if not isinstance(source, str) or not _is_https(source):
            raise UnavailableError(f"{where}: jwks_uri {source!r} is no https URL")
        try:
            keys = read_keys(await self._read(source))
        except ValueError as error:
            raise UnavailableError(f"{source}: {error}") from error
        if not keys:
            raise UnavailableError(f"{source}: it has no key that tokens can be verified by")
        return keys

    async def _read(self, url: str) -> bytes:
        assert self._session is not None, "used as a context manager"
        try:
            async with self._session.get(
                url,
                allow_redirects=False,
                proxy=proxy_for(url, None, os.environ),
                headers={"Accept": "application/json"},
            ) as response:
                if response.status != 200:
                    raise UnavailableError(f"{url}: answered {response.status}")
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_DOCUMENT_BYTES:
                        raise UnavailableError(f"{url}: more than {MAX_DOCUMENT_BYTES} bytes")
                return bytes(body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise UnavailableError(f"{url}: {str(error) or type(error).__name__}") from error


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname)
    except ValueError:
        return False

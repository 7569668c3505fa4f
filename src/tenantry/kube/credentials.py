"""Credentials: what a kubeconfig or a pod's folder says, and what is sent to the server for it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Protocol

from tenantry.kube.errors import CredentialsError
from tenantry.kube.tls import ClientCertificate

TOKEN_FILE_SECONDS = 10.0
"""How old a token read from a file may get: kubelet replaces it at 80 % of its life."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one request shows to the server."""

    authorization: str | None = field(default=None, repr=False)
    """The header's value; None sends none."""
    certificate: ClientCertificate | None = None
    """None: the one of the cluster's TLS settings."""


class CredentialSource(Protocol):
    """Hands out grants; lives as long as a client."""

    async def grant(self) -> Grant:
        """Return a grant that is valid as far as can be known.

        Raises:
            CredentialsError: None could be had.
        """
        ...

    def reject(self, grant: Grant) -> bool:
        """Take note that the server answered 401 to *grant*; return whether to try once more."""
        ...


class Credentials(Protocol):
    """A frozen description of where grants come from."""

    def source(self) -> CredentialSource:
        """Return a new source of grants."""
        ...


class StaticSource:
    """Always the same grant."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant

    async def grant(self) -> Grant:
        """Return it."""
        return self._grant

    def reject(self, grant: Grant) -> bool:  # noqa: ARG002 - the protocol's
        """Return False: there is no other."""
        return False


class RefreshingSource:
    """Keeps what *obtain* returned until it expires or is rejected; obtains one at a time."""

    def __init__(self, obtain: Callable[[], Awaitable[tuple[Grant, float | None]]]) -> None:
        """*obtain* returns a grant and for how many seconds it holds; None is without end."""
        self._obtain = obtain
        self._lock = asyncio.Lock()
        self._held: Grant | None = None
        self._until: float | None = None

    def _valid(self) -> Grant | None:
        if self._until is not None and monotonic() >= self._until:
            return None
        return self._held

    async def grant(self) -> Grant:
        """Return the grant that is held, else a new one; many may ask, one is obtained."""
        held = self._valid()
        if held is not None:
            return held
        async with self._lock:
            held = self._valid()
            if held is None:
                held, seconds = await self._obtain()
                self._held = held
                self._until = None if seconds is None else monotonic() + seconds
            return held

    def reject(self, grant: Grant) -> bool:
        """Forget *grant*, so that the next one asked for is new."""
        # Of many requests that meet the same 401, the first drops the grant; the others use the new one.
        if self._held is grant:
            self._held = None
        return True


@dataclass(frozen=True, slots=True)
class NoCredentials:
    """Anonymous, or known by the client certificate of the TLS settings."""

    def source(self) -> CredentialSource:
        """Return a new source of grants."""
        return StaticSource(Grant())


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A bearer token that never changes."""

    token: str = field(repr=False)

    def source(self) -> CredentialSource:
        """Return a new source of grants."""
        return StaticSource(Grant(f"Bearer {self.token}"))


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """User and password; the API server dropped it, proxies in front of it did not."""

    username: str
    password: str = field(repr=False)

    def source(self) -> CredentialSource:
        """Return a new source of grants."""
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return StaticSource(Grant(f"Basic {pair}"))


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A bearer token in a file that is replaced from time to time."""

    path: Path

    def source(self) -> CredentialSource:
        """Return a new source of grants."""
        return RefreshingSource(self._read)

    async def _read(self) -> tuple[Grant, float | None]:
        try:
            token = self.path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialsError(f"cannot read the token file {self.path}: {error}") from error
        if not token:
            raise CredentialsError(f"the token file {self.path} is empty")
        return Grant(f"Bearer {token}"), TOKEN_FILE_SECONDS

"""The CA that client certificates lead to: a file, or the cluster's own as its API server publishes it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from cryptography import x509

from tenantry.foundation.errors import ConfigurationError, TenantryError, UnavailableError
from tenantry.kube.client import Client
from tenantry.kube.resources import CONFIG_MAPS

REFRESH_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 2.0
_NAMESPACE: Final = "kube-system"
_NAME: Final = "extension-apiserver-authentication"
_KEY: Final = "client-ca-file"


async def client_ca(client: Client) -> bytes:
    """Return the cluster's client CA in PEM, at least one certificate.

    Raises:
        TenantryError: It could not be had, or the API server takes no client certificates.
    """
    stored = await client.get(CONFIG_MAPS, _NAME, _NAMESPACE)
    text = (stored.data or {}).get(_KEY, "")
    if not text:
        raise UnavailableError(f"{_NAMESPACE}/{_NAME} has no {_KEY}: the API server has no client CA")
    data = text.encode()
    _certificates(data, f"{_NAMESPACE}/{_NAME}")
    return data


class ClientAuthority:
    """Keeps the CA as it is now; the last good one holds."""

    def __init__(self, client: Client, *, ca: Path | None, crl: Path | None) -> None:
        """Know nothing yet: *ca* None means the cluster's."""
        self._client = client
        self._ca = ca
        self._crl = crl
        self._certificates: tuple[x509.Certificate, ...] = ()
        self._revocations: bytes | None = None
        self._failure = "it was not read yet"

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """Empty while it could not be had."""
        return self._certificates

    @property
    def revocations(self) -> bytes | None:
        """CRLs in PEM; None where none are configured."""
        return self._revocations

    def problem(self) -> str | None:
        """Return why certificates are not served; None where they are."""
        return None if self._certificates else f"the CA of client certificates is not to be had: {self._failure}"

    async def run(self) -> None:
        """Keep it fresh, until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS if self._certificates else RETRY_SECONDS)

    async def refresh(self) -> None:
        """Read it now; a failure is remembered, not raised."""
        try:
            data = await client_ca(self._client) if self._ca is None else await asyncio.to_thread(_read, self._ca)
            certificates = _certificates(data, str(self._ca or _NAME))
            revocations = await asyncio.to_thread(_read, self._crl) if self._crl is not None else None
        except TenantryError as error:
            self._failure = str(error)
            return
        self._certificates, self._revocations, self._failure = certificates, revocations, ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error


def _certificates(data: bytes, source: str) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError as error:
        raise ConfigurationError(f"{source}: no PEM certificates") from error

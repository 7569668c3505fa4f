"""TLS contexts: made once for the same certificates, made again when files change."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from time import monotonic

from tenantry.foundation.errors import ConfigurationError

RECHECK_SECONDS = 60.0
"""How old a certificate read from a file may get; in-cluster CAs and client certificates rotate."""


@dataclass(frozen=True, slots=True)
class Pem:
    """PEM text, given as *data*, or as a *file* that may be replaced at any time."""

    data: bytes | None = field(default=None, repr=False)
    file: Path | None = None

    def read(self) -> bytes:
        """Return the text as it is now.

        Raises:
            ConfigurationError: The file can not be read.
        """
        if self.data is not None:
            return self.data
        if self.file is None:
            raise ConfigurationError("a certificate has neither data nor a file")
        try:
            return self.file.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"cannot read the certificate or key {self.file}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate chain with its key."""

    certificate: Pem
    key: Pem


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How the server is verified, and which certificate is shown to it."""

    ca: Pem | None = None
    """None: the machine's trusted roots."""
    certificate: ClientCertificate | None = None
    server_name: str | None = None
    """The name to verify and to send as SNI, where it is not the URL's."""
    is_insecure: bool = False
    """Trust any server."""


class TlsContexts:
    """The contexts of one cluster; cheap to ask for each request."""

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._held: dict[ClientCertificate | None, tuple[float, ssl.SSLContext]] = {}

    def current(self, certificate: ClientCertificate | None = None) -> ssl.SSLContext:
        """Return the context that shows *certificate*, else the one of the settings.

        Raises:
            ConfigurationError: A certificate or key can not be read or used.
        """
        held = self._held.get(certificate)
        now = monotonic()
        if held is not None and now - held[0] < RECHECK_SECONDS:
            return held[1]
        context = _context_now(self._settings, certificate or self._settings.certificate)
        if held is None:
            self._held.clear()  # A plug-in's certificate replaces the one before; keys must not pile up.
        self._held[certificate] = (now, context)
        return context


def _context_now(settings: TlsSettings, client: ClientCertificate | None) -> ssl.SSLContext:
    return _context(
        settings.ca.read() if settings.ca is not None else None,
        client.certificate.read() if client is not None else None,
        client.key.read() if client is not None else None,
        is_insecure=settings.is_insecure,
    )


# Cached by content: a context costs about a millisecond, and connections are pooled by context.
@lru_cache(maxsize=32)
def _context(ca: bytes | None, certificate: bytes | None, key: bytes | None, *, is_insecure: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # As Go does: whatever the kubeconfig names is trusted, an intermediate too.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if is_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(cadata=ca.decode("ascii", errors="ignore"))
        except (ssl.SSLError, ValueError) as error:
            raise ConfigurationError(f"the certificate authority is not PEM certificates: {error}") from error
    if certificate is not None and key is not None:
        _load_chain(context, certificate + b"\n" + key)
    return context


def _load_chain(context: ssl.SSLContext, chain: bytes) -> None:
    # OpenSSL reads a client certificate from files only.  mkstemp makes it 0600.
    descriptor, name = tempfile.mkstemp(prefix="tenantry-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(chain)
        # A password callback, else OpenSSL would ask for one on the terminal.
        context.load_cert_chain(name, password=lambda: b"")
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(f"the client certificate and key cannot be used: {error}") from error
    finally:
        os.unlink(name)  # noqa: PTH108 - a plain name, as mkstemp gave it

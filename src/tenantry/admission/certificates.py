"""The serving certificate: from files or a Secret, checked, and taken over without a restart (spec 13.19)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from tenantry.api.core import Secret
from tenantry.foundation.errors import ConfigurationError

FILE_CHECK_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """PEM texts."""

    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes = b""
    """Of the CA, old and new ones during a rotation; empty where it is not known."""


def key_pair_of(secret: Secret) -> KeyPair:
    """Return what a Secret of type kubernetes.io/tls holds; ``ca.crt`` is optional.

    Raises:
        ConfigurationError: A part is missing, or is no base64.
    """
    data = secret.data or {}
    name = f"Secret {secret.metadata.namespace}/{secret.metadata.name}"
    for key in ("tls.crt", "tls.key"):
        if not data.get(key):
            raise ConfigurationError(f"{name} has no {key}")
    try:
        return KeyPair(
            *(base64.b64decode(data.get(key, ""), validate=True) for key in ("tls.crt", "tls.key", "ca.crt"))
        )
    except (binascii.Error, ValueError) as error:
        raise ConfigurationError(f"{name} holds something that is not base64: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """A folder with certificate and key; Capsule's flags name them."""

    folder: Path
    certificate: str = "tls.crt"
    key: str = "tls.key"
    authorities: str = "ca.crt"
    """May be missing."""

    def read(self) -> KeyPair:
        """Return what the files hold now.

        Raises:
            ConfigurationError: One cannot be read.
        """
        try:
            certificate, key = ((self.folder / name).read_bytes() for name in (self.certificate, self.key))
        except OSError as error:
            raise ConfigurationError(f"cannot read the serving certificate: {error}") from error
        authorities = self.folder / self.authorities
        return KeyPair(certificate, key, authorities.read_bytes() if authorities.is_file() else b"")


class ServingCertificate:
    """The certificate in use: one TLS context, in which a new pair replaces the one before.

    Connections that are open keep the certificate they began with.
    """

    def __init__(self) -> None:
        self._pair: KeyPair | None = None
        self._loaded = asyncio.Event()
        self._problem = "there is no serving certificate yet"
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        # The API server resumes no session: tickets would be made for nobody at each handshake.
        self.context.num_tickets = 0

    @property
    def problem(self) -> str | None:
        """What is wrong with the certificate in use, or that there is none."""
        if self._pair is None:
            return self._problem
        # Asked now and then: it may have expired meanwhile.
        return trust_problem(self.context, self._pair.authorities)

    async def wait_loaded(self) -> None:
        """Return once there is a certificate to serve with."""
        await self._loaded.wait()

    def take(self, pair: KeyPair) -> None:
        """Serve new connections with *pair*; one that does not work leaves the one in use."""
        if pair == self._pair:
            return
        try:
            # First in a context of its own: a failed load can leave half a pair behind.
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair)
            _load(self.context, pair)
        except ConfigurationError as error:
            self._fail(str(error))
            return
        self._pair = pair
        self._loaded.set()
        _log.info("certificate.loaded")

    def refuse(self, problem: str) -> None:
        """Note why there is no new pair."""
        self._fail(problem)

    def _fail(self, problem: str) -> None:
        if problem != self._problem:
            _log.warning("certificate.not_loaded", problem=problem, keeps_old=self._pair is not None)
        self._problem = problem


async def follow_files(files: CertificateFiles, serving: ServingCertificate) -> None:
    """Take what the files hold, again whenever it changes, until cancelled.

    They are read every few seconds: notifications do not work on every file system, and a
    kubelet swaps folders under a symbolic link.
    """
    while True:
        _take(files.read, serving)
        await asyncio.sleep(FILE_CHECK_SECONDS)


def take_secret(secret: Secret | None, serving: ServingCertificate, *, name: str) -> None:
    """Take what *secret* holds; None means that it does not exist (yet)."""
    if secret is None:
        serving.refuse(f"Secret {name} does not exist")
    else:
        _take(lambda: key_pair_of(secret), serving)


def _take(read: Callable[[], KeyPair], serving: ServingCertificate) -> None:
    try:
        pair = read()
    except ConfigurationError as error:
        serving.refuse(str(error))
    else:
        serving.take(pair)


def _load(context: ssl.SSLContext, pair: KeyPair) -> None:
    try:
        # OpenSSL reads a chain from files only.
        with _named_file(pair.certificate + b"\n" + pair.key) as name:
            # A password callback, else OpenSSL would ask for one on the terminal.
            context.load_cert_chain(name, password=lambda: b"")
    except (ssl.SSLError, ValueError, OSError) as error:
        raise ConfigurationError(f"the serving certificate and its key cannot be used: {error}") from error


@contextmanager
def _named_file(content: bytes) -> Iterator[str]:
    """Yield the name of a file with *content*, in memory where the system has that: a key need not touch a disk."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("tenantry"), "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    # mkstemp makes it 0600.
    descriptor, name = tempfile.mkstemp(prefix="tenantry-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield name
    finally:
        os.unlink(name)  # noqa: PTH108  # a plain name, as mkstemp gave it


def trust_problem(serving: ssl.SSLContext, authorities: bytes) -> str | None:
    """Return why a client that trusts *authorities* would refuse *serving*, or None.

    With no authorities there is nothing to compare with.  A handshake in memory is the very
    check that the API server makes, expiry included; names are its own business.
    """
    if not authorities.strip():
        return None
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    try:
        trusting.load_verify_locations(cadata=authorities.decode("ascii", errors="ignore"))
    except (ssl.SSLError, ValueError) as error:
        return f"the certificate authority of the serving certificate is not PEM: {error}"
    try:
        _handshake(trusting, serving)
    except ssl.SSLCertVerificationError as error:
        return f"the serving certificate is not trusted by its own authority: {error.verify_message}"
    except ssl.SSLError as error:
        return f"the serving certificate does not work: {error}"
    return None


def _handshake(client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    pending = [client, server]
    while pending:
        for end in list(pending):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            pending.remove(end)

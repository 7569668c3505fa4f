"""The control plane's own certificate authority, its certificates and its users'."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tenantry.controlplane.files import exclusive, write_atomically
from tenantry.foundation.errors import InvalidError

AUTHORITY_LIFE: Final = timedelta(days=3650)
CERTIFICATE_LIFE: Final = timedelta(days=365)
RENEW_BEFORE: Final = timedelta(days=30)
SERVER_NAMES: Final = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
SERVER_ADDRESSES: Final = ("127.0.0.1", "10.0.0.1")

FRONT_PROXY: Final = "front-proxy-client"
"""The one name whose certificate may speak for others (``--requestheader-allowed-names``)."""

_BACKDATED: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; kept as two files, so every process that may read them can sign."""

    folder: Path

    @property
    def certificate_file(self) -> Path:
        """What clients and servers trust."""
        return self.folder / "ca.crt"

    @property
    def key_file(self) -> Path:
        """What signs."""
        return self.folder / "ca.key"

    @property
    def server_certificate_file(self) -> Path:
        """What the API server shows."""
        return self.folder / "server.crt"

    @property
    def server_key_file(self) -> Path:
        """The API server's key."""
        return self.folder / "server.key"

    @property
    def service_account_key_file(self) -> Path:
        """What signs the tokens of service accounts."""
        return self.folder / "service-accounts.key"

    @property
    def proxy_certificate_file(self) -> Path:
        """What the API server shows to the extension API servers behind it."""
        return self.folder / "front-proxy.crt"

    @property
    def proxy_key_file(self) -> Path:
        """The key to it."""
        return self.folder / "front-proxy.key"

    def ensure(self, now: datetime) -> None:
        """Make what is missing; renew what nears its end."""
        with exclusive(self.folder / "pki.lock"):
            if not self.certificate_file.exists():
                _write_pair(_self_signed(now), self.certificate_file, self.key_file)
            if not self.service_account_key_file.exists():
                key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
                write_atomically(self.service_account_key_file, _pem(key))
            if not _is_fresh_file(self.server_certificate_file, now):
                _write_pair(self.server(now), self.server_certificate_file, self.server_key_file)
            if not _is_fresh_file(self.proxy_certificate_file, now):
                _write_pair(self.client(now, FRONT_PROXY), self.proxy_certificate_file, self.proxy_key_file)

    def server(self, now: datetime, more: Sequence[str] = ()) -> KeyPair:
        """Return a certificate for a server on the loopback address: the API server's names, and *more*."""
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in (*SERVER_NAMES, *more)]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in SERVER_ADDRESSES]
        return self._sign(now, _name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, now: datetime, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """Return a certificate that the API server reads as *user* in *groups*."""
        return self._sign(now, _name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def _sign(
        self,
        now: datetime,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        names: Sequence[x509.GeneralName],
    ) -> KeyPair:
        issuer = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        issuer_key = serialization.load_pem_private_key(self.key_file.read_bytes(), None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(now, subject, issuer.subject, CERTIFICATE_LIFE)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return KeyPair(_pem_of(builder.sign(issuer_key, hashes.SHA256())), _pem(key))


def is_fresh(certificate: bytes, now: datetime) -> bool:
    """Say whether the certificate (PEM) has more than RENEW_BEFORE to live."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc - now > RENEW_BEFORE


def _is_fresh_file(certificate_file: Path, now: datetime) -> bool:
    return certificate_file.exists() and is_fresh(certificate_file.read_bytes(), now)


def _write_pair(pair: KeyPair, certificate_file: Path, key_file: Path) -> None:
    # The key first: the certificate is what says that the pair is there.
    write_atomically(key_file, pair.key)
    write_atomically(certificate_file, pair.certificate)


def utc_now() -> datetime:
    """Return the time that certificates are dated with."""
    return datetime.now(UTC)


def _self_signed(now: datetime) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("tenantry-controlplane")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(now, subject, subject, AUTHORITY_LIFE)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return KeyPair(_pem_of(builder.sign(key, hashes.SHA256())), _pem(key))


def _builder(now: datetime, subject: x509.Name, issuer: x509.Name, life: timedelta) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
    )


def _name(user: str, groups: Sequence[str] = ()) -> x509.Name:
    # The API server reads the common name as the user and each organization as a group.
    for field, value in (("user name", user), *(("group", group) for group in groups)):
        if not 1 <= len(value) <= 64:  # RFC 5280, ub-common-name and ub-organization-name
            raise InvalidError(field, value, "a certificate holds 1 to 64 characters of it")
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _pem_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)

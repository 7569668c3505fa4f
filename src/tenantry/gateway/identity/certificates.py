"""Client certificates as users: what kube-apiserver reads out of one (R-004)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tenantry.access.claims import CREDENTIAL_ID
from tenantry.access.identity import Identity
from tenantry.access.refusals import CredentialError, Reason

_UID: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")
"""Where a user's uid stands in a subject, for kube-apiserver from 1.33."""


def read_certificate(url_encoded: str) -> x509.Certificate:
    """Return the one certificate of URL-encoded PEM.

    Raises:
        CredentialError: It is none.
    """
    try:
        certificates = x509.load_pem_x509_certificates(unquote_to_bytes(url_encoded))
    except ValueError as error:
        raise CredentialError(Reason.CERTIFICATE, "the client certificate cannot be read") from error
    if len(certificates) != 1:
        raise CredentialError(Reason.CERTIFICATE, "there is more than one client certificate")
    return certificates[0]


def certificate_identity(
    certificate: x509.Certificate, *, alternative_names: Collection[str], now: datetime
) -> tuple[Identity, float]:
    """Return whose certificate it is, and when that ends in Unix seconds.

    Args:
        certificate: Verified up to a client CA.
        alternative_names: If not empty, it must carry one of these DNS names or URIs.
        now: Aware, in UTC.

    Raises:
        CredentialError: It is out of date, not for clients, or names nobody.
    """
    try:
        _check_use(certificate, now)
        if alternative_names and not _alternative_names(certificate) & set(alternative_names):
            raise CredentialError(
                Reason.CERTIFICATE_NAME, "the client certificate has none of the alternative names that are let in"
            )
        identity = Identity(
            user=_only(certificate, NameOID.COMMON_NAME),
            groups=tuple(dict.fromkeys(_values(certificate, NameOID.ORGANIZATION_NAME))),
            uid=_only(certificate, _UID),
            extra=((CREDENTIAL_ID, (f"X509SHA256={fingerprint(certificate)}",)),),
        )
    except (ValueError, x509.DuplicateExtension) as error:
        raise CredentialError(Reason.CERTIFICATE, "the client certificate cannot be read") from error
    if not identity.user:
        raise CredentialError(Reason.CERTIFICATE, "the client certificate has no common name")
    return identity, certificate.not_valid_after_utc.timestamp()


def fingerprint(certificate: x509.Certificate) -> str:
    """Return its SHA-256, in hex."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _check_use(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise CredentialError(Reason.CERTIFICATE, "the client certificate has expired, or is not valid yet")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage):
        raise CredentialError(Reason.CERTIFICATE, "the certificate is not for clients")


def _alternative_names(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {
        *names.get_values_for_type(x509.DNSName),
        *names.get_values_for_type(x509.UniformResourceIdentifier),
    }


def _values(certificate: x509.Certificate, which: x509.ObjectIdentifier) -> list[str]:
    values = [attribute.value for attribute in certificate.subject.get_attributes_for_oid(which)]
    return [value for value in values if isinstance(value, str) and value]


def _only(certificate: x509.Certificate, which: x509.ObjectIdentifier) -> str:
    values = _values(certificate, which)
    if len(values) > 1:
        raise CredentialError(Reason.CERTIFICATE, "the client certificate's subject names more than one user")
    return values[0] if values else ""

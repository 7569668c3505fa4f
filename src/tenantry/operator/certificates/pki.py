"""Keys and X.509 certificates; imported by the child process alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tenantry.operator.certificates.child import Pair
from tenantry.operator.certificates.plan import Authority, Serving

CA_LIFE: Final = timedelta(days=3650)
SERVING_LIFE: Final = timedelta(days=180)
_BACKDATED: Final = timedelta(minutes=5)
"""Other machines' clocks may be behind."""


def new_authority(now: datetime, subject: str = "tenantry-admission") -> Pair:
    """Return a new self-signed CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own for each: two CAs of one name would be mistaken for one another.
    name = _name(f"{subject}-ca-{int(now.timestamp())}")
    certificate = (
        _builder(name, name, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate), _key_pem(key)


def new_serving(authority: Pair, names: frozenset[str], now: datetime, *, subject: str = "tenantry-admission") -> Pair:
    """Return a new serving certificate for *names*, signed by *authority*."""
    ca = x509.load_pem_x509_certificate(authority[0].encode())
    ca_key = serialization.load_pem_private_key(authority[1].encode(), password=None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(subject), ca.subject, key.public_key(), now, SERVING_LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in sorted(names)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return _pem(certificate), _key_pem(key)


def read_authority(pem: str) -> Authority | None:
    """Return what the certificate says; None where it is none."""
    certificate = _read(pem)
    return Authority(pem=pem, expires=certificate.not_valid_after_utc) if certificate is not None else None


def read_serving(pem: str, authority: str) -> Serving | None:
    """Return what the serving certificate says, and whether *authority* signed it; None where it is none."""
    certificate, ca = _read(pem), _read(authority)
    if certificate is None:
        return None
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names: frozenset[str] = frozenset()
    else:
        names = frozenset(
            [*extension.get_values_for_type(x509.DNSName), *map(str, extension.get_values_for_type(x509.IPAddress))]
        )
    return Serving(
        issued=certificate.not_valid_before_utc + _BACKDATED,
        expires=certificate.not_valid_after_utc,
        names=names,
        is_by_current=ca is not None and _is_signed_by(certificate, ca),
    )


def certificates_of(bundle: str) -> frozenset[str]:
    """Return the certificates of a PEM bundle, each in the form in which this module writes them."""
    try:
        return frozenset(_pem(each) for each in x509.load_pem_x509_certificates(bundle.encode()))
    except ValueError:
        return frozenset()


def _read(pem: str) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return None


def _is_signed_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()

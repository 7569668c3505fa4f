"""Client certificates that a terminating proxy passes on: believed only with a chain to the client CA (R-005).

Source: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from datetime import datetime
from ipaddress import ip_address
from itertools import pairwise
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import verification

from tenantry.access.refusals import CredentialError, Reason
from tenantry.gateway.identity.certificates import fingerprint, read_certificate
from tenantry.gateway.settings import Network

_FIELD: Final = re.compile(r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^",;]*)')
MAX_CHAIN: Final = 5


def check_forwarder(peer: str, trusted: Iterable[Network]) -> None:
    """Return if *peer* may forward certificates.

    Raises:
        CredentialError: It may not.
    """
    try:
        address = ip_address(peer)
    except ValueError:
        address = None
    mapped = getattr(address, "ipv4_mapped", None)
    candidates = [each for each in (address, mapped) if each is not None]
    if not any(each.version == network.version and each in network for network in trusted for each in candidates):
        raise CredentialError(
            Reason.UNTRUSTED_FORWARDER, "certificates are not accepted in a header from where this request came"
        )


def forwarded_fields(headers: tuple[str, ...]) -> dict[str, str]:
    """Return the fields of the one element of the one header, by lower-case name.

    Raises:
        CredentialError: There are several, or it cannot be read.
    """
    if len(headers) != 1:
        raise CredentialError(Reason.FORWARDED_MALFORMED, "the forwarded certificate's header is there more than once")
    fields: dict[str, str] = {}
    at, text = 0, headers[0].strip()
    while at < len(text):
        found = _FIELD.match(text, at)
        at = found.end() if found else at
        if found is None or (at < len(text) and text[at] != ";"):
            raise CredentialError(
                Reason.FORWARDED_MALFORMED, "the forwarded certificate's header has several elements, or is unreadable"
            )
        at += 1
        name, value = found[1].lower(), found[2]
        value = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        if name in fields and name in {"cert", "hash", "chain"}:
            raise CredentialError(Reason.FORWARDED_MALFORMED, f"the forwarded certificate's {name} is there twice")
        fields[name] = value
    return fields


def forwarded_certificate(
    headers: tuple[str, ...], *, authorities: Iterable[x509.Certificate], revocations: bytes | None, now: datetime
) -> x509.Certificate:
    """Return the certificate that *headers* carry, verified.

    Args:
        headers: The values of the header, one an instance.
        authorities: The client CA.
        revocations: CRLs in PEM; where there are some, each issuer needs one.
        now: Aware, in UTC.

    Raises:
        CredentialError: There is none, or it does not lead to *authorities*.
    """
    fields = forwarded_fields(headers)
    if not fields.get("cert"):
        raise CredentialError(
            Reason.FORWARDED_MALFORMED, "the header has no Cert: have the proxy forward the whole certificate"
        )
    certificate = read_certificate(fields["cert"])
    digest = fields.get("hash", "").lower()
    if digest and not hmac.compare_digest(digest.encode(), fingerprint(certificate).encode()):
        raise CredentialError(Reason.CERTIFICATE, "the forwarded certificate is not the one of its Hash")
    chain = _verified_chain(certificate, _intermediates(fields.get("chain", "")), list(authorities), now)
    if revocations is not None:
        _check_revocation(chain, revocations, now)
    return certificate


def _intermediates(url_encoded: str) -> list[x509.Certificate]:
    if not url_encoded:
        return []
    try:
        return x509.load_pem_x509_certificates(unquote_to_bytes(url_encoded))
    except ValueError as error:
        raise CredentialError(Reason.FORWARDED_MALFORMED, "the forwarded certificate's Chain is unreadable") from error


def _verified_chain(
    certificate: x509.Certificate,
    intermediates: list[x509.Certificate],
    authorities: list[x509.Certificate],
    now: datetime,
) -> list[x509.Certificate]:
    # Kubernetes' clients have no alternative names, and small CAs no key identifiers, which the web's rules demand.
    everything = verification.ExtensionPolicy.permit_all()
    authority = everything.require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, None
    ).may_be_present(x509.KeyUsage, verification.Criticality.AGNOSTIC, _may_sign)
    try:
        return (
            verification.PolicyBuilder()
            .store(verification.Store(authorities))
            .time(now)
            .max_chain_depth(MAX_CHAIN)
            .extension_policies(ca_policy=authority, ee_policy=everything)
            .build_client_verifier()
            .verify(certificate, intermediates)
            .chain
        )
    except (verification.VerificationError, ValueError) as error:
        raise CredentialError(
            Reason.CERTIFICATE, "the forwarded certificate is not signed by the cluster's client CA, or out of date"
        ) from error


def _may_sign(_policy: verification.Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("it may not sign certificates")


def _check_revocation(chain: list[x509.Certificate], revocations: bytes, now: datetime) -> None:
    try:
        lists = [
            x509.load_pem_x509_crl(b"-----BEGIN X509 CRL-----" + part)
            for part in revocations.split(b"-----BEGIN X509 CRL-----")[1:]
        ]
        for certificate, issuer in pairwise(chain):
            # As the data plane has it: with revocation lists, a certificate whose issuer has none is not believed.
            current = [each for each in lists if _is_of(each, issuer, now)]
            if not current or any(
                each.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None for each in current
            ):
                raise CredentialError(
                    Reason.CERTIFICATE, "the forwarded certificate is revoked, or nobody says that it is not"
                )
    except ValueError as error:
        raise CredentialError(Reason.CERTIFICATE, "the list of revoked certificates cannot be read") from error


def _is_of(revoked: x509.CertificateRevocationList, issuer: x509.Certificate, now: datetime) -> bool:
    key = issuer.public_key()
    ends = revoked.next_update_utc
    return (
        revoked.issuer == issuer.subject
        and (ends is None or now <= ends)
        and isinstance(key, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey)
        and revoked.is_signature_valid(key)
    )

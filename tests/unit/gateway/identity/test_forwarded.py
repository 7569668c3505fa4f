"""A certificate in a header is believed from trusted addresses, with a chain to the client CA."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tenantry.access.refusals import CredentialError, Reason
from tenantry.gateway.identity.certificates import fingerprint
from tenantry.gateway.identity.forwarded import check_forwarder, forwarded_certificate, forwarded_fields

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def why(certificates: Any, clock: Any, *headers: str, revocations: bytes | None = None) -> Reason | None:
    try:
        forwarded_certificate(headers, authorities=[certificates.authority], revocations=revocations, now=clock.now())
    except CredentialError as error:
        return error.why
    return None


@pytest.mark.parametrize("peer", ["10.1.2.3", "fd00::1", "::ffff:10.1.2.3"])
def test_trusted_proxies_may_forward(peer: str) -> None:
    check_forwarder(peer, TRUSTED)


@pytest.mark.parametrize("peer", ["11.0.0.1", "::1", "", "10.0.0.1:443", "nonsense", "::ffff:11.0.0.1"])
def test_others_may_not(peer: str) -> None:
    with pytest.raises(CredentialError) as caught:
        check_forwarder(peer, TRUSTED)
    assert caught.value.why is Reason.UNTRUSTED_FORWARDER


def test_nobody_is_trusted_by_default() -> None:
    with pytest.raises(CredentialError):
        check_forwarder("127.0.0.1", ())


def test_a_header_has_fields() -> None:
    header = r'By=spiffe://x;Hash=AB;Subject="CN=a, O=\"b;c\"";URI=;URI=u;Cert="PEM"'
    assert forwarded_fields((header,)) == {
        "by": "spiffe://x",
        "hash": "AB",
        "subject": 'CN=a, O="b;c"',
        "uri": "u",
        "cert": "PEM",
    }


@pytest.mark.parametrize(
    "headers",
    [
        ("Cert=a", "Cert=b"),
        ("Cert=a,Cert=b",),
        ("Cert=a, By=x",),
        ("Cert=a;Cert=b",),
        ("nonsense",),
        ('Cert="a',),
        ('Cert="a"b',),
        (),
    ],
)
def test_several_elements_or_nonsense_are_refused(headers: tuple[str, ...]) -> None:
    with pytest.raises(CredentialError) as caught:
        forwarded_fields(headers)
    assert caught.value.why is Reason.FORWARDED_MALFORMED


def test_a_certificate_of_the_client_ca_is_believed(certificates: Any, encoded: Any, clock: Any) -> None:
    certificate = certificates.user()
    header = f'Hash={fingerprint(certificate)};Cert="{encoded(certificate)}"'
    found = forwarded_certificate((header,), authorities=[certificates.authority], revocations=None, now=clock.now())
    assert found == certificate


def test_a_subject_without_a_certificate_is_not(certificates: Any, clock: Any) -> None:
    assert why(certificates, clock, 'Subject="CN=admin,O=system:masters"') is Reason.FORWARDED_MALFORMED


def test_a_certificate_of_another_ca_of_the_same_name_is_not(certificates: Any, encoded: Any, clock: Any) -> None:
    forged = certificates.issue(certificates.authority, "admin", signer=ec.generate_private_key(ec.SECP256R1()))
    assert why(certificates, clock, f"Cert={encoded(forged)}") is Reason.CERTIFICATE


def test_a_users_certificate_signs_no_other(certificates: Any, encoded: Any, clock: Any) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    alice = certificates.user("alice", key=key)
    forged = certificates.issue(alice, "admin", signer=key)
    assert why(certificates, clock, f"Cert={encoded(forged)};Chain={encoded(alice)}") is Reason.CERTIFICATE


def test_an_intermediate_authority_is_followed(certificates: Any, encoded: Any, clock: Any) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    between = certificates.issue(certificates.authority, "between", is_authority=True, key=key)
    bob = certificates.issue(between, "bob", signer=key)
    assert why(certificates, clock, f"Cert={encoded(bob)};Chain={encoded(between)}") is None
    assert why(certificates, clock, f"Cert={encoded(bob)}") is Reason.CERTIFICATE


def test_another_hash_is_refused(certificates: Any, encoded: Any, clock: Any) -> None:
    assert why(certificates, clock, f"Hash={'0' * 64};Cert={encoded(certificates.user())}") is Reason.CERTIFICATE


def test_an_expired_certificate_is_refused(certificates: Any, encoded: Any, clock: Any) -> None:
    clock.seconds += timedelta(days=2).total_seconds()
    assert why(certificates, clock, f"Cert={encoded(certificates.user())}") is Reason.CERTIFICATE


def revocation_list(certificates: Any, clock: Any, *revoked: x509.Certificate) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificates.authority.subject)
        .last_update(clock.now())
        .next_update(clock.now() + timedelta(hours=1))
    )
    for certificate in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(certificate.serial_number)
            .revocation_date(clock.now())
            .build()
        )
    return builder.sign(certificates.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_a_revoked_certificate_is_refused(certificates: Any, encoded: Any, clock: Any) -> None:
    good, bad = certificates.user("good"), certificates.user("bad")
    crl = revocation_list(certificates, clock, bad)
    outcomes = [why(certificates, clock, f"Cert={encoded(each)}", revocations=crl) for each in (good, bad)]
    assert outcomes == [None, Reason.CERTIFICATE]


def test_without_a_current_list_nobody_is_believed(certificates: Any, encoded: Any, clock: Any) -> None:
    header = f"Cert={encoded(certificates.user())}"
    crl = revocation_list(certificates, clock)
    clock.seconds += 7200
    assert why(certificates, clock, header, revocations=crl) is Reason.CERTIFICATE
    assert why(certificates, clock, header, revocations=b"") is Reason.CERTIFICATE

"""What is read out of a verified client certificate."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tenantry.access.identity import Identity
from tenantry.access.refusals import CredentialError, Reason
from tenantry.gateway.identity.certificates import certificate_identity, fingerprint, read_certificate

SERVER_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
CLIENT_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
NAMES = x509.SubjectAlternativeName([x509.DNSName("laptop.example"), x509.UniformResourceIdentifier("spiffe://a/b")])


def why(certificate: x509.Certificate, clock: Any, *names: str) -> Reason | None:
    try:
        certificate_identity(certificate, alternative_names=names, now=clock.now())
    except CredentialError as error:
        return error.why
    return None


def test_the_common_name_is_the_user_and_organizations_are_groups(certificates: Any, clock: Any) -> None:
    certificate = certificates.user("alice", ["devs", "ops", "devs"], uid="u-1")
    assert certificate_identity(certificate, alternative_names=(), now=clock.now()) == (
        Identity(
            user="alice",
            groups=("devs", "ops"),
            uid="u-1",
            extra=(("authentication.kubernetes.io/credential-id", (f"X509SHA256={fingerprint(certificate)}",)),),
        ),
        certificate.not_valid_after_utc.timestamp(),
    )


def test_a_certificate_without_a_name_is_nobodys(certificates: Any, clock: Any) -> None:
    assert why(certificates.user(""), clock) is Reason.CERTIFICATE


def test_dates_are_checked(certificates: Any, clock: Any) -> None:
    certificate = certificates.user()
    clock.seconds += timedelta(days=2).total_seconds()
    assert why(certificate, clock) is Reason.CERTIFICATE
    clock.seconds -= timedelta(days=4).total_seconds()
    assert why(certificate, clock) is Reason.CERTIFICATE


@pytest.mark.parametrize(("usage", "outcome"), [(SERVER_AUTH, Reason.CERTIFICATE), (CLIENT_AUTH, None)])
def test_a_certificate_must_be_for_clients(certificates: Any, clock: Any, usage: Any, outcome: Reason | None) -> None:
    assert why(certificates.user(extensions=[usage]), clock) is outcome


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        (("laptop.example",), None),
        (("other", "spiffe://a/b"), None),
        (("other.example",), Reason.CERTIFICATE_NAME),
        (("*.example",), Reason.CERTIFICATE_NAME),
    ],
)
def test_one_of_the_alternative_names_must_be_there(
    certificates: Any, clock: Any, asked: tuple[str, ...], outcome: Reason | None
) -> None:
    assert why(certificates.user(extensions=[NAMES]), clock, *asked) is outcome


def test_a_certificate_without_alternative_names_has_none_of_them(certificates: Any, clock: Any) -> None:
    assert why(certificates.user(), clock, "laptop.example") is Reason.CERTIFICATE_NAME


def test_certificates_are_read_from_url_encoded_pem(certificates: Any, encoded: Any) -> None:
    certificate = certificates.user()
    assert read_certificate(encoded(certificate)) == certificate


@pytest.mark.parametrize("text", ["", "%00", "alice", "-----BEGIN%20CERTIFICATE-----"])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(CredentialError):
        read_certificate(text)


def test_two_certificates_are_refused(certificates: Any, encoded: Any) -> None:
    with pytest.raises(CredentialError):
        read_certificate(encoded(certificates.user(), certificates.user()))

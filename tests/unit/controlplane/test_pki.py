"""The certificate authority."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from tenantry.controlplane.pki import CERTIFICATE_LIFE, RENEW_BEFORE, Authority, is_fresh
from tenantry.foundation.errors import InvalidError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path)
    authority.ensure(NOW)
    return authority


def files(authority: Authority) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in authority.folder.iterdir() if path.name != "pki.lock"}


def test_the_server_is_trusted_under_each_of_its_names(authority: Authority) -> None:
    trust = x509.load_pem_x509_certificate(authority.certificate_file.read_bytes())
    shown = x509.load_pem_x509_certificate(authority.server_certificate_file.read_bytes())
    builder = PolicyBuilder().store(Store([trust])).time(NOW)
    for name in (x509.DNSName("localhost"), x509.DNSName("kubernetes.default.svc")):
        builder.build_server_verifier(name).verify(shown, [])
    builder.build_server_verifier(x509.IPAddress(ipaddress.ip_address("127.0.0.1"))).verify(shown, [])


def test_a_client_certificate_says_user_and_groups(authority: Authority) -> None:
    pair = authority.client(NOW, "alice", ("projectcapsule.dev", "devs"))
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    key = serialization.load_pem_private_key(pair.key, None)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [name.value for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["alice"]
    assert [name.value for name in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == [
        "projectcapsule.dev",
        "devs",
    ]
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert key.public_key() == certificate.public_key()


def test_ensuring_twice_changes_nothing(authority: Authority) -> None:
    before = files(authority)
    authority.ensure(NOW + timedelta(days=1))
    assert files(authority) == before


def test_only_what_nears_its_end_is_renewed(authority: Authority) -> None:
    before = files(authority)
    authority.ensure(NOW + CERTIFICATE_LIFE - RENEW_BEFORE)
    after = files(authority)
    assert {name for name in before if before[name] != after[name]} == {
        "server.crt",
        "server.key",
        "front-proxy.crt",
        "front-proxy.key",
    }


def test_keys_are_readable_by_their_owner_alone(authority: Authority) -> None:
    assert {path.stat().st_mode & 0o777 for path in authority.folder.glob("*.key")} == {0o600}


def test_a_certificate_is_fresh_until_a_month_before_its_end(authority: Authority) -> None:
    certificate = authority.client(NOW, "alice").certificate
    assert is_fresh(certificate, NOW)
    assert not is_fresh(certificate, NOW + CERTIFICATE_LIFE - RENEW_BEFORE)


@pytest.mark.parametrize(("user", "groups"), [("", ()), ("u" * 65, ()), ("u", ("g" * 65,)), ("u", ("",))])
def test_names_that_no_certificate_holds_are_refused(authority: Authority, user: str, groups: tuple[str, ...]) -> None:
    with pytest.raises(InvalidError, match="a certificate holds 1 to 64 characters"):
        authority.client(NOW, user, groups)

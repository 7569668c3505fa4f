"""The files that a configuration names are looked at before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tenantry.gateway.config.problems import located_line
from tenantry.gateway.config.reading import check_file

NOW = datetime(2026, 7, 1, tzinfo=UTC)
HEAD = """\
apiVersion: gateway.tenantry.dev/v1alpha1
kind: GatewayConfiguration
listening:
  certificates:
  - certificate: tls.crt
    key: tls.key
"""
Told = Callable[..., list[str]]


def pair(ca: trustme.CA, *names: str, ends: datetime = NOW + timedelta(days=90)) -> tuple[bytes, bytes]:
    leaf = ca.issue_cert(*names, not_before=NOW - timedelta(days=90), not_after=ends)
    return leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def told(tmp_path: Path, ca: trustme.CA) -> Told:
    """Return what is said of a configuration with files; a pair that fits is there."""
    certificate, key = pair(ca, "gateway.example.com", "*.apps.example.com", "10.0.0.1")

    def said(text: str = "", **files: bytes) -> list[str]:
        for name, content in {"tls.crt": certificate, "tls.key": key, **files}.items():
            (tmp_path / name).write_bytes(content)
        file = tmp_path / "gateway.yaml"
        file.write_text(HEAD + text)
        found = (located_line("f", each) for each in check_file(file, now=NOW).problems)
        return [each.replace(f"{tmp_path}/", "") for each in found]

    return said


def test_a_pair_that_fits_is_right(told: Told) -> None:
    assert told() == []


def test_a_key_of_another_certificate_is_found(told: Told, ca: trustme.CA) -> None:
    assert told(**{"tls.key": pair(ca, "b")[1]}) == [
        (
            "f:6:5: error: listening.certificates[0].key: tls.key is not the key of tls.crt: "
            "name the pair that was made together; the server's certificate is the first in its file"
        )
    ]


def test_what_is_no_pem_is_found(told: Told) -> None:
    (certificate, key) = told(**{"tls.crt": b"x", "tls.key": b"y"})

    assert certificate.startswith("f:5:5: error: listening.certificates[0].certificate: tls.crt holds no certificate (")
    assert key.startswith("f:6:5: error: listening.certificates[0].key: tls.key holds no private key (")


def test_a_key_behind_a_password_is_refused(told: Told, ca: trustme.CA) -> None:
    certificate, key = pair(ca, "a")
    locked = load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )

    assert told(**{"tls.crt": certificate, "tls.key": locked}) == [
        "f:6:5: error: listening.certificates[0].key: tls.key is encrypted: write it without a password"
    ]


@pytest.mark.parametrize(
    ("ends", "said", "fix"),
    [
        (timedelta(hours=-1), "expired on 2026-06-30 23:00 UTC", "renew it; clients refuse it"),
        (timedelta(days=1), "expires on 2026-07-02 00:00 UTC", "renew it"),
    ],
)
def test_an_old_certificate_is_a_warning(told: Told, ca: trustme.CA, ends: timedelta, said: str, fix: str) -> None:
    certificate, key = pair(ca, "a", ends=NOW + ends)

    (found,) = told(**{"tls.crt": certificate, "tls.key": key})

    assert found.startswith("f:5:5: warning: listening.certificates[0].certificate: the certificate ")
    assert found.endswith(f" in tls.crt {said}: {fix}")


def test_hosts_that_no_certificate_is_for_are_a_warning(told: Told) -> None:
    hosts = "[gateway.example.com, a.apps.example.com, 10.0.0.1, a.b.apps.example.com, 10.0.0.2]"

    assert told(f"clusters: [{{hosts: {hosts}}}]") == [
        f"f:7:{column}: warning: clusters[0].hosts[{index}]: no certificate of listening.certificates is for {host}: "
        "add the name to a certificate; clients refuse others"
        for column, index, host in ((72, 3, "a.b.apps.example.com"), (94, 4, "10.0.0.2"))
    ]


def test_files_that_are_not_there_are_told_by_line(told: Told) -> None:
    text = """\
clusters:
- kubeconfig: k.config
  identity:
    authenticationConfiguration: issuers.yaml
    certificates:
      ca: ca.crt
      crl: crl.pem
audit:
  file: logs/audit.log
"""
    missing = "can't be read (No such file or directory): name a file that is there, and readable by this user"
    identity = "error: clusters[0].identity"

    found = told(text)

    assert found[0].startswith("f:8:3: error: clusters[0].kubeconfig: ")
    assert found[1:] == [
        f"f:10:5: {identity}.authenticationConfiguration: issuers.yaml {missing}",
        f"f:12:7: {identity}.certificates.ca: ca.crt {missing}",
        f"f:13:7: {identity}.certificates.crl: crl.pem {missing}",
        (
            "f:15:3: error: audit.file: the folder logs is not there, or nothing can be written to it: "
            "make the folder, or mount a volume there"
        ),
    ]


def test_a_context_that_is_not_in_the_kubeconfig_is_told_with_those_that_are(told: Told) -> None:
    kubeconfig = b"contexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'https://x'}}]"

    found = told("clusters: [{kubeconfig: k.config, context: b}]", **{"k.config": kubeconfig})

    assert found == [
        (
            "f:7:35: error: clusters[0].context: the kubeconfig k.config has no context 'b'; it has: a: "
            "name a kubeconfig that kubectl can use"
        )
    ]


def test_revocations_are_read_and_old_ones_told(told: Told, ca: trustme.CA) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])
    builder = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(NOW - timedelta(days=9))
    revocations = builder.next_update(NOW - timedelta(days=1)).sign(key, hashes.SHA256())
    text = "clusters: [{identity: {certificates: {ca: ca.crt, crl: crl.pem}}}]"

    good = told(text, **{"ca.crt": ca.cert_pem.bytes(), "crl.pem": revocations.public_bytes(Encoding.PEM)})
    bad = told(text, **{"ca.crt": ca.cert_pem.bytes(), "crl.pem": b"x"})

    assert good == [
        (
            "f:7:51: warning: clusters[0].identity.certificates.crl: crl.pem is out of date "
            "since 2026-06-30 00:00 UTC: "
            "fetch the current list"
        )
    ]
    assert bad[0].startswith("f:7:51: error: clusters[0].identity.certificates.crl: crl.pem holds no revocation list")


def test_an_authentication_configuration_is_read_as_the_api_server_does(told: Told) -> None:
    text = "clusters: [{identity: {authenticationConfiguration: issuers.yaml}}]"
    issuers = b"""\
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer: {url: http://issuer.example.com, audiences: [a]}
  claimMappings: {username: {claim: sub, prefix: ""}}
"""
    good = issuers.replace(b"http:", b"https:") + b"anonymous: {enabled: true}\n"

    assert told(text, **{"issuers.yaml": good}) == [
        (
            "f:7:24: warning: clusters[0].identity.authenticationConfiguration: "
            "issuers.yaml: anonymous: ignored, since the "
            "gateway lets nobody in without a credential: take it away, or leave it"
        )
    ]
    (found,) = told(text, **{"issuers.yaml": issuers})
    assert found.startswith("f:7:24: error: clusters[0].identity.authenticationConfiguration: issuers.yaml: jwt[0].")
    (other,) = told(text, **{"issuers.yaml": b"a: ["})
    assert other.startswith("f:7:24: error: clusters[0].identity.authenticationConfiguration: issuers.yaml: ")

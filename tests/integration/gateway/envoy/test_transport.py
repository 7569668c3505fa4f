"""Connections: certificates, host names, networks, HTTP/2, plain HTTP."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tenantry.gateway.protocol import Answer
from tenantry.gateway.settings import Certificate, CertificateIdentity, ClusterSettings, IdentitySettings

PODS = "/api/v1/namespaces/team/pods"
BOB = Answer(lines=((":fresh", "10"), (":stale", "10"), (":id", "bb"), (":how", "oidc"), ("impersonate-user", "bob")))
OTHER = ClusterSettings(name="other", hosts=("other.test",), is_default=False)
TOKEN = ("Authorization", "Bearer of-alice")


async def test_the_host_name_chooses_the_cluster(make_gateway: Any, raw: Any) -> None:
    async with make_gateway(others=(OTHER,)) as gateway:
        gateway.pythons["other"].identify = BOB
        for host in ("gateway.test", "gateway.test:9001", "other.test", "other.test:9001"):
            data = raw.request(PODS, host=host, headers=(TOKEN,))
            assert (await gateway.send(data, server_name=host.partition(":")[0])).status == 200

        seen = [each.values("impersonate-user") for each in gateway.api.seen]
        assert seen == [["alice"], ["alice"], ["bob"], ["bob"]]


@pytest.mark.parametrize(
    ("server_name", "host"),
    [("gateway.test", "other.test"), ("other.test", "gateway.test"), ("other.test", "x.test:1")],
)
async def test_a_connection_leads_to_one_cluster(make_gateway: Any, raw: Any, server_name: str, host: str) -> None:
    """8.7.7: 421, whatever a client that shares connections believes."""
    async with make_gateway(others=(OTHER,)) as gateway:
        reply = await gateway.send(raw.request(PODS, host=host, headers=(TOKEN,)), server_name=server_name)
        async with await raw.Connection.open(gateway.port, tls=gateway.tls(alpn="h2"), server_name=server_name) as h2:
            status = await raw.http2(h2, request2(host.encode()))

        assert (reply.status, status) == (421, 421)
        assert gateway.api.seen == []
        # The credential is the other cluster's: nobody here is to judge it.
        assert [each.asked for each in (gateway.python, gateway.pythons["other"])] == [[], []]


async def test_clusters_of_plain_http_are_chosen_by_host(make_gateway: Any, raw: Any) -> None:
    async with make_gateway(others=(OTHER,), listening={"certificates": ()}) as gateway:
        gateway.pythons["other"].identify = BOB

        for host in ("gateway.test", "other.test"):
            assert (await raw.exchange(raw.request(PODS, host=host, headers=(TOKEN,)), gateway.port)).status == 200

        assert [seen.values("impersonate-user") for seen in gateway.api.seen] == [["alice"], ["bob"]]
        records = await gateway.records(lambda found: len(found) == 2)
        assert [record["user"]["name"] for record in records] == ["alice", "bob"]


async def test_unknown_hosts_reach_nothing_without_a_default(make_gateway: Any, raw: Any) -> None:
    only = ClusterSettings(name="only", hosts=("gateway.test",), is_default=False)
    async with make_gateway(cluster=only) as gateway:
        assert (await gateway.get(PODS)).status == 200
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            await gateway.send(raw.request(PODS, headers=(TOKEN,)), server_name="other.test")

        records = await gateway.records(lambda found: any(record["stage"] == "Refused" for record in found))
        assert [(record["host"], record["flags"]) for record in records if record["stage"] == "Refused"] == [
            ("other.test", "NR")
        ]


async def test_foreign_networks_are_refused(make_gateway: Any, raw: Any) -> None:
    listening = {"certificates": (), "trusted_networks": (ip_network("192.0.2.0/24"),)}
    async with make_gateway(listening=listening) as gateway:
        with pytest.raises((ConnectionError, EOFError)):
            await raw.exchange(raw.request("/_healthz"), gateway.port)

        (record,) = await gateway.records(lambda found: len(found) == 1)
        assert (record["stage"], record["peer"], record["flags"]) == ("Refused", "127.0.0.1", "NR")


async def test_the_proxy_protocol_says_who_is_there(make_gateway: Any, raw: Any) -> None:
    async with make_gateway(listening={"certificates": (), "proxy_protocol": True}) as gateway:
        data = raw.request(PODS, headers=(TOKEN,))
        assert (await raw.exchange(b"PROXY TCP4 198.51.100.7 127.0.0.1 1 2\r\n" + data, gateway.port)).status == 200
        with pytest.raises((ConnectionError, EOFError)):
            await raw.exchange(data, gateway.port)

        assert [seen.values("x-forwarded-for") for seen in gateway.api.seen] == [["198.51.100.7"]]


async def test_renewed_certificates_are_served(make_gateway: Any) -> None:
    """R-073: written anew as cert-manager's and kubelet's folders are, without a restart."""
    async with make_gateway() as gateway:
        pair = gateway.settings.listening.certificates[0]
        before = await served(gateway)
        renewed = gateway.ca.issue_cert("gateway.test")
        fresh = pair.certificate.with_suffix(".new")
        renewed.private_key_pem.write_to_path(fresh)
        fresh.replace(pair.key)
        fresh.write_bytes(renewed.cert_chain_pems[0].bytes())
        fresh.replace(pair.certificate)

        async with asyncio.timeout(5):
            while await served(gateway) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await served(gateway) == ssl.PEM_cert_to_DER_cert(renewed.cert_chain_pems[0].bytes().decode())


async def test_the_host_name_chooses_the_certificate(make_gateway: Any, tmp_path: Path) -> None:
    """R-073; the first is for clients that name none that is known."""
    ca = trustme.CA()
    pairs = []
    for name in ("gateway.test", "second.test"):
        pairs.append(Certificate(certificate=tmp_path / f"{name}.crt", key=tmp_path / f"{name}.key"))
        issued = ca.issue_cert(name)
        pairs[-1].certificate.write_bytes(issued.cert_chain_pems[0].bytes())
        pairs[-1].key.write_bytes(issued.private_key_pem.bytes())
    async with make_gateway(listening={"certificates": tuple(pairs)}) as gateway:
        shown = {name: await served(gateway, name) for name in ("gateway.test", "second.test", "third.test")}

    first, second = (ssl.PEM_cert_to_DER_cert(pair.certificate.read_text()) for pair in pairs)
    assert shown == {"gateway.test": first, "second.test": second, "third.test": first}


async def served(gateway: Any, name: str = "gateway.test") -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, ssl=context, server_hostname=name)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return certificate


@pytest.mark.parametrize(
    ("version", "is_taken"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_tls_versions(gateway: Any, raw: Any, version: ssl.TLSVersion, *, is_taken: bool) -> None:
    context = gateway.tls()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    if is_taken:
        assert (await raw.exchange(raw.request("/_healthz"), gateway.port, tls=context)).status == 200
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await raw.exchange(raw.request("/_healthz"), gateway.port, tls=context)


async def test_client_certificates(make_gateway: Any) -> None:
    """R-004: a validated one is shown to Python; one that is not is no more than a fact."""
    clients, strangers = trustme.CA(), trustme.CA()
    known, stranger = (ca.issue_cert(common_name="carol") for ca in (clients, strangers))
    async with make_gateway(client_ca=clients.cert_pem.bytes()) as gateway:
        for certificate in (known, known, stranger, None):
            data = f"GET {PODS} HTTP/1.1\r\nHost: gateway.test\r\n\r\n".encode()
            assert (await gateway.send(data, certificate=certificate)).status == 200

        first, second, third = (lines for _, lines in gateway.python.asked)
        assert [name for name, _ in first] == ["certificate"]
        assert unquote(first[0][1]).strip() == known.cert_chain_pems[0].bytes().decode().strip()
        assert (second, third) == ((("certificate-unverified", "1"),), ())


async def test_revoked_client_certificates_are_not_validated(make_gateway: Any, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    ca = certificate_of("ca", key, key, is_ca=True)
    client_key = ec.generate_private_key(ec.SECP256R1())
    client = certificate_of("carol", client_key, key)
    (tmp_path / "crl.pem").write_bytes(revoking(client, key))
    (tmp_path / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    shown = trustme.LeafCert(
        client_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        client.public_bytes(serialization.Encoding.PEM),
        [],
    )
    policy = CertificateIdentity(ca=tmp_path / "ca.pem", crl=tmp_path / "crl.pem")
    cluster = ClusterSettings(identity=IdentitySettings(certificates=policy))
    async with make_gateway(cluster=cluster) as gateway:
        await gateway.send(f"GET {PODS} HTTP/1.1\r\nHost: gateway.test\r\n\r\n".encode(), certificate=shown)

        assert gateway.python.asked[0][1] == (("certificate-unverified", "1"),)


def certificate_of(name: str, key: Any, issuer_key: Any, *, is_ca: bool = False) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def revoking(certificate: x509.Certificate, key: Any) -> bytes:
    now = datetime.now(UTC)
    revoked = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now).build()
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.issuer)
        .last_update(now - timedelta(hours=1))
        .next_update(now + timedelta(hours=1))
        .add_revoked_certificate(revoked)
        .sign(key, hashes.SHA256())
    )
    return crl.public_bytes(serialization.Encoding.PEM)


def request2(
    host: bytes = b"gateway.test", *more: tuple[bytes, bytes], **pseudo: bytes
) -> tuple[tuple[bytes, bytes], ...]:
    named = {"method": b"GET", "scheme": b"https", "path": PODS.encode(), "authority": host} | pseudo
    first = tuple((f":{name}".encode(), value) for name, value in named.items() if value)
    return (*first, (b"authorization", b"Bearer of-alice"), *more)


async def test_http2_is_served(gateway: Any, raw: Any) -> None:
    async with await raw.Connection.open(gateway.port, tls=gateway.tls(alpn="h2"), server_name="gateway.test") as h2:
        assert await raw.http2(h2, request2()) == 200

    assert gateway.api.last.values("impersonate-user") == ["alice"]


@pytest.mark.parametrize(
    "headers",
    [
        request2(b"gateway.test", (b"connection", b"impersonate-user")),
        request2(b"gateway.test", (b"transfer-encoding", b"chunked")),
        request2(b"gateway.test", (b"upgrade", b"websocket")),
        request2(b"gateway.test", (b"Impersonate-User", b"root")),
        request2(b"gateway.test", (b"impersonate_user", b"root")),
        request2(b"gateway.test", (b"x", b"a\r\nimpersonate-user: root")),
        request2(b"gateway.test", (b"x", b"a\nb")),
        request2(b"gateway.test", (b"x", b"a\0b")),
        request2(b"gateway.test", (b"x\r\ny", b"a")),
        request2(b"gateway.test", (b"x y", b"a")),
        request2(b"gateway.test", (b"content-length", b"5")),
        request2(b"gateway.test", (b":path", b"/api")),
        request2(path=b"/api/v1/nodes HTTP/1.1"),
        request2(path=b"/api/v1/nodes\r\nX: y"),
        request2(path=b"/api/v1//nodes"),
        request2(path=b"/api/v1/a%2fb"),
        request2(path=b"api"),
        request2(path=b""),
        request2(method=b"GET /x"),
        request2(method=b"CONNECT", scheme=b"", path=b""),
        request2(b"gateway.test, other.test"),
        request2(b"gateway.test\0"),
    ],
)
async def test_http2_tricks_are_refused(gateway: Any, raw: Any, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """Invariants 2, 16, 17: a 4xx or the end of the stream; nothing is forwarded."""
    async with await raw.Connection.open(gateway.port, tls=gateway.tls(alpn="h2"), server_name="gateway.test") as h2:
        status = await raw.http2(h2, headers)

    assert status in {None, 400, 403, 404, 421}
    assert gateway.api.seen == []


async def test_another_host_beside_the_authority_is_not_forwarded(gateway: Any, raw: Any) -> None:
    """Invariant 17: host that differs from :authority."""
    async with await raw.Connection.open(gateway.port, tls=gateway.tls(alpn="h2"), server_name="gateway.test") as h2:
        status = await raw.http2(h2, request2(b"gateway.test", (b"host", b"evil.test")))

    assert status in {None, 200, 400}
    assert all(seen.values("host") == ["gateway.test"] for seen in gateway.api.seen)

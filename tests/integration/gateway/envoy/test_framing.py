"""Header tricks, path tricks and framing tricks: refused, or harmless; none reaches the API server in disguise."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tenantry.gateway.settings import ClusterSettings, IdentitySettings, Limits

HEAD = b"GET /api/v1/namespaces/team/pods HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer of-alice\r\n"
POST = b"POST /api/v1/namespaces/team/pods HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer of-alice\r\n"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/api/v1/namespaces/team%2fpods", 400),
        ("/api/v1/namespaces/team%5cpods", 400),
        ("/api/v1/namespaces/team\\pods", 400),
        ("/api/v1/namespaces/../nodes", 400),
        ("/api/v1/namespaces/%2e%2e/nodes", 400),
        ("/api/v1/namespaces/.%2e/nodes", 400),
        ("/api/v1/./nodes", 400),
        ("/api/v1/nodes/..", 400),
        ("/api/v1//namespaces", 400),
        ("//api/v1/namespaces", 400),
        ("/api/v1/namespaces/%00", 400),
        ("/api/v1/namespaces/%0d%0aX:1", 400),
        ("/api/v1/namespaces/%252e%252e", 400),
        ("/api/v1/namespaces/a%252fb", 400),
        ("/api/v1/namespaces/%C2%85", 400),
        ("/api/v1/namespaces/%ff", 400),
        ("/api/v1/namespaces/%c0%af", 400),
        ("/api/v1/namespaces/%ed%a0%80", 400),
        ("/api/v1/namespaces/%2", 400),
        ("/api/v1/namespaces/%zz", 400),
        ("/api/v1/nodes#x", 400),
        ("/api/v1/nodes\x7f", 400),
        ("/api/v1/nodes?x=\xff", 400),
        ("http://gateway.test/api/v1/nodes", 404),
        ("*", 404),
        ("/", 404),
        ("/metrics", 404),
        ("/apiserver", 404),
        ("/debug/pprof", 404),
        ("/_tenantry/identify", 404),
        ("/_healthz/", 404),
    ],
)
async def test_path_tricks_are_refused(gateway: Any, target: str, status: int) -> None:
    """Invariant 16."""
    reply = await gateway.get(target)

    body = json.loads(reply.body)
    assert (reply.status, body["kind"], body["code"]) == (status, "Status", status)
    assert (gateway.api.seen, gateway.python.passed, gateway.python.asked) == ([], [], [])


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/namespaces/team/configmaps/a%3Ab",
        "/api/v1/namespaces/team/configmaps/%C3%A4",
        "/api/v1/namespaces/team/pods?labelSelector=a%3Db%2Cc%2Fd&x=..//..",
        "/openapi/v3",
        "/version/",
    ],
)
async def test_paths_are_forwarded_as_sent(gateway: Any, target: str) -> None:
    assert (await gateway.get(target)).status == 200
    assert gateway.api.last.target == target


async def test_headers_that_claim_an_identity_do_not_arrive(gateway: Any) -> None:
    """Invariant 1: whatever a client calls itself is gone before our own headers are written."""
    claims = (
        ("Impersonate-User", "root"),
        ("IMPERSONATE-GROUP", "system:masters"),
        ("impersonate-uid", "0"),
        ("Impersonate-Extra-Scopes", "all"),
        ("Impersonate-Future", "x"),
        ("X-Remote-User", "root"),
        ("X-Remote-Group", "system:masters"),
        ("X-Remote-Extra-A", "b"),
        ("X-Tenantry-Route", "own"),
        ("X-Tenantry-Secret", "guess"),
        ("X-Tenantry-Answer", "1"),
        ("Audit-ID", "forged"),
        ("X-Request-Id", "forged"),
        ("X-Forwarded-For", "10.9.8.7"),
        ("X-Real-Ip", "10.9.8.7"),
        ("X-Envoy-Retry-On", "5xx"),
        ("X-Envoy-Upstream-Rq-Timeout-Ms", "1"),
        ("Proxy-Authorization", "Basic x"),
    )

    assert (await gateway.get("/api/v1/namespaces/team/pods", *claims)).status == 200

    names = {name for name, _ in gateway.api.last.headers}
    assert names == {
        "audit-id",
        "authorization",
        "host",
        "impersonate-group",
        "impersonate-user",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-request-id",
    }
    assert gateway.api.last.values("impersonate-user") == ["alice"]
    assert gateway.api.last.values("impersonate-group") == ["devs", "a, b"]
    assert "forged" not in gateway.api.last.values("audit-id") + gateway.api.last.values("x-request-id")
    assert "10.9.8.7" not in str(gateway.api.last.values("x-forwarded-for"))
    asked = [pair for pair in gateway.python.asked[0][1] if pair[0].startswith("impersonate")]
    assert asked == [(name.lower(), value) for name, value in claims[:5]]


@pytest.mark.parametrize("nominated", ["Impersonate-User", "Authorization, Impersonate-Group", "close, audit-id"])
async def test_connection_takes_none_of_our_headers_away(gateway: Any, nominated: str) -> None:
    """Invariant 2."""
    assert (await gateway.get("/api/v1/namespaces/team/pods", ("Connection", nominated))).status == 200

    seen = gateway.api.last
    assert seen.values("impersonate-user") == ["alice"]
    assert seen.values("impersonate-group") == ["devs", "a, b"]
    assert seen.values("authorization") == ["Bearer of-the-gateway"]
    assert len(seen.values("audit-id")) == 1
    assert seen.values("connection") == []


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Impersonate_User: root\r\n\r\n",
        HEAD + b"X_Remote_User: root\r\n\r\n",
        HEAD + b"Impersonate-User : root\r\n\r\n",
        HEAD + b"X: a\x00b\r\n\r\n",
        HEAD + b"Impersonate-User\r\n\r\n",
        POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 3, 3\r\n\r\nabc",
        POST + b"Content-Length: +3\r\n\r\nabc",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"GET /version HTTP/1.1\r\nAuthorization: Bearer of-alice\r\n\r\n",
        b"GET /version HTTP/1.0\r\nHost: gateway.test\r\nAuthorization: Bearer of-alice\r\n\r\n",
        b"GET /version HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: Bearer of-alice\r\n\r\n",
        b"GET /version HTTP/1.1\r\nHost: a,b\r\n\r\n",
        b"GET /version HTTP/1.1\r\nHost: gateway.test@evil.test\r\n\r\n",
        b"GET /ver sion HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
        b"CONNECT gateway.test:443 HTTP/1.1\r\nHost: gateway.test:443\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nwrong",
        b"\x16\x03\x01\x00\x01\x00",
    ],
)
async def test_framing_tricks_are_refused(gateway: Any, data: bytes) -> None:
    """Invariants 1, 17: a 4xx, or the end of the connection; nothing is forwarded."""
    try:
        reply = await gateway.send(data)
    except (EOFError, ConnectionError):
        reply = None

    assert reply is None or reply.status in {400, 403, 404, 426, 501}, reply
    assert (gateway.api.seen, gateway.python.passed) == ([], [])


@pytest.mark.parametrize(
    "trick",
    [
        b" Impersonate-Group: system:masters",
        b"X: a\r\n Impersonate-Group: system:masters",
        b"X: a\nImpersonate-Group: system:masters",
        b"X: a\rImpersonate-Group: system:masters",
    ],
    ids=["folded first", "folded", "line feed", "carriage return"],
)
async def test_line_tricks_hide_no_header(gateway: Any, trick: bytes) -> None:
    """Invariant 17: what Envoy does not refuse it writes anew, one header a line, and it is no identity."""
    try:
        reply = await gateway.send(HEAD + trick + b"\r\n\r\n")
    except (EOFError, ConnectionError):
        reply = None

    assert reply is None or reply.status in {200, 400}
    for seen in gateway.api.seen:
        assert seen.values("impersonate-group") == ["devs", "a, b"]
        assert not any("\n" in value or "\r" in value for _, value in seen.headers)


async def test_a_second_request_is_a_request_of_its_own(gateway: Any, raw: Any) -> None:
    """What follows a body is no part of the first request, and gets no identity of it."""
    smuggled = b"GET /api/v1/secrets HTTP/1.1\r\nHost: gateway.test\r\nImpersonate-User: root\r\n\r\n"
    async with await raw.Connection.open(gateway.port, tls=gateway.tls(), server_name="gateway.test") as connection:
        await connection.send(POST + b"Content-Length: 2\r\n\r\n{}" + smuggled)
        assert (await connection.reply()).status == 200
        await connection.reply()

    assert [seen.target for seen in gateway.api.seen if seen.values("authorization")] == [
        "/api/v1/namespaces/team/pods",
        "/api/v1/secrets",
    ]
    assert [lines for path, lines in gateway.python.asked if path.endswith("identify")] == [
        (("authorization", "Bearer of-alice"),),
        (("certificate-unasked", "1"), ("impersonate-user", "root")),
    ]


@pytest.mark.parametrize("upgrade", ["h2c", "foo", "TLS/1.0", "websocket, h2c"])
async def test_no_other_upgrades(gateway: Any, upgrade: str) -> None:
    """Invariant 18."""
    headers = (("Connection", "Upgrade"), ("Upgrade", upgrade))

    reply = await gateway.get("/api/v1/namespaces/team/pods/p/exec", *headers)

    assert reply.status in {200, 400, 403, 426}
    assert all(seen.values("upgrade") == [] for seen in gateway.api.seen)


async def test_a_refused_upgrade_leaves_no_connection_behind(gateway: Any) -> None:
    """CVE-2018-1002105: what answered an upgrade otherwise is never used again, and stays a client's own."""
    headers = (("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"))
    before = await gateway.envoy._admin.counters("cluster.api-upgrades-default.upstream_cx_total$")

    for _ in range(2):
        assert (await gateway.get("/api/v1/namespaces/team/pods/p/exec", *headers, method="POST")).status == 200

    after = await gateway.envoy._admin.counters("cluster.api-upgrades-default.upstream_cx_total$")
    assert sum(after.values()) - sum(before.values()) == 2


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (HEAD + b"".join(b"X-%d: a\r\n" % number for number in range(40)) + b"\r\n", 431),
        (b"GET /api?" + b"a" * 3000 + b" HTTP/1.1\r\nHost: gateway.test\r\n\r\n", 414),
        (POST + b"Content-Length: 1001\r\n\r\n" + b"a" * 1001, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"a" * 1001 + b"\r\n0\r\n\r\n", 413),
        (POST + b"Content-Length: 1000\r\n\r\n" + b"a" * 1000, 200),
    ],
)
async def test_limits(make_gateway: Any, data: bytes, status: int) -> None:
    """Invariant 20, R-077."""
    limits = Limits(request_header_bytes=8192, request_headers=30, url_bytes=2048, request_body_bytes=1000)
    async with make_gateway(limits=limits) as gateway:
        reply = await gateway.send(data)

        assert reply.status == status
        assert status == 200 or json.loads(reply.body)["code"] == status


async def test_a_slow_head_is_not_waited_for(make_gateway: Any, raw: Any) -> None:
    async with (
        make_gateway(limits=Limits(header_seconds=0.3)) as gateway,
        await raw.Connection.open(gateway.port, tls=gateway.tls(), server_name="gateway.test") as connection,
    ):
        await connection.send(b"GET /version HTTP/1.1\r\nHost: gateway.test\r\n")
        assert (await connection.reply()).status == 408


async def test_an_idle_connection_is_closed(make_gateway: Any, raw: Any) -> None:
    async with (
        make_gateway(limits=Limits(idle_seconds=0.3)) as gateway,
        await raw.Connection.open(gateway.port, tls=gateway.tls(), server_name="gateway.test") as connection,
    ):
        async with asyncio.timeout(5):
            assert await connection.reader.read() == b""


async def test_a_forwarded_certificate_is_shown_to_python_and_nobody_else(make_gateway: Any) -> None:
    identity = IdentitySettings(authenticators=("XForwardedClientCert", "BearerToken"))
    async with make_gateway(cluster=ClusterSettings(identity=identity)) as gateway:
        await gateway.get("/version", ("X-Forwarded-Client-Cert", "Cert=abc"), ("X-Forwarded-Client-Cert", "Cert=def"))

        assert gateway.python.asked[0][1] == (
            ("authorization", "Bearer of-alice"),
            ("forwarded-certificate", "Cert=abc,Cert=def"),
            ("peer", "127.0.0.1"),
        )
        assert gateway.api.last.values("x-forwarded-client-cert") == []


async def test_a_forwarded_certificate_counts_nothing_where_it_is_not_asked_for(gateway: Any) -> None:
    """Invariant 9."""
    await gateway.get("/version", ("X-Forwarded-Client-Cert", "Cert=abc"))

    assert gateway.python.asked[0][1] == (("authorization", "Bearer of-alice"),)
    assert gateway.api.last.values("x-forwarded-client-cert") == []

"""A request's way through the data plane: who it becomes, where it goes, what comes back."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from tenantry.gateway.protocol import CREATED, IDENTIFY, MASKED, VERDICT, Answer, refusal, status_body
from tenantry.gateway.settings import ClusterSettings, IdentitySettings, Limits

ALICE_LINES = (("impersonate-user", "alice"), ("impersonate-group", "devs"), ("impersonate-group", "a, b"))


def ours(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers but those that differ with each request, or with the machine's own address."""
    return sorted(pair for pair in headers if pair[0] not in {"audit-id", "x-request-id", "x-forwarded-for"})


def status_of(reply: Any) -> tuple[int, str, str]:
    body = json.loads(reply.body)
    assert body["kind"] == "Status"
    assert body["code"] == reply.status
    return reply.status, body["reason"], body["message"]


async def test_a_request_arrives_as_its_user_under_our_credential(gateway: Any) -> None:
    reply = await gateway.get("/api/v1/namespaces/team/pods?limit=5", ("Cookie", "session=1"), ("X-Own", "kept"))

    seen = gateway.api.last
    assert reply.status == 200
    assert (seen.method, seen.target) == ("GET", "/api/v1/namespaces/team/pods?limit=5")
    assert ours(seen.headers) == [
        ("authorization", "Bearer of-the-gateway"),
        ("host", "gateway.test"),
        ("impersonate-group", "a, b"),
        ("impersonate-group", "devs"),
        ("impersonate-user", "alice"),
        ("x-forwarded-proto", "https"),
        ("x-own", "kept"),
    ]
    assert seen.values("audit-id") == seen.values("x-request-id")
    assert gateway.python.asked == [(IDENTIFY, (("authorization", "Bearer of-alice"),))]


async def test_an_identity_is_asked_for_once(gateway: Any) -> None:
    for _ in range(5):
        assert (await gateway.get("/api/v1/namespaces/team/pods")).status == 200

    assert gateway.python.count(IDENTIFY) == 1


async def test_different_credentials_are_different_identities(gateway: Any) -> None:
    await gateway.get("/api/v1/namespaces/team/pods")
    await gateway.get("/api/v1/namespaces/team/pods", ("Authorization", "Bearer of-bob"))
    await gateway.get("/api/v1/namespaces/team/pods", ("Authorization", "Bearer of-alice"), ("Impersonate-User", "eve"))

    assert [lines for _, lines in gateway.python.asked] == [
        (("authorization", "Bearer of-alice"),),
        (("authorization", "Bearer of-bob"),),
        (("authorization", "Bearer of-alice"), ("impersonate-user", "eve")),
    ]


async def test_a_refusal_of_python_reaches_the_client(gateway: Any) -> None:
    gateway.python.identify = refusal(401, "Unauthorized", "the token has expired", token="TokenExpired")

    reply = await gateway.get("/api/v1/namespaces/team/pods")

    assert status_of(reply) == (401, "Unauthorized", "the token has expired")
    assert reply.header("www-authenticate") == 'Bearer realm="kubernetes"'
    assert gateway.api.seen == []


async def test_an_answer_without_a_user_is_no_identity(gateway: Any) -> None:
    gateway.python.identify = Answer(lines=((":fresh", "10"), ("impersonate-user", ""), ("impersonate-group", "devs")))

    reply = await gateway.get("/api/v1/namespaces/team/pods")

    assert (reply.status, gateway.api.seen) == (500, [])


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/namespaces",
        "/api/v1/namespaces/team",
        "/api/v1/namespaces?watch=1",
        "/api/v1/watch/namespaces",
        "/apis/storage.k8s.io/v1/storageclasses",
        "/apis/storage.k8s.io/v1/storageclasses/fast",
        "/api/v1/pods?limit=1",
        "/api/v1/%6eamespaces",
        "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1",
    ],
)
async def test_what_depends_on_visibility_is_pythons_to_route(gateway: Any, target: str) -> None:
    gateway.python.verdict = Answer(lines=((":route", "python"),))

    reply = await gateway.get(target, ("Accept", "application/json"))

    assert json.loads(reply.body) == {"from": "python"}
    assert gateway.api.seen == []
    (passed,) = gateway.python.passed
    assert passed.target == target
    assert passed.values("impersonate-user") == ["alice"]
    assert passed.values("authorization") == []
    assert gateway.python.asked[1] == (
        VERDICT,
        (
            (":id", "00000000000000aa"),
            (":method", "GET"),
            (":path", target),
            (":accept", "application/json"),
            *ALICE_LINES,
        ),
    )


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/api/v1/namespaces/team/pods"),
        ("GET", "/api/v1/nodes/n1/proxy/metrics"),
        ("GET", "/version"),
        ("GET", "/apis/apps/v1"),
        ("POST", "/api/v1/namespaces"),
        ("DELETE", "/api/v1/namespaces/team"),
        ("DELETE", "/api/v1/nodes"),
        ("PATCH", "/apis/rbac.authorization.k8s.io/v1/clusterroles/admin"),
    ],
)
async def test_everything_else_goes_up_without_asking(gateway: Any, method: str, target: str) -> None:
    await gateway.get(target, method=method)

    assert (gateway.api.last.method, gateway.api.last.target) == (method, target)
    assert gateway.python.count(VERDICT) == 0


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("PATCH", "/api/v1/nodes/n1"),
        ("PATCH", "/api/v1/nodes/n1/status"),
        ("DELETE", "/apis/storage.k8s.io/v1/storageclasses/fast"),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
    ],
)
async def test_writes_that_python_may_widen_are_asked_for(gateway: Any, method: str, target: str) -> None:
    group = ("impersonate-group", "tenantry:gateway:nodes:update")
    gateway.python.verdict = Answer(lines=((":route", "upstream"), (":fresh", "0"), group))

    await gateway.get(target, method=method, body=b"{}")

    assert gateway.api.last.values("impersonate-group") == ["devs", "a, b", "tenantry:gateway:nodes:update"]
    assert gateway.api.last.body == b"{}"
    assert gateway.python.count(VERDICT) == 1


async def test_a_verdict_is_remembered_without_its_query(gateway: Any) -> None:
    gateway.python.verdict = Answer(lines=((":route", "upstream"), (":fresh", "60")))
    for target in ("/api/v1/nodes?limit=1", "/api/v1/nodes?limit=2", "/api/v1/nodes?watch=true", "/api/v1/nodes/n"):
        gateway.api.status = 200
        await gateway.get(target)

    assert [lines[2][1] for path, lines in gateway.python.asked if path == VERDICT] == [
        "/api/v1/nodes?limit=1",
        "/api/v1/nodes?watch=true",
        "/api/v1/nodes/n",
    ]


async def test_the_own_token_goes_up_alone(make_gateway: Any) -> None:
    identity = IdentitySettings(own_token="Always")
    async with make_gateway(cluster=ClusterSettings(identity=identity)) as gateway:
        gateway.python.identify = replace(
            gateway.python.identify, lines=((":own", "1"), *gateway.python.identify.lines)
        )

        await gateway.get("/api/v1/namespaces/team/pods", ("Impersonate-Group", "system:masters"))

        assert ours(gateway.api.last.headers) == [
            ("authorization", "Bearer of-alice"),
            ("host", "gateway.test"),
            ("x-forwarded-proto", "https"),
        ]


async def test_a_refused_read_in_a_missing_namespace_is_not_found(gateway: Any) -> None:
    missing = status_body(404, "NotFound", 'namespaces "gone" not found')
    gateway.python.masked = Answer(body=missing, headers=(("x-tenantry-status", "404"),))
    gateway.api.status, gateway.api.body = 403, {"kind": "Status", "message": "no" * 500}

    reply = await gateway.get("/api/v1/namespaces/gone/pods/p?x=1")

    assert (reply.status, reply.body) == (404, missing)
    assert gateway.python.asked[1] == (
        MASKED,
        (
            (":id", "00000000000000aa"),
            (":method", "GET"),
            (":path", "/api/v1/namespaces/gone/pods/p?x=1"),
            *ALICE_LINES,
        ),
    )


@pytest.mark.parametrize(
    ("method", "target"), [("POST", "/api/v1/namespaces?fieldManager=x"), ("PATCH", "/api/v1/namespaces/new")]
)
async def test_a_new_namespace_is_told_of_after_python_was_asked(gateway: Any, method: str, target: str) -> None:
    """Whatever Python says, the client gets the API server's answer as it is."""
    gateway.api.status, gateway.api.body = 201, {"kind": "Namespace", "metadata": {"name": "new"}}
    gateway.python.created = Answer(status=503, body=b"no")

    reply = await gateway.get(target, method=method, body=b"{}")

    assert (reply.status, json.loads(reply.body)) == (201, gateway.api.body)
    path, lines = gateway.python.asked[-1]
    assert (path, json.loads(base64.b64decode(dict(lines)[":body"]))) == (CREATED, gateway.api.body)
    rest = (":id", "00000000000000aa"), (":method", method), (":path", target.partition("?")[0])
    assert tuple(line for line in lines if line[0] != ":body") == (*rest, *ALICE_LINES)


@pytest.mark.parametrize(
    "target", ["/api/v1/namespaces?dryRun=All", "/api/v1/namespaces/team/pods", "/apis/example.org/v1/namespaces"]
)
async def test_other_creations_are_told_of_at_once(gateway: Any, target: str) -> None:
    gateway.api.status = 201

    assert (await gateway.get(target, method="POST", body=b"{}")).status == 201
    assert gateway.python.count(CREATED) == 0


async def test_other_refusals_stay(gateway: Any) -> None:
    gateway.api.status, gateway.api.body = 403, {"kind": "Status"}
    targets = (
        "/api/v1/namespaces/team/pods/p",
        "/api/v1/namespaces/team/pods/p/log",
        "/api/v1/namespaces/t/pods?watch=0",
    )

    replies = [await gateway.get(target) for target in targets]

    assert [(reply.status, reply.body) for reply in replies] == [(403, b'{"kind": "Status"}')] * 3
    assert [lines[2][1] for path, lines in gateway.python.asked if path == MASKED] == [targets[0], targets[2]]


async def test_healthz_needs_nobody(gateway: Any, raw: Any) -> None:
    reply = await gateway.send(raw.request("/_healthz"))

    assert (reply.status, reply.body) == (200, b"ok")
    assert gateway.python.asked == []


async def test_an_upgrade_carries_our_identity_whatever_connection_names(gateway: Any, raw: Any) -> None:
    """Invariant 2: what the client calls hop-by-hop does not take our headers away."""
    bearer = "base64url.bearer.authorization.k8s.io." + base64.urlsafe_b64encode(b"of-alice").decode().rstrip("=")
    headers = (
        ("Connection", "Upgrade, Impersonate-User, Authorization"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", f"v5.channel.k8s.io, {bearer}, v4.channel.k8s.io"),
    )
    async with await raw.Connection.open(gateway.port, tls=gateway.tls(), server_name="gateway.test") as connection:
        await connection.send(raw.request("/api/v1/namespaces/team/pods/p/exec?command=sh", headers=headers))
        head = await connection.head()

        assert (head.status, head.header("sec-websocket-protocol")) == (101, "v5.channel.k8s.io")
        seen = gateway.api.last
        assert seen.values("connection") == ["Upgrade"]
        assert seen.values("authorization") == ["Bearer of-the-gateway"]
        assert seen.values("impersonate-user") == ["alice"]
        assert seen.values("sec-websocket-protocol") == ["v5.channel.k8s.io, v4.channel.k8s.io"]
        token = bearer.removeprefix("base64url.bearer.authorization.k8s.io.")
        assert gateway.python.asked == [(IDENTIFY, (("websocket-bearer", token),))]
        await connection.send(b"\x81\x82\0\0\0\0hi")
        async with asyncio.timeout(5):
            assert await connection.reader.readexactly(9) == b"\x81\x07echo hi"


async def test_an_upgrade_may_carry_more_than_a_body(make_gateway: Any, raw: Any) -> None:
    async with make_gateway(limits=Limits(request_body_bytes=1000)) as gateway:
        headers = (
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Authorization", "Bearer of-alice"),
        )
        async with await raw.Connection.open(gateway.port, tls=gateway.tls(), server_name="gateway.test") as connection:
            await connection.send(raw.request("/api/v1/namespaces/team/pods/p/exec", headers=headers))
            assert (await connection.head()).status == 101
            for _ in range(40):
                await connection.send(b"\x81\xe4\0\0\0\0" + b"x" * 100)
                async with asyncio.timeout(5):
                    assert (await connection.reader.readexactly(2 + 105))[2:8] == b"echo x"


async def test_a_watch_comes_as_it_is_written(gateway: Any, raw: Any) -> None:
    async with await raw.Connection.open(gateway.port, tls=gateway.tls(), server_name="gateway.test") as connection:
        headers = (("Authorization", "Bearer of-alice"),)
        await connection.send(raw.request("/api/v1/namespaces/team/pods?watch=1", headers=headers))
        assert (await connection.head()).status == 200
        assert await connection.chunk() == b'{"type":"ADDED"}\n'

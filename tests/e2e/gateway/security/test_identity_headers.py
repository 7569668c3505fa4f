"""Who asks is said by the gateway alone, in whole header lists: invariants 1 to 4."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
import raw
from door import Door, Header
from recording_upstream import response

PODS: Final = "/api/v1/namespaces/default/pods"
EXEC: Final = "/api/v1/namespaces/default/pods/p/exec?command=true&stdout=1"
GROUPS: Final = ("devs", "a, b", "tä am")
OURS: Final[list[Header]] = [
    *(("impersonate-group", group.encode().decode("latin-1")) for group in GROUPS),
    ("impersonate-user", "mallory"),
]
SENT: Final[list[Header]] = [("x-forwarded-proto", "https")]
CLAIMS: Final[tuple[Header, ...]] = (
    ("X-Remote-User", "root"),
    ("x-remote-group", "system:masters"),
    ("X-REMOTE-EXTRA-Scopes", "all"),
    ("X-Remote-Uid", "0"),
    ("X-Tenantry-Route", "own"),
    ("X-Tenantry-Secret", "guess"),
    ("X-Tenantry-Answer", "1"),
    ("x-tenantry-stream", "own"),
    ("Audit-ID", "forged"),
    ("X-Request-Id", "forged"),
    ("X-Forwarded-For", "10.9.8.7"),
    ("X-Forwarded-User", "root"),
    ("Forwarded", "for=10.9.8.7"),
    ("X-Real-Ip", "10.9.8.7"),
    ("X-Envoy-Retry-On", "5xx"),
    ("X-Envoy-Original-Path", "/api"),
    ("Proxy-Authorization", "Basic x"),
    ("Cookie", "session=1"),
    ("Connection", "keep-alive"),
)


def credential(door: Door) -> list[str]:
    return [door.own_authorization]


async def test_invariant_01_what_a_client_claims_does_not_arrive(door: Door) -> None:
    """The whole list of headers that the API server reads is the gateway's own."""
    asked = await door.ask(PODS, ("Accept", "application/json"), *CLAIMS, tls=door.certificate("mallory", GROUPS))

    extra = [pair for pair in asked.headers if pair[0].startswith("impersonate-extra-")]
    assert [name for name, _ in extra] == ["impersonate-extra-authentication.kubernetes.io%2fcredential-id"]
    assert [pair for pair in asked.headers if pair not in extra] == sorted(
        [("accept", "application/json"), ("x-forwarded-user", "root"), *OURS, *SENT]
    )
    (arrived,) = asked.arrived
    assert arrived.values("authorization") == credential(door)
    assert b"forged" not in arrived.head
    assert b"10.9.8.7" not in arrived.head
    assert len(arrived.values("audit-id")) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"Impersonate_User: root",
        b"IMPERSONATE_GROUP: system:masters",
        b"Impersonate-_Group: system:masters",
        b"X_Remote_User: root",
        b"x-remote_group: system:masters",
        b"X_Tenantry_Route: own",
        b"Impersonate-User : root",
        b"Impersonate-User\t: root",
        b"Impersonate-User\x00: root",
        b"\x0bImpersonate-User: root",
        b"Impersonate-User",
        b": root",
    ],
)
async def test_invariant_01_tricks_with_names_are_refused(door: Door, line: bytes) -> None:
    before = len(door.upstream.arrived)
    head = f"GET {PODS}?trick={before} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
    try:
        reply: raw.Reply | None = await door.send(head + line + b"\r\n\r\n", door.certificate("mallory", GROUPS))
    except (EOFError, ConnectionError):
        reply = None

    assert reply is None or reply.status in {400, 403}, reply
    assert [each.target for each in door.upstream.arrived if f"trick={before}" in each.target] == []


@pytest.mark.parametrize(
    "name", ["Impersonate-User", "IMPERSONATE-GROUP", "impersonate-uid", "Impersonate-Extra-Scopes", "Impersonate-New"]
)
async def test_invariant_01_impersonation_is_refused_and_not_ignored(door: Door, name: str) -> None:
    """Any header that begins so, known or not: the client would believe to act as somebody else."""
    asked = await door.ask(PODS, (name, "root"), tls=door.certificate("mallory", GROUPS), host="other.test")

    assert asked.refusal == (403, "Forbidden")


NOMINATED: Final = (
    "Impersonate-User",
    "Impersonate-User, Impersonate-Group, Impersonate-Uid, Authorization",
    "close, Impersonate-Extra-Scopes, Audit-Id",
    "keep-alive, , impersonate-group",
    "TE, x-tenantry-route, x-tenantry-secret, impersonate-user",
)


@pytest.mark.parametrize("nominated", NOMINATED)
async def test_invariant_02_connection_takes_no_identity_away(door: Door, nominated: str) -> None:
    """CVE-2022-23652, CVE-2021-31999: what a client nominates is taken from its own headers alone."""
    asked = await door.ask(PODS, ("Connection", nominated), tls=door.certificate("mallory", GROUPS))

    assert [pair for pair in asked.headers if "credential-id" not in pair[0]] == sorted([*OURS, *SENT])
    assert asked.arrived[0].values("authorization") == credential(door)
    assert len(asked.arrived[0].values("audit-id")) == 1


@pytest.mark.parametrize("nominated", NOMINATED)
@pytest.mark.parametrize("protocol", ["websocket", "SPDY/3.1"])
async def test_invariant_02_connection_takes_no_identity_of_upgrades(door: Door, protocol: str, nominated: str) -> None:
    """Two hops: what arrives nominates nothing that a reverse proxy before the API server could take away."""
    of_websockets: tuple[Header, ...] = (
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "v5.channel.k8s.io"),
    )
    more = of_websockets if protocol == "websocket" else ()
    with door.upstream.answering(lambda arrived: response(403, {}) if arrived.values("upgrade") else None):
        asked = await door.ask(
            EXEC,
            ("Connection", f"Upgrade, {nominated}"),
            ("Upgrade", protocol),
            *more,
            tls=door.certificate("mallory", GROUPS),
            method="GET" if protocol == "websocket" else "POST",
            body=None if protocol == "websocket" else b"",
        )

    (arrived,) = asked.arrived
    nominates = {name.strip().lower() for value in arrived.values("connection") for name in value.split(",")}
    assert nominates == {"upgrade"}
    kept = [pair for pair in asked.headers if pair[0] not in {"connection", "upgrade", "content-length"}]
    assert [pair for pair in kept if "credential-id" not in pair[0]] == sorted(
        [*((name.lower(), value) for name, value in more), *OURS, *SENT]
    )
    assert arrived.values("upgrade") == [protocol]
    assert arrived.values("authorization") == credential(door)
    assert len(arrived.values("audit-id")) == 1


@pytest.mark.parametrize(
    ("status", "claims"),
    [(401, {"sub": ""}), (401, {"sub": None}), (401, {"sub": ["a", "b"]}), (403, {"sub": " "}), (403, {"sub": " a"})],
)
async def test_invariant_03_nobody_is_not_the_gateway(door: Door, status: int, claims: dict[str, Any]) -> None:
    """A token that verifies and names nobody goes nowhere (GHSA-4xh5-jcj2-ch8q)."""
    asked = await door.ask(PODS, token=door.issuer.token(**claims))

    assert asked.refusal[0] == status


async def test_invariant_03_a_review_without_a_name_is_nobody(door: Door) -> None:
    user = {"username": "", "groups": ["system:masters"]}
    review = response(201, {"kind": "TokenReview", "status": {"authenticated": True, "user": user}})
    with door.upstream.answering(lambda each: review if each.path.endswith("/tokenreviews") else None):
        asked = await door.ask(PODS, token="of-nobody")

    assert asked.refusal == (401, "Unauthorized")


async def test_invariant_04_groups_arrive_one_header_each(door: Door) -> None:
    """Commas and blanks within a name stay within it; nothing is joined, nothing is split."""
    groups = ["a,b", "a, system:masters", "with blank", "ünï", '"quoted"', "semi;colon", "100%", "x:y"]

    asked = await door.ask(PODS, token=door.issuer.token("olga", groups=groups))

    (arrived,) = asked.arrived
    assert [value.encode("latin-1").decode() for value in arrived.values("impersonate-group")] == groups
    assert arrived.values("impersonate-user") == ["olga"]


@pytest.mark.parametrize(
    "name",
    ["a\r\nImpersonate-Group: system:masters", "a\nb", "a\rb", "a\0b", " a", "a ", "\ta", "a\x7f", "a\x85b", "x" * 513],
)
async def test_invariant_04_names_that_no_header_carries_are_refused(door: Door, name: str) -> None:
    """As a group and as a user: refused whole, never cleaned into somebody else's name."""
    for claims in ({"groups": ["devs", name]}, {"sub": name}):
        asked = await door.ask(PODS, token=door.issuer.token(**claims))
        assert asked.refusal == (403, "Forbidden")


async def test_invariant_04_the_api_server_reads_the_same_groups(door: Door) -> None:
    """Shown by the API server itself, which says whom it takes the request for."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    asked = await door.ask(
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        ("Content-Type", "application/json"),
        tls=door.certificate("mallory", GROUPS),
        method="POST",
        body=json.dumps(review).encode(),
    )

    assert asked.status == 201
    info = asked.json["status"]["userInfo"]
    assert (info["username"], info["groups"]) == ("mallory", [*GROUPS, "system:authenticated"])

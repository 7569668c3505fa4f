"""Tokens and forwarded certificates: who is believed, and how often is asked; invariants 9 and 21 to 23."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from door import Asked, Door, Header
from issuer import Issuer
from recording_upstream import Arrived, response

from tenantry.controlplane.pki import Authority, utc_now

PODS: Final = "/api/v1/namespaces/default/pods"
REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
OLGA: Final = {"username": "olga", "groups": ["devs"]}
SOCKET: Final[tuple[Header, ...]] = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


@contextmanager
def reviewed(door: Door, status: object) -> Iterator[list[Arrived]]:
    """Have the API server say *status* of any token; yield the reviews that it was asked for."""
    answer = response(201, {"kind": "TokenReview", "status": status})
    asked: list[Arrived] = []

    def says(arrived: Arrived) -> bytes | None:
        if arrived.path != REVIEWS:
            return None
        asked.append(arrived)
        return answer

    with door.upstream.answering(says):
        yield asked


def refused_with_challenge(asked: Asked) -> bool:
    return asked.refusal == (401, "Unauthorized") and (asked.reply.header("www-authenticate") or "").startswith(
        "Bearer"
    )


@pytest.mark.parametrize(
    "status",
    [
        {"authenticated": True, "user": OLGA, "error": "token lookup failed"},
        {"authenticated": False, "user": OLGA},
        {"user": OLGA},
        {"authenticated": True},
        {"authenticated": True, "user": {"groups": ["system:masters"]}},
        {"authenticated": True, "user": {"username": "", "groups": ["system:masters"]}},
        {"authenticated": False, "error": "expired"},
        {},
    ],
)
async def test_invariant_21_every_sign_must_say_yes(door: Door, unique: Callable[[str], str], status: object) -> None:
    """CVE-2023-48312: authenticated, no error, and a name."""
    with reviewed(door, status) as reviews:
        asked = await door.ask(PODS, token=unique("token"))

    assert refused_with_challenge(asked)
    assert len(reviews) == 1


@pytest.mark.parametrize(
    "answer",
    [
        response(201, []),
        response(201, {"status": {"authenticated": "true"}}),
        response(201, {"status": None}),
        b"HTTP/1.1 500 Scripted\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["list", "text", "null", "failure"],
)
async def test_invariant_21_an_answer_that_is_none_lets_nobody_in(
    door: Door, unique: Callable[[str], str], answer: bytes
) -> None:
    with door.upstream.answering(lambda each: answer if each.path == REVIEWS else None):
        asked = await door.ask(PODS, token=unique("token"))

    assert asked.refusal == (503, "ServiceUnavailable")
    assert asked.reply.header("retry-after") == "1"


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Bearer",),
        ("Bearer ",),
        ("bearer    ",),
        ("",),
        ("Basic b2xnYTpzZWNyZXQ=",),
        ("Bearer a b",),
        ("Bearer a", "Bearer b"),
        ("Bearer \u00fc",),
        ("Token abc",),
    ],
)
async def test_invariant_21_what_is_no_token_is_never_reviewed(door: Door, lines: tuple[str, ...]) -> None:
    with reviewed(door, {"authenticated": True, "user": OLGA}) as reviews:
        asked = await door.ask(PODS, *(("Authorization", line) for line in lines))

    assert refused_with_challenge(asked)
    assert reviews == []


@pytest.mark.parametrize(
    ("audiences", "is_let_in"),
    [(["gateway"], True), (["x", "gateway"], True), ([], False), (None, False), (["x"], False)],
)
async def test_invariant_21_the_review_is_about_our_audiences(
    door: Door, unique: Callable[[str], str], audiences: list[str] | None, *, is_let_in: bool
) -> None:
    token, status = unique("token"), {"authenticated": True, "user": OLGA, "audiences": audiences}
    with reviewed(door, status) as reviews:
        asked = await door.ask(PODS, token=token, host="other.test")

    assert [each.json["spec"] for each in reviews] == [{"token": token, "audiences": ["gateway"]}]
    assert (asked.arrived != ()) == is_let_in
    assert is_let_in or refused_with_challenge(asked)


async def test_invariant_21_a_bad_token_is_not_made_good_by_a_certificate(
    door: Door, unique: Callable[[str], str]
) -> None:
    """R-006: what is present decides; the certificate beside it is not tried."""
    with reviewed(door, {"authenticated": False}):
        asked = await door.ask(PODS, token=unique("token"), tls=door.certificate("olga"))

    assert refused_with_challenge(asked)


BAD_TOKENS: Final[dict[str, Callable[[Issuer], str]]] = {
    "none": lambda issuer: issuer.unsigned({"alg": "none"}),
    "None": lambda issuer: issuer.unsigned({"alg": "None", "kid": "one"}),
    "no algorithm": lambda issuer: issuer.unsigned({"kid": "one"}),
    "shared secret": lambda issuer: issuer.by_shared_secret(),
    "no signature": lambda issuer: issuer.unsigned({"alg": "RS256", "kid": "one"}),
    "wrong signature": lambda issuer: issuer.unsigned({"alg": "RS256", "kid": "one"}, signature=b"x" * 256),
    "cut signature": lambda issuer: issuer.token()[:-4],
    "changed claims": lambda issuer: _with_claims(issuer.token(), issuer.token("root")),
    "other audience": lambda issuer: issuer.token(aud="other"),
    "no audience": lambda issuer: issuer.token(aud=None),
    "audience within": lambda issuer: issuer.token(aud="kubernetes-other"),
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - 90),
    "just expired": lambda issuer: issuer.token(exp=int(time.time()) - 1),
    "no expiry": lambda issuer: issuer.token(exp=None),
    "text expiry": lambda issuer: issuer.token(exp="9999999999"),
    "not yet": lambda issuer: issuer.token(nbf=int(time.time()) + 90),
    "of tomorrow": lambda issuer: issuer.token(iat=int(time.time()) + 86_400),
    "unknown key": lambda issuer: issuer.token(header={"kid": "two"}),
    "key by URL": lambda issuer: issuer.token(header={"kid": f"{issuer.url}/evil"}),
    "critical": lambda issuer: issuer.token(header={"crit": ["exp"]}),
    "unverified mail": lambda issuer: issuer.token(iss=f"{issuer.url}/mail", email="a@b.c", email_verified=False),
    "textual mail": lambda issuer: issuer.token(iss=f"{issuer.url}/mail", email="a@b.c", email_verified="false"),
    "groups left out": lambda issuer: issuer.token(_claim_names={"groups": "src1"}, _claim_sources={"src1": {}}),
}


def _with_claims(token: str, other: str) -> str:
    head, _, signature = token.split(".")
    return ".".join((head, other.split(".")[1], signature))


@pytest.mark.parametrize("kind", BAD_TOKENS)
async def test_invariant_22_only_a_wholly_good_token_is_believed(door: Door, kind: str) -> None:
    """And one of a known issuer is never shown to the API server for a second opinion."""
    token = BAD_TOKENS[kind](door.issuer)
    with reviewed(door, {"authenticated": True, "user": {"username": "root"}}) as reviews:
        asked = await door.ask(PODS, token=token)

    assert refused_with_challenge(asked), asked
    assert token not in asked.reply.body.decode()
    assert [each for each in reviews if each.json["spec"]["token"] == token] == []


@pytest.mark.parametrize(
    "issuer_of",
    [lambda url: f"{url}/", lambda url: url.upper(), lambda _: "https://evil.test", lambda _: None],
    ids=["slash", "upper case", "other", "none"],
)
async def test_invariant_22_another_issuer_is_not_ours(door: Door, issuer_of: Callable[[str], str | None]) -> None:
    """Its tokens are the API server's to judge, whoever signed them."""
    with reviewed(door, {"authenticated": False}) as reviews:
        asked = await door.ask(PODS, token=door.issuer.token(iss=issuer_of(door.issuer.url), jti=str(time.monotonic())))

    assert refused_with_challenge(asked)
    assert len(reviews) == 1


async def test_invariant_22_no_token_makes_the_gateway_fetch(door: Door) -> None:
    """Keys are where the issuer's discovery document says, and nowhere else."""
    elsewhere = f"{door.issuer.url}/evil"
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = {"kty": "RSA", "n": _number(other.public_key().public_numbers().n), "e": "AQAB"}
    for header in ({"jku": elsewhere}, {"x5u": elsewhere}, {"jwk": jwk}, {"kid": elsewhere}, {"kid": "../evil"}):
        good = door.issuer.key
        door.issuer.key = other
        try:
            token = door.issuer.token(header=header)
        finally:
            door.issuer.key = good
        assert refused_with_challenge(await door.ask(PODS, token=token))

    known = {"/keys", "/.well-known/openid-configuration", "/mail/.well-known/openid-configuration"}
    assert set(door.issuer.fetched) <= known


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(256, "big")).rstrip(b"=").decode()


@pytest.mark.parametrize("claims", [{"email_verified": True}, {}])
async def test_invariant_22_a_mail_address_may_be_a_name(door: Door, claims: dict[str, Any]) -> None:
    """Verified, or nothing said (8.6)."""
    asked = await door.ask(PODS, token=door.issuer.token(iss=f"{door.issuer.url}/mail", email="a@b.c", **claims))

    assert asked.arrived[0].values("impersonate-user") == ["a@b.c"]


async def test_invariant_23_a_hundred_at_once_cost_one_review(door: Door, unique: Callable[[str], str]) -> None:
    token = unique("token")
    with reviewed(door, {"authenticated": True, "user": OLGA}) as reviews:
        answers = await asyncio.gather(*(door.ask(PODS, token=token) for _ in range(100)))

    assert Counter(len(each.arrived) for each in answers) == {1: 100}
    assert [each.json["spec"]["token"] for each in reviews] == [token]


async def test_invariant_23_a_refusal_is_remembered_for_a_moment(door: Door, unique: Callable[[str], str]) -> None:
    """Long enough that hammering costs nothing, short enough that a token made good is seen."""
    token = unique("token")
    with reviewed(door, {"authenticated": False}) as reviews:
        answers = [await door.ask(PODS, token=token) for _ in range(10)]
        assert all(refused_with_challenge(each) for each in answers)
        assert len(reviews) == 1
    with reviewed(door, {"authenticated": True, "user": OLGA}) as reviews:
        async with asyncio.timeout(10):
            while not (await door.ask(PODS, token=token)).arrived:  # noqa: ASYNC110 - a real clock
                await asyncio.sleep(0.2)
    assert len(reviews) == 1


async def test_invariant_23_what_holds_for_one_audience_holds_for_no_other(
    door: Door, unique: Callable[[str], str]
) -> None:
    token = unique("token")
    with reviewed(door, {"authenticated": True, "user": OLGA, "audiences": []}) as reviews:
        assert (await door.ask(PODS, token=token)).arrived
        assert refused_with_challenge(await door.ask(PODS, token=token, host="other.test"))

    assert sorted(json.dumps(each.json["spec"]) for each in reviews) == sorted(
        [json.dumps({"token": token}), json.dumps({"token": token, "audiences": ["gateway"]})]
    )


async def test_invariant_23_nothing_is_remembered_beyond_the_expiry(door: Door) -> None:
    """Of a token that the API server accepts, and of one that is verified here."""
    ends = int(time.time()) + 3
    opaque = door.issuer.unsigned({"alg": "RS256"}, iss="https://elsewhere.test", exp=ends)
    own = door.issuer.token(exp=ends)
    with reviewed(door, {"authenticated": True, "user": OLGA}):
        for token in (opaque, own):
            assert (await door.ask(PODS, token=token)).arrived
        async with asyncio.timeout(10):
            while any([(await door.ask(PODS, token=token)).arrived for token in (opaque, own)]):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert ends <= time.time() < ends + 3
        for token in (opaque, own):
            assert refused_with_challenge(await door.ask(PODS, token=token))


async def test_websocket_bearers_are_url_safe_and_stay_behind(door: Door) -> None:
    """4.3: ``-`` and ``_`` in it; the API server gets the other subprotocols, and our credential."""
    token = "opaque?>~~?>~\x7d~?"
    encoded = base64.urlsafe_b64encode(token.encode()).rstrip(b"=").decode()
    assert {"-", "_"} & set(encoded)
    protocols = (
        ("Sec-WebSocket-Protocol", f"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.{encoded}"),
        ("Sec-WebSocket-Protocol", "v4.channel.k8s.io"),
    )
    with (
        reviewed(door, {"authenticated": True, "user": OLGA}) as reviews,
        door.upstream.answering(lambda each: response(403, {}) if each.values("upgrade") else None),
    ):
        asked = await door.ask(f"{PODS}/p/exec?command=true&stdout=1", *SOCKET, *protocols)

    assert [each.json["spec"] for each in reviews] == [{"token": token}]
    (arrived,) = asked.arrived
    offered = [part.strip() for value in arrived.values("sec-websocket-protocol") for part in value.split(",")]
    assert offered == ["v5.channel.k8s.io", "v4.channel.k8s.io"]
    assert arrived.values("authorization") == [door.own_authorization]
    assert encoded.encode() not in arrived.head


@pytest.mark.parametrize("encoded", ["b3BhcXVl/z4", "b3BhcXVl+z4", "b3BhcXVlPw==", "", "!", "gA"])
async def test_websocket_bearers_of_other_alphabets_are_refused(door: Door, encoded: str) -> None:
    with reviewed(door, {"authenticated": True, "user": OLGA}) as reviews:
        protocol = f"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.{encoded}"
        asked = await door.ask(f"{PODS}/p/exec", *SOCKET, ("Sec-WebSocket-Protocol", protocol))

    assert refused_with_challenge(asked)
    assert reviews == []


def forwarded(door: Door, user: str, groups: tuple[str, ...] = ()) -> str:
    pair = Authority(door.gateway.platform.plane.folder / "pki").client(utc_now(), user, groups)
    return f'Cert="{quote(pair.certificate.decode(), safe="")}"'


def self_made() -> str:
    pem = trustme.CA().issue_cert("olga", common_name="olga").cert_chain_pems[0].bytes().decode()
    return f'Cert="{quote(pem, safe="")}"'


XFCC: Final = "X-Forwarded-Client-Cert"


async def test_invariant_09_a_forwarded_certificate_of_the_clusters_ca_is_believed(door: Door) -> None:
    asked = await door.ask(PODS, (XFCC, forwarded(door, "olga", ("devs",))), host="other.test")

    (arrived,) = asked.arrived
    assert (arrived.values("impersonate-user"), arrived.values("impersonate-group")) == (["olga"], ["devs"])
    assert arrived.values("x-forwarded-client-cert") == []


@pytest.mark.parametrize(
    "lines",
    [
        ["SELF"],
        ["GOOD", "ROOT"],
        ["GOOD,ROOT"],
        ["GOOD;ROOT"],
        [f"GOOD;Hash={'0' * 64}"],
        [f"Hash={'0' * 64}"],
        ['Subject="CN=root,O=system:masters"'],
        ["Cert=nothing"],
        [""],
    ],
    ids=["no chain", "two headers", "two elements", "two certificates", "hash", "hash alone", "subject", "no", "empty"],
)
async def test_invariant_09_anything_else_is_not(door: Door, lines: list[str]) -> None:
    """One header, one element, with a chain; the good token beside it is not taken instead."""
    good, root = forwarded(door, "olga"), forwarded(door, "root")
    headers = [(XFCC, line.replace("GOOD", good).replace("ROOT", root).replace("SELF", self_made())) for line in lines]

    asked = await door.ask(PODS, *headers, token=door.issuer.token(), host="other.test")

    assert refused_with_challenge(asked), asked


async def test_invariant_09_nobody_forwards_from_outside_the_networks(door: Door) -> None:
    """A certificate that would be good, beside a good token: 403, and not the token's user."""
    asked = await door.ask(PODS, (XFCC, forwarded(door, "root")), token=door.issuer.token())

    assert asked.refusal == (403, "Forbidden")

"""One question, one answer: who it is, as lines for the data plane, or why nobody is let in."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from jwt.algorithms import ECAlgorithm

from tenantry.access.guards import GuardRefusal
from tenantry.access.refusals import Reason, http_status
from tenantry.foundation.codec import decode_any, encode
from tenantry.gateway.access_reviews import AccessReviews
from tenantry.gateway.identity.authenticators import Authenticators
from tenantry.gateway.identity.client_authority import ClientAuthority
from tenantry.gateway.identity.configuration import parse_authentication
from tenantry.gateway.identity.keys import IssuerKeys
from tenantry.gateway.identity.oidc import OidcAuthenticator
from tenantry.gateway.identity.reviewer import IdentityReviewer
from tenantry.gateway.identity.token_review import TokenReviews
from tenantry.gateway.identity.tokens import Key, read_keys
from tenantry.gateway.protocol import Answer, Lines
from tenantry.gateway.settings import (
    Authenticator,
    CertificateIdentity,
    ClientImpersonation,
    ForwardedCertificates,
    IdentitySettings,
    Locks,
    Subject,
)

KEY = ec.generate_private_key(ec.SECP256R1())
CONFIGURATION = """
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer: {url: "https://issuer", audiences: [kubernetes]}
    claimMappings:
      username: {claim: sub, prefix: ""}
      groups: {claim: groups, prefix: ""}
"""
DEVS = {"authenticated": True, "user": {"username": "alice", "groups": ["devs", "system:authenticated"]}}
ALL: tuple[Authenticator, ...] = ("BearerToken", "TLSCertificate", "XForwardedClientCert")
TRUSTED = ForwardedCertificates(trusted_networks=(ip_network("10.0.0.0/8"),))
SETTINGS = IdentitySettings(authenticators=ALL, forwarded=TRUSTED)
GOOD: Lines = (("authorization", "Bearer good"),)


class Desk:
    """A reviewer with all that it asks."""

    def __init__(self, reviewing: Any, clock: Any, counting: Any, certificates: Any, folder: Path) -> None:
        self.reviewing, self.clock, self.counting = reviewing, clock, counting
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(certificates.authority.public_bytes(Encoding.PEM))

    @asynccontextmanager
    async def open(self, settings: IdentitySettings = SETTINGS) -> AsyncIterator[IdentityReviewer]:
        (configured,) = parse_authentication(CONFIGURATION).issuers
        clock, observer = self.clock, self.counting
        keys = IssuerKeys(
            "https://issuer", _published, clock=clock, stale_seconds=300, observer=observer, on_withdrawn=lambda: None
        )
        async with self.reviewing.client() as client:
            authority = ClientAuthority(client, ca=settings.certificates.ca or self.ca, crl=None)
            await authority.refresh()
            await keys.refresh()
            yield IdentityReviewer(
                settings,
                authenticators=Authenticators(
                    settings,
                    issuers=(OidcAuthenticator(configured, keys, clock, settings.token_lifetime_seconds),),
                    token_reviews=TokenReviews(client, settings, clock=clock, observer=observer)
                    if settings.token_review
                    else None,
                    authority=authority,
                    clock=clock,
                ),
                access_reviews=AccessReviews(client, clock, observer=observer),
                clock=clock,
                observer=observer,
            )

    async def identify(self, lines: Lines, settings: IdentitySettings = SETTINGS) -> Answer:
        async with self.open(settings) as reviewer:
            return await reviewer.identify(lines)

    def token(self, **claims: Any) -> Lines:
        now = int(self.clock.now().timestamp())
        whole = {"iss": "https://issuer", "aud": "kubernetes", "exp": now + 100, "sub": "bob", **claims}
        return (("authorization", f"Bearer {jwt.encode(whole, KEY, 'ES256', headers={'kid': 'k'})}"),)


async def _published() -> tuple[Key, ...]:
    jwk = ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    return read_keys(encode({"keys": [{**jwk, "kid": "k"}]}))


@pytest.fixture
def desk(reviewing: Any, clock: Any, counting: Any, certificates: Any, tmp_path: Path) -> Desk:
    reviewing.tokens["good"] = DEVS
    return Desk(reviewing, clock, counting, certificates, tmp_path)


def why(answer: Answer) -> tuple[int, str]:
    return answer.status, dict(answer.headers).get("x-tenantry-reason", "")


def told(answer: Answer) -> dict[str, str]:
    assert answer.status == 200, answer
    return {name: value for name, value in answer.lines if name.startswith(":")}


def upstream(answer: Answer) -> list[tuple[str, str]]:
    assert answer.status == 200, answer
    return [line for line in answer.lines if not line[0].startswith(":")]


async def test_a_reviewed_token(desk: Desk) -> None:
    answer = await desk.identify(GOOD)
    assert upstream(answer) == [("impersonate-user", "alice"), ("impersonate-group", "devs")]
    assert {name: value for name, value in told(answer).items() if name != ":id"} == {
        ":fresh": "10.0",
        ":stale": "300.0",
        ":how": "review",
        ":own": "1",
    }
    assert desk.counting.told[-1] == ("identified", "review", "")


async def test_an_issuers_token_never_reaches_the_api_server(desk: Desk) -> None:
    answer = await desk.identify(desk.token(groups=["ops"]))
    assert upstream(answer) == [("impersonate-user", "bob"), ("impersonate-group", "ops")]
    expires = str(int(desk.clock.now().timestamp()) + 100)
    assert {name: value for name, value in told(answer).items() if name != ":id"} == {
        ":fresh": "10.0",
        ":stale": "100.0",
        ":how": "oidc",
        ":expires": expires,
    }
    assert desk.reviewing.asked == []


async def test_a_certificate(desk: Desk, certificates: Any, encoded: Any) -> None:
    answer = await desk.identify((("certificate", encoded(certificates.user("carol", ["devs"]))),))
    names = [name for name, _ in upstream(answer)]
    assert upstream(answer)[:2] == [("impersonate-user", "carol"), ("impersonate-group", "devs")]
    assert names[2:] == ["impersonate-extra-authentication.kubernetes.io%2fcredential-id"]
    assert told(answer)[":how"] == "x509"


async def test_a_forwarded_certificate(desk: Desk, certificates: Any, encoded: Any) -> None:
    header = ("forwarded-certificate", f"Cert={encoded(certificates.user('carol'))}")
    assert told(await desk.identify((header, ("peer", "10.0.0.1"))))[":how"] == "xfcc"
    assert why(await desk.identify((header, ("peer", "11.0.0.1")))) == (403, "UntrustedForwarder")


async def test_nobody_is_let_in_without_a_credential(desk: Desk) -> None:
    answer = await desk.identify(())
    assert (answer.status, dict(answer.headers), decode_any(answer.body)) == (
        401,
        {
            "content-type": "application/json",
            "x-tenantry-reason": "NoCredential",
            "www-authenticate": 'Bearer realm="kubernetes"',
        },
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "no credential that the gateway takes was sent: log in",
            "reason": "Unauthorized",
            "code": 401,
        },
    )
    assert desk.counting.told[-1] == ("identified", "none", "NoCredential")


async def test_a_bad_credential_is_not_made_up_for_by_a_good_one(desk: Desk, certificates: Any, encoded: Any) -> None:
    certificate = ("certificate", encoded(certificates.user()))
    assert why(await desk.identify((("authorization", "Bearer bad"), certificate))) == (401, "TokenRefused")
    assert why(await desk.identify((("authorization", "Basic eDp5"), certificate))) == (401, "UnsupportedScheme")
    first = replace(SETTINGS, authenticators=("TLSCertificate", "BearerToken"))
    assert why(await desk.identify((*GOOD, ("certificate-unverified", "1")), first)) == (401, "Certificate")
    # Before the client CA is known nobody is asked for a certificate: that is not the client's fault.
    assert why(await desk.identify((("certificate-unasked", "1"),), first)) == (503, "ClientCAUnavailable")
    assert why(await desk.identify((), first)) == (401, "NoCredential")


async def test_the_order_is_the_settings(desk: Desk, certificates: Any, encoded: Any) -> None:
    both = (*GOOD, ("certificate", encoded(certificates.user("carol"))))
    orders: list[tuple[Authenticator, ...]] = [
        ("BearerToken", "TLSCertificate"),
        ("TLSCertificate", "BearerToken"),
        ("TLSCertificate",),
    ]
    answers = [await desk.identify(both, replace(SETTINGS, authenticators=order)) for order in orders]
    assert [told(answer)[":how"] for answer in answers] == ["review", "x509", "x509"]


async def test_without_token_reviews_only_issuers_tokens_count(desk: Desk) -> None:
    settings = replace(SETTINGS, token_review=False)
    assert why(await desk.identify(GOOD, settings)) == (401, "TokenRefused")
    assert told(await desk.identify(desk.token(), settings))[":how"] == "oidc"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "other"}, "Audience"),
        ({"exp": 1}, "Expired"),
        ({"exp": None}, "Expired"),
        ({"exp": "x"}, "MalformedToken"),
        ({"nbf": 2**40}, "NotYetValid"),
        ({"iat": 2**40}, "NotYetValid"),
        ({"sub": None}, "ClaimMapping"),
        ({"groups": None, "_claim_names": {"groups": "src"}, "_claim_sources": {}}, None),
        ({"_claim_names": {"groups": "src"}, "_claim_sources": {"src": {"endpoint": "https://x"}}}, "GroupOverage"),
        ({"hasgroups": True}, "GroupOverage"),
    ],
)
async def test_an_issuers_token_must_hold(desk: Desk, claims: dict[str, Any], reason: str | None) -> None:
    answer = await desk.identify(desk.token(**claims))
    assert why(answer) == ((401, reason) if reason is not None else (200, ""))


async def test_long_lived_issuers_tokens_can_be_refused(desk: Desk) -> None:
    settings = replace(SETTINGS, token_lifetime_seconds=99)
    assert why(await desk.identify(desk.token(), settings)) == (401, "TooLongLived")


@pytest.mark.parametrize("claims", [{"sub": "system:admin"}, {"groups": ["devs", "system:masters"]}])
async def test_an_issuer_gives_no_name_of_the_clusters_own(desk: Desk, claims: dict[str, Any]) -> None:
    assert why(await desk.identify(desk.token(**claims))) == (403, "SystemName")
    allowed = replace(SETTINGS, allowed_system_names=("system:masters", "system:admin"))
    assert why(await desk.identify(desk.token(**claims), allowed)) == (200, "")


async def test_a_certificate_gives_no_name_of_the_clusters_own(desk: Desk, certificates: Any, encoded: Any) -> None:
    lines = (("certificate", encoded(certificates.user("admin", ["system:masters"]))),)
    assert why(await desk.identify(lines)) == (403, "SystemName")


async def test_the_api_server_may_give_its_own_names(desk: Desk) -> None:
    desk.reviewing.tokens["good"] = {"authenticated": True, "user": {"username": "system:serviceaccount:a:b"}}
    assert why(await desk.identify(GOOD)) == (200, "")


@pytest.mark.parametrize("name", ["a\nimpersonate-group: x", " a", "a" * 513])
async def test_a_name_that_no_header_can_carry_is_refused(desk: Desk, name: str) -> None:
    assert why(await desk.identify(desk.token(sub=name))) == (403, "Principal")


async def test_dropped_groups_are_not_forwarded_and_the_own_token_stays_here(desk: Desk) -> None:
    answer = await desk.identify(GOOD, replace(SETTINGS, dropped_groups=("devs",)))
    assert upstream(answer) == [("impersonate-user", "alice")]
    assert ":own" not in told(answer)


@pytest.mark.parametrize("settings", [{"own_token": "Never"}, {"token_audiences": ("gateway",)}])
async def test_the_own_token_goes_up_only_where_the_api_server_takes_it(desk: Desk, settings: dict[str, Any]) -> None:
    desk.reviewing.tokens["good"] = DEVS | {"audiences": ["gateway"]}
    assert ":own" not in told(await desk.identify(GOOD, replace(SETTINGS, **settings)))


async def test_a_token_in_a_subprotocol_stays_here(desk: Desk) -> None:
    protocol = base64.urlsafe_b64encode(b"good").decode().rstrip("=")
    answer = await desk.identify((("websocket-bearer", protocol),))
    assert (":own" in told(answer), upstream(answer)[0]) == (False, ("impersonate-user", "alice"))


async def test_whoever_is_locked_is_refused_at_once(desk: Desk) -> None:
    async with desk.open(replace(SETTINGS, dropped_groups=("devs",))) as reviewer:
        before = why(await reviewer.identify(GOOD))
        reviewer.set_locks(Locks(users=frozenset({"alice"})))
        by_user = why(await reviewer.identify(GOOD))
        reviewer.set_locks(Locks(groups=frozenset({"devs"})))
        by_group = why(await reviewer.identify(GOOD))
        reviewer.set_locks(Locks())
        after = why(await reviewer.identify(GOOD))
    assert [before, by_user, by_group, after] == [(200, ""), (403, "Locked"), (403, "Locked"), (200, "")]


async def test_a_refusal_of_somebody_known_says_for_the_record_whom(desk: Desk) -> None:
    desk.reviewing.tokens["odd"] = DEVS | {"user": {"username": "two\nlines"}}
    async with desk.open(SETTINGS) as reviewer:
        reviewer.set_locks(Locks(users=frozenset({"alice"})))
        answers = [await reviewer.identify(lines) for lines in (GOOD, (("authorization", "Bearer odd"),))]
    assert [dict(answer.headers).get("x-tenantry-user") for answer in answers] == ["alice", None]


async def test_an_api_server_that_is_away_is_503(desk: Desk) -> None:
    desk.reviewing.failure = 500
    answer = await desk.identify(GOOD)
    assert (why(answer), dict(answer.headers)["retry-after"]) == ((503, "ReviewUnavailable"), "1")


async def test_a_known_token_holds_on_for_less_and_less(desk: Desk) -> None:
    async with desk.open() as reviewer:
        await reviewer.identify(GOOD)
        desk.reviewing.failure = 500
        desk.clock.seconds += 60 + 290
        answer = await reviewer.identify(GOOD)
    assert (told(answer)[":fresh"], told(answer)[":stale"]) == ("2.0", "10.0")


async def test_impersonation_is_off_by_default(desk: Desk) -> None:
    answer = await desk.identify((*GOOD, ("impersonate-user", "bob")))
    assert why(answer) == (403, "ImpersonationDisabled")


ACTING = replace(SETTINGS, impersonation=ClientImpersonation(enabled=True))
AS_BOB: Lines = (*GOOD, ("impersonate-user", "bob"), ("impersonate-group", "ops"), ("impersonate-uid", "7"))


async def test_acting_as_somebody_else(desk: Desk) -> None:
    answer = await desk.identify(AS_BOB, ACTING)
    assert upstream(answer) == [
        ("impersonate-user", "bob"),
        ("impersonate-group", "ops"),
        ("impersonate-uid", "7"),
        ("impersonate-extra-tenantry.dev%2foriginal-user", "alice"),
    ]
    assert (told(answer)[":real"], ":own" in told(answer)) == ("alice", False)
    assert {(asked["user"], asked["resourceAttributes"]["name"]) for asked in desk.reviewing.asked[1:]} == {
        ("alice", "bob"),
        ("alice", "ops"),
        ("alice", "7"),
    }


async def test_acting_as_somebody_else_needs_every_right(desk: Desk) -> None:
    desk.reviewing.denied = {"ops"}
    answer = await desk.identify(AS_BOB, ACTING)
    assert why(answer) == (403, "ImpersonationDenied")
    assert "user 'alice' cannot impersonate groups 'ops'" in decode_any(answer.body)["message"]


async def test_trusted_ones_act_without_a_review(desk: Desk) -> None:
    desk.reviewing.denied = {"ops", "bob", "7"}
    trusted = ClientImpersonation(enabled=True, trusted=(Subject(kind="Group", name="devs"),))
    assert why(await desk.identify(AS_BOB, replace(SETTINGS, impersonation=trusted))) == (200, "")


async def test_whoever_is_locked_is_acted_as_by_nobody(desk: Desk) -> None:
    async with desk.open(ACTING) as reviewer:
        reviewer.set_locks(Locks(users=frozenset({"bob"})))
        assert why(await reviewer.identify(AS_BOB)) == (403, "Locked")


async def test_nonsense_about_impersonation_is_a_bad_request(desk: Desk) -> None:
    assert why(await desk.identify((*GOOD, ("impersonate-group", "ops")), ACTING)) == (400, "ImpersonationMalformed")


async def test_the_identitys_hash_is_stable_and_its_own(desk: Desk) -> None:
    first, again = await desk.identify(GOOD), await desk.identify(GOOD)
    other = await desk.identify(desk.token(sub="alice", groups=["ops"]))
    assert told(first)[":id"] == told(again)[":id"] != told(other)[":id"]
    assert len(told(first)[":id"]) == 16


async def test_a_bug_lets_nobody_in(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Authenticators, "authenticate", broken)
    assert why(await desk.identify(GOOD)) == (500, "Internal")


async def test_what_keeps_users_out_is_told(desk: Desk, tmp_path: Path) -> None:
    missing = replace(SETTINGS, certificates=CertificateIdentity(ca=tmp_path / "nothing"))
    async with desk.open(missing) as reviewer:
        (problem,) = reviewer.problems()
        assert problem.startswith("the CA of client certificates is not to be had: cannot read")
        assert not await reviewer.wait_until_ready(0.01)
    async with desk.open() as reviewer:
        assert list(reviewer.problems()) == []
        task = asyncio.ensure_future(reviewer.run())
        assert await reviewer.wait_until_ready(5)
        task.cancel()


def test_every_refusal_of_the_guards_has_a_reason() -> None:
    for token in ("SystemName", "Principal", "ReservedName", "Extra"):
        assert http_status(Reason(GuardRefusal(token, "").token)) == 403

"""Which user a verified token makes, rule by rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tenantry.access.claims import (
    ExpressionFailed,
    IssuerRules,
    Rule,
    check_lifetime,
    check_registered,
    pinned_issuer,
)
from tenantry.access.identity import Identity
from tenantry.access.refusals import CredentialError, Reason, http_status
from tenantry.api.authentication import ClaimMappings, ClaimOrExpression, PrefixedClaimOrExpression

NOW = 1_000_000.0
BY_SUB = ClaimMappings(username=PrefixedClaimOrExpression(claim="sub", prefix="oidc:"))


@dataclass(frozen=True)
class Giving:
    """An expression that gives what a function says."""

    function: Callable[[Mapping[str, Any]], Any]
    text: str = "the text"
    is_boolean: bool = True

    def evaluate(self, value: Mapping[str, Any]) -> Any:
        try:
            return self.function(value)
        except KeyError as error:
            raise ExpressionFailed(f"no key {error}") from error


def why(act: Callable[[], object]) -> Reason | None:
    try:
        act()
    except CredentialError as error:
        return error.why
    return None


def refused(rules: IssuerRules, claims: dict[str, Any]) -> Reason | None:
    return why(lambda: rules.identity(claims))


def test_claims_behind_prefixes() -> None:
    rules = IssuerRules(
        mappings=ClaimMappings(
            username=PrefixedClaimOrExpression(claim="sub", prefix="oidc:"),
            groups=PrefixedClaimOrExpression(claim="roles", prefix="g:"),
            uid=ClaimOrExpression(claim="oid"),
        )
    )
    claims = {"sub": "alice", "roles": ["b", "a", "b"], "oid": "7", "jti": "t-1"}
    assert rules.identity(claims) == Identity(
        user="oidc:alice",
        groups=("g:b", "g:a"),
        uid="7",
        extra=(("authentication.kubernetes.io/credential-id", ("JTI=t-1",)),),
    )


def test_expressions() -> None:
    rules = IssuerRules(
        mappings=ClaimMappings(),
        username=Giving(lambda claims: claims["sub"]),
        groups=Giving(lambda claims: claims["sub"]),
        uid=Giving(lambda _: ""),
        extra=(
            ("z/z", Giving(lambda _: ["x", "", "x"])),
            ("a/a", Giving(lambda _: "one")),
            ("b/b", Giving(lambda _: [])),
        ),
    )
    assert rules.identity({"sub": "alice"}) == Identity(
        user="alice", groups=("alice",), extra=(("a/a", ("one",)), ("z/z", ("x", "x")))
    )


@pytest.mark.parametrize("value", [None, "", 5, ["a"], True, {}])
def test_a_user_name_is_a_string_that_is_not_empty(value: object) -> None:
    """Nobody is called by the prefix alone."""
    assert refused(IssuerRules(mappings=BY_SUB), {"sub": value}) is Reason.CLAIM_MAPPING
    by_expression = IssuerRules(mappings=ClaimMappings(), username=Giving(lambda _: value))
    assert refused(by_expression, {}) is Reason.CLAIM_MAPPING


@pytest.mark.parametrize(
    ("value", "groups"), [("one", ("g:one",)), ([], ()), (None, ()), (["a", "b"], ("g:a", "g:b")), ([""], ("g:",))]
)
def test_groups_are_a_string_or_a_list(value: object, groups: tuple[str, ...]) -> None:
    mappings = ClaimMappings(username=BY_SUB.username, groups=PrefixedClaimOrExpression(claim="groups", prefix="g:"))
    assert IssuerRules(mappings=mappings).identity({"sub": "a", "groups": value}).groups == groups


@pytest.mark.parametrize("value", [5, True, {"a": 1}, [1], ["a", None]])
def test_other_groups_are_refused(value: object) -> None:
    mappings = ClaimMappings(username=BY_SUB.username, groups=PrefixedClaimOrExpression(claim="groups", prefix=""))
    assert refused(IssuerRules(mappings=mappings), {"sub": "a", "groups": value}) is Reason.CLAIM_MAPPING


@pytest.mark.parametrize(
    ("verified", "outcome"),
    [({}, None)]
    + [({"email_verified": True}, None)]
    + [({"email_verified": value}, Reason.EMAIL_NOT_VERIFIED) for value in (False, None, "true", 1)],
)
def test_an_email_that_is_not_verified_names_nobody(verified: dict[str, Any], outcome: Reason | None) -> None:
    rules = IssuerRules(mappings=ClaimMappings(username=PrefixedClaimOrExpression(claim="email", prefix="")))
    assert refused(rules, {"email": "a@x", **verified}) is outcome


def test_rules_must_hold() -> None:
    required = IssuerRules(mappings=BY_SUB, required=(("hd", "x"),))
    by_claims = IssuerRules(mappings=BY_SUB, claim_rules=(Rule(Giving(lambda claims: claims["ok"]), "not ok"),))
    by_user = IssuerRules(
        mappings=BY_SUB, user_rules=(Rule(Giving(lambda user: user["username"] == "oidc:a"), "only a"),)
    )
    assert [refused(required, {"sub": "a", **more}) for more in ({"hd": "x"}, {"hd": "y"}, {})] == [
        None,
        Reason.CLAIM_VALIDATION,
        Reason.CLAIM_VALIDATION,
    ]
    outcomes = [refused(by_claims, {"sub": "a", **more}) for more in ({"ok": True}, {"ok": "true"}, {"ok": False}, {})]
    assert outcomes == [None] + [Reason.CLAIM_VALIDATION] * 3
    assert [refused(by_user, {"sub": name}) for name in ("a", "b")] == [None, Reason.USER_VALIDATION]


@pytest.mark.parametrize(
    "claims",
    [
        {"_claim_names": {"groups": "src"}},
        {"_claim_names": {"groups": "src"}, "_claim_sources": {"src": {"endpoint": "https://x"}}},
        {"hasgroups": True},
        {"hasgroups": "true"},
        {"hasgroups": ["?"]},
    ],
)
def test_groups_that_were_left_out_are_an_error(claims: dict[str, Any]) -> None:
    by_claim = IssuerRules(
        mappings=ClaimMappings(username=BY_SUB.username, groups=PrefixedClaimOrExpression(claim="groups", prefix=""))
    )
    by_expression = IssuerRules(mappings=BY_SUB, groups=Giving(lambda _: [], text="claims.?groups.orValue([])"))
    unmapped = IssuerRules(mappings=BY_SUB)
    outcomes = [refused(rules, {"sub": "a", **claims}) for rules in (by_claim, by_expression, unmapped)]
    assert outcomes == [Reason.GROUP_OVERAGE, Reason.GROUP_OVERAGE, None]
    assert refused(by_claim, {"sub": "a", "groups": ["here"], **claims}) is None


@pytest.mark.parametrize("claims", [{"_claim_names": []}, {"_claim_names": {}, "_claim_sources": "x"}])
def test_unreadable_sources_are_refused(claims: dict[str, Any]) -> None:
    assert refused(IssuerRules(mappings=BY_SUB), {"sub": "a", **claims}) is Reason.MALFORMED_TOKEN


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, None),
        ({"aud": ["x", "us"]}, None),
        ({"aud": "x"}, Reason.AUDIENCE),
        ({"aud": []}, Reason.AUDIENCE),
        ({"aud": None}, Reason.AUDIENCE),
        ({"aud": {"us": 1}}, Reason.AUDIENCE),
        ({"iss": "https://other"}, Reason.MALFORMED_TOKEN),
        ({"exp": NOW}, None),
        ({"exp": NOW - 1}, Reason.EXPIRED),
        ({"exp": None}, Reason.EXPIRED),
        ({"exp": "2030"}, Reason.MALFORMED_TOKEN),
        ({"exp": True}, Reason.MALFORMED_TOKEN),
        ({"exp": 10**400}, Reason.MALFORMED_TOKEN),
        ({"exp": float("inf")}, Reason.MALFORMED_TOKEN),
        ({"nbf": NOW + 60}, None),
        ({"nbf": NOW + 61}, Reason.NOT_YET_VALID),
        ({"iat": NOW + 61}, Reason.NOT_YET_VALID),
    ],
)
def test_issuer_audience_and_times(changed: dict[str, Any], outcome: Reason | None) -> None:
    claims = {"iss": "https://i", "aud": "us", "exp": NOW + 10, "iat": NOW, **changed}
    assert why(lambda: check_registered(claims, issuer="https://i", audiences=("us", "too"), now=NOW)) is outcome


@pytest.mark.parametrize(
    ("issuer", "pinned"),
    [
        ("https://i", "https://i"),
        ("accounts.google.com", "https://accounts.google.com"),
        ("", None),
        (None, None),
        (["https://i"], None),
    ],
)
def test_the_issuer_is_pinned(issuer: object, pinned: str | None) -> None:
    assert pinned_issuer({"iss": issuer}) == pinned


@pytest.mark.parametrize(
    ("claims", "seconds", "outcome"),
    [
        ({"exp": NOW + 100, "iat": NOW}, 100, None),
        ({"exp": NOW + 101, "iat": NOW}, 100, Reason.TOO_LONG_LIVED),
        ({"exp": NOW + 101}, 100, Reason.TOO_LONG_LIVED),
        ({}, 100, Reason.TOO_LONG_LIVED),
        ({}, 0, None),
    ],
)
def test_lifetimes_can_be_capped(claims: dict[str, Any], seconds: float, outcome: Reason | None) -> None:
    assert why(lambda: check_lifetime(claims, seconds=seconds, now=NOW)) is outcome


def test_a_status_says_whether_to_log_in_again() -> None:
    statuses: dict[int, int] = {}
    for reason in Reason:
        statuses[http_status(reason)] = statuses.get(http_status(reason), 0) + 1
    assert statuses == {400: 1, 401: 20, 403: 8, 500: 1, 503: 3}

"""Kubernetes' own expressions, and what is not one."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.access.authentication import ExpressionProblem
from tenantry.access.claims import ExpressionFailed
from tenantry.gateway.identity.expressions import CelCompiler

COMPILER = CelCompiler()
CLAIMS = {"sub": "alice", "groups": ["a"], "email_verified": False, "n": 1, "example.org/x-y": {"in": "deep"}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("claims.email_verified", False),
        ("'oidc:' + claims.sub", "oidc:alice"),
        ("has(claims.groups)", True),
        ("claims.?email_verified.orValue(true) == true", False),
        ("'dev,ops'.split(',')", ["dev", "ops"]),
        ("claims.n", 1.0),
        ("claims.example__dot__org__slash__x__dash__y.__in__", "deep"),
        ("claims.?nope.orValue(null)", None),
        ("'a1b2'.findAll('[0-9]')", ["1", "2"]),
        ("'a1b2'.find('[x]')", ""),
        ("sets.equivalent(claims.groups, ['a', 'a'])", True),
        ("[2, 1].isSorted()", False),
    ],
)
def test_claims_are_read(text: str, value: object) -> None:
    assert COMPILER.compile(text, "claims").evaluate(CLAIMS) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("user.username.startsWith('system:')", True),
        ("user.groups.all(group, !group.startsWith('system:'))", True),
        ("user.extra['a/b'] == ['c']", True),
    ],
)
def test_the_user_is_read(text: str, value: object) -> None:
    user = {"username": "system:x", "uid": "", "groups": ["a"], "extra": {"a/b": ["c"]}}
    assert COMPILER.compile(text, "user").evaluate(user) == value


@pytest.mark.parametrize(
    "text", ["", "claims.", "claims.sub +", "nope", "user.username", "claims.sub.nope()", "1 + 'a'"]
)
def test_what_is_no_expression_is_told(text: str) -> None:
    with pytest.raises(ExpressionProblem):
        COMPILER.compile(text, "claims")


@pytest.mark.parametrize(
    "text",
    [
        "claims.nope",
        "claims.sub + 1",
        "claims.?nope",
        "1 / 0",
        "claims.sub.matches('(')",
        "'a'.find('(')",
        "claims.n.m",
    ],
)
def test_an_expression_without_a_value_fails(text: str) -> None:
    try:
        expression = COMPILER.compile(text, "claims")
    except ExpressionProblem:
        return
    with pytest.raises(ExpressionFailed):
        expression.evaluate(CLAIMS)


def test_a_number_out_of_range_fails() -> None:
    with pytest.raises(ExpressionFailed):
        COMPILER.compile("claims.n", "claims").evaluate({"n": 10**400})


@pytest.mark.parametrize(
    ("text", "is_boolean"), [("claims.email_verified", False), ("claims.email_verified == true", True), ("'a'", False)]
)
def test_the_type_is_known_before(text: str, is_boolean: Any) -> None:
    assert COMPILER.compile(text, "claims").is_boolean is is_boolean

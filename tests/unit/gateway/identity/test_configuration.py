"""The API server's file is read as it is, and refused where the API server refuses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tenantry.foundation.errors import ConfigurationError
from tenantry.gateway.identity.configuration import parse_authentication, read_authentication

ISSUER = {"url": "https://issuer.example", "audiences": ["kubernetes"]}
USERNAME = {"claim": "sub", "prefix": ""}


def text(issuer: dict[str, Any] | None = None, mappings: dict[str, Any] | None = None, **more: Any) -> str:
    jwt = {
        "issuer": ISSUER | (issuer or {}),
        "claimMappings": {"username": USERNAME} | (mappings or {}),
        **more,
    }
    return yaml.safe_dump(
        {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": [jwt]}
    )


def problems(content: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_authentication(content)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_both_versions_are_read(version: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(text().replace("k8s.io/v1", f"k8s.io/{version}"))
    assert [found.issuer.url for found in read_authentication(path).issuers] == ["https://issuer.example"]


def test_what_means_nothing_here_is_warned_of() -> None:
    content = text({"egressSelectorType": "cluster"}) + "anonymous: {enabled: true, conditions: [{path: /livez}]}\n"
    assert parse_authentication(content).warnings == (
        "anonymous: ignored, since the gateway lets nobody in without a credential",
        "jwt[0].issuer.egressSelectorType: ignored, since it is about the API server's way to the issuer",
    )


def test_null_is_unset() -> None:
    content = text(mappings={"groups": None}, claimValidationRules=None, userValidationRules=None)
    assert len(parse_authentication(content).issuers) == 1


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_authentication(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: [", "expected"),
        ("[]", "Expected `object`"),
        (text() + "jwts: []\n", "unknown field `jwts`"),
        (text(claimValidationRule=[]), "unknown field `claimValidationRule`"),
        (text() + "kind: Other\n", "the key 'kind' is there twice"),
        (text().replace("v1", "v1alpha1"), "apiVersion: 'apiserver.config.k8s.io/v1alpha1'"),
        (text().replace("kind: Authen", "kind: Author"), "kind: 'AuthorticationConfiguration'"),
        (text({"url": "http://issuer"}), "jwt[0].issuer.url: 'http://issuer' must be an https URL"),
        (text({"url": "https://u:p@issuer"}), "must have no user, query or fragment"),
        (text({"url": "https://issuer?x"}), "must have no user, query or fragment"),
        (text({"discoveryURL": "https://issuer.example/"}), "jwt[0].issuer.discoveryURL: must differ from url"),
        (text({"audiences": []}), "jwt[0].issuer.audiences"),
        (text({"audiences": ["a", "a"], "audienceMatchPolicy": "MatchAny"}), "each may be there once"),
        (text({"audiences": ["a", "b"]}), "jwt[0].issuer.audienceMatchPolicy: must be MatchAny"),
        (text({"certificateAuthority": "nothing"}), "jwt[0].issuer.certificateAuthority: no PEM certificates"),
        (text(mappings={"username": {}}), "jwt[0].claimMappings.username: a claim or an expression is required"),
        (text(mappings={"username": {"claim": "sub"}}), "jwt[0].claimMappings.username.prefix: is required"),
        (text(mappings={"username": {"expression": "'a'", "prefix": ""}}), "username.prefix: may not be set"),
        (text(mappings={"username": {"expression": "'a'", "claim": "a"}}), "claim and expression can't both be set"),
        (text(mappings={"groups": {"expression": "claims.("}}), "jwt[0].claimMappings.groups.expression"),
        (text(mappings={"uid": {"expression": "'a'", "claim": "a"}}), "jwt[0].claimMappings.uid"),
        (text(mappings={"extra": [{"key": "a", "valueExpression": "'x'"}]}), "must be lower case"),
        (text(mappings={"extra": [{"key": "A.b/c", "valueExpression": "'x'"}]}), "must be lower case"),
        (text(mappings={"extra": [{"key": "x.k8s.io/c", "valueExpression": "'x'"}]}), "are reserved"),
        (text(mappings={"extra": [{"key": "a.b/c", "valueExpression": ""}]}), "valueExpression: is required"),
        (text(mappings={"extra": [{"key": "a.b/c", "valueExpression": "'x'"}] * 2}), "is there twice"),
        (text(claimValidationRules=[{}]), "jwt[0].claimValidationRules[0]: either"),
        (text(claimValidationRules=[{"claim": "a", "message": "m"}]), "message: may not be set"),
        (text(claimValidationRules=[{"expression": "true", "requiredValue": "m"}]), "requiredValue: may not be set"),
        (text(claimValidationRules=[{"claim": "a"}, {"claim": "a"}]), "claimValidationRules[1]: is there twice"),
        (text(claimValidationRules=[{"expression": "claims.email_verified"}]), "must be of type bool"),
        (text(userValidationRules=[{"message": "m"}]), "userValidationRules[0].expression: is required"),
        (text(userValidationRules=[{"expression": "true"}] * 2), "userValidationRules[1].expression: is there twice"),
        (text(userValidationRules=[{"expression": "claims.sub == 'a'"}]), "userValidationRules[0].expression"),
        (text(mappings={"username": {"expression": "claims.email"}}), "claims.email_verified must be used"),
        (text(mappings={"username": {"expression": "claims.?email.value()"}}), "claims.email_verified must be used"),
    ],
)
def test_what_the_api_server_refuses_is_refused(content: str, problem: str) -> None:
    found = problems(content)
    assert any(problem in line for line in found), found


@pytest.mark.parametrize(
    "content",
    [
        text(mappings={"username": {"expression": "claims.?email_verified.orValue(true) ? claims.email : ''"}}),
        text(
            mappings={"username": {"expression": "claims.email"}},
            claimValidationRules=[{"expression": "claims.?email_verified.orValue(true) == true"}],
        ),
        text(mappings={"username": {"expression": "'claims.email' + claims.sub"}}),
    ],
)
def test_an_email_needs_a_look_at_its_verification(content: str) -> None:
    assert len(parse_authentication(content).issuers) == 1


def test_an_issuer_may_be_there_once() -> None:
    whole = yaml.safe_load(text())
    whole["jwt"] *= 2
    assert problems(yaml.safe_dump(whole)) == ["jwt: issuer.url 'https://issuer.example' is there 2 times"]


def test_all_problems_are_told() -> None:
    assert len(problems(text({"url": "http://a", "audiences": []}, {"username": {}}))) == 3

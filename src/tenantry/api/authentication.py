"""kube-apiserver's AuthenticationConfiguration, as its file is written.

A field that is not declared here is an error when reading: the API server refuses it, too, and a rule
that nobody applies would let people in.

Source: https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/
"""

from __future__ import annotations

from typing import Final

from tenantry.foundation.codec import Model, field

AUTHENTICATION_VERSIONS: Final = ("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1")
"""The two are written alike."""
MATCH_ANY: Final = "MatchAny"


class Issuer(Model, forbid_unknown_fields=True):
    """Who signs the tokens, and where its keys are found."""

    url: str
    """What the claim ``iss`` must be, to the byte."""
    discovery_url: str | None = field(default=None, name="discoveryURL")
    """The whole URL of the discovery document, where it is not ``<url>/.well-known/openid-configuration``."""
    certificate_authority: str = ""
    """PEM; empty: the machine's trusted roots."""
    audiences: tuple[str, ...] = ()
    audience_match_policy: str = ""
    egress_selector_type: str = ""
    """Says how the API server reaches the issuer; nothing to the gateway."""


class ClaimValidationRule(Model, forbid_unknown_fields=True):
    """What a token must say: a claim with one value, or an expression that is true."""

    claim: str = ""
    required_value: str = ""
    expression: str = ""
    message: str = ""


class PrefixedClaimOrExpression(Model, forbid_unknown_fields=True):
    """Where a name comes from: a claim behind a prefix, or an expression."""

    claim: str = ""
    prefix: str | None = None
    """Required with *claim*; empty for none."""
    expression: str = ""


class ClaimOrExpression(Model, forbid_unknown_fields=True):
    """Where the uid comes from."""

    claim: str = ""
    expression: str = ""


class ExtraMapping(Model, forbid_unknown_fields=True):
    """Where the values of one extra come from."""

    key: str
    value_expression: str


class ClaimMappings(Model, forbid_unknown_fields=True):
    """How claims become a user."""

    username: PrefixedClaimOrExpression = PrefixedClaimOrExpression()
    groups: PrefixedClaimOrExpression = PrefixedClaimOrExpression()
    uid: ClaimOrExpression = ClaimOrExpression()
    extra: tuple[ExtraMapping, ...] = ()


class UserValidationRule(Model, forbid_unknown_fields=True):
    """What the user that came out must be like."""

    expression: str = ""
    message: str = ""


class JWTAuthenticator(Model, forbid_unknown_fields=True):
    """One issuer."""

    issuer: Issuer
    claim_validation_rules: tuple[ClaimValidationRule, ...] = ()
    claim_mappings: ClaimMappings = ClaimMappings()
    user_validation_rules: tuple[UserValidationRule, ...] = ()


class AnonymousCondition(Model, forbid_unknown_fields=True):
    """A path that is open to everybody."""

    path: str


class AnonymousAuthentication(Model, forbid_unknown_fields=True):
    """Whether the API server serves who shows no credential; the gateway never does."""

    enabled: bool = False
    conditions: tuple[AnonymousCondition, ...] = ()


class AuthenticationConfiguration(Model, forbid_unknown_fields=True):
    """The file."""

    api_version: str
    kind: str
    jwt: tuple[JWTAuthenticator, ...] = ()
    anonymous: AnonymousAuthentication | None = None

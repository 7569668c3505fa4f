"""What a verified token says: whether it counts now, and which user it makes, as kube-apiserver decides it.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from tenantry.access.identity import Identity
from tenantry.access.refusals import CredentialError, Reason
from tenantry.api.authentication import ClaimMappings

Claims = Mapping[str, Any]
Variable = Literal["claims", "user"]

CREDENTIAL_ID: Final = "authentication.kubernetes.io/credential-id"
SKEW_SECONDS: Final = 60.0
"""How far another clock may be ahead; an expired token is expired at once, as for the API server."""

_END_OF_TIME: Final = 2**53
"""Seconds that a double still counts one by one."""
_GOOGLE: Final = "https://accounts.google.com"
_GOOGLE_WITHOUT_SCHEME: Final = "accounts.google.com"


class ExpressionFailed(ValueError):  # noqa: N818 - an outcome, which callers turn into a refusal
    """The expression gave no value for these claims."""


class Expression(Protocol):
    """A compiled CEL expression."""

    @property
    def text(self) -> str:
        """As it stands in the configuration."""
        ...

    @property
    def is_boolean(self) -> bool:
        """Whether its type, as far as known beforehand, is bool."""
        ...

    def evaluate(self, value: Mapping[str, Any]) -> Any:
        """Return strings, booleans, numbers, lists, mappings or None.

        Args:
            value: Of the expression's one variable; JSON's own types.

        Raises:
            ExpressionFailed: There is no value.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rule:
    """An expression that must be true."""

    expression: Expression
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRules:
    """One issuer's part of the configuration, checked and compiled."""

    mappings: ClaimMappings
    username: Expression | None = None
    groups: Expression | None = None
    uid: Expression | None = None
    extra: tuple[tuple[str, Expression], ...] = ()
    required: tuple[tuple[str, str], ...] = ()
    claim_rules: tuple[Rule, ...] = ()
    user_rules: tuple[Rule, ...] = ()

    def identity(self, claims: Claims) -> Identity:
        """Return the user that *claims* describe.

        Raises:
            CredentialError: They do not.
        """
        self._refuse_overage(claims)
        identity = Identity(
            user=self._username(claims), groups=self._groups(claims), uid=self._uid(claims), extra=self._extra(claims)
        )
        for claim, value in self.required:
            if _text(claims, claim, Reason.CLAIM_VALIDATION) != value:
                raise CredentialError(Reason.CLAIM_VALIDATION, f"the token's claim {claim!r} is not {value!r}")
        _hold(self.claim_rules, claims, Reason.CLAIM_VALIDATION)
        _hold(self.user_rules, _user_info(identity), Reason.USER_VALIDATION)
        return identity

    def _username(self, claims: Claims) -> str:
        if self.username is not None:
            name = _evaluated(self.username, claims)
            if not isinstance(name, str):
                raise CredentialError(Reason.CLAIM_MAPPING, "the expression for the user name gives no string")
            prefix = ""
        else:
            mapping = self.mappings.username
            name, prefix = _text(claims, mapping.claim, Reason.CLAIM_MAPPING), mapping.prefix or ""
            if mapping.claim == "email" and claims.get("email_verified", True) is not True:
                raise CredentialError(Reason.EMAIL_NOT_VERIFIED, "the issuer has not verified the e-mail address")
        if not name:
            # Before the prefix: nobody is called by it alone.
            raise CredentialError(Reason.CLAIM_MAPPING, "the token gives an empty user name")
        return prefix + name

    def _groups(self, claims: Claims) -> tuple[str, ...]:
        if self.groups is not None:
            return tuple(dict.fromkeys(_strings(_evaluated(self.groups, claims), "groups")))
        mapping = self.mappings.groups
        value = claims.get(mapping.claim) if mapping.claim else None
        if value is None:
            return ()
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or any(not isinstance(name, str) for name in names):
            raise CredentialError(Reason.CLAIM_MAPPING, f"the token's claim {mapping.claim!r} is no list of strings")
        prefix = mapping.prefix or ""
        return tuple(dict.fromkeys(prefix + name for name in names if prefix + name))

    def _uid(self, claims: Claims) -> str:
        if self.uid is not None:
            uid = _evaluated(self.uid, claims)
            if not isinstance(uid, str):
                raise CredentialError(Reason.CLAIM_MAPPING, "the expression for the uid gives no string")
            return uid
        claim = self.mappings.uid.claim
        return _text(claims, claim, Reason.CLAIM_MAPPING) if claim else ""

    def _extra(self, claims: Claims) -> tuple[tuple[str, tuple[str, ...]], ...]:
        extra: dict[str, tuple[str, ...]] = {}
        token_id = claims.get("jti")
        if isinstance(token_id, str) and token_id:
            extra[CREDENTIAL_ID] = (f"JTI={token_id}",)
        for key, expression in self.extra:
            if values := _strings(_evaluated(expression, claims), key):
                extra[key] = values
        return tuple(sorted(extra.items()))

    def _refuse_overage(self, claims: Claims) -> None:
        """Refuse a token whose groups stand elsewhere: without them, a rule about groups would not hold."""
        elsewhere = set(_claim_sources(claims))
        if claims.get("hasgroups") not in (None, False, "false"):
            elsewhere.add("groups")
        wanted = self.mappings.groups
        missing = [
            name
            for name in elsewhere - set(claims)
            if name == wanted.claim or (self.groups is not None and name in self.groups.text)
        ]
        if missing:
            raise CredentialError(
                Reason.GROUP_OVERAGE,
                f"the token leaves out the claim {missing[0]!r} since its user is in too many groups: "
                "have the identity provider send only the groups that are assigned to this application",
            )


def check_registered(claims: Claims, *, issuer: str, audiences: Iterable[str], now: float) -> None:
    """Hold the token to its issuer, audience and times.

    Args:
        claims: Of a token whose signature is verified.
        issuer: As configured.
        audiences: One of which must be meant.
        now: Unix seconds.

    Raises:
        CredentialError: It does not count, or not now.
    """
    if pinned_issuer(claims) != issuer:
        raise CredentialError(Reason.MALFORMED_TOKEN, "the token is another issuer's")
    meant = claims.get("aud")
    meant = [meant] if isinstance(meant, str) else meant
    if not isinstance(meant, list) or not any(audience in meant for audience in audiences):
        raise CredentialError(Reason.AUDIENCE, f"the token is not for this cluster: its audience is {meant!r}")
    expires = moment(claims, "exp")
    if expires is None or expires < now:
        raise CredentialError(Reason.EXPIRED, "the token has expired")
    for claim in ("nbf", "iat"):
        start = moment(claims, claim)
        if start is not None and start > now + SKEW_SECONDS:
            raise CredentialError(Reason.NOT_YET_VALID, f"the token is not valid yet: its {claim} is ahead of now")


def pinned_issuer(claims: Claims) -> str | None:
    """Return who says to have issued the token; None where nobody does."""
    issuer = claims.get("iss")
    if issuer == _GOOGLE_WITHOUT_SCHEME:  # Google's own exception, which the API server makes, too.
        return _GOOGLE
    return issuer if isinstance(issuer, str) and issuer else None


def moment(claims: Claims, claim: str) -> float | None:
    """Return a NumericDate (RFC 7519, section 2); None where it is absent.

    Raises:
        CredentialError: It is no number, or no time.
    """
    value = claims.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CredentialError(Reason.MALFORMED_TOKEN, f"the token's claim {claim!r} is no time")
    if not abs(value) < _END_OF_TIME:
        raise CredentialError(Reason.MALFORMED_TOKEN, f"the token's claim {claim!r} is beyond all times")
    return float(value)


def check_lifetime(claims: Claims, *, seconds: float, now: float) -> None:
    """Refuse a token that lives longer than *seconds*, or for ever; 0: no cap.

    Raises:
        CredentialError: It does.
    """
    if seconds <= 0:
        return
    expires = moment(claims, "exp")
    issued = moment(claims, "iat")
    if expires is None or expires - (now if issued is None else issued) > seconds:
        raise CredentialError(
            Reason.TOO_LONG_LIVED, f"the token lives longer than {seconds:.0f} seconds: ask for a shorter one"
        )


def _claim_sources(claims: Claims) -> Mapping[str, Any]:
    names = claims.get("_claim_names")
    if names is None:
        return {}
    sources = claims.get("_claim_sources") or {}
    if not isinstance(names, dict) or not isinstance(sources, dict):
        raise CredentialError(Reason.MALFORMED_TOKEN, "the token's _claim_names are no mapping")
    return names


def _text(claims: Claims, claim: str, why: Reason) -> str:
    if claim not in claims:
        raise CredentialError(why, f"the token has no claim {claim!r}")
    value = claims[claim]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CredentialError(why, f"the token's claim {claim!r} is no string")
    return value


def _evaluated(expression: Expression, claims: Claims) -> Any:
    try:
        return expression.evaluate(claims)
    except ExpressionFailed as error:
        raise CredentialError(
            Reason.CLAIM_MAPPING, f"the expression {expression.text!r} has no value for this token: {error}"
        ) from error


def _strings(value: Any, what: str) -> tuple[str, ...]:
    """Return one string or a list of them; empty ones are none."""
    if value is None:
        return ()
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or any(not isinstance(item, str) for item in values):
        raise CredentialError(
            Reason.CLAIM_MAPPING, f"the expression for {what} gives neither a string nor a list of strings"
        )
    return tuple(item for item in values if item)


def _hold(rules: Iterable[Rule], value: Mapping[str, Any], why: Reason) -> None:
    for rule in rules:
        try:
            outcome = rule.expression.evaluate(value)
        except ExpressionFailed as error:
            raise CredentialError(why, f"the rule {rule.expression.text!r} has no value: {error}") from error
        if outcome is not True:
            raise CredentialError(why, rule.message or f"the rule {rule.expression.text!r} does not hold")


def _user_info(identity: Identity) -> Mapping[str, Any]:
    return {
        "username": identity.user,
        "uid": identity.uid,
        "groups": list(identity.groups),
        "extra": {key: list(values) for key, values in identity.extra},
    }

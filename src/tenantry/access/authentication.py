"""Checks an AuthenticationConfiguration as kube-apiserver would, and compiles its expressions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final, Protocol
from urllib.parse import urlsplit

from tenantry.access.claims import Expression, IssuerRules, Rule, Variable
from tenantry.api.authentication import (
    AUTHENTICATION_VERSIONS,
    MATCH_ANY,
    AuthenticationConfiguration,
    Issuer,
    JWTAuthenticator,
    PrefixedClaimOrExpression,
)

MAX_ISSUERS: Final = 64

_STRING: Final = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
_EXTRA_KEY: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[a-z0-9/\-._~%!$&'()*+,;=:]+")
_RESERVED_DOMAIN: Final = re.compile(r"(.*\.)?(kubernetes|k8s)\.io/.*")


class ExpressionProblem(ValueError):  # noqa: N818 - what is wrong with a text, not with the program
    """The text is no CEL expression, or calls what is not there."""


class Compiler(Protocol):
    """Whatever understands CEL."""

    def compile(self, text: str, variable: Variable) -> Expression:
        """Return *text* compiled; it may use *variable* alone.

        Raises:
            ExpressionProblem: It is no expression.
        """
        ...


class _Sheet:
    """Problems found so far, and a compiler that adds to them."""

    def __init__(self, compiler: Compiler) -> None:
        self.problems: list[str] = []
        self._compiler = compiler

    def note(self, path: str, problem: str) -> None:
        self.problems.append(f"{path}: {problem}")

    def expression(self, path: str, text: str, variable: Variable = "claims") -> Expression | None:
        if not text:
            return None
        try:
            return self._compiler.compile(text, variable)
        except ExpressionProblem as error:
            self.note(path, str(error))
            return None

    def rule(self, path: str, text: str, message: str, variable: Variable) -> Rule | None:
        expression = self.expression(path, text, variable)
        if expression is None:
            return None
        if not expression.is_boolean:
            self.note(path, f"{text!r} must be of type bool, as by == true")
        return Rule(expression, message)


def compiled(
    configuration: AuthenticationConfiguration, compiler: Compiler
) -> tuple[tuple[IssuerRules, ...], tuple[str, ...]]:
    """Return the rules of each issuer, in order, and what is wrong: rules count only where that is empty."""
    sheet = _Sheet(compiler)
    if configuration.api_version not in AUTHENTICATION_VERSIONS:
        sheet.note("apiVersion", f"{configuration.api_version!r} is not one of {', '.join(AUTHENTICATION_VERSIONS)}")
    if configuration.kind != "AuthenticationConfiguration":
        sheet.note("kind", f"{configuration.kind!r} is not AuthenticationConfiguration")
    if len(configuration.jwt) > MAX_ISSUERS:
        sheet.note("jwt", f"more than {MAX_ISSUERS} issuers")
    for what, urls in (
        ("url", Counter(jwt.issuer.url for jwt in configuration.jwt)),
        ("discoveryURL", Counter(jwt.issuer.discovery_url for jwt in configuration.jwt if jwt.issuer.discovery_url)),
    ):
        for url, count in urls.items():
            if count > 1:
                sheet.note("jwt", f"issuer.{what} {url!r} is there {count} times")
    rules = tuple(_issuer(f"jwt[{index}]", jwt, sheet) for index, jwt in enumerate(configuration.jwt))
    return rules, tuple(sheet.problems)


def _issuer(path: str, jwt: JWTAuthenticator, sheet: _Sheet) -> IssuerRules:
    for where, problem in _issuer_problems(jwt.issuer):
        sheet.note(f"{path}.issuer.{where}", problem)
    mappings = jwt.claim_mappings
    at = f"{path}.claimMappings"
    if not mappings.username.claim and not mappings.username.expression:
        sheet.note(f"{at}.username", "a claim or an expression is required")
    _check_prefix(f"{at}.username", mappings.username, sheet)
    _check_prefix(f"{at}.groups", mappings.groups, sheet)
    if mappings.uid.claim and mappings.uid.expression:
        sheet.note(f"{at}.uid", "claim and expression can't both be set")
    _check_email(at, jwt, sheet)
    return IssuerRules(
        mappings=mappings,
        username=sheet.expression(f"{at}.username.expression", mappings.username.expression),
        groups=sheet.expression(f"{at}.groups.expression", mappings.groups.expression),
        uid=sheet.expression(f"{at}.uid.expression", mappings.uid.expression),
        extra=tuple(_extra(f"{at}.extra", jwt, sheet)),
        required=tuple((rule.claim, rule.required_value) for rule in jwt.claim_validation_rules if rule.claim),
        claim_rules=tuple(_claim_rules(f"{path}.claimValidationRules", jwt, sheet)),
        user_rules=tuple(_user_rules(f"{path}.userValidationRules", jwt, sheet)),
    )


def _issuer_problems(issuer: Issuer) -> Iterator[tuple[str, str]]:
    for problem in _url_problems(issuer.url):
        yield "url", problem
    if issuer.discovery_url:
        if issuer.discovery_url.rstrip("/") == issuer.url.rstrip("/"):
            yield "discoveryURL", "must differ from url"
        for problem in _url_problems(issuer.discovery_url):
            yield "discoveryURL", problem
    if not issuer.audiences or not all(issuer.audiences):
        yield "audiences", "at least one is required, and none is empty"
    if len(set(issuer.audiences)) != len(issuer.audiences):
        yield "audiences", "each may be there once"
    allowed = {MATCH_ANY} if len(issuer.audiences) > 1 else {MATCH_ANY, ""}
    if issuer.audience_match_policy not in allowed:
        yield "audienceMatchPolicy", f"must be {MATCH_ANY}"


def _url_problems(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        yield f"{url!r} is no URL: {error}"
        return
    if parts.scheme != "https" or not host:
        yield f"{url!r} must be an https URL"
    if parts.username is not None or "?" in url or "#" in url:
        yield f"{url!r} must have no user, query or fragment"


def _check_prefix(path: str, mapping: PrefixedClaimOrExpression, sheet: _Sheet) -> None:
    if mapping.claim and mapping.expression:
        sheet.note(path, "claim and expression can't both be set")
    elif mapping.expression and mapping.prefix is not None:
        sheet.note(f"{path}.prefix", "may not be set with an expression")
    elif mapping.claim and mapping.prefix is None:
        sheet.note(f"{path}.prefix", "is required with a claim; it may be an empty string")


def _extra(path: str, jwt: JWTAuthenticator, sheet: _Sheet) -> Iterator[tuple[str, Expression]]:
    seen: set[str] = set()
    for index, mapping in enumerate(jwt.claim_mappings.extra):
        at = f"{path}[{index}]"
        if not _EXTRA_KEY.fullmatch(mapping.key):
            sheet.note(f"{at}.key", f"{mapping.key!r} must be lower case and start with a domain, as example.org/team")
        if _RESERVED_DOMAIN.fullmatch(mapping.key):
            sheet.note(f"{at}.key", f"{mapping.key!r}: k8s.io and kubernetes.io are reserved")
        if mapping.key in seen:
            sheet.note(f"{at}.key", f"{mapping.key!r} is there twice")
        seen.add(mapping.key)
        if not mapping.value_expression:
            sheet.note(f"{at}.valueExpression", "is required")
        expression = sheet.expression(f"{at}.valueExpression", mapping.value_expression)
        if expression is not None:
            yield mapping.key, expression


def _claim_rules(path: str, jwt: JWTAuthenticator, sheet: _Sheet) -> Iterator[Rule]:
    seen: set[tuple[str, str]] = set()
    for index, given in enumerate(jwt.claim_validation_rules):
        at = f"{path}[{index}]"
        if bool(given.claim) == bool(given.expression):
            sheet.note(at, "either a claim or an expression is required")
        if given.claim and given.message:
            sheet.note(f"{at}.message", "may not be set with a claim")
        if given.expression and given.required_value:
            sheet.note(f"{at}.requiredValue", "may not be set with an expression")
        if (given.claim, given.expression) in seen:
            sheet.note(at, "is there twice")
        seen.add((given.claim, given.expression))
        rule = sheet.rule(f"{at}.expression", given.expression, given.message, "claims")
        if rule is not None:
            yield rule


def _user_rules(path: str, jwt: JWTAuthenticator, sheet: _Sheet) -> Iterator[Rule]:
    seen: set[str] = set()
    for index, given in enumerate(jwt.user_validation_rules):
        at = f"{path}[{index}].expression"
        if not given.expression:
            sheet.note(at, "is required")
        elif given.expression in seen:
            sheet.note(at, "is there twice")
        seen.add(given.expression)
        rule = sheet.rule(at, given.expression, given.message, "user")
        if rule is not None:
            yield rule


def _check_email(path: str, jwt: JWTAuthenticator, sheet: _Sheet) -> None:
    """An expression that names users by e-mail is held to look at email_verified somewhere, by itself."""
    name = jwt.claim_mappings.username.expression
    others = (
        *(mapping.value_expression for mapping in jwt.claim_mappings.extra),
        *(rule.expression for rule in jwt.claim_validation_rules),
    )
    if _selects(name, "email") and not any(_selects(text, "email_verified") for text in (name, *others)):
        sheet.note(
            f"{path}.username.expression",
            "claims.email_verified must be used here, in an extra or in a claim validation rule "
            "where claims.email is the user's name",
        )


def _selects(text: str, claim: str) -> bool:
    """Return whether the expression reads ``claims.<claim>`` or ``claims.?<claim>``, outside of its strings."""
    return re.search(rf"\bclaims\s*\.\s*\??\s*{claim}\b", _STRING.sub("''", text)) is not None

"""Reads kube-apiserver's AuthenticationConfiguration file as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509

from tenantry.access.authentication import Compiler, compiled
from tenantry.access.claims import IssuerRules
from tenantry.api.authentication import AuthenticationConfiguration, Issuer
from tenantry.foundation.codec import DecodeError, from_plain
from tenantry.foundation.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ConfiguredIssuer:
    """An issuer with its rules, ready for use."""

    issuer: Issuer
    rules: IssuerRules


@dataclass(frozen=True, slots=True)
class Authentication:
    """What the file says."""

    issuers: tuple[ConfiguredIssuer, ...] = ()
    warnings: tuple[str, ...] = ()
    """What the file has that means nothing here; for the log."""


def read_authentication(path: Path, compiler: Compiler | None = None) -> Authentication:
    """Return what the file says; see :func:`parse_authentication`.

    Raises:
        ConfigurationError: It cannot be read, or the API server would refuse it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the authentication configuration {path}: {error}") from error
    return parse_authentication(text, compiler, source=str(path))


def parse_authentication(text: str, compiler: Compiler | None = None, *, source: str = "") -> Authentication:
    """Return what *text* says, in YAML or JSON.

    Raises:
        ConfigurationError: The API server would refuse it; all problems are in the message.
    """
    try:
        plain = _without_nulls(yaml.load(text, _UniqueKeys))  # noqa: S506 - a SafeLoader
        configuration = from_plain(plain, AuthenticationConfiguration)
    except (yaml.YAMLError, DecodeError) as error:
        raise ConfigurationError(f"{source or 'the authentication configuration'}: {error}") from error
    rules, problems = compiled(configuration, compiler or _cel())
    problems += tuple(
        f"jwt[{index}].issuer.certificateAuthority: no PEM certificates"
        for index, jwt in enumerate(configuration.jwt)
        if jwt.issuer.certificate_authority and not _is_pem(jwt.issuer.certificate_authority)
    )
    if problems:
        raise ConfigurationError("\n".join(f"{source}: {problem}" if source else problem for problem in problems))
    issuers = tuple(
        ConfiguredIssuer(jwt.issuer, issuer_rules) for jwt, issuer_rules in zip(configuration.jwt, rules, strict=True)
    )
    return Authentication(issuers, tuple(_warnings(configuration)))


def _cel() -> Compiler:
    # Imported late: CEL's runtime takes memory that an installation without issuers need not pay.
    from tenantry.gateway.identity.expressions import CelCompiler  # noqa: PLC0415

    return CelCompiler()


def _warnings(configuration: AuthenticationConfiguration) -> list[str]:
    found = []
    if configuration.anonymous is not None and configuration.anonymous.enabled:
        found.append("anonymous: ignored, since the gateway lets nobody in without a credential")
    found += [
        f"jwt[{index}].issuer.egressSelectorType: ignored, since it is about the API server's way to the issuer"
        for index, jwt in enumerate(configuration.jwt)
        if jwt.issuer.egress_selector_type
    ]
    return found


def _is_pem(text: str) -> bool:
    try:
        return bool(x509.load_pem_x509_certificates(text.encode()))
    except ValueError:
        return False


def _without_nulls(value: Any) -> Any:
    """Return *value* without keys that are null: to Kubernetes they are unset."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that is there twice, as the API server does: the second would silently win."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)

"""What capsule-proxy's flags mean in settings: alone they make all of them, beside a file they override it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Final, cast, get_args

from tenantry.gateway.config.problems import ConfigurationProblems, Problem
from tenantry.gateway.config.text import expression_fault
from tenantry.gateway.settings import (
    Authenticator,
    Certificate,
    ClientImpersonation,
    ClusterSettings,
    GatewaySettings,
    IdentitySettings,
    Listening,
    Network,
)

SOURCE: Final = "the command line"
AUTHENTICATORS: Final[tuple[str, ...]] = get_args(Authenticator)
CAPSULE_PROXY_ORDER: Final[tuple[Authenticator, ...]] = ("TLSCertificate", "BearerToken")
SKIP_REVIEW: Final = "SkipImpersonationReview"
GATES: Final = ("ProxyAllNamespaced", "ProxyClusterScoped", SKIP_REVIEW)
_MARKS: Final = frozenset("*^$|+?()[]{}\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayFlags:
    """Flags that were given; None, and empty, where one was not."""

    listening_port: int | None = None
    enable_ssl: bool | None = None
    ssl_cert_path: Path | None = None
    ssl_key_path: Path | None = None
    auth_preferred_types: tuple[str, ...] = ()
    ignored_user_groups: tuple[str, ...] = ()
    ignored_usernames: tuple[str, ...] = ()
    ignored_impersonation_groups: tuple[str, ...] = ()
    """Exact names; one with an expression's marks is an expression, found anywhere in a group's name."""
    impersonation_group_regexp: str | None = None
    """RE2, found anywhere in a group's name."""
    capsule_configuration_name: str | None = None
    trusted_proxy_cidrs: tuple[str, ...] = ()
    xfcc_header_name: str | None = None
    feature_gates: tuple[str, ...] = ()
    """As ``Name=true``."""
    metrics_address: str | None = None
    health_address: str | None = None
    log_level: str | None = None
    kubeconfig: str | None = None
    context: str | None = None


def settings_from_flags(flags: GatewayFlags) -> GatewaySettings:
    """Return the settings that *flags* alone stand for, with capsule-proxy's defaults for the rest.

    As there, clients may impersonate whom they have the right to.

    Raises:
        ConfigurationProblems: A flag makes no sense.
    """
    identity = IdentitySettings(authenticators=CAPSULE_PROXY_ORDER, impersonation=ClientImpersonation(enabled=True))
    return overridden(GatewaySettings(clusters=(ClusterSettings(identity=identity),)), flags)


def overridden(settings: GatewaySettings, flags: GatewayFlags) -> GatewaySettings:
    """Return *settings* with what *flags* say in place of theirs, in every cluster.

    Kubeconfig and context are those of the default cluster, or of the only one.

    Raises:
        ConfigurationProblems: A flag makes no sense.
    """
    problems = [*_problems(settings, flags)]
    if problems:
        raise ConfigurationProblems(SOURCE, problems)
    networks = tuple(ip_network(each, strict=False) for each in flags.trusted_proxy_cidrs)
    clusters = (_cluster(each, flags, networks) for each in settings.clusters)
    return replace(
        settings,
        clusters=_reached(tuple(clusters), flags),
        listening=_listening(settings.listening, flags, networks),
        metrics_address=flags.metrics_address or settings.metrics_address,
        health_address=flags.health_address or settings.health_address,
        log_level=flags.log_level or settings.log_level,
    )


def _listening(listening: Listening, flags: GatewayFlags, networks: tuple[Network, ...]) -> Listening:
    certificates = listening.certificates
    if flags.enable_ssl is False:
        certificates = ()
    elif flags.ssl_cert_path is not None and flags.ssl_key_path is not None:
        certificates = (Certificate(certificate=flags.ssl_cert_path, key=flags.ssl_key_path),)
    return replace(
        listening,
        port=flags.listening_port or listening.port,
        certificates=certificates,
        trusted_networks=networks or listening.trusted_networks,
    )


def _cluster(cluster: ClusterSettings, flags: GatewayFlags, networks: tuple[Network, ...]) -> ClusterSettings:
    visibility, identity = cluster.visibility, cluster.identity
    forwarded = replace(
        identity.forwarded,
        header=flags.xfcc_header_name or identity.forwarded.header,
        trusted_networks=networks or identity.forwarded.trusted_networks,
    )
    authenticators = cast("tuple[Authenticator, ...]", flags.auth_preferred_types) or identity.authenticators
    return replace(
        cluster,
        identity=_grouped(replace(identity, forwarded=forwarded, authenticators=authenticators), flags),
        visibility=replace(
            visibility,
            configuration_name=flags.capsule_configuration_name or visibility.configuration_name,
            ignored_users=flags.ignored_usernames or visibility.ignored_users,
            ignored_groups=flags.ignored_user_groups or visibility.ignored_groups,
        ),
    )


def _grouped(identity: IdentitySettings, flags: GatewayFlags) -> IdentitySettings:
    if flags.impersonation_group_regexp is not None:
        pattern = flags.impersonation_group_regexp
        identity = replace(identity, group_pattern=_found_anywhere(pattern) if pattern else "")
    names = flags.ignored_impersonation_groups
    if not names:
        return identity
    patterns = [each for each in names if _is_pattern(each)]
    return replace(
        identity,
        dropped_groups=tuple(each for each in names if each not in patterns),
        dropped_group_pattern=_found_anywhere("|".join(f"(?:{each})" for each in patterns)) if patterns else "",
    )


def _is_pattern(name: str) -> bool:
    return bool(_MARKS & set(name))


def _found_anywhere(pattern: str) -> str:
    """Return an expression of whole names for one that capsule-proxy looks for anywhere in them."""
    return f"(?s:.*)(?:{pattern})(?s:.*)"


def _reached(clusters: tuple[ClusterSettings, ...], flags: GatewayFlags) -> tuple[ClusterSettings, ...]:
    if flags.kubeconfig is None and flags.context is None:
        return clusters
    return tuple(
        replace(
            each,
            kubeconfig=flags.kubeconfig if flags.kubeconfig is not None else each.kubeconfig,
            context=flags.context if flags.context is not None else each.context,
        )
        if each.is_default or len(clusters) == 1
        else each
        for each in clusters
    )


def _problems(settings: GatewaySettings, flags: GatewayFlags) -> Iterator[Problem]:
    checks: tuple[Callable[[GatewaySettings, GatewayFlags], Iterator[tuple[str, str, str]]], ...] = (
        _tls_problems,
        _word_problems,
        _gate_problems,
    )
    for check in checks:
        for flag, what, fix in check(settings, flags):
            yield Problem(line=0, column=0, field=flag, what=what, fix=fix)


def _tls_problems(_: GatewaySettings, flags: GatewayFlags) -> Iterator[tuple[str, str, str]]:
    pair = (("--ssl-cert-path", flags.ssl_cert_path), ("--ssl-key-path", flags.ssl_key_path))
    given = [flag for flag, path in pair if path is not None]
    if flags.enable_ssl is False and given:
        yield given[0], "it is set with --enable-ssl=false", "leave it out, or serve TLS"
    elif len(given) == 1:
        missing = next(flag for flag, path in pair if path is None)
        yield missing, f"it is missing beside {given[0]}", "name both files of the pair"


def _word_problems(_: GatewaySettings, flags: GatewayFlags) -> Iterator[tuple[str, str, str]]:
    for each in flags.auth_preferred_types:
        if each not in AUTHENTICATORS:
            yield "--auth-preferred-types", f"{each!r} is none", f"write {', '.join(AUTHENTICATORS)}"
    dropped = [each for each in flags.ignored_impersonation_groups if _is_pattern(each)]
    for flag, pattern in (
        ("--impersonation-group-regexp", flags.impersonation_group_regexp or ""),
        *(("--ignored-impersonation-group", each) for each in dropped),
    ):
        finding = expression_fault(pattern)
        if finding is not None:
            yield flag, *finding
    for each in flags.trusted_proxy_cidrs:
        try:
            ip_network(each, strict=False)
        except ValueError:
            yield "--trusted-proxy-cidrs", f"{each!r} is no network", "write one in CIDR notation, as 10.0.0.0/8"


def _gate_problems(settings: GatewaySettings, flags: GatewayFlags) -> Iterator[tuple[str, str, str]]:
    trusting = [each.identity.impersonation for each in settings.clusters if each.identity.impersonation.trusted]
    for gate in flags.feature_gates:
        name, _, value = gate.partition("=")
        if name not in GATES:
            yield "--feature-gates", f"there is no gate {name!r}", f"there are {', '.join(GATES)}"
        elif value.lower() not in {"true", "false"}:
            yield "--feature-gates", f"{gate!r} is neither on nor off", f"write {name}=true or {name}=false"
        elif name == SKIP_REVIEW and value.lower() == "true" and not any(each.enabled for each in trusting):
            yield (
                "--feature-gates",
                f"{SKIP_REVIEW} would let everybody act as anybody",
                "name who may, in a file given by --config: clusters[].identity.impersonation.trusted",
            )

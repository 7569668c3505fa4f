"""What values of capsule-proxy's Helm chart come to: the flags that the chart makes of them, and what has no use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tenantry.gateway.config.ignored import GATE_NOTES, IGNORED, IGNORED_SWITCHES

OPTION_FLAGS: Final[Mapping[str, str]] = {
    "listeningPort": "--listening-port",
    "logLevel": "--zap-log-level",
    "capsuleConfigurationName": "--capsule-configuration-name",
    "ignoredUserGroups": "--ignored-user-group",
    "ignoredUsernames": "--ignored-username",
    "ignoredImpersonationGroups": "--ignored-impersonation-group",
    "impersonationGroupsRegexp": "--impersonation-group-regexp",
    "authPreferredTypes": "--auth-preferred-types",
    "trustedProxyCIDRs": "--trusted-proxy-cidrs",
    "xfccHeaderName": "--xfcc-header-name",
    "enableSSL": "--enable-ssl",
    "oidcUsernameClaim": "--oidc-username-claim",
    "rolebindingsResyncPeriod": "--rolebindings-resync-period",
    "clientConnectionQPS": "--client-connection-qps",
    "clientConnectionBurst": "--client-connection-burst",
    "webhookPort": "--webhook-port",
    "disableCaching": "--disable-caching",
    "roleBindingReflector": "--enable-reflector",
    "enableReflector": "--enable-reflector",
    "enablePprof": "--enable-pprof",
    "pprof": "--enable-pprof",
    "leaderElection": "--enable-leader-election",
}
_APART: Final = frozenset({"SSLDirectory", "SSLCertFileName", "SSLKeyFileName", "extraArgs", "featureGates"})
OPTIONS_WITHOUT_FLAG: Final = _APART | {"additionalSANs", "generateCertificates", "certificateVolumeName"}
"""Options that capsule-proxy's chart makes no flag of, or not one each."""
_ELSEWHERE: Final[Mapping[str, str]] = {
    "options.additionalSANs": "names of the certificate are tenantry's chart's to set: gateway.additionalSANs",
    "options.generateCertificates": "tenantry's operator makes the certificate",
    "options.certificateVolumeName": "the certificate is mounted from the Secret capsule-proxy",
    "certManager": "tenantry's chart has certManager.generateCertificates",
    "service": "tenantry's chart makes the Service capsule-proxy, port 9001",
    "ingress": "an Ingress is yours to make; let it pass TLS through where client certificates are used",
    "replicaCount": "tenantry's chart has gateway.replicaCount",
    "rbac": "rights are those that the configuration needs, no more",
    "serviceAccount": "tenantry's chart makes the account capsule-proxy",
    "webhooks": "the gateway has no webhooks",
    "gangplank": "Gangplank is installed by its own chart",
}
DEFAULT_FOLDER: Final = "/opt/capsule-proxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartValues:
    """What the values come to."""

    arguments: tuple[str, ...]
    """Flags of capsule-proxy that mean something here."""
    notes: tuple[tuple[str, str], ...]
    """Values without an effect, each with why."""


def chart_values(values: Mapping[str, Any]) -> ChartValues:
    """Return what *values* of capsule-proxy's chart come to."""
    options = values.get("options") or {}
    arguments: list[str] = []
    notes: list[tuple[str, str]] = []
    for name, value in options.items():
        if name not in _APART and value not in (None, "", []):
            _option(name, value, arguments, notes)
    arguments += _tls_arguments(options)
    for prefix, given in (("", values), ("options.", options)):
        _extra(given.get("extraArgs") or (), f"{prefix}extraArgs", arguments, notes)
        _gates(given.get("featureGates"), f"{prefix}featureGates", arguments, notes)
    notes += [(name, _ELSEWHERE[name]) for name in values if name in _ELSEWHERE]
    return ChartValues(arguments=tuple(arguments), notes=tuple(notes))


def _option(name: str, value: Any, arguments: list[str], notes: list[tuple[str, str]]) -> None:
    flag, where = OPTION_FLAGS.get(name, ""), f"options.{name}"
    why = _why_ignored(flag)
    if why is not None:
        notes.append((where, why))
    elif flag:
        arguments += _of_option(flag, value)
    else:
        notes.append((where, _ELSEWHERE.get(where, "it is not known; if it is a flag, put it in extraArgs")))


def _extra(given: Iterable[Any], place: str, arguments: list[str], notes: list[tuple[str, str]]) -> None:
    for argument in map(str, given):
        why = _why_ignored(argument)
        if why is None:
            arguments.append(argument)
        else:
            notes.append((f"{place}: {argument}", why))


def _of_option(flag: str, value: Any) -> Iterator[str]:
    for each in value if isinstance(value, list) else [value]:
        yield f"{flag}={str(each).lower() if isinstance(each, bool) else each}"


def _tls_arguments(options: Mapping[str, Any]) -> list[str]:
    if options.get("enableSSL") is False:
        return []
    folder = str(options.get("SSLDirectory") or DEFAULT_FOLDER).rstrip("/")
    certificate, key = options.get("SSLCertFileName") or "tls.crt", options.get("SSLKeyFileName") or "tls.key"
    return [f"--ssl-cert-path={folder}/{certificate}", f"--ssl-key-path={folder}/{key}"]


def _why_ignored(argument: str) -> str | None:
    flag = argument.partition("=")[0]
    return IGNORED.get(flag) or IGNORED_SWITCHES.get(flag)


def _gates(gates: Any, place: str, arguments: list[str], notes: list[tuple[str, str]]) -> None:
    if isinstance(gates, Mapping):
        given = [f"{name}={str(value).lower()}" for name, value in gates.items()]
    else:
        given = [str(each) for each in gates or ()]
    for gate in given:
        name = gate.partition("=")[0]
        if name in GATE_NOTES:
            notes.append((f"{place}.{name}", GATE_NOTES[name]))
        else:
            arguments.append(f"--feature-gates={gate}")

"""Whether settings of identity make sense: where a slip would let somebody in as somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tenantry.gateway.config.problems import Fault, Path
from tenantry.gateway.config.text import expression_fault
from tenantry.gateway.settings import ClientImpersonation, IdentitySettings, Listening, Subject

RESERVED_EXTRA: Final = "tenantry.dev/"
"""Extras that the gateway alone sets: who really asked."""
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"
_META: Final = frozenset("*^$|+?()[]{}\\")


def identity_faults(identity: IdentitySettings, path: Path, listening: Listening) -> Iterator[Fault]:
    """Yield what is wrong with *identity*, which stands at *path*."""
    yield from _authenticator_faults(identity, path, listening)
    yield from _forwarded_faults(identity, path)
    yield from _impersonation_faults(identity.impersonation, (*path, "impersonation"))
    yield from _name_faults(identity, path)
    for name, expression in (
        ("groupPattern", identity.group_pattern),
        ("droppedGroupPattern", identity.dropped_group_pattern),
    ):
        finding = expression_fault(expression)
        if finding is not None:
            yield Fault(path=(*path, name), what=finding[0], fix=finding[1])
    if identity.stale_seconds and identity.stale_seconds < identity.fresh_seconds:
        yield Fault(
            path=(*path, "staleSeconds"),
            what=f"{identity.stale_seconds:g} is less than freshSeconds ({identity.fresh_seconds:g})",
            fix="write 0, or a longer time than freshSeconds",
        )


def _authenticator_faults(identity: IdentitySettings, path: Path, listening: Listening) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, each in enumerate(identity.authenticators):
        if each in seen:
            where = (*path, "authenticators", index)
            yield Fault(path=where, what=f"{each!r} is listed already", fix="list each once, in the order to try")
        seen.add(each)
    if not seen:
        yield Fault(path=(*path, "authenticators"), what="nobody could get in", fix="list BearerToken, for one")
    if "BearerToken" in seen and not identity.token_review and identity.authentication_configuration is None:
        yield Fault(
            path=(*path, "tokenReview"),
            what="no token would be accepted: none is reviewed, and no issuer is known",
            fix="set tokenReview: true, or name an authenticationConfiguration, or take BearerToken away",
        )
    if "TLSCertificate" in seen and not listening.certificates and len(seen) == 1:
        yield Fault(
            path=(*path, "authenticators"),
            what="over plain HTTP there are no client certificates",
            fix="list BearerToken or XForwardedClientCert, or name listening.certificates",
        )


def _forwarded_faults(identity: IdentitySettings, path: Path) -> Iterator[Fault]:
    where = (*path, "forwarded", "trustedNetworks")
    networks = identity.forwarded.trusted_networks
    if "XForwardedClientCert" not in identity.authenticators:
        return  # Nobody looks at the header.
    if not networks:
        yield Fault(
            path=where,
            what=f"anybody could claim any name in {identity.forwarded.header}",
            fix="list the networks of the proxy that sets it, or take XForwardedClientCert away",
        )
    for index, network in enumerate(networks):
        if network.prefixlen == 0:
            fix = "list the networks of the proxy alone"
            yield Fault(path=(*where, index), what=f"{network} is everybody", fix=fix)


def _impersonation_faults(impersonation: ClientImpersonation, path: Path) -> Iterator[Fault]:
    if impersonation.trusted and not impersonation.enabled:
        yield Fault(
            path=(*path, "trusted"),
            what="it has no effect while impersonation is off",
            fix="set enabled: true, or take the list away",
            is_warning=True,
        )
    for index, subject in enumerate(impersonation.trusted):
        finding = _subject_finding(subject)
        if finding is not None:
            yield Fault(path=(*path, "trusted", index, "name"), what=finding[0], fix=finding[1])


def _subject_finding(subject: Subject) -> tuple[str, str] | None:
    parts = subject.name.split(":")
    if subject.kind == "ServiceAccount" and (
        len(parts) != 4 or not all(parts) or parts[:2] != _SERVICE_ACCOUNT.split(":")[:2]
    ):
        return f"{subject.name!r} is no service account", f"write {_SERVICE_ACCOUNT}<namespace>:<name>"
    if subject.kind == "User" and subject.name.startswith(_SERVICE_ACCOUNT):
        return f"{subject.name!r} is a service account", "write kind: ServiceAccount"
    if subject.kind == "Group" and subject.name.startswith("system:") and subject.name != "system:masters":
        return f"{subject.name!r} is a group that many are in", "name one service account, user or group of yours"
    return None


def _name_faults(identity: IdentitySettings, path: Path) -> Iterator[Fault]:
    for index, name in enumerate(identity.allowed_system_names):
        where = (*path, "allowedSystemNames", index)
        if not name.startswith("system:"):
            yield Fault(path=where, what=f"{name!r} needs no leave", fix="list names that begin with system: alone")
        elif name == "system:masters":
            what = "whoever an issuer puts in system:masters may do everything, and no role can take it away"
            yield Fault(path=where, what=what, fix="bind a group of yours to cluster-admin instead", is_warning=True)
    for index, key in enumerate(identity.forwarded_extra):
        if key.startswith(RESERVED_EXTRA):
            fix = f"leave keys under {RESERVED_EXTRA} to the gateway, which tells there who really asked"
            yield Fault(path=(*path, "forwardedExtra", index), what=f"{key!r} is reserved", fix=fix)
    for index, name in enumerate(identity.dropped_groups):
        if _META & set(name):
            yield Fault(
                path=(*path, "droppedGroups", index),
                what=f"{name!r} looks like an expression, and is taken as an exact name",
                fix="write expressions in droppedGroupPattern",
                is_warning=True,
            )

"""Which principals may be forwarded at all: values that headers carry unchanged, and no name of the cluster's own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from tenantry.access.identity import Identity
from tenantry.foundation.expressions import expression

MAX_PRINCIPAL_BYTES: Final = 512
SYSTEM_PREFIX: Final = "system:"
VIRTUAL_GROUP_PREFIX: Final = "tenantry:gateway:"
"""Groups that the gateway alone adds, for one request at a time: nobody may bring them along."""
OWN_EXTRA_PREFIX: Final = "tenantry.dev/"
"""Extras that the gateway alone sets."""
ORIGINAL_USER: Final = "tenantry.dev/original-user"
"""The extra that names the real caller of an impersonated request (R-025)."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_EXTRA_KEY: Final = re.compile(r"[a-z0-9/\-._]+")


def _anchored(pattern: str) -> str:
    return rf"\A(?:{pattern})\z"


@dataclass(frozen=True, slots=True)
class GuardRefusal:
    """Why an identity is not used."""

    token: str
    """Stable, for audit and metrics."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFilter:
    """Which groups count (R-010); whatever is left out is neither reviewed nor forwarded."""

    kept_pattern: str = ""
    """RE2, anchored; empty keeps all."""
    dropped: frozenset[str] = frozenset()
    dropped_pattern: str = ""
    """RE2, anchored; empty drops none."""

    def __post_init__(self) -> None:
        """Raise ExpressionError for a pattern that is none."""
        for pattern in (self.kept_pattern, self.dropped_pattern):
            expression(pattern)  # By itself first: "a)|(b" would compile once it stands in brackets.
            expression(_anchored(pattern))

    def kept(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Return those of *groups* that count, in order, each once."""
        return tuple(group for group in dict.fromkeys(groups) if self._keeps(group))

    def _keeps(self, group: str) -> bool:
        if group in self.dropped:
            return False
        if self.kept_pattern and not expression(_anchored(self.kept_pattern)).search(group):
            return False
        return not (self.dropped_pattern and expression(_anchored(self.dropped_pattern)).search(group))


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRules:
    """What a cluster's settings say about principals."""

    groups: GroupFilter = GroupFilter()
    allowed_system_names: frozenset[str] = frozenset()
    """``system:`` users and groups that an issuer or a certificate may give after all."""
    forwarded_extra: frozenset[str] = frozenset()


def guarded(identity: Identity, rules: GuardRules, *, is_external: bool) -> Identity | GuardRefusal:
    """Return *identity* as it may be used: groups filtered, extras cut to the allowed ones.

    Args:
        identity: As an authenticator gave it.
        rules: The cluster's.
        is_external: Whether somebody else than the API server says so: an issuer's claims, a
            certificate.  Names that start with ``system:`` are then refused (invariant 7).
    """
    groups = rules.groups.kept(identity.groups)
    extra = tuple((key, tuple(filter(None, values))) for key, values in identity.extra if key in rules.forwarded_extra)
    kept = replace(identity, groups=groups, extra=tuple(item for item in extra if item[1]))
    refusal = _unusable(kept)
    if refusal is not None:
        return refusal
    if is_external and (names := system_names(kept, rules.allowed_system_names)):
        return GuardRefusal(
            "SystemName",
            f"{names[0]!r} is a name of the cluster's own: prefix the issuer's names, "
            "or allow this one in the gateway's configuration",
        )
    return kept


def _unusable(identity: Identity) -> GuardRefusal | None:
    for what, name in (("user", identity.user), *(("group", group) for group in identity.groups)):
        problem = principal_problem(name)
        if problem is not None:
            return GuardRefusal("Principal", f"the {what} name {problem}")
        if is_reserved(name):
            return GuardRefusal("ReservedName", f"the {what} {name!r} is reserved for the gateway")
    if identity.uid and (problem := principal_problem(identity.uid)):
        return GuardRefusal("Principal", f"the user's uid {problem}")
    for key, values in identity.extra:
        for value in values:
            if problem := extra_problem(key, value):
                return GuardRefusal("Extra", problem)
    return None


def principal_problem(name: str) -> str | None:
    """Return why *name* can not be a header's value and arrive unchanged; None where it can."""
    if not name:
        return "is empty"
    if _CONTROL.search(name):
        return "has control characters"
    if len(name.encode()) > MAX_PRINCIPAL_BYTES:
        return f"is longer than {MAX_PRINCIPAL_BYTES} bytes"
    if name != name.strip():
        return "starts or ends with a blank"
    return None


def extra_problem(key: str, value: str) -> str | None:
    """Return why an extra can not be forwarded; None where it can (invariant 8)."""
    if not _EXTRA_KEY.fullmatch(key) or len(key) > MAX_PRINCIPAL_BYTES:
        return f"the extra {key[:64]!r} has characters other than a-z 0-9 / - . _"
    if key.startswith(OWN_EXTRA_PREFIX):
        return f"the extra {key!r} is reserved for the gateway"
    problem = principal_problem(value)
    return f"the value of the extra {key!r} {problem}" if problem else None


def is_reserved(name: str) -> bool:
    """Return whether only the gateway itself may use *name*."""
    return name.startswith(VIRTUAL_GROUP_PREFIX)


def system_names(identity: Identity, allowed: frozenset[str]) -> tuple[str, ...]:
    """Return the names of *identity* that are the cluster's own and not *allowed*; user first."""
    names = (identity.user, *identity.groups)
    return tuple(name for name in names if name.startswith(SYSTEM_PREFIX) and name not in allowed)

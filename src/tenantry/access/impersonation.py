"""A client that wants to act as somebody else: what must be reviewed first, and who it is then (R-021, R-022).

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tenantry.access.guards import (
    ORIGINAL_USER,
    SYSTEM_PREFIX,
    GuardRules,
    extra_problem,
    is_reserved,
    principal_problem,
)
from tenantry.access.identity import Identity
from tenantry.access.identity_headers import AUTHENTICATED, EXTRA_PREFIX, GROUP, UID, USER, extra_key
from tenantry.access.reviews import ResourceAttributes, account_groups
from tenantry.foundation.names import is_dns_label, is_dns_subdomain
from tenantry.tenancy.identity import AccountName, account_name

_AUTHENTICATION: Final = "authentication.k8s.io"
_MALFORMED: Final = "ImpersonationMalformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpersonationRules:
    """What a cluster's settings say about acting as others."""

    is_enabled: bool = False
    trusted_users: frozenset[str] = frozenset()
    """Users and ServiceAccounts (by user name) that act as anybody without a review, ``system:`` names excepted."""
    trusted_groups: frozenset[str] = frozenset()
    guards: GuardRules = field(default_factory=GuardRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpersonationRefusal:
    """Why the request ends here."""

    status: int
    reason: str
    """metav1's: BadRequest or Forbidden."""
    token: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpersonationPlan:
    """What to do; every review is about the real caller, and one denial is enough to refuse."""

    reviews: tuple[ResourceAttributes, ...]
    identity: Identity
    """Byte for byte what was reviewed, with the real caller as an extra (R-025)."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The client's lines, sorted out."""

    users: tuple[str, ...]
    groups: tuple[str, ...]
    uids: tuple[str, ...]
    extra: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]


def wants_impersonation(lines: Iterable[tuple[str, str]]) -> bool:
    """Return whether any of a client's lines is about acting as somebody else."""
    return any(_canonical(name).startswith("impersonate-") for name, _ in lines)


def impersonation_plan(
    lines: Iterable[tuple[str, str]], caller: Identity, rules: ImpersonationRules
) -> ImpersonationPlan | ImpersonationRefusal:
    """Return how *caller* becomes whom its ``impersonate-*`` *lines* name.

    Args:
        lines: The client's headers as sent, in order; at least one is about impersonation.
        caller: Who was authenticated, after the guards.
        rules: The cluster's.
    """
    if not rules.is_enabled:
        return _forbidden("ImpersonationDisabled", "acting as somebody else is turned off in this gateway")
    sent = _sorted_out(lines)
    kept = _Wanted(sent.users, rules.guards.groups.kept(sent.groups), sent.uids, sent.extra, sent.unknown)
    refusal = _malformed(kept) or _not_to_be_had(kept, rules)
    if refusal is not None:
        return refusal
    user = kept.users[0]
    # Groups that were sent are the whole truth, even where the filter left none of them.
    groups = kept.groups if sent.groups else rules.guards.groups.kept(account_groups(user))
    reviews = _reviews(kept)
    if caller.user in rules.trusted_users or not rules.trusted_groups.isdisjoint(caller.groups):
        reviews = tuple(review for review in reviews if _is_systems(review))
    extra: dict[str, list[str]] = {ORIGINAL_USER: [caller.user]}
    for key, value in kept.extra:
        extra.setdefault(key, []).append(value)
    return ImpersonationPlan(
        reviews=reviews,
        identity=Identity(
            user=user,
            groups=groups,
            uid=kept.uids[0] if kept.uids else "",
            extra=tuple((key, tuple(values)) for key, values in sorted(extra.items())),
        ),
    )


def _canonical(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _sorted_out(lines: Iterable[tuple[str, str]]) -> _Wanted:
    users, groups, uids, extra, unknown = [], [], [], [], []
    for sent_name, value in lines:
        name = sent_name.lower()
        if name == USER:
            users.append(value)
        elif name == GROUP:
            groups.append(value)
        elif name == UID:
            uids.append(value)
        elif name.startswith(EXTRA_PREFIX):
            extra.append((extra_key(name), value))
        elif _canonical(name).startswith("impersonate-"):
            unknown.append(sent_name)
    return _Wanted(tuple(users), tuple(dict.fromkeys(groups)), tuple(uids), tuple(dict.fromkeys(extra)), tuple(unknown))


def _malformed(wanted: _Wanted) -> ImpersonationRefusal | None:
    if wanted.unknown:
        return _bad(f"{wanted.unknown[0][:64]!r} is no header of impersonation")
    if len(wanted.users) > 1 or len(wanted.uids) > 1:
        return _bad("Impersonate-User and Impersonate-Uid may be given once each")
    if not wanted.users or not wanted.users[0]:
        return _bad("groups, a uid or extras are requested without impersonating a user: add Impersonate-User")
    named = [("user", wanted.users[0]), *(("group", group) for group in wanted.groups)]
    for what, name in (*named, *(("uid", uid) for uid in wanted.uids)):
        if problem := principal_problem(name):
            return _bad(f"the {what} to impersonate {problem}")
    for key, value in wanted.extra:
        if problem := extra_problem(key, value):
            return _bad(problem)
    return None


def _not_to_be_had(wanted: _Wanted, rules: ImpersonationRules) -> ImpersonationRefusal | None:
    user = wanted.users[0]
    harmless = {AUTHENTICATED, *rules.guards.allowed_system_names}
    if _account(user) is not None:
        harmless |= {user, *account_groups(user)}  # A ServiceAccount has a resource of its own to be reviewed.
    for name in (user, *wanted.groups):
        if is_reserved(name):
            return _forbidden("ReservedName", f"{name!r} is reserved for the gateway")
        if name.startswith(SYSTEM_PREFIX) and name not in harmless:
            return _forbidden(
                "SystemName",
                f"{name!r} is a name of the cluster's own, which nobody acts as through the gateway "
                "unless its configuration allows that name",
            )
    for key, _ in wanted.extra:
        if key not in rules.guards.forwarded_extra:
            return _forbidden(
                "Extra", f"the extra {key!r} is not forwarded: add it to the gateway's forwarded extras and its role"
            )
    return None


def _account(user: str) -> AccountName | None:
    """Return the ServiceAccount that the API server, too, takes *user* for: a possible name in a possible namespace."""
    account = account_name(user)
    if account is None or not (is_dns_label(account.namespace) and is_dns_subdomain(account.name)):
        return None
    return account


def _reviews(wanted: _Wanted) -> tuple[ResourceAttributes, ...]:
    """Return one question a principal, in the API server's order."""
    user = wanted.users[0]
    account = _account(user)
    if account is not None:
        reviews = [_core("serviceaccounts", account.name, account.namespace)]
    else:
        reviews = [_core("users", user)]
    reviews += [_core("groups", group) for group in wanted.groups]
    reviews += [_authentication("userextras", value, key) for key, value in wanted.extra]
    reviews += [_authentication("uids", uid) for uid in wanted.uids]
    return tuple(reviews)


def _core(resource: str, name: str, namespace: str = "") -> ResourceAttributes:
    return ResourceAttributes(verb="impersonate", version="v1", resource=resource, name=name, namespace=namespace)


def _authentication(resource: str, name: str, subresource: str = "") -> ResourceAttributes:
    return ResourceAttributes(
        verb="impersonate",
        group=_AUTHENTICATION,
        version="v1",
        resource=resource,
        subresource=subresource,
        name=name,
    )


def _is_systems(review: ResourceAttributes) -> bool:
    """Return whether what is reviewed is a name of the cluster's own; everybody's group is not."""
    if review.resource == "serviceaccounts":
        return True
    return review.resource in {"users", "groups"} and (
        review.name.startswith(SYSTEM_PREFIX) and review.name != AUTHENTICATED
    )


def _bad(message: str) -> ImpersonationRefusal:
    return ImpersonationRefusal(status=400, reason="BadRequest", token=_MALFORMED, message=message)


def _forbidden(token: str, message: str) -> ImpersonationRefusal:
    return ImpersonationRefusal(status=403, reason="Forbidden", token=token, message=message)

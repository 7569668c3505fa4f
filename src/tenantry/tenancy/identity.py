"""Who a requester is to the installation (W-7, I-1, I-2, spec 13.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.shared import UserSpec
from tenantry.api.tenant_owner import TenantOwner
from tenantry.tenancy.request import Requester, Role
from tenantry.tenancy.views import Installation

SERVICE_ACCOUNT_PREFIX: Final = "system:serviceaccount:"
SUPERUSERS_GROUP: Final = "system:masters"
NODES_GROUP: Final = "system:nodes"
KUBE_SYSTEM_GROUP: Final = "system:serviceaccounts:kube-system"


class AccountName(NamedTuple):
    """A ServiceAccount, by namespace and name."""

    namespace: str
    name: str


def account_name(username: str) -> AccountName | None:
    """Return which ServiceAccount has this user name; None where none can."""
    if not username.startswith(SERVICE_ACCOUNT_PREFIX):
        return None
    namespace, colon, name = username[len(SERVICE_ACCOUNT_PREFIX) :].partition(":")
    return AccountName(namespace, name) if colon and namespace and name and ":" not in name else None


def account_username(namespace: str, name: str) -> str:
    """Return the user name of a ServiceAccount."""
    return f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}"


def is_subject(requester: Requester, subject: UserSpec) -> bool:
    """Return whether *requester* is, or is a member of, *subject*."""
    if subject.kind == "Group":
        return subject.name in requester.groups
    # RBAC takes a User subject with a ServiceAccount's user name for that account, so this does too.
    return subject.kind in {"User", "ServiceAccount"} and subject.name == requester.username


def is_one_of(requester: Requester, subjects: Iterable[UserSpec]) -> bool:
    """Return whether *requester* is any of *subjects*."""
    return any(is_subject(requester, subject) for subject in subjects)


def is_administrator(requester: Requester, configuration: CapsuleConfigurationSpec) -> bool:
    """Return whether *requester* is a listed administrator and in no ignored group (W-7)."""
    return not _is_ignored(requester, configuration) and is_one_of(requester, configuration.administrators)


def is_own_account(requester: Requester, installation: Installation) -> bool:
    """Return whether *requester* is one of the installation's own ServiceAccounts."""
    return requester.username in installation.own_accounts


def is_superuser(requester: Requester, installation: Installation) -> bool:
    """Return whether *requester* is in system:masters, and not listed as an administrator.

    An administrator wants namespaces assigned, whatever other groups it has.
    """
    return SUPERUSERS_GROUP in requester.groups and not is_administrator(requester, installation.configuration)


def is_exempt(requester: Requester, installation: Installation) -> bool:
    """Return whether requests of *requester* on namespaces are not judged (spec 13.1).

    Of these, only system:masters and system:nodes are held to the node selector (14.1).
    The API server's match conditions say the same, so hardly any of them arrives.
    """
    return (
        is_own_account(requester, installation)
        or not requester.groups.isdisjoint((NODES_GROUP, KUBE_SYSTEM_GROUP))
        or is_superuser(requester, installation)
    )


def role_of(requester: Requester, installation: Installation, *, home_tenant: str | None) -> Role:
    """Return what the installation takes *requester* for.

    Args:
        requester: Who asks.
        installation: With the effective users.
        home_tenant: For a ServiceAccount, the tenant of the namespace it lives in; None
            where that namespace is in no tenant, and for everybody else.
    """
    if is_own_account(requester, installation):
        return Role.CONTROLLER
    if is_administrator(requester, installation.configuration):
        return Role.ADMINISTRATOR
    if _is_capsule_user(requester, installation, home_tenant=home_tenant):
        return Role.CAPSULE_USER
    return Role.UNKNOWN


def _is_capsule_user(requester: Requester, installation: Installation, *, home_tenant: str | None) -> bool:
    if KUBE_SYSTEM_GROUP in requester.groups:
        return False
    if home_tenant is not None and account_name(requester.username):
        return True
    # An ignored group cancels what groups give, not what a name gives (I-1).
    is_ignored = _is_ignored(requester, installation.configuration)
    return any(is_subject(requester, user) for user in installation.users if not (is_ignored and user.kind == "Group"))


def _is_ignored(requester: Requester, configuration: CapsuleConfigurationSpec) -> bool:
    return not requester.groups.isdisjoint(configuration.ignore_user_with_groups)


def capsule_users(
    configuration: CapsuleConfigurationSpec, tenant_owners: Iterable[TenantOwner]
) -> tuple[UserSpec, ...]:
    """Return the effective Capsule users (I-2), sorted by kind and name, each once."""
    named = {(user.kind, user.name) for user in configuration.users}
    named |= {("ServiceAccount" if account_name(name) else "User", name) for name in configuration.user_names}
    named |= {("Group", name) for name in configuration.user_groups}
    named |= {(owner.spec.kind, owner.spec.name) for owner in tenant_owners if owner.spec.aggregate}
    return tuple(UserSpec(kind=kind, name=name) for kind, name in sorted(named))

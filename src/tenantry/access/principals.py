"""By which names a principal is found, and whose reads are filtered (8.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from tenantry.access.identity import Identity
from tenantry.api.configuration import CapsuleConfiguration
from tenantry.api.core import RoleBinding
from tenantry.api.shared import Subject
from tenantry.tenancy.identity import KUBE_SYSTEM_GROUP, account_name, account_username
from tenantry.tenancy.owners import owner_keys, requester_keys
from tenantry.tenancy.request import Requester

AUTHENTICATED_GROUP: Final = "system:authenticated"
ACCOUNTS_GROUP: Final = "system:serviceaccounts"
_SYSTEM: Final = "system:"


def requester_of(identity: Identity) -> Requester:
    """Return *identity* as admission would see it: with the groups that the API server adds (invariant 6)."""
    groups = {*identity.groups, AUTHENTICATED_GROUP}
    account = account_name(identity.user)
    if account is not None:
        groups |= {ACCOUNTS_GROUP, f"{ACCOUNTS_GROUP}:{account.namespace}"}
    return Requester(username=identity.user, groups=frozenset(groups))


def subject_keys(identity: Identity) -> frozenset[str]:
    """Return all of "User:alice", "Group:devs", "ServiceAccount:system:serviceaccount:ns:n" that it is found by."""
    return requester_keys(requester_of(identity))


def residents_key(namespace: str) -> str:
    """Return the key that all ServiceAccounts of a namespace have in common."""
    return f"Group:{ACCOUNTS_GROUP}:{namespace}"


def binding_keys(binding: RoleBinding) -> frozenset[str]:
    """Return the keys of whom a RoleBinding makes its namespace visible to.

    Groups whose name begins with ``system:`` are left out: nearly everybody is in them (8.1).
    A ServiceAccount's key holds its namespace: a namesake elsewhere is somebody else
    (CVE-2023-46254).
    """
    keys = (_binding_key(subject, binding.metadata.namespace) for subject in binding.subjects or ())
    return frozenset(key for key in keys if key is not None)


def _binding_key(subject: Subject, namespace: str) -> str | None:
    match subject.kind:
        case "User":
            return f"User:{subject.name}"
        case "Group":
            return None if subject.name.startswith(_SYSTEM) else f"Group:{subject.name}"
        case "ServiceAccount":
            # Without a namespace RBAC takes the binding's own.
            return f"ServiceAccount:{account_username(subject.namespace or namespace, subject.name)}"
        case _:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Whose reads are filtered: the Capsule users, less those that the gateway is told to ignore."""

    user_keys: frozenset[str] = frozenset()
    """Keys of users and ServiceAccounts."""
    group_keys: frozenset[str] = frozenset()
    cancelling_groups: frozenset[str] = frozenset()
    """``ignoreUserWithGroups``: whoever is in one is no Capsule user by a group, only by name (I-1)."""
    ignored_users: frozenset[str] = frozenset()
    ignored_groups: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        configuration: CapsuleConfiguration | None,
        *,
        ignored_users: Iterable[str] = (),
        ignored_groups: Iterable[str] = (),
    ) -> Self:
        """Return the audience that *configuration*'s status names; None names nobody."""
        stored = configuration or CapsuleConfiguration()
        keys = owner_keys(stored.status.users)
        groups = frozenset(key for key in keys if key.startswith("Group:"))
        return cls(
            user_keys=keys - groups,
            group_keys=groups,
            cancelling_groups=frozenset(stored.spec.ignore_user_with_groups),
            ignored_users=frozenset(ignored_users),
            ignored_groups=frozenset(ignored_groups),
        )

    def includes(self, identity: Identity, *, lives_in_tenant: bool = False) -> bool:
        """Return whether what *identity* reads is filtered.

        *lives_in_tenant* is about ServiceAccounts: those in a tenant's namespace are Capsule users (I-1).
        """
        requester = requester_of(identity)
        groups = requester.groups
        if identity.user in self.ignored_users or not groups.isdisjoint(self.ignored_groups):
            return False
        if KUBE_SYSTEM_GROUP in groups:  # As for admission: the cluster's own are nobody's tenants.
            return False
        if lives_in_tenant:
            return True
        keys = requester_keys(requester)
        if not keys.isdisjoint(self.user_keys):
            return True
        return groups.isdisjoint(self.cancelling_groups) and not keys.isdisjoint(self.group_keys)

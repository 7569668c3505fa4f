"""Who owns a tenant, and what promoted ServiceAccounts may do in it (I-4 to I-9, spec 14.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tenantry.api import labels
from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.meta import ObjectMeta
from tenantry.api.selecting import is_empty, matches
from tenantry.api.shared import CoreOwner, OwnerSpec, PromotedOwner, UserSpec
from tenantry.api.tenant import Tenant
from tenantry.api.tenant_owner import TenantOwner
from tenantry.tenancy.identity import account_name, account_username, is_one_of
from tenantry.tenancy.request import Requester

_PROMOTED: Final = "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotedCandidate:
    """A ServiceAccount in one of the tenant's namespaces; whether it is promoted, its labels tell."""

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def username(self) -> str:
        """The name that owners and promotions know it by."""
        return account_username(self.namespace, self.name)


def effective_owners(
    tenant: Tenant,
    *,
    tenant_owners: Iterable[TenantOwner],
    promoted: Iterable[PromotedCandidate],
    configuration: CapsuleConfigurationSpec,
) -> tuple[CoreOwner, ...]:
    """Return the owners of *tenant* in effect: what ``status.owners`` reports.

    Args:
        tenant: Whose owners.
        tenant_owners: All there are; those that the tenant takes in are picked here (I-4).
        promoted: ServiceAccounts in the tenant's namespaces, e.g. all that carry a
            promotion label; those promoted to owners are picked here (I-7).
        configuration: For administrators, switches and role names.

    Returns:
        Each subject once, sorted by kind and name.  Roles keep their order, unless they
        come from several sources: then they are united and sorted.
    """
    sources: list[OwnerSpec | CoreOwner] = [
        *tenant.spec.owners,
        *(one.spec for one in tenant_owners if takes_in(tenant, one)),
        *_promoted_owners(tenant, promoted, configuration),
        *_administrators(configuration),
    ]
    found: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for owner in sources:
        found.setdefault((owner.kind, owner.name), []).append(owner.cluster_roles)
    return tuple(
        CoreOwner(kind=kind, name=name, cluster_roles=_united(roles)) for (kind, name), roles in sorted(found.items())
    )


def takes_in(tenant: Tenant, owner: TenantOwner) -> bool:
    """Return whether *tenant* takes *owner* in: by a selector of its own, or by the owner's label (T-2)."""
    own = owner.metadata.labels or {}
    if own.get(labels.NEW_TENANT) == tenant.metadata.name:
        return True
    permissions = tenant.spec.permissions
    return permissions is not None and any(matches(selector, own) for selector in permissions.match_owners)


def allows_promotion(tenant: Tenant, configuration: CapsuleConfigurationSpec) -> bool:
    """Return whether ServiceAccounts can be promoted: both switches must be on (CF-4, T-3)."""
    permissions = tenant.spec.permissions
    return configuration.allow_service_account_promotion and (permissions is None or permissions.allow_owner_promotion)


def is_owner(requester: Requester, owners: Iterable[UserSpec]) -> bool:
    """Return whether *requester* is one of *owners*, by name or by group."""
    return is_one_of(requester, owners)


def owner_keys(owners: Iterable[UserSpec]) -> frozenset[str]:
    """Return *owners* as "kind:name", the keys of the index "tenants by owner"."""
    return frozenset(f"{owner.kind}:{owner.name}" for owner in owners)


def requester_keys(requester: Requester) -> frozenset[str]:
    """Return all keys under which *requester* may be found in the index "tenants by owner"."""
    keys = {f"User:{requester.username}", *(f"Group:{group}" for group in requester.groups)}
    if account_name(requester.username):
        keys.add(f"ServiceAccount:{requester.username}")
    return frozenset(keys)


def promoted_accounts(
    tenant: Tenant,
    service_accounts: Iterable[PromotedCandidate],
    configuration: CapsuleConfigurationSpec,
    *,
    namespaces: Iterable[ObjectMeta],
) -> tuple[PromotedOwner, ...]:
    """Return which roles promoted ServiceAccounts get by rules, and where: ``status.promotions`` (I-8).

    Accounts promoted to owners are in ``status.owners`` instead (I-7).

    Args:
        tenant: Whose rules.
        service_accounts: Accounts in the tenant's namespaces; others are the caller's to leave out.
        configuration: For the global switch.
        namespaces: All of the tenant's namespaces.

    Returns:
        Sorted by name and targets.  Every role of an entry is to be bound in every target;
        an account with different roles in different namespaces has several entries.
    """
    if not allows_promotion(tenant, configuration):
        return ()
    spaces = tuple(namespaces)
    entries = []
    for account in service_accounts:
        if account.labels.get(labels.PROMOTE) == _PROMOTED:
            targets_of = _targets_by_role(tenant, account, spaces)
            entries += [
                PromotedOwner(kind="ServiceAccount", name=account.username, cluster_roles=roles, targets=targets)
                for targets, roles in _roles_by_targets(targets_of).items()
            ]
    return tuple(sorted(entries, key=lambda entry: (entry.name, entry.targets)))


def _targets_by_role(
    tenant: Tenant, account: PromotedCandidate, namespaces: tuple[ObjectMeta, ...]
) -> dict[str, set[str]]:
    targets: dict[str, set[str]] = {}
    for rule in tenant.spec.rules:
        for promotion in rule.permissions.promotions if rule.permissions else ():
            if not matches(promotion.selector, account.labels):
                continue
            spaces = {one.name for one in namespaces if matches(rule.namespace_selector, one.labels)}
            if not is_empty(rule.namespace_selector):
                spaces.add(account.namespace)
            for role in promotion.cluster_roles:
                targets.setdefault(role, set()).update(spaces)
    return targets


def _roles_by_targets(targets_of: Mapping[str, set[str]]) -> dict[tuple[str, ...], tuple[str, ...]]:
    roles: dict[tuple[str, ...], tuple[str, ...]] = {}
    for role, spaces in targets_of.items():
        targets = tuple(sorted(spaces))
        roles[targets] = (*roles.get(targets, ()), role)
    return roles


def _promoted_owners(
    tenant: Tenant, candidates: Iterable[PromotedCandidate], configuration: CapsuleConfigurationSpec
) -> list[CoreOwner]:
    if not allows_promotion(tenant, configuration):
        return []
    roles = configuration.rbac.promotion_cluster_roles
    return [
        CoreOwner(kind="ServiceAccount", name=candidate.username, cluster_roles=roles)
        for candidate in candidates
        if candidate.labels.get(labels.OWNER_PROMOTE) == _PROMOTED
    ]


def _administrators(configuration: CapsuleConfigurationSpec) -> list[CoreOwner]:
    roles = configuration.rbac.administration_cluster_roles
    return [CoreOwner(kind=one.kind, name=one.name, cluster_roles=roles) for one in configuration.administrators]


def _united(sources: list[tuple[str, ...]]) -> tuple[str, ...]:
    if len(sources) == 1:
        return sources[0]
    return tuple(sorted({role for roles in sources for role in roles}))

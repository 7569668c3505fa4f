"""What follows from the caches for each tenant, computed once until something it depends on changes."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.api.configuration import CapsuleConfiguration, CapsuleConfigurationSpec
from tenantry.api.labels import RESOURCE_QUOTA
from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import CoreOwner, PromotedOwner
from tenantry.api.tenant import Tenant
from tenantry.operator.caches import BY_NAMESPACE, BY_TENANT, Caches
from tenantry.tenancy.desired.manifests import TenantFacts, is_managed
from tenantry.tenancy.desired.membership import tenant_of
from tenantry.tenancy.desired.namespace_objects import NamespacePlan
from tenantry.tenancy.desired.resource_quotas import Usage, shared_quotas
from tenantry.tenancy.owners import PromotedCandidate, effective_owners, promoted_accounts
from tenantry.tenancy.quota import SharedQuota

Edition = tuple[str, int]
"""A Tenant's uid and generation: what its spec is as of."""


@dataclass(frozen=True, slots=True)
class _Entry:
    edition: Edition
    owners: tuple[CoreOwner, ...]
    promotions: tuple[PromotedOwner, ...]
    plan: NamespacePlan


class TenantBook:
    """Answers questions about tenants from the caches."""

    def __init__(self, caches: Caches, configuration_name: str) -> None:
        self._caches = caches
        self._configuration_name = configuration_name
        self._entries: dict[str, _Entry] = {}
        self._quotas: dict[str, tuple[Edition, tuple[SharedQuota, ...]]] = {}

    @property
    def configuration(self) -> CapsuleConfiguration | None:
        """The CapsuleConfiguration that counts; None while there is none."""
        return self._caches.configurations.get(self._configuration_name)

    @property
    def configuration_spec(self) -> CapsuleConfigurationSpec:
        """What the CapsuleConfiguration sets; the defaults while there is none."""
        stored = self.configuration
        return stored.spec if stored is not None else CapsuleConfigurationSpec()

    def tenant_of(self, namespace: ObjectMeta) -> Tenant | None:
        """Return the tenant that the namespace belongs to."""
        return tenant_of(namespace, self._caches.tenants.get)

    def tenant_in(self, namespace: str) -> Tenant | None:
        """Return the tenant that the namespace of that name belongs to."""
        held = self._caches.namespaces.get(namespace)
        return self.tenant_of(held.metadata) if held is not None else None

    def members(self, tenant: Tenant) -> list[ObjectMeta]:
        """Return the tenant's namespaces, terminating ones too, in no particular order."""
        found = (held.metadata for held in self._caches.namespaces.by_index(BY_TENANT, tenant.metadata.name))
        uid = tenant.metadata.uid
        return [each for each in found if (owner := self.tenant_of(each)) is not None and owner.metadata.uid == uid]

    def facts(self, tenant: Tenant) -> TenantFacts:
        """Return *tenant* with its effective owners and promotions."""
        entry = self._entry(tenant)
        return TenantFacts(tenant=tenant, owners=entry.owners, promotions=entry.promotions)

    def plan(self, tenant: Tenant) -> NamespacePlan:
        """Return what all its namespaces have in common; its Tenant may have an older status."""
        return self._entry(tenant).plan

    def quotas(self, tenant: Tenant) -> tuple[SharedQuota, ...]:
        """Return the shared limits of *tenant* with what is used of them."""
        known = self._quotas.get(tenant.metadata.name)
        if known is None or known[0] != _edition(tenant):
            known = self._quotas[tenant.metadata.name] = (_edition(tenant), shared_quotas(tenant, self.usage(tenant)))
        return known[1]

    def has_candidates(self, tenant: Tenant) -> bool:
        """Return whether the tenant's namespaces, and their labels, decide who gets roles where."""
        if not len(self._caches.promoted) and not len(self._caches.promoted_owners):
            return False
        return bool(self._entry(tenant).promotions) or bool(self.candidates(tenant))

    def candidates(self, tenant: Tenant) -> list[PromotedCandidate]:
        """Return the ServiceAccounts in the tenant's namespaces that carry a promotion label."""
        found = {
            (account.metadata.namespace, account.metadata.name): account.metadata.labels or {}
            for namespace in self.members(tenant)
            for cache in (self._caches.promoted, self._caches.promoted_owners)
            for account in cache.by_index(BY_NAMESPACE, namespace.name)
        }
        return [
            PromotedCandidate(namespace=namespace, name=name, labels=found[namespace, name])
            for namespace, name in sorted(found)
        ]

    def forget(self, tenant: str) -> None:
        """Compute anew what depends on more than the Tenant's spec."""
        self._entries.pop(tenant, None)

    def forget_all(self) -> None:
        """As :meth:`forget`, for all tenants."""
        self._entries.clear()

    def forget_usage(self, tenant: str) -> None:
        """Add up the use of shared quotas anew."""
        self._quotas.pop(tenant, None)

    def _entry(self, tenant: Tenant) -> _Entry:
        name, edition = tenant.metadata.name, _edition(tenant)
        entry = self._entries.get(name)
        if entry is None or entry.edition != edition:
            entry = self._entries[name] = self._computed(tenant, edition)
        return entry

    def _computed(self, tenant: Tenant, edition: Edition) -> _Entry:
        configuration = self.configuration_spec
        has_accounts = len(self._caches.promoted) or len(self._caches.promoted_owners)
        candidates = self.candidates(tenant) if has_accounts else []
        owners = effective_owners(
            tenant,
            tenant_owners=self._caches.tenant_owners.values(),
            promoted=candidates,
            configuration=configuration,
        )
        promotions: tuple[PromotedOwner, ...] = ()
        if candidates:
            promotions = promoted_accounts(tenant, candidates, configuration, namespaces=self.members(tenant))
        facts = TenantFacts(tenant=tenant, owners=owners, promotions=promotions)
        return _Entry(edition, owners, promotions, NamespacePlan(facts))

    def usage(self, tenant: Tenant) -> Usage:
        """Return what the namespaces use of each of the tenant's quotas."""
        usage: dict[int, dict[str, dict[str, str | int]]] = {}
        living = {each.name for each in self.members(tenant)}
        for quota in self._caches.resource_quotas.by_index(BY_TENANT, tenant.metadata.name):
            index = (quota.metadata.labels or {}).get(RESOURCE_QUOTA, "")
            if index.isdigit() and quota.metadata.namespace in living and is_managed(quota.metadata):
                usage.setdefault(int(index), {})[quota.metadata.namespace] = quota.status.used or {}
        return usage


def _edition(tenant: Tenant) -> Edition:
    return tenant.metadata.uid, tenant.metadata.generation

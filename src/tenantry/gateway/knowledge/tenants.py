"""Which namespaces belong to which tenant, and who is concerned when that changes."""

from __future__ import annotations

from collections.abc import Iterable

from tenantry.access.grants import setting_keys
from tenantry.access.principals import residents_key
from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant
from tenantry.gateway.knowledge.sources import BY_NAMESPACE, BY_TENANT, Sources
from tenantry.tenancy.desired.membership import referenced_tenants, tenant_of
from tenantry.tenancy.owners import owner_keys


class TenantIndex:
    """Answers from the caches; what it worked out is kept until :meth:`forget`.

    A namespace belongs to a tenant by its own owner reference: ``status.namespaces`` of the
    Tenant says the same a moment later.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._namespaces: dict[str, frozenset[str]] = {}

    def tenant_of(self, namespace: ObjectMeta) -> str | None:
        """Return the name of the tenant that the namespace belongs to."""
        tenant = tenant_of(namespace, self._sources.tenants.get)
        return None if tenant is None else tenant.metadata.name

    def tenant_in(self, namespace: str) -> Tenant | None:
        """Return the tenant that the namespace of that name belongs to."""
        held = self._sources.namespaces.get(namespace)
        return None if held is None else tenant_of(held.metadata, self._sources.tenants.get)

    def namespaces(self, tenant: str) -> frozenset[str]:
        """Return the names of the tenant's namespaces, terminating ones too."""
        known = self._namespaces.get(tenant)
        if known is None:
            candidates = (each.metadata for each in self._sources.namespaces.by_index(BY_TENANT, tenant))
            known = frozenset(each.name for each in candidates if self.tenant_of(each) == tenant)
            self._namespaces[tenant] = known
        return known

    def neighbours(self, tenant: str) -> frozenset[str]:
        """Return the other tenants that namespaces refer to which also refer to *tenant*."""
        found = self._sources.namespaces.by_index(BY_TENANT, tenant)
        return frozenset[str]().union(*(referenced_tenants(each.metadata) for each in found)) - {tenant}

    def audience(self, tenant: str) -> frozenset[str]:
        """Return the subject keys of all who see the tenant: owners, and subjects of ProxySettings.

        Of a tenant that is gone, those who saw it: its namespaces still refer to it.
        """
        held = self._sources.tenants.get(tenant)
        owners = owner_keys(held.status.owners) if held is not None else frozenset()
        members = self._sources.namespaces.by_index(BY_TENANT, tenant)
        return owners | self.setting_audience(each.metadata.name for each in members)

    def residents(self, tenant: str) -> frozenset[str]:
        """Return the subject keys of the ServiceAccounts that live in namespaces which refer to the tenant."""
        members = self._sources.namespaces.by_index(BY_TENANT, tenant)
        return frozenset(residents_key(each.metadata.name) for each in members)

    def setting_audience(self, namespaces: Iterable[str]) -> frozenset[str]:
        """Return the subject keys of the ProxySettings in *namespaces*."""
        settings = self._sources.settings
        if not settings.values():
            return frozenset()
        keys: set[str] = set()
        for namespace in namespaces:
            for setting in settings.by_index(BY_NAMESPACE, namespace):
                keys |= setting_keys(setting)
        return frozenset(keys)

    def forget(self, metadata: ObjectMeta | None) -> None:
        """Work out anew what a namespace's tenants have, after it changed."""
        if metadata is not None:
            for tenant in referenced_tenants(metadata):
                self._namespaces.pop(tenant, None)

    def forget_tenant(self, tenant: str) -> None:
        """Work out anew what *tenant* and those that share namespaces with it have, after it came or went."""
        for name in (tenant, *self.neighbours(tenant)):
            self._namespaces.pop(name, None)

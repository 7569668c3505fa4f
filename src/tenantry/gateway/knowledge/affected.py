"""Whose view a change of an object may have changed: the subject keys it is about."""

from __future__ import annotations

from typing import Final

from tenantry.access.grants import global_setting_keys, setting_keys
from tenantry.access.principals import binding_keys, residents_key
from tenantry.api.core import RoleBinding
from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.api.proxy import GlobalProxySettings, ProxySetting
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import replaced
from tenantry.gateway.knowledge.slim import OPENS_LISTS
from tenantry.gateway.knowledge.tenants import TenantIndex
from tenantry.kube.cache import Change
from tenantry.tenancy.owners import owner_keys

NOBODY: Final[frozenset[str]] = frozenset()


def by_binding(change: Change[RoleBinding]) -> frozenset[str]:
    """Return whom a RoleBinding came or went for; for all of them where it opens lists now, or no longer does."""
    old, new = _bound(change.old), _bound(change.new)
    return old ^ new if opens_lists(change.old) == opens_lists(change.new) else old | new


def opens_lists(binding: RoleBinding | None) -> bool:
    """Return whether the binding is labelled so that lists over all namespaces cover its own (8.5)."""
    return binding is not None and (binding.metadata.labels or {}).get(OPENS_LISTS) == "true"


def by_setting(change: Change[ProxySetting]) -> frozenset[str]:
    """Return the subjects of a ProxySetting, old and new, if anything but its status changed."""
    if change.old is not None and change.new is not None and change.old.spec == change.new.spec:
        return NOBODY
    return NOBODY.union(*(setting_keys(each) for each in (change.old, change.new) if each is not None))


def by_global_setting(change: Change[GlobalProxySettings]) -> frozenset[str]:
    """Return the subjects of GlobalProxySettings, old and new, if anything but its status changed."""
    if change.old is not None and change.new is not None and change.old.spec == change.new.spec:
        return NOBODY
    return NOBODY.union(*(global_setting_keys(each) for each in (change.old, change.new) if each is not None))


def by_tenant(change: Change[Tenant], index: TenantIndex) -> frozenset[str]:
    """Return whose view a change of a Tenant, as the caches keep it, may have changed."""
    old, new = change.old, change.new
    if old is None or new is None or old.metadata.uid != new.metadata.uid:
        name = (new or old or Tenant()).metadata.name
        # Namespaces with references to several tenants may fall to another of them.
        others = (index.audience(each) for each in index.neighbours(name))
        return _owners(old).union(_owners(new), index.audience(name), index.residents(name), *others)
    if replaced(old.spec, owners=()) != replaced(new.spec, owners=()):
        return _owners(old).union(_owners(new), index.audience(new.metadata.name))
    settings = set(old.spec.owners) ^ set(new.spec.owners)
    return (_owners(old) ^ _owners(new)) | owner_keys(settings)


def by_namespace(change: Change[PartialObject], index: TenantIndex) -> frozenset[str]:
    """Return whose view a Namespace that came, went or changed hands may have changed."""
    old, new = (_metadata(each) for each in (change.old, change.new))
    before, after = (index.tenant_of(each) if each is not None else None for each in (old, new))
    if before == after and old is not None and new is not None:
        return NOBODY
    name = (new or old or ObjectMeta()).name
    audiences = [index.audience(tenant) for tenant in (before, after) if tenant is not None]
    # Its ServiceAccounts are Capsule users while it is a tenant's.
    residents = {residents_key(name)} if before != after else NOBODY
    return index.setting_audience((name,)).union(residents, *audiences)


def _bound(binding: RoleBinding | None) -> frozenset[str]:
    return NOBODY if binding is None else binding_keys(binding)


def _owners(tenant: Tenant | None) -> frozenset[str]:
    return NOBODY if tenant is None else owner_keys(tenant.status.owners)


def _metadata(obj: PartialObject | None) -> ObjectMeta | None:
    return None if obj is None else obj.metadata

"""What the caches know, indexed for the questions that decisions ask."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tenantry.admission.catalog import Catalog
from tenantry.admission.knowledge import Question, Topic, Unanswered, tenant_in_charge
from tenantry.api import labels
from tenantry.api.configuration import CapsuleConfiguration, CapsuleConfigurationSpec
from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.api.shared import CoreOwner, UserSpec
from tenantry.api.tenant import Tenant
from tenantry.api.tenant_owner import TenantOwner
from tenantry.kube.cache import Cache, Change
from tenantry.tenancy.identity import account_name, capsule_users, role_of
from tenantry.tenancy.owners import PromotedCandidate, effective_owners, owner_keys, requester_keys
from tenantry.tenancy.request import Requester, Role
from tenantry.tenancy.rules.effective import effective_rules
from tenantry.tenancy.rules.projection import projection_key
from tenantry.tenancy.rules.ruleset import EMPTY_RULES, RuleSet
from tenantry.tenancy.validation.rules import KindScope
from tenantry.tenancy.views import Installation, Lookups, TenantView

DEFAULT_SPEC: Final = CapsuleConfigurationSpec(users=(UserSpec(kind="Group", name=labels.DEFAULT_USER_GROUP),))
"""What holds until the operator has made the configuration (R-5)."""
BY_NAMESPACE: Final = "namespace"
"""Index of the promoted accounts."""
BY_TENANT_LABEL: Final = "tenant label"
"""Index of the TenantOwners."""
_MAX_ROLES: Final = 8192
_MAX_RULE_SETS: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Caches:
    """The caches that every worker keeps."""

    tenants: Cache[Tenant]
    tenant_owners: Cache[TenantOwner]
    configurations: Cache[CapsuleConfiguration]
    """Of the one configuration that counts."""
    namespaces: Cache[PartialObject]
    """Those with a tenant label."""
    promoted: Cache[PartialObject]
    """ServiceAccounts that are labelled as promoted to owners."""

    def all(self) -> tuple[Cache[Any], ...]:
        """Return them all."""
        return (self.tenants, self.tenant_owners, self.configurations, self.namespaces, self.promoted)

    @property
    def synced(self) -> bool:
        """Whether each has had its first list."""
        return all(cache.synced for cache in self.all())


@dataclass(frozen=True, slots=True)
class _Space:
    """What was worked out for one namespace; good as long as its namespace and tenant are the same objects."""

    namespace: ObjectMeta
    tenant: Tenant
    rules: RuleSet


def policy_part(tenant: Tenant) -> tuple[object, ...]:
    """Return what of *tenant* decisions depend on, so that writes of its status change nothing."""
    metadata = tenant.metadata
    return (metadata.uid, metadata.generation, metadata.deletion_timestamp, metadata.labels, metadata.annotations)


def promoted_candidate(account: PartialObject) -> PromotedCandidate:
    """Return *account* as the owners' rules see it."""
    metadata = account.metadata
    return PromotedCandidate(namespace=metadata.namespace, name=metadata.name, labels=metadata.labels or {})


def without_status(tenant: Tenant) -> Tenant:
    """Return *tenant* without its status: a report to people, and the larger half of a big tenant."""
    return Tenant(metadata=tenant.metadata, spec=tenant.spec)


class State:
    """Knowledge from caches: never waits; what is not in memory is Unanswered."""

    def __init__(self, caches: Caches, catalog: Catalog, *, own_accounts: frozenset[str]) -> None:
        self._caches = caches
        self._catalog = catalog
        self._own_accounts = own_accounts
        self._tenants: dict[str, Tenant] = {}
        self._spaces: dict[str, _Space] = {}
        self._rule_sets: dict[Hashable, RuleSet] = {}
        self._installation: Installation | None = None
        self._roles: dict[tuple[Requester, str | None], Role] = {}
        self._owners: dict[str, tuple[CoreOwner, ...]] = {}
        self._names_by_owner: dict[str, set[str]] = {}
        self._keys_by_name: dict[str, frozenset[str]] = {}
        self._unindexed: set[str] = set()
        self._promoted: dict[str, list[PromotedCandidate]] | None = None
        caches.tenants.subscribe(self._on_tenant)
        caches.tenant_owners.subscribe(lambda _: self._on_installation())
        caches.configurations.subscribe(lambda _: self._on_installation())
        caches.namespaces.subscribe(self._on_namespace)
        caches.promoted.subscribe(lambda _: self._on_owners())

    @property
    def lookups(self) -> Lookups:
        """See Knowledge."""
        return self._catalog

    @property
    def installation(self) -> Installation:
        """See Knowledge."""
        if self._installation is None:
            stored = next(iter(self._caches.configurations.values()), None)
            spec = DEFAULT_SPEC if stored is None else stored.spec
            self._installation = Installation(
                configuration=spec,
                users=capsule_users(spec, self._caches.tenant_owners.values()),
                own_accounts=self._own_accounts,
            )
        return self._installation

    def tenant(self, name: str) -> Tenant | None:
        """See Knowledge; an unknown one may be too new for the cache."""
        found = self._tenants.get(name)
        if found is None:
            raise Unanswered(Question(Topic.TENANT, name))
        return found

    def namespace(self, name: str) -> ObjectMeta | None:
        """See Knowledge; an unknown one may have joined a tenant just now."""
        found = self._caches.namespaces.get(name)
        if found is None:
            raise Unanswered(Question(Topic.NAMESPACE, name))
        return found.metadata

    def home_tenant(self, namespace: str) -> str | None:
        """See Knowledge; a namespace that is in no tenant as far as is known is in none."""
        found = self._caches.namespaces.get(namespace)
        if found is None:
            return None
        tenant = tenant_in_charge(found.metadata, self._tenants.get)
        return None if tenant is None else tenant.metadata.name

    def owners(self, tenant: Tenant) -> tuple[CoreOwner, ...]:
        """See Knowledge; remembered for tenants as they are in the cache."""
        name = tenant.metadata.name
        known = self._tenants.get(name)
        is_cached = known is tenant or (known is not None and policy_part(known) == policy_part(tenant))
        found = self._owners.get(name) if is_cached else None
        if found is None:
            found = effective_owners(
                tenant,
                tenant_owners=self._tenant_owners_near(tenant),
                promoted=self._promoted_by_tenant.get(name, ()),
                configuration=self.installation.configuration,
            )
            if is_cached:
                self._owners[name] = found
        return found

    def owned_by(self, requester: Requester) -> tuple[TenantView, ...]:
        """See Knowledge."""
        self._index_owners()
        names = {name for key in requester_keys(requester) for name in self._names_by_owner.get(key, ())}
        return tuple(self._view(name) for name in sorted(names))

    def rules(self, tenant: Tenant, namespace: ObjectMeta) -> RuleSet:
        """See Knowledge; compiled once for a state of both."""
        if not tenant.spec.rules:
            return EMPTY_RULES
        known = self._spaces.get(namespace.name)
        if known is not None and known.namespace is namespace and known.tenant is tenant:
            return known.rules
        rules = self._compiled(tenant, namespace)
        self._spaces[namespace.name] = _Space(namespace, tenant, rules)
        return rules

    def role(self, requester: Requester) -> Role:
        """See Knowledge."""
        account = account_name(requester.username)
        home = None if account is None else self.home_tenant(account.namespace)
        installation = self.installation
        key = (requester, home)
        found = self._roles.get(key)
        if found is None:
            if len(self._roles) >= _MAX_ROLES:
                self._roles.clear()
            found = self._roles[key] = role_of(requester, installation, home_tenant=home)
        return found

    def kind_scope(self, group: str, kind: str) -> KindScope | None:
        """See Knowledge; asked so seldom that nothing is kept."""
        del group, kind
        raise Unanswered(Question(Topic.KINDS))

    def tenant_uid(self, name: str) -> str:
        """Return the uid of a Tenant; empty where it is not known."""
        found = self._tenants.get(name)
        return "" if found is None else found.metadata.uid

    def _compiled(self, tenant: Tenant, namespace: ObjectMeta) -> RuleSet:
        """Return the rules, shared by all namespaces for which they come out the same."""
        key = projection_key(tenant, namespace)
        found = self._rule_sets.get(key)
        if found is None:
            if len(self._rule_sets) >= _MAX_RULE_SETS:
                self._rule_sets.clear()
            found = self._rule_sets[key] = effective_rules(tenant, namespace)
        return found

    def _view(self, name: str) -> TenantView:
        tenant = self._tenants[name]
        return TenantView(tenant=tenant, owners=self.owners(tenant))

    def _tenant_owners_near(self, tenant: Tenant) -> Collection[TenantOwner]:
        """Return the TenantOwners that *tenant* may take in: all only where it has selectors."""
        permissions = tenant.spec.permissions
        if permissions is not None and permissions.match_owners:
            return self._caches.tenant_owners.values()
        return self._caches.tenant_owners.by_index(BY_TENANT_LABEL, tenant.metadata.name)

    @property
    def _promoted_by_tenant(self) -> Mapping[str, list[PromotedCandidate]]:
        if self._promoted is None:
            self._promoted = {}
            for one in self._caches.promoted.values():
                home = self.home_tenant(one.metadata.namespace)
                if home is not None:
                    self._promoted.setdefault(home, []).append(promoted_candidate(one))
        return self._promoted

    def _index_owners(self) -> None:
        """File the tenants whose owners may have changed; done when somebody asks, not at each event."""
        for name in self._unindexed:
            for key in self._keys_by_name.pop(name, ()):
                self._names_by_owner[key].discard(name)
            tenant = self._tenants.get(name)
            if tenant is not None:
                keys = self._keys_by_name[name] = owner_keys(self.owners(tenant))
                for key in keys:
                    self._names_by_owner.setdefault(key, set()).add(name)
        self._unindexed.clear()

    def _on_tenant(self, change: Change[Tenant]) -> None:
        new = change.new
        name = (new or change.old or Tenant()).metadata.name
        if new is None:
            self._tenants.pop(name, None)
        else:
            old = self._tenants.get(name)
            if old is not None and policy_part(old) == policy_part(new):
                return
            self._tenants[name] = new
        self._promoted = None  # A namespace's home may be known only now.
        self._owners.pop(name, None)
        self._unindexed.add(name)

    def _on_namespace(self, change: Change[PartialObject]) -> None:
        new = change.new
        name = (new or change.old or PartialObject()).metadata.name
        if new is None:
            self._spaces.pop(name, None)
        if self._caches.promoted.by_index(BY_NAMESPACE, name):
            self._on_owners()

    def _on_installation(self) -> None:
        self._installation = None
        self._roles.clear()
        self._on_owners()

    def _on_owners(self) -> None:
        self._promoted = None
        self._owners.clear()
        self._unindexed.update(self._tenants)

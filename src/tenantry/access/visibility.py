"""What one principal sees of the cluster, and which of the objects it sees it may change.

Rules about cluster-scoped kinds come from three sides, and add up: what is a principal's by
ownership or binding (tenants, namespaces), what a tenant selects for those to whom its
``proxySettings`` give an operation, and the rules of ProxySettings and GlobalProxySettings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from tenantry.access.classes_seen import PROXIED_KINDS, WRITABLE, Kind, selected
from tenantry.access.identity import Identity
from tenantry.access.proxy_rules import Operation, ProxyRule, rules_sight
from tenantry.access.sight import NOTHING, Rule, Sight, united
from tenantry.api.meta import CAPSULE_GROUP
from tenantry.api.tenant import Tenant

__all__ = ["Operation", "PrincipalView", "Rule", "Sight", "TenantShare", "WriteOperation"]

WriteOperation = Literal["update", "delete"]
_WRITES: Final[Mapping[WriteOperation, str]] = {"update": "Update", "delete": "Delete"}
_LIST: Final = "List"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantShare:
    """What one tenant is to a principal that owns it, or that a ProxySetting in it names."""

    tenant: Tenant
    namespaces: frozenset[str] = frozenset()
    """The namespaces that belong to the tenant."""
    operations: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """``proxySettings``, all that name the principal together: kind -> operations."""

    def allows(self, kind: str, operation: str) -> bool:
        """Return whether the principal has an operation with a ``proxySettings`` kind; each one needs List too."""
        granted = self.operations.get(kind, frozenset())
        return _LIST in granted and operation in granted


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalView:
    """All that a principal may see; to learn whether two views show the same, compare their sights."""

    identity: Identity
    subject_keys: frozenset[str]
    """What the principal is found by: "User:alice", "Group:devs", "ServiceAccount:system:serviceaccount:ns:n"."""
    tenants: tuple[TenantShare, ...] = ()
    """Each once, by name."""
    bound_namespaces: frozenset[str] = frozenset()
    """Where a RoleBinding names the principal."""
    listed_namespaces: frozenset[str] = frozenset()
    """Where a RoleBinding does that also opens lists over all namespaces (8.5); a part of the former."""
    rules: tuple[ProxyRule, ...] = ()
    _sights: dict[tuple[str, ...], Sight] = field(default_factory=dict, init=False, compare=False, repr=False)

    def sight(self, group: str, version: str, resource: str, operation: Operation) -> Sight:
        """Return which objects of a cluster-scoped kind are seen.

        LIST, WATCH and DELETED events use "list"; a named GET uses "get", which shows at
        least as much.

        Entries of ``metrics.k8s.io`` nodes are to be shown by name and labels of the Node
        they measure: they need not carry its labels.
        """
        key = (group, version, resource, operation)
        known = self._sights.get(key)
        if known is None:
            known = self._sights[key] = united(self._parts(group, version, resource, operation))
        return known

    def all_namespaces(self) -> tuple[str, ...]:
        """Return the namespaces, sorted, that a list over all namespaces covers.

        What may be read in each of them is the API server's to say: the reads are made as
        the principal.
        """
        return tuple(sorted(self.listed_namespaces.union(*(share.namespaces for share in self.tenants))))

    def writes(self, resource: str, operation: WriteOperation) -> Sight:
        """Return which objects of a kind the principal may change or delete by ``proxySettings`` alone (8.4).

        Only objects that a tenant selects for whom it gives both List and the operation;
        nothing for kinds that have no such operation.
        """
        if resource not in WRITABLE:
            return NOTHING
        key = (resource, operation)
        known = self._sights.get(key)
        if known is None:
            kinds = [kind for kind in PROXIED_KINDS if kind[1] == resource and kind[0] != "metrics.k8s.io"]
            known = self._sights[key] = united(self._selected(kind, _WRITES[operation]) for kind in kinds)
        return known

    def _parts(self, group: str, version: str, resource: str, operation: Operation) -> Iterator[Sight]:
        kind = (group, resource)
        if kind == ("", "namespaces"):
            yield Sight(names=self.bound_namespaces.union(*(share.namespaces for share in self.tenants)))
        elif kind == (CAPSULE_GROUP, "tenants"):
            yield Sight(names=frozenset(share.tenant.metadata.name for share in self.tenants))
        elif kind in PROXIED_KINDS:
            yield self._selected(kind, _LIST)
        yield rules_sight(self.rules, (group, version, resource), operation)

    def _selected(self, kind: Kind, operation: str) -> Sight:
        return selected((share.tenant for share in self.tenants if share.allows(PROXIED_KINDS[kind], operation)), kind)

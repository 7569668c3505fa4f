"""What a tenant selects of the cluster-scoped kinds: nodes, classes, volumes (R-034, 1.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from tenantry.access.sight import EVERYTHING, NOTHING, Rule, Sight, by_rule, by_selector, united
from tenantry.api.labels import TENANT
from tenantry.api.meta import LabelSelectorRequirement
from tenantry.api.shared import DefaultAllowedList, SelectorAllowedList
from tenantry.api.tenant import Tenant, TenantSpec
from tenantry.tenancy.checks.allowed import allowed_classes, is_restricted
from tenantry.tenancy.views import ClassKind

Kind = tuple[str, str]
"""Group and plural: the selection is the same in every version."""

PROXIED_KINDS: Final[Mapping[Kind, str]] = {
    ("", "nodes"): "Nodes",
    # What `kubectl top node` reads: an entry of the same name for each node.
    ("metrics.k8s.io", "nodes"): "Nodes",
    ("", "persistentvolumes"): "PersistentVolumes",
    ("storage.k8s.io", "storageclasses"): "StorageClasses",
    ("networking.k8s.io", "ingressclasses"): "IngressClasses",
    # The schema names no operation for these; who may see the one way in may see the other.
    ("gateway.networking.k8s.io", "gatewayclasses"): "IngressClasses",
    ("scheduling.k8s.io", "priorityclasses"): "PriorityClasses",
    ("node.k8s.io", "runtimeclasses"): "RuntimeClasses",
}
"""For each kind that tenants select objects of, the ``proxySettings`` kind that opens it."""

WRITABLE: Final = frozenset(
    {"nodes", "persistentvolumes", "storageclasses", "ingressclasses", "priorityclasses", "runtimeclasses"}
)
"""Plurals of the kinds whose objects ``Update`` and ``Delete`` are about."""

_CLASSES: Final[Mapping[Kind, ClassKind]] = {
    ("storage.k8s.io", "storageclasses"): ClassKind.STORAGE,
    ("networking.k8s.io", "ingressclasses"): ClassKind.INGRESS,
    ("gateway.networking.k8s.io", "gatewayclasses"): ClassKind.GATEWAY,
    ("scheduling.k8s.io", "priorityclasses"): ClassKind.PRIORITY,
    ("node.k8s.io", "runtimeclasses"): ClassKind.RUNTIME,
}


def selected(tenants: Iterable[Tenant], kind: Kind) -> Sight:
    """Return what *tenants* together select of *kind*; nothing of a kind that tenants do not select from."""
    if kind in _CLASSES:
        return united(allowed_sight(allowed_classes(tenant.spec, _CLASSES[kind])) for tenant in tenants)
    select = _OTHERS.get(kind)
    return NOTHING if select is None else select(tuple(tenants))


def allowed_sight(allowed: SelectorAllowedList | None) -> Sight:
    """Return the classes that admission would let the tenant's objects name (``checks.allowed``).

    Where a tenant is not limited it may use every class, so it sees every class.
    """
    if allowed is None or not is_restricted(allowed):
        return EVERYTHING
    names = set(allowed.allowed)
    if isinstance(allowed, DefaultAllowedList) and allowed.default:
        names.add(allowed.default)
    parts = [Sight(names=frozenset(names))]
    if allowed.allowed_regex:
        parts.append(by_rule(Rule(pattern=allowed.allowed_regex)))
    if allowed.match_labels or allowed.match_expressions:
        parts.append(by_selector(allowed.match_labels, allowed.match_expressions))
    return united(parts)


def _nodes(tenants: tuple[Tenant, ...]) -> Sight:
    return united(_nodes_of(tenant.spec) for tenant in tenants)


def _nodes_of(spec: TenantSpec) -> Sight:
    return by_selector(spec.node_selector, ())


def _volumes(tenants: tuple[Tenant, ...]) -> Sight:
    """Return the volumes that carry the label of one of *tenants*, as one rule however many there are."""
    names = tuple(sorted({tenant.metadata.name for tenant in tenants}))
    if not names:
        return NOTHING
    return by_rule(Rule(expressions=(LabelSelectorRequirement(key=TENANT, operator="In", values=names),)))


_OTHERS: Final[Mapping[Kind, Callable[[tuple[Tenant, ...]], Sight]]] = {
    ("", "nodes"): _nodes,
    ("metrics.k8s.io", "nodes"): _nodes,
    ("", "persistentvolumes"): _volumes,
}

"""The views that decisions read, gathered from whatever knowledge there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tenantry.admission.knowledge import Knowledge, tenant_in_charge
from tenantry.api.core import Namespace
from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant
from tenantry.tenancy.checks.nodes import NodeContext
from tenantry.tenancy.namespaces.claims import claim_of, named_tenants
from tenantry.tenancy.namespaces.context import NamespaceContext
from tenantry.tenancy.owners import is_owner
from tenantry.tenancy.request import Operation, Request, Role
from tenantry.tenancy.rules.ruleset import EMPTY_RULES
from tenantry.tenancy.table import Stage, Subject
from tenantry.tenancy.validation.tenant import TenantContext
from tenantry.tenancy.views import ClassEntry, ClassKind, IngressUse, Lookups, ObjectContext, TenantView

NO_TENANT: Final = Tenant()
"""Stands where an object is in no tenant's namespace; it has no name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What other requests that were let through, and may not be stored yet, take up."""

    namespaces: frozenset[str] | None = None
    """For a new Namespace: see NamespaceContext.counted."""
    hosts: Mapping[tuple[str, str], Sequence[IngressUse]] = field(default_factory=dict)
    """For an Ingress: who reserved its hosts and paths."""


NOTHING_RESERVED: Final = Reserved()

View = ObjectContext | NamespaceContext | TenantContext | NodeContext | None
"""What the rows of a subject read; None where the request alone says all."""


def view_of(
    subject: Subject,
    request: Request,
    knowledge: Knowledge,
    *,
    stage: Stage,
    reserved: Reserved = NOTHING_RESERVED,
) -> View:
    """Return what the rows for *subject* read.

    Args:
        subject: ``table.subject_of(request)``.
        request: The request.
        knowledge: May raise Unanswered.
        stage: Tenants that the requester owns are looked up only where one has to be picked.
        reserved: By other requests.

    Raises:
        DecodeError: A submitted Namespace is none.
    """
    match subject:
        case Subject.OBJECT:
            return object_view(request, knowledge, reserved=reserved)
        case Subject.NAMESPACE:
            return _namespace_view(request, knowledge, stage=stage, counted=reserved.namespaces)
        case Subject.TENANT:
            return TenantContext(role=knowledge.role(request.requester), known_kinds=knowledge.kind_scope)
        case Subject.NODE:
            return NodeContext(installation=knowledge.installation, role=knowledge.role(request.requester))
        case _:
            return None


def object_view(request: Request, knowledge: Knowledge, *, reserved: Reserved = NOTHING_RESERVED) -> ObjectContext:
    """Return the view of an object; its tenant is NO_TENANT where the namespace is in none."""
    namespace = knowledge.namespace(request.namespace) or ObjectMeta(name=request.namespace)
    tenant = tenant_in_charge(namespace, knowledge.tenant) or NO_TENANT
    is_known = tenant is not NO_TENANT
    owners = knowledge.owners(tenant) if is_known else ()
    return ObjectContext(
        installation=knowledge.installation,
        role=knowledge.role(request.requester),
        tenant=tenant,
        owners=owners,
        is_owner=is_owner(request.requester, owners),
        namespace=namespace,
        rules=knowledge.rules(tenant, namespace) if is_known else EMPTY_RULES,
        lookups=_WithReserved(knowledge.lookups, reserved.hosts) if reserved.hosts else knowledge.lookups,
    )


@dataclass(frozen=True, slots=True)
class _WithReserved:
    """Lookups that show reserved hosts as used."""

    lookups: Lookups
    hosts: Mapping[tuple[str, str], Sequence[IngressUse]]

    def cluster_class(self, kind: ClassKind, name: str) -> ClassEntry | None:
        return self.lookups.cluster_class(kind, name)

    def cluster_classes(self, kind: ClassKind) -> Iterable[ClassEntry]:
        return self.lookups.cluster_classes(kind)

    def volume_labels(self, name: str) -> Mapping[str, str] | None:
        return self.lookups.volume_labels(name)

    def ingresses_using(self, host: str, path: str) -> Iterable[IngressUse]:
        return (*self.lookups.ingresses_using(host, path), *self.hosts.get((host, path), ()))


def _namespace_view(
    request: Request, knowledge: Knowledge, *, stage: Stage, counted: frozenset[str] | None
) -> NamespaceContext:
    role = knowledge.role(request.requester)
    tenants = {}
    for name in sorted(named_tenants(request)):
        tenant = knowledge.tenant(name)
        if tenant is not None:
            tenants[name] = TenantView(tenant=tenant, owners=knowledge.owners(tenant))
    picks = stage is Stage.MUTATING and role is Role.CAPSULE_USER and _needs_a_tenant(request)
    return NamespaceContext(
        installation=knowledge.installation,
        role=role,
        tenants=tenants,
        candidates=knowledge.owned_by(request.requester) if picks else (),
        counted=counted,
    )


def _needs_a_tenant(request: Request) -> bool:
    return (
        request.operation is Operation.CREATE
        and not request.subresource
        and claim_of(request.new(Namespace).metadata).label is None
    )

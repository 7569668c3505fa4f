"""Tenants as people look at them: lines of tables (``tenantry tenants``, ``tenantry tenant show``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tenantry.api.core import Event, Namespace, ResourceQuota
from tenantry.api.labels import AUDIT_USERNAME, CORDONED, RESOURCE_QUOTA
from tenantry.api.meta import Condition
from tenantry.api.tenant import Tenant
from tenantry.foundation.quantities import ZERO
from tenantry.tenancy.desired.conditions import READY
from tenantry.tenancy.desired.manifests import is_managed
from tenantry.tenancy.desired.resource_quotas import is_shared, shared_quotas
from tenantry.tenancy.quota import Amounts, amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLine:
    """A tenant in a list of tenants."""

    name: str
    state: str
    namespaces: int
    quota: int | None
    """How many namespaces it may have; None for any number."""
    owners: tuple[str, ...]
    """As ``Kind/name``, administrators of the installation too."""
    ready: str
    """Status of the Ready condition; ``Unknown`` before the first reconcile."""
    message: str
    created: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceLine:
    """A namespace of a tenant."""

    name: str
    phase: str
    cordoned: bool
    ready: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerLine:
    """An owner of a tenant."""

    kind: str
    name: str
    cluster_roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaLine:
    """One limited resource."""

    index: int
    """Of the item in ``spec.resourceQuotas``."""
    namespace: str
    """Empty where all namespaces share the limit."""
    resource: str
    used: str
    hard: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Something that admission refused, or told about."""

    at: str
    """RFC 3339; of the last time."""
    count: int
    namespace: str
    object: str
    """As ``Kind/name``."""
    user: str
    reason: str
    message: str


def tenant_line(tenant: Tenant) -> TenantLine:
    """Return *tenant* as one line."""
    options = tenant.spec.namespace_options
    ready = ready_condition(tenant.status.conditions)
    return TenantLine(
        name=tenant.metadata.name,
        state="Terminating" if tenant.metadata.deletion_timestamp else tenant.status.state,
        namespaces=tenant.status.size,
        quota=options.quota if options is not None else None,
        owners=tuple(f"{owner.kind}/{owner.name}" for owner in tenant.status.owners or tenant.spec.owners),
        ready=ready.status if ready is not None else "Unknown",
        message=ready.message if ready is not None else "",
        created=tenant.metadata.creation_timestamp,
    )


def ready_condition(conditions: Iterable[Condition]) -> Condition | None:
    """Return the Ready condition; None where there is none yet."""
    return next((each for each in conditions if each.type == READY), None)


def space_lines(tenant: Tenant, namespaces: Mapping[str, Namespace]) -> tuple[SpaceLine, ...]:
    """Return the tenant's namespaces, sorted by name.

    Args:
        tenant: Its status tells the names.
        namespaces: By name; of one that is missing, what the Tenant's status says is told.
    """
    spaces = {space.name: space for space in tenant.status.spaces}
    lines = []
    for name in sorted({*tenant.status.namespaces, *spaces}):
        found, space = namespaces.get(name), spaces.get(name)
        ready = ready_condition(space.conditions) if space is not None else None
        cordoned = tenant.spec.cordoned or (found is not None and (found.metadata.labels or {}).get(CORDONED) == "true")
        lines.append(
            SpaceLine(
                name=name,
                phase=found.status.phase if found is not None else "Unknown",
                cordoned=cordoned,
                ready=ready.status if ready is not None else "Unknown",
            )
        )
    return tuple(lines)


def owner_lines(tenant: Tenant) -> tuple[OwnerLine, ...]:
    """Return the owners in effect; those of the spec before the first reconcile."""
    return tuple(
        OwnerLine(kind=owner.kind, name=owner.name, cluster_roles=owner.cluster_roles)
        for owner in tenant.status.owners or tenant.spec.owners
    )


def quota_lines(tenant: Tenant, quotas: Sequence[ResourceQuota]) -> tuple[QuotaLine, ...]:
    """Return what is used of the tenant's ResourceQuotas: once for the tenant where it shares them.

    Args:
        tenant: Whose.
        quotas: In its namespaces; those that the controllers did not make are left out.
    """
    found: dict[int, dict[str, ResourceQuota]] = {}
    for quota in quotas:
        index = (quota.metadata.labels or {}).get(RESOURCE_QUOTA, "")
        if index.isdigit() and is_managed(quota.metadata):
            found.setdefault(int(index), {})[quota.metadata.namespace] = quota
    lines: list[QuotaLine] = []
    if is_shared(tenant):
        usage = {item: {name: one.status.used or {} for name, one in by.items()} for item, by in found.items()}
        for item, shared in enumerate(shared_quotas(tenant, usage)):
            lines += _quota_lines(item, "", shared.used_in_total(), shared.hard)
        return tuple(lines)
    for item, by in sorted(found.items()):
        for name, one in sorted(by.items()):
            lines += _quota_lines(item, name, amounts(one.status.used), amounts(one.status.hard))
    return tuple(lines)


def _quota_lines(index: int, namespace: str, used: Amounts, hard: Amounts) -> list[QuotaLine]:
    return [
        QuotaLine(
            index=index,
            namespace=namespace,
            resource=resource,
            used=str(used.get(resource, ZERO)),
            hard=str(hard[resource]),
        )
        for resource in sorted(hard)
    ]


def refusals(events: Iterable[Event], *, limit: int) -> tuple[Refusal, ...]:
    """Return the last *limit* refusals, the latest first; what is no warning is left out."""
    lines = [_refusal(event) for event in events if event.type == "Warning"]
    return tuple(sorted(lines, key=lambda line: line.at, reverse=True)[:limit])


def _refusal(event: Event) -> Refusal:
    regarding = event.regarding
    last = event.series.last_observed_time if event.series is not None else ""
    return Refusal(
        at=last or event.event_time or event.metadata.creation_timestamp or "",
        count=event.series.count if event.series is not None else 1,
        namespace=regarding.namespace,
        object=f"{regarding.kind}/{regarding.name}",
        user=(event.metadata.annotations or {}).get(AUDIT_USERNAME, ""),
        reason=event.reason,
        message=event.note,
    )

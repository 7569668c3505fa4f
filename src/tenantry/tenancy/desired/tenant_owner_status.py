"""The status of a TenantOwner (R-7)."""

from __future__ import annotations

from collections.abc import Iterable

from tenantry.api.tenant_owner import TenantOwner, TenantOwnerStatus
from tenantry.tenancy.desired.conditions import READY, SUCCEEDED, condition, merged


def tenant_owner_status(stored: TenantOwner, tenants: Iterable[str], *, now: str) -> TenantOwnerStatus:
    """Return the status of *stored*; Ready also with no tenant.  *tenants* took it in."""
    generation = stored.metadata.generation
    ready = condition(READY, holds=True, reason=SUCCEEDED, message="reconciled", generation=generation)
    return TenantOwnerStatus(
        tenants=tuple(sorted(set(tenants))),
        observed_generation=generation,
        conditions=merged(stored.status.conditions, [ready], now=now),
    )

"""Which tenant a namespace belongs to, as stored."""

from __future__ import annotations

from collections.abc import Callable

from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant
from tenantry.tenancy.namespaces.claims import claim_of, is_valid


def referenced_tenants(metadata: ObjectMeta) -> frozenset[str]:
    """Return the names of the tenants that the namespace has owner references to, valid or not."""
    return frozenset(reference.name for reference in claim_of(metadata).references)


def tenant_of(metadata: ObjectMeta, find: Callable[[str], Tenant | None]) -> Tenant | None:
    """Return the tenant that the namespace belongs to: as ``claims.belongs_to``, over plain Tenants.

    A valid owner reference counts, uid included; the label alone does not, and is put back
    where it differs.  Between several valid ones the label decides.

    Args:
        metadata: The Namespace's.
        find: Gives the Tenant of a name.
    """
    claim = claim_of(metadata)
    found: dict[str, Tenant] = {}
    for reference in claim.references:
        tenant = find(reference.name)
        if tenant is not None and is_valid(reference, tenant):
            found[reference.name] = tenant
    if claim.label is not None and claim.label in found:
        return found[claim.label]
    return next(iter(found.values())) if len(found) == 1 else None

"""What a Namespace's metadata says about its tenant: the label and the owner references.

A namespace *belongs* to a tenant by a valid owner reference alone, one with the living
Tenant's name and uid.  The label by itself proves nothing: it survives a restore, a Tenant
made anew under the old name, and a writer who was not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tenantry.api import labels
from tenantry.api.core import Namespace
from tenantry.api.meta import CAPSULE_API_VERSION, CAPSULE_GROUP, ObjectMeta, OwnerReference
from tenantry.api.tenant import Tenant
from tenantry.tenancy.request import Operation, Request
from tenantry.tenancy.views import TenantView


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The ownership part of a Namespace's metadata."""

    label: str | None
    """None where there is no tenant label; an empty one names no tenant but is one."""
    references: tuple[OwnerReference, ...]
    """Those to Tenants, of any version, in order."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing points to any tenant."""
        return self.label is None and not self.references

    @property
    def names(self) -> frozenset[str]:
        """Names of all tenants that are mentioned."""
        return frozenset({reference.name for reference in self.references} | ({self.label} if self.label else set()))


def claim_of(metadata: ObjectMeta) -> Claim:
    """Return what *metadata* says about its tenant."""
    return Claim(
        label=(metadata.labels or {}).get(labels.TENANT),
        references=tuple(reference for reference in metadata.owner_references if is_tenant_reference(reference)),
    )


def is_tenant_reference(reference: OwnerReference) -> bool:
    """Return whether *reference* is to a Tenant, whether or not that one exists."""
    return reference.kind == "Tenant" and reference.api_version.partition("/")[0] == CAPSULE_GROUP


def is_valid(reference: OwnerReference, tenant: Tenant) -> bool:
    """Return whether *reference* is to exactly this *tenant*, not to a namesake of another time."""
    return reference.name == tenant.metadata.name and reference.uid == tenant.metadata.uid


def reference_to(tenant: Tenant) -> OwnerReference:
    """Return the owner reference that a namespace of *tenant* carries: a plain one, not a controller's (N-7)."""
    return OwnerReference(
        api_version=CAPSULE_API_VERSION, kind="Tenant", name=tenant.metadata.name, uid=tenant.metadata.uid
    )


def belongs_to(claim: Claim, tenants: Mapping[str, TenantView]) -> TenantView | None:
    """Return the one of *tenants* that the namespace belongs to by a valid reference.

    Where there are valid references to several, the label decides between them; where it
    does not, the namespace belongs to nobody.
    """
    found = {
        reference.name: tenants[reference.name]
        for reference in claim.references
        if reference.name in tenants and is_valid(reference, tenants[reference.name].tenant)
    }
    if claim.label is not None and claim.label in found:
        return found[claim.label]
    return next(iter(found.values())) if len(found) == 1 else None


def names_tenant(claim: Claim, tenant: Tenant) -> bool:
    """Return whether the label or a valid reference still names *tenant*."""
    return claim.label == tenant.metadata.name or any(is_valid(one, tenant) for one in claim.references)


def agrees(claim: Claim, tenant: Tenant) -> bool:
    """Return whether label and reference both name *tenant* and nothing names another (N-20)."""
    return claim.label == tenant.metadata.name and len(claim.references) == 1 and is_valid(claim.references[0], tenant)


def tenant_of(metadata: ObjectMeta, tenants: Mapping[str, TenantView]) -> TenantView | None:
    """Return the one of *tenants* that a namespace with *metadata* belongs to."""
    return belongs_to(claim_of(metadata), tenants)


def named_tenants(request: Request) -> frozenset[str]:
    """Return the names of all tenants that the stored or the submitted Namespace mentions.

    Raises:
        DecodeError: An object is no Namespace.
    """
    old = request.old(Namespace)
    named = claim_of(old.metadata).names if old else frozenset()
    if request.operation is Operation.DELETE:
        return named
    return named | claim_of(request.new(Namespace).metadata).names

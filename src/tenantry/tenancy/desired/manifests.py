"""What all objects that the controllers make in a tenant's namespace have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenantry.api.labels import CAPSULE_MANAGED_BY, MANAGED_BY, MANAGED_BY_CONTROLLER, NEW_TENANT
from tenantry.api.meta import CAPSULE_API_VERSION, ObjectMeta
from tenantry.api.shared import CoreOwner, PromotedOwner
from tenantry.api.tenant import Tenant

Manifest = dict[str, Any]
"""An object as it stands on the wire, with everything that the controllers write to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFacts:
    """A tenant, and what follows for it from other objects."""

    tenant: Tenant
    owners: tuple[CoreOwner, ...] = ()
    """``owners.effective_owners`` of it."""
    promotions: tuple[PromotedOwner, ...] = ()
    """``owners.promoted_accounts`` of it."""

    @property
    def name(self) -> str:
        """The tenant's name."""
        return self.tenant.metadata.name


def owner_reference(tenant: Tenant) -> dict[str, Any]:
    """Return the reference that makes the Tenant the controller of an object."""
    return {
        "apiVersion": CAPSULE_API_VERSION,
        "kind": "Tenant",
        "name": tenant.metadata.name,
        "uid": tenant.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def managed_labels(tenant: str) -> dict[str, str]:
    """Return the labels of everything made for *tenant*.

    Admission lets our own account pass unseen, so the label that it puts on all objects
    of a tenant (CN-6) is among them.
    """
    return {NEW_TENANT: tenant, CAPSULE_MANAGED_BY: tenant, MANAGED_BY: MANAGED_BY_CONTROLLER}


def managed_metadata(
    tenant: Tenant,
    namespace: str,
    name: str,
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the metadata of an object made for *tenant*; the product's labels win over *labels*."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "labels": {**labels, **managed_labels(tenant.metadata.name)},
        "ownerReferences": [owner_reference(tenant)],
    }
    if annotations:
        metadata["annotations"] = dict(annotations)
    return metadata


def is_managed(metadata: ObjectMeta) -> bool:
    """Return whether the controllers made the object: by label and by controlling Tenant."""
    return (metadata.labels or {}).get(MANAGED_BY) == MANAGED_BY_CONTROLLER and any(
        reference.controller and reference.kind == "Tenant" and reference.api_version.startswith("capsule.clastix.io/")
        for reference in metadata.owner_references
    )

"""Metadata that existing objects must carry: of Pods and Services (R-8), of PersistentVolumes (R-9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tenantry.api.core import PersistentVolume
from tenantry.api.labels import TENANT
from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import AdditionalMetadata
from tenantry.api.tenant import Tenant

POD_KIND: Final = "Pod"
SERVICE_KINDS: Final = ("Service", "EndpointSlice")


def additional_metadata(tenant: Tenant, kind: str) -> AdditionalMetadata | None:
    """Return what objects of *kind* in the tenant's namespaces get; None for nothing."""
    if kind == POD_KIND:
        options = tenant.spec.pod_options
        declared = options.additional_metadata if options is not None else None
    elif kind in SERVICE_KINDS:
        services = tenant.spec.service_options
        declared = services.additional_metadata if services is not None else None
    else:
        declared = None
    return declared if declared is not None and (declared.labels or declared.annotations) else None


def missing_metadata(metadata: ObjectMeta, wanted: AdditionalMetadata) -> dict[str, Any] | None:
    """Return the merge patch that puts *wanted* on an object; None where nothing is missing."""
    changes = {
        "labels": _changed(metadata.labels, wanted.labels),
        "annotations": _changed(metadata.annotations, wanted.annotations),
    }
    needed = {key: value for key, value in changes.items() if value}
    return {"metadata": needed} if needed else None


def _changed(current: Mapping[str, str] | None, wanted: Mapping[str, str] | None) -> dict[str, str]:
    present = current or {}
    return {key: value for key, value in (wanted or {}).items() if present.get(key) != value}


def volume_patch(volume: PersistentVolume, tenants: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the merge patch for the tenant label of *volume*; None where it is right.

    The claim's namespace decides, whether the claim exists or not.  A volume without a
    claim keeps its label: an administrator may have set it aside for a tenant.

    Args:
        volume: Any volume.
        tenants: The tenant of each namespace that is in one.
    """
    claim = volume.spec.claim_ref
    tenant = tenants.get(claim.namespace) if claim is not None else None
    if tenant is None or (volume.metadata.labels or {}).get(TENANT) == tenant:
        return None
    return {"metadata": {"labels": {TENANT: tenant}}}

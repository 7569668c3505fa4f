"""The CapsuleConfiguration that exists before anyone made one, and its status (R-5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tenantry.api.configuration import RBAC, CapsuleConfiguration, CapsuleConfigurationStatus
from tenantry.api.labels import DEFAULT_USER_GROUP
from tenantry.api.meta import CAPSULE_API_VERSION, Condition
from tenantry.api.shared import UserSpec
from tenantry.tenancy.desired.conditions import READY, SUCCEEDED, condition, merged
from tenantry.tenancy.desired.manifests import Manifest

ADMISSION: Final = "AdmissionRegistered"
"""Condition type: whether the webhook configurations stand (spec 13.6)."""


def default_configuration(name: str) -> Manifest:
    """Return the configuration to create where there is none."""
    rbac = RBAC()
    return {
        "apiVersion": CAPSULE_API_VERSION,
        "kind": "CapsuleConfiguration",
        "metadata": {"name": name},
        "spec": {
            "users": [{"kind": "Group", "name": DEFAULT_USER_GROUP}],
            "enableTLSReconciler": True,
            "rbac": {
                "administrationClusterRoles": list(rbac.administration_cluster_roles),
                "promotionClusterRoles": list(rbac.promotion_cluster_roles),
                "deleter": rbac.deleter,
                "provisioner": rbac.provisioner,
            },
        },
    }


def configuration_status(
    stored: CapsuleConfiguration,
    *,
    users: tuple[UserSpec, ...],
    tenants: Iterable[str],
    admission: Condition | None,
    now: str,
) -> CapsuleConfigurationStatus:
    """Return the status of *stored*.

    Args:
        stored: The configuration.
        users: ``identity.capsule_users`` of it.
        tenants: Names of all tenants.
        admission: The ADMISSION condition; None where it is not known yet: the stored one stays.
        now: RFC 3339.
    """
    generation = stored.metadata.generation
    ready = condition(READY, holds=True, reason=SUCCEEDED, message="reconciled", generation=generation)
    known = admission or next((each for each in stored.status.conditions if each.type == ADMISSION), None)
    return CapsuleConfigurationStatus(
        users=users,
        tenants=tuple(sorted(tenants)),
        observed_generation=generation,
        conditions=merged(stored.status.conditions, [ready, *([known] if known is not None else [])], now=now),
    )

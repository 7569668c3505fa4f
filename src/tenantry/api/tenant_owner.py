"""TenantOwner: an owner that tenants take in by label (K-3, TO-1 to TO-3)."""

from __future__ import annotations

from typing import Annotated

from tenantry.api.meta import CAPSULE_API_VERSION, Condition, ObjectMeta
from tenantry.api.schema import Schema
from tenantry.api.shared import CoreOwner
from tenantry.foundation.codec import Model


class TenantOwnerSpec(CoreOwner):
    """The subject, its roles, and whether it becomes a Capsule user."""

    aggregate: Annotated[bool, Schema(default=True)] = True
    """Whether the subject also counts as a Capsule user."""


class TenantOwnerStatus(Model):
    """What the controllers report."""

    tenants: tuple[str, ...] = ()
    """Names of the tenants that took it in."""
    observed_generation: Annotated[int, Schema(format="int64")] = 0
    """The metadata.generation that the status was made for."""
    conditions: tuple[Condition, ...] = ()
    """Ready."""


class TenantOwner(Model):
    """An owner that is kept apart from tenants; they take it in by its labels."""

    api_version: str = CAPSULE_API_VERSION
    kind: str = "TenantOwner"
    metadata: ObjectMeta = ObjectMeta()
    spec: TenantOwnerSpec = TenantOwnerSpec()
    """What the platform sets."""
    status: TenantOwnerStatus = TenantOwnerStatus()
    """What the controllers report."""

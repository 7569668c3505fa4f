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


class TenantOwnerStatus(Model):
    """The tenants that took it in."""

    tenants: tuple[str, ...] = ()
    observed_generation: Annotated[int, Schema(format="int64")] = 0
    conditions: tuple[Condition, ...] = ()


class TenantOwner(Model):
    """The stored object."""

    api_version: str = CAPSULE_API_VERSION
    kind: str = "TenantOwner"
    metadata: ObjectMeta = ObjectMeta()
    spec: TenantOwnerSpec = TenantOwnerSpec()
    status: TenantOwnerStatus = TenantOwnerStatus()

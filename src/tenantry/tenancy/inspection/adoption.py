"""Which existing or restored namespaces a tenant takes in, and what is written to each (``tenantry adopt``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tenantry.api import labels
from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import to_plain
from tenantry.tenancy.namespaces.claims import (
    Claim,
    agrees,
    claim_of,
    is_tenant_reference,
    is_valid,
    reference_to,
)


class Act(StrEnum):
    """What happens to one namespace."""

    ADOPT = "adopt"
    """It is in no tenant."""
    RESTORE = "restore"
    """It was this tenant's: label or owner reference say so, but not both, or with a uid of another time."""
    MIGRATE = "migrate"
    """It is, or was, another tenant's."""
    KEEP = "keep"
    """It is the tenant's already: nothing is written."""
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What happens to one namespace, and why."""

    namespace: str
    act: Act
    why: str
    patch: Mapping[str, Any] | None = None
    """The merge patch to send; None where nothing is written."""


def adoptions(
    tenant: Tenant,
    namespaces: Iterable[ObjectMeta],
    tenants: Mapping[str, Tenant],
    *,
    own_namespace: str,
    migrate: bool,
) -> tuple[Adoption, ...]:
    """Return what happens to each of *namespaces*, in their order.

    Args:
        tenant: It takes them in; it must not be terminating.
        namespaces: As stored now.
        tenants: All living tenants, by name.
        own_namespace: The installation's; it belongs to no tenant.
        migrate: Whether namespaces of other tenants are taken, too.
    """
    return tuple(_adoption(tenant, each, tenants, own_namespace=own_namespace, migrate=migrate) for each in namespaces)


def is_misplaced(namespace: ObjectMeta, tenants: Mapping[str, Tenant]) -> bool:
    """Return whether label and owner reference do not both name one living tenant, although something names one."""
    claim = claim_of(namespace)
    return not claim.is_empty and not any(agrees(claim, tenants[name]) for name in claim.names if name in tenants)


def _adoption(
    tenant: Tenant, namespace: ObjectMeta, tenants: Mapping[str, Tenant], *, own_namespace: str, migrate: bool
) -> Adoption:
    act, why = _decided(tenant, namespace, tenants, own_namespace)
    if act is Act.MIGRATE and not migrate:
        act, why = Act.REFUSE, f"{why}: --migrate takes it all the same"
    is_written = act in {Act.ADOPT, Act.RESTORE, Act.MIGRATE}
    return Adoption(namespace=namespace.name, act=act, why=why, patch=_patch(tenant, namespace) if is_written else None)


def _decided(
    tenant: Tenant, namespace: ObjectMeta, tenants: Mapping[str, Tenant], own_namespace: str
) -> tuple[Act, str]:
    claim, name = claim_of(namespace), tenant.metadata.name
    if namespace.deletion_timestamp is not None:
        return Act.REFUSE, "it is terminating"
    if namespace.name.startswith("kube-") or namespace.name == own_namespace:
        return Act.REFUSE, "it belongs to the cluster, not to a team"
    if agrees(claim, tenant):
        return Act.KEEP, f"it is in tenant {name!r} already"
    others = sorted(claim.names - {name})
    if others:
        return Act.MIGRATE, _of_another(claim, others, tenants)
    if claim.is_empty:
        return Act.ADOPT, "it is in no tenant"
    return Act.RESTORE, _restored(claim, tenant)


def _of_another(claim: Claim, others: list[str], tenants: Mapping[str, Tenant]) -> str:
    for reference in claim.references:
        if reference.name in others and reference.name in tenants and is_valid(reference, tenants[reference.name]):
            return f"it is in tenant {reference.name!r}"
    living = [name for name in others if name in tenants]
    if living:
        return f"it is marked as of tenant {living[0]!r}"
    return f"it is marked as of tenant {others[0]!r}, which does not exist"


def _restored(claim: Claim, tenant: Tenant) -> str:
    if not claim.references:
        return "it has the tenant's label, but no owner reference"
    if not any(is_valid(each, tenant) for each in claim.references):
        return f"its owner reference has uid {claim.references[0].uid}, the tenant's is {tenant.metadata.uid}"
    if claim.label is None:
        return "it has an owner reference, but not the tenant's label"
    return "it has more than one owner reference to a Tenant"


def _patch(tenant: Tenant, namespace: ObjectMeta) -> dict[str, Any]:
    """Return the merge patch: label and reference at once, on the very version that was looked at."""
    others = [each for each in namespace.owner_references if not is_tenant_reference(each)]
    return {
        "metadata": {
            "resourceVersion": namespace.resource_version,
            "labels": {labels.TENANT: tenant.metadata.name},
            "ownerReferences": [to_plain(each) for each in (*others, reference_to(tenant))],
        }
    }

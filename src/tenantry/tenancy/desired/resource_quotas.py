"""The ResourceQuotas of a tenant's namespace, of its own or shared by the tenant (T-26, spec 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import md5
from typing import Any, Final

from tenantry.api.labels import QUOTA_HARD_PREFIX, QUOTA_USED_PREFIX, RESOURCE_QUOTA
from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant
from tenantry.tenancy.desired.manifests import Manifest, TenantFacts, managed_metadata
from tenantry.tenancy.desired.server_form import resource_quota_spec
from tenantry.tenancy.quota import Amounts, SharedQuota, Wire, amounts

SCOPE_TENANT: Final = "Tenant"
_NAME_LIMIT: Final = 63

Usage = Mapping[int, Mapping[str, Wire]]
"""``status.used`` of the managed ResourceQuotas: by item's index, then by namespace."""


def is_shared(tenant: Tenant) -> bool:
    """Return whether the namespaces share their ResourceQuotas."""
    declared = tenant.spec.resource_quotas
    return declared is not None and bool(declared.items) and declared.scope == SCOPE_TENANT


def shared_quotas(tenant: Tenant, usage: Usage) -> tuple[SharedQuota, ...]:
    """Return the limits of each item with what is used of it, in the order of the spec."""
    declared = tenant.spec.resource_quotas
    return tuple(
        SharedQuota(
            hard=amounts(item.get("hard")),
            used={namespace: amounts(used) for namespace, used in usage.get(index, {}).items()},
        )
        for index, item in enumerate(declared.items if declared is not None else ())
    )


def resource_quotas(facts: TenantFacts, namespace: ObjectMeta, shared: tuple[SharedQuota, ...]) -> list[Manifest]:
    """Return ``capsule-<tenant>-<i>`` for each item.

    Args:
        facts: The tenant.
        namespace: One of its namespaces.
        shared: ``shared_quotas`` of it; only looked at where the scope is Tenant.
    """
    declared = facts.tenant.spec.resource_quotas
    if declared is None:
        return []
    sharing = is_shared(facts.tenant)
    return [
        _manifest(facts, namespace.name, index, shared[index] if sharing else None)
        for index in range(len(declared.items))
    ]


def _manifest(facts: TenantFacts, namespace: str, index: int, shared: SharedQuota | None) -> Manifest:
    declared = facts.tenant.spec.resource_quotas
    spec: dict[str, Any] = resource_quota_spec(declared.items[index] if declared is not None else None)
    annotations: dict[str, str] = {}
    if shared is not None:
        spec["hard"] = spec.get("hard", {}) | _texts(shared.hard_in(namespace))
        annotations = _annotations(QUOTA_USED_PREFIX, shared.used_in_total())
        annotations |= _annotations(QUOTA_HARD_PREFIX, shared.hard)
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": managed_metadata(
            facts.tenant,
            namespace,
            f"capsule-{facts.name}-{index}",
            labels={RESOURCE_QUOTA: str(index)},
            annotations=annotations,
        ),
        "spec": spec,
    }


def _texts(values: Amounts) -> dict[str, str]:
    return {resource: str(amount) for resource, amount in values.items()}


def _annotations(prefix: str, values: Amounts) -> dict[str, str]:
    return {quota_annotation(prefix, resource): str(amount) for resource, amount in values.items()}


def quota_annotation(prefix: str, resource: str) -> str:
    """Return the annotation key that tells the amount of *resource* in the whole tenant.

    A name over 63 characters, the limit of the part behind the slash, becomes a digest.
    """
    domain, _, kind = prefix.partition("/")
    name = kind + resource.replace("/", "_")
    if len(name) > _NAME_LIMIT:
        # Not for secrecy: the digest only shortens a name, as Capsule's users know it.
        name = kind + md5(resource.encode(), usedforsecurity=False).hexdigest()
    return f"{domain}/{name}"

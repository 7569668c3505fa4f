"""The LimitRanges of a tenant's namespace (T-27)."""

from __future__ import annotations

from tenantry.api.labels import LIMIT_RANGE
from tenantry.api.meta import ObjectMeta
from tenantry.tenancy.desired.manifests import Manifest, TenantFacts, managed_metadata
from tenantry.tenancy.desired.server_form import limit_range_spec


def limit_ranges(facts: TenantFacts, namespace: ObjectMeta) -> list[Manifest]:
    """Return ``capsule-<tenant>-<i>`` for each item."""
    declared = facts.tenant.spec.limit_ranges
    return [
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": managed_metadata(
                facts.tenant, namespace.name, f"capsule-{facts.name}-{index}", labels={LIMIT_RANGE: str(index)}
            ),
            "spec": limit_range_spec(item),
        }
        for index, item in enumerate(declared.items if declared is not None else ())
    ]

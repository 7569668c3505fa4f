"""The NetworkPolicies of a tenant's namespace (T-28)."""

from __future__ import annotations

from tenantry.api.labels import NETWORK_POLICY
from tenantry.api.meta import ObjectMeta
from tenantry.tenancy.desired.manifests import Manifest, TenantFacts, managed_metadata
from tenantry.tenancy.desired.server_form import network_policy_spec


def network_policies(facts: TenantFacts, namespace: ObjectMeta) -> list[Manifest]:
    """Return ``capsule-<tenant>-<i>`` for each item."""
    declared = facts.tenant.spec.network_policies
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": managed_metadata(
                facts.tenant, namespace.name, f"capsule-{facts.name}-{index}", labels={NETWORK_POLICY: str(index)}
            ),
            "spec": network_policy_spec(item),
        }
        for index, item in enumerate(declared.items if declared is not None else ())
    ]

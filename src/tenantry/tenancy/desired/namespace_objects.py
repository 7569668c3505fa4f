"""Everything that must exist in one namespace of a tenant."""

from __future__ import annotations

from dataclasses import dataclass, field

from tenantry.api.meta import ObjectMeta
from tenantry.api.rules import NamespaceRule
from tenantry.tenancy.desired.limit_ranges import limit_ranges
from tenantry.tenancy.desired.manifests import Manifest, TenantFacts
from tenantry.tenancy.desired.network_policies import network_policies
from tenantry.tenancy.desired.resource_quotas import resource_quotas
from tenantry.tenancy.desired.role_bindings import Binding, role_bindings, tenant_bindings
from tenantry.tenancy.desired.rule_status import rule_status
from tenantry.tenancy.quota import SharedQuota


@dataclass(frozen=True, slots=True)
class NamespacePlan:
    """What is the same for all namespaces of a tenant, computed once."""

    facts: TenantFacts
    bindings: tuple[Binding, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bindings", tenant_bindings(self.facts))


def namespace_objects(
    plan: NamespacePlan,
    namespace: ObjectMeta,
    *,
    quotas: tuple[SharedQuota, ...],
    rules: tuple[NamespaceRule, ...] | None,
) -> list[Manifest]:
    """Return the objects, in the order to write them: what limits people before what lets them in.

    Args:
        plan: The tenant's.
        namespace: One of its namespaces, not terminating.
        quotas: ``resource_quotas.shared_quotas`` of the tenant.
        rules: ``projected_rules`` of tenant and namespace; None where they can't be
            computed: the RuleStatus is left as it is then.
    """
    facts = plan.facts
    return [
        *resource_quotas(facts, namespace, quotas),
        *limit_ranges(facts, namespace),
        *network_policies(facts, namespace),
        *([rule_status(facts, namespace, rules)] if rules is not None else []),
        *role_bindings(facts, namespace, plan.bindings),
    ]

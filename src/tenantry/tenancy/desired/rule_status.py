"""The RuleStatus of a tenant's namespace: the blocks in force, for people to read (RS-1)."""

from __future__ import annotations

from tenantry.api.labels import NAME, RULE_STATUS_NAME
from tenantry.api.meta import CAPSULE_API_VERSION, ObjectMeta
from tenantry.api.rule_status import RuleStatus, RuleStatusStatus
from tenantry.api.rules import NamespaceRule
from tenantry.foundation.codec import decode_any, encode
from tenantry.tenancy.desired.conditions import FAILED, READY, SUCCEEDED, condition, merged
from tenantry.tenancy.desired.manifests import Manifest, TenantFacts, managed_metadata


def rule_status(facts: TenantFacts, namespace: ObjectMeta, rules: tuple[NamespaceRule, ...]) -> Manifest:
    """Return the object, also where there are no *rules*: ``projected_rules`` of tenant and namespace."""
    return {
        "apiVersion": CAPSULE_API_VERSION,
        "kind": "RuleStatus",
        "metadata": managed_metadata(facts.tenant, namespace.name, RULE_STATUS_NAME, labels={NAME: RULE_STATUS_NAME}),
        "spec": decode_any(encode(rules)),
    }


def published(stored: RuleStatus, *, now: str) -> RuleStatusStatus:
    """Return the status that says that the blocks of *stored* are in force."""
    generation = stored.metadata.generation
    ready = condition(READY, holds=True, reason=SUCCEEDED, message="reconciled", generation=generation)
    return RuleStatusStatus(
        rules=stored.spec,
        observed_generation=generation,
        conditions=merged(stored.status.conditions, [ready], now=now),
    )


def failed(stored: RuleStatus, problem: str, *, now: str) -> RuleStatusStatus:
    """Return the status that says why the blocks can't be computed; the last ones in force stay shown."""
    generation = stored.metadata.generation
    ready = condition(READY, holds=False, reason=FAILED, message=problem, generation=generation)
    return RuleStatusStatus(
        rules=stored.status.rules,
        observed_generation=stored.status.observed_generation,
        conditions=merged(stored.status.conditions, [ready], now=now),
    )

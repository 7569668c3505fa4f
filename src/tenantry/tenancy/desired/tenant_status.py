"""The status of a Tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tenantry.api.labels import CORDONED as CORDONED_LABEL
from tenantry.api.meta import Condition, ObjectMeta
from tenantry.api.rules import NamespaceRule, RegistryMatch
from tenantry.api.shared import AdditionalMetadata
from tenantry.api.tenant import AvailableClasses, Space, SpaceEnforce, Tenant, TenantStatus
from tenantry.tenancy.desired.conditions import (
    ACTIVE,
    CORDONED,
    FAILED,
    READY,
    RECONCILING,
    SUCCEEDED,
    TERMINATING,
    condition,
    merged,
)
from tenantry.tenancy.desired.manifests import TenantFacts
from tenantry.tenancy.validation.expressions import expression_problems
from tenantry.tenancy.validation.rules import rule_problems

RULE_QUOTAS: Final = "RuleQuotasEnforced"
"""Condition type, only there where ``rules[].quota`` is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceReport:
    """How the last reconcile of a namespace ended."""

    uid: str
    tenant_generation: int
    """The generation of the Tenant that it worked with."""
    metadata: AdditionalMetadata | None = None
    """What the tenant manages on the Namespace, as written there, or as before where that failed."""
    rules: tuple[NamespaceRule, ...] = ()
    problem: str = ""
    """Empty where everything is in place."""
    pending: bool = False
    """In place but for a status that waits until admission enforces it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSurvey:
    """All that a Tenant's status depends on, read once."""

    facts: TenantFacts
    members: Sequence[ObjectMeta]
    """Its namespaces, terminating ones too."""
    reports: Mapping[str, SpaceReport]
    """By name; of any namespaces."""
    classes: AvailableClasses | None = None
    """None where they are not known yet: the stored ones stay."""
    is_enforced: bool
    """Whether admission works with this generation of the Tenant."""


def tenant_status(survey: TenantSurvey, *, now: str) -> TenantStatus:
    """Return the status to store; *now* is RFC 3339.

    State, conditions and observedGeneration say that the spec is in force.  They move on
    only when it is, and everything is in place in each namespace, or when something failed.
    """
    tenant, stored = survey.facts.tenant, survey.facts.tenant.status
    members = sorted(survey.members, key=lambda each: each.name)
    claims = _claims(survey, members)
    return TenantStatus(
        state=stored.state if claims is None else _state(tenant),
        size=len(members),
        namespaces=tuple(each.name for each in members),
        spaces=tuple(_space(survey, each, now) for each in members),
        owners=survey.facts.owners,
        promotions=survey.facts.promotions,
        classes=survey.classes if survey.classes is not None else stored.classes,
        observed_generation=stored.observed_generation if claims is None else tenant.metadata.generation,
        conditions=stored.conditions if claims is None else merged(stored.conditions, claims, now=now),
    )


def _state(tenant: Tenant) -> str:
    if tenant.metadata.deletion_timestamp:
        return TERMINATING
    return CORDONED if tenant.spec.cordoned else ACTIVE


def _claims(survey: TenantSurvey, members: Sequence[ObjectMeta]) -> tuple[Condition, ...] | None:
    """Return the conditions that can be told now; None while it is too early to tell."""
    tenant = survey.facts.tenant
    generation = tenant.metadata.generation
    if tenant.metadata.deletion_timestamp:
        waiting = f"waiting for {len(members)} namespaces to finalize" if members else "no namespaces are left"
        ready = condition(READY, holds=False, reason=TERMINATING, message=waiting, generation=generation)
        return ready, _cordon(tenant)
    living = [each for each in members if not each.deletion_timestamp]
    problems = {each.name: _problem(survey, each) for each in living}
    failed = _unusable(tenant)
    failed += sorted(f"{name}: {problem}" for name, problem in problems.items() if problem)
    if failed:
        message = "; ".join(failed[:5]) + (f"; and {len(failed) - 5} more" if len(failed) > 5 else "")
        return condition(READY, holds=False, reason=FAILED, message=message, generation=generation), _cordon(tenant)
    if not survey.is_enforced or None in problems.values():
        return None
    ready = condition(READY, holds=True, reason=SUCCEEDED, message="reconciled", generation=generation)
    return ready, _cordon(tenant), *_unenforced(tenant)


def _unusable(tenant: Tenant) -> list[str]:
    """Return what of the spec can't be put into force, though it is stored: written while admission was off, say.

    Admission refuses whatever an expression is about that it can't compile; somebody must be told why.
    """
    return [*expression_problems(tenant.spec), *rule_problems(tenant.spec.rules, tenant=tenant)]


def _unenforced(tenant: Tenant) -> tuple[Condition, ...]:
    """Return the condition that says which part of the spec is not enforced yet (spec 13.7)."""
    if not any(rule.quota for rule in tenant.spec.rules):
        return ()
    message = "rules[].quota is not enforced by this version: use resourceQuotas"
    generation = tenant.metadata.generation
    return (condition(RULE_QUOTAS, holds=False, reason="NotImplemented", message=message, generation=generation),)


def _cordon(tenant: Tenant) -> Condition:
    generation = tenant.metadata.generation
    if tenant.spec.cordoned:
        return condition(CORDONED, holds=True, reason=CORDONED, message="Tenant is cordoned", generation=generation)
    return condition(CORDONED, holds=False, reason=ACTIVE, message="not cordoned", generation=generation)


def _problem(survey: TenantSurvey, namespace: ObjectMeta) -> str | None:
    """Return what is wrong in *namespace*, empty for nothing, None where no reconcile told yet."""
    report = _report(survey, namespace)
    if report is None:
        stored = stored_space(survey.facts.tenant, namespace)
        # After a restart of the controllers nothing is reported yet; what was Ready at this generation still is.
        done = survey.facts.tenant.status.observed_generation == survey.facts.tenant.metadata.generation
        return "" if done and stored is not None and _is_ready(stored) else None
    return None if report.pending and not report.problem else report.problem


def _is_ready(space: Space) -> bool:
    return any(each.type == READY and each.status == "True" for each in space.conditions)


def _report(survey: TenantSurvey, namespace: ObjectMeta) -> SpaceReport | None:
    report = survey.reports.get(namespace.name)
    fits = (
        report is not None
        and report.uid == namespace.uid
        and report.tenant_generation == survey.facts.tenant.metadata.generation
    )
    return report if fits else None


def stored_space(tenant: Tenant, namespace: ObjectMeta) -> Space | None:
    """Return what the status of *tenant* says of exactly this *namespace*, uid included."""
    spaces = tenant.status.spaces
    return next((each for each in spaces if each.name == namespace.name and each.uid == namespace.uid), None)


def _space(survey: TenantSurvey, namespace: ObjectMeta, now: str) -> Space:
    stored, report = stored_space(survey.facts.tenant, namespace), _report(survey, namespace)
    if report is None and stored is not None and not namespace.deletion_timestamp:
        return stored  # Its metadata still tells what to take away: nothing of this generation was written yet.
    before = stored if stored is not None else Space(metadata=AdditionalMetadata())
    done = report is not None and not report.problem
    return Space(
        name=namespace.name,
        uid=namespace.uid,
        conditions=merged(before.conditions, _space_conditions(namespace, report), now=now),
        metadata=report.metadata if report is not None and report.metadata is not None else before.metadata,
        enforce=_enforce(report.rules) if report is not None and done else before.enforce,
    )


def _space_conditions(namespace: ObjectMeta, report: SpaceReport | None) -> list[Condition]:
    if namespace.deletion_timestamp:
        ready = condition(READY, holds=False, reason=TERMINATING, message="namespace is terminating")
    elif report is None or (report.pending and not report.problem):
        ready = condition(READY, holds=False, reason=RECONCILING, message="not reconciled yet")
    elif report.problem:
        ready = condition(READY, holds=False, reason=FAILED, message=report.problem)
    else:
        ready = condition(READY, holds=True, reason=SUCCEEDED, message="reconciled")
    if (namespace.labels or {}).get(CORDONED_LABEL) != "true":
        return [ready]
    return [ready, condition(CORDONED, holds=True, reason=CORDONED, message="namespace is cordoned")]


def _enforce(rules: tuple[NamespaceRule, ...]) -> SpaceEnforce | None:
    registries: tuple[RegistryMatch, ...] = tuple(
        registry
        for rule in rules
        if rule.enforce is not None and rule.enforce.workloads is not None and rule.enforce.action != "audit"
        for registry in rule.enforce.workloads.registries
    )
    return SpaceEnforce(registry=registries) if registries else None

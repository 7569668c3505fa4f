"""Rules about the scheduler that a Pod names (RL-10, E-6)."""

from __future__ import annotations

from typing import Final

from tenantry.api.rules import Enforce
from tenantry.api.workloads import Pod
from tenantry.tenancy.request import Request
from tenantry.tenancy.rules.judging import Findings, Wording, binding_rules, unenforceable
from tenantry.tenancy.rules.matching import Action, MatchItem, match_items
from tenantry.tenancy.rules.ruleset import Family, LaneKey, Lanes
from tenantry.tenancy.rules.workloads import is_about_pod
from tenantry.tenancy.verdict import ALLOWED, Verdict
from tenantry.tenancy.views import ObjectContext

FORBIDDEN_SCHEDULER: Final = "ForbiddenScheduler"
SCHEDULER_LANE: Final = LaneKey[MatchItem](Family.SCHEDULERS)

_WORDING: Final = Wording(family="scheduler", plural="schedulers", reason=FORBIDDEN_SCHEDULER)


def lanes(enforce: Enforce, action: Action) -> Lanes:
    """Return what *enforce* adds to the lane of schedulers; raise ExpressionError for a wrong expression.

    A scheduler is the whole Pod's, so ``targets`` does not narrow it.
    """
    workloads = enforce.workloads
    if workloads is None or not workloads.schedulers:
        return {}
    return {SCHEDULER_LANE: match_items(action, workloads.schedulers)}


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge the scheduler of a Pod; one that names none takes the cluster's default, which nobody rules."""
    if not is_about_pod(request):
        return ALLOWED
    rules = binding_rules(request, context, Family.SCHEDULERS)
    if rules is None:
        return ALLOWED
    name = request.new(Pod).spec.scheduler_name
    old = request.old(Pod)
    if not name or (old is not None and old.spec.scheduler_name == name):
        return ALLOWED
    refusal = unenforceable(rules, Family.SCHEDULERS)
    if refusal is not None:
        return refusal
    findings = Findings()
    findings.judge(rules.lane(SCHEDULER_LANE), name, path="spec.schedulerName", wording=_WORDING)
    return findings.verdict()

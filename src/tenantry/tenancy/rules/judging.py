"""From decisions about values to a verdict: messages, events, API warnings (spec 14.3)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from tenantry.tenancy.request import Operation, Request
from tenantry.tenancy.rules.matching import Decision, I, Lane, Ruling
from tenantry.tenancy.rules.ruleset import Family, RuleSet
from tenantry.tenancy.verdict import ALLOWED, Denial, Notice, Verdict, denied
from tenantry.tenancy.views import ObjectContext

AUDIT_REASON = "NamespaceRuleAudit"
AUDIT_ACTION = "RuleAudit"
UNENFORCEABLE_REASON = "AdmissionFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How one family of values is talked about."""

    family: str
    """What the value is: ``registry``."""
    plural: str
    """What a list of what is allowed holds: ``registries``."""
    reason: str
    """The event's token for a refusal (spec 3.3)."""
    separator: str = "; "
    """Between the items of a list of what is allowed."""
    audit: str = "audit namespace rule"


@dataclass(slots=True)
class Findings:
    """What was found in one object so far: the first refusal decides, every audit is told once."""

    denial: Denial | None = None
    _audits: dict[str, None] = field(default_factory=dict)

    def judge(
        self, lane: Lane[I] | None, value: Hashable, *, path: str, wording: Wording, shown: str | None = None
    ) -> Decision[I] | None:
        """Record what *lane* says about *value* at *path*; None where there is no lane.

        *shown* is the value as the user wrote it, where that differs.
        """
        if lane is None:
            return None
        decision = lane.decide(value)
        if decision.refuses or decision.audits:
            subject = f'{wording.family} "{value if shown is None else shown}" at {path}'
            for item in decision.audits:
                self.audit(f"{subject} matched {wording.audit}: {item.text}")
            if decision.refuses:
                self.refuse(wording.reason, f"{subject} {_refusal(lane, decision, wording)}")
        return decision

    def refuse(self, reason: str, message: str) -> None:
        """Record a refusal; the first one stands."""
        if self.denial is None:
            self.denial = Denial(reason=reason, message=message)

    def audit(self, message: str) -> None:
        """Record what an audit rule has to tell."""
        self._audits[message] = None

    def verdict(self) -> Verdict:
        """Return what was found as the answer."""
        if self.denial is None and not self._audits:
            return ALLOWED
        audits = tuple(self._audits)
        notices = tuple(Notice(reason=AUDIT_REASON, action=AUDIT_ACTION, message=message) for message in audits)
        return Verdict(denial=self.denial, notices=notices, warnings=audits)


def _refusal(lane: Lane[I], decision: Decision[I], wording: Wording) -> str:
    if decision.ruling is Ruling.DENIED and decision.item is not None:
        return f"is denied by namespace rule: {decision.item.text}"
    allowed = wording.separator.join(dict.fromkeys(item.text for item in lane.allows))
    return f"is not allowed by namespace rule. Allowed {wording.plural}: {allowed}"


def binding_rules(request: Request, context: ObjectContext, family: Family) -> RuleSet | None:
    """Return the rules that bind *request*, or None where none of *family* can.

    A DELETE is never ruled (E-12), nor is a CONNECT.
    """
    if not context.rules.has(family) or request.operation not in {Operation.CREATE, Operation.UPDATE}:
        return None
    return context.rules.for_requester(request.requester, context.role, is_owner=context.is_owner)


def unenforceable(rules: RuleSet, family: Family) -> Verdict | None:
    """Return the refusal that a rule of *family* calls for which can't be enforced, or None."""
    problem = rules.problem_of(family)
    if problem is None:
        return None
    return denied(
        UNENFORCEABLE_REASON,
        f"the namespace rules about {family} can't be enforced, so nothing they may concern is admitted: {problem}. "
        "Please, reach out to the system administrators",
    )

"""Rules about the requests and limits of Pods: what they must be, and what they are made to be (E-11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tenantry.api.rules import Enforce, LimitPolicy, RequestPolicy
from tenantry.api.workloads import Container, Pod, QuantityText, ResourceRequirements
from tenantry.foundation.patches import PatchOperation, map_patch, pointer
from tenantry.foundation.quantities import QuantityError, parse_quantity, quantity_or_none
from tenantry.tenancy.request import Operation, Request
from tenantry.tenancy.rules.judging import Findings, binding_rules, unenforceable
from tenantry.tenancy.rules.matching import Action, Ruling
from tenantry.tenancy.rules.resource_plan import Amounts, Policy, ResourceItem, ResourcePlan, Side, resource_plan
from tenantry.tenancy.rules.ruleset import Family, LaneKey, Lanes, RuleSet
from tenantry.tenancy.rules.workloads import CONTAINERS, INIT_CONTAINERS, POD, checked_targets, is_about_pod
from tenantry.tenancy.verdict import ALLOWED, UNCHANGED, Mutation, Verdict, denied
from tenantry.tenancy.views import ObjectContext

FORBIDDEN_RESOURCES: Final = "ForbiddenPodResources"
RESOURCE_TARGETS: Final = (POD, CONTAINERS, INIT_CONTAINERS)
"""Where resources can be set: ephemeral containers and volumes have none."""
RESOURCE_LANES: Final = {
    (target, side): LaneKey[ResourceItem](Family.RESOURCES, (target, side))
    for target in RESOURCE_TARGETS
    for side in Side
}

Plans = Mapping[str, ResourcePlan]
"""What is asked, by resource."""


def has_pod_level(resource: str) -> bool:
    """Return whether the Pod as a whole can have *resource* (KEP-2837)."""
    return resource in {"cpu", "memory"} or resource.startswith("hugepages-")


def lanes(enforce: Enforce, action: Action) -> Lanes:
    """Return what *enforce* adds to the lanes of resources; raise ValueError for a wrong policy or value."""
    policies = enforce.workloads.resources if enforce.workloads else None
    if enforce.workloads is None or policies is None or not (policies.requests or policies.limits):
        return {}
    targets = checked_targets(enforce.workloads.targets)
    added: dict[LaneKey[ResourceItem], tuple[ResourceItem, ...]] = {}
    for side, entries in ((Side.REQUESTS, policies.requests or {}), (Side.LIMITS, policies.limits or {})):
        items = [_item(action, side, name, entry, is_implied=not targets) for name, entry in entries.items()]
        for target in RESOURCE_TARGETS:
            here = tuple(item for item in items if target != POD or has_pod_level(item.resource))
            if here and (not targets or target in targets):
                added[RESOURCE_LANES[target, side]] = here
    return added


def _item(
    action: Action, side: Side, resource: str, entry: RequestPolicy | LimitPolicy, *, is_implied: bool
) -> ResourceItem:
    policy = Policy(entry.policy)
    if policy in {Policy.DEFAULT, Policy.RATIO}:
        parse_quantity("" if entry.value is None else entry.value)
    value = "" if entry.value is None else str(entry.value)
    return ResourceItem(action=action, side=side, resource=resource, policy=policy, value=value, is_implied=is_implied)


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere in a Pod that has requests and limits, as the user wrote them."""

    target: str
    path: str
    steps: tuple[str | int, ...]
    """The way to its ``resources`` in the object."""
    resources: ResourceRequirements | None
    requests: dict[str, str] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)

    def amounts(self, resource: str) -> Amounts:
        """Return what is there of *resource*; raise QuantityError for what is no quantity."""
        request, limit = self.requests.get(resource), self.limits.get(resource)
        return Amounts(
            None if request is None else parse_quantity(request), None if limit is None else parse_quantity(limit)
        )


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge the resources of a Pod that are new or changed, by resize too."""
    if not is_about_pod(request, "resize"):
        return ALLOWED
    rules = binding_rules(request, context, Family.RESOURCES)
    if rules is None:
        return ALLOWED
    old = request.old(Pod)
    stored = {place.path: place for place in places(old)} if old is not None else {}
    changed = [place for place in places(request.new(Pod)) if stored.get(place.path) != place]
    if not changed:
        return ALLOWED
    refusal = unenforceable(rules, Family.RESOURCES)
    if refusal is not None:
        return refusal
    findings = Findings()
    try:
        for place in changed:
            for side in Side:
                _judge(findings, rules, place, side)
    except QuantityError as error:
        return denied(FORBIDDEN_RESOURCES, f"the resources of the Pod can't be judged: {error}")
    return findings.verdict()


def mutate(request: Request, context: ObjectContext) -> Mutation:
    """Return the operations that make the resources of a new Pod what policies ask for, as far as they can."""
    if not is_about_pod(request) or request.subresource or request.operation is not Operation.CREATE:
        return UNCHANGED
    rules = binding_rules(request, context, Family.RESOURCES)
    if rules is None or rules.problem_of(Family.RESOURCES) is not None:
        return UNCHANGED
    try:
        operations = [
            operation for place in places(request.new(Pod)) for operation in _operations(place, _remedied(rules, place))
        ]
    except QuantityError:
        return UNCHANGED  # The check says what is wrong.
    return Mutation(operations=tuple(operations)) if operations else UNCHANGED


def places(pod: Pod) -> Iterator[Place]:
    """Yield where *pod* has resources: its containers, its init containers, itself."""
    spec = pod.spec
    yield from _places(CONTAINERS, "containers", spec.containers or ())
    yield from _places(INIT_CONTAINERS, "initContainers", spec.init_containers or ())
    yield _place(POD, "spec", ("spec", "resources"), spec.resources)


def _places(target: str, section: str, containers: Sequence[Container]) -> Iterator[Place]:
    for index, container in enumerate(containers):
        steps = ("spec", section, index, "resources")
        yield _place(target, f"{section}[{index}]", steps, container.resources)


def _place(target: str, path: str, steps: tuple[str | int, ...], resources: ResourceRequirements | None) -> Place:
    if resources is None:
        return Place(target, path, steps, None)
    return Place(target, path, steps, resources, _texts(resources.requests), _texts(resources.limits))


def _texts(amounts: Mapping[str, QuantityText] | None) -> dict[str, str]:
    return {name: str(amount) for name, amount in (amounts or {}).items()}


def _plans(rules: RuleSet, place: Place, side: Side) -> Plans:
    """Return what is asked at *place*.  Pod-level resources that nobody gave are ruled by name alone."""
    is_absent = place.target == POD and place.resources is None

    def make() -> Plans:
        lane = rules.lane(RESOURCE_LANES[place.target, side])
        items: dict[str, list[ResourceItem]] = {}
        for item in lane.items if lane is not None else ():
            if not (is_absent and item.is_implied):
                items.setdefault(item.resource, []).append(item)
        return {resource: resource_plan(own) for resource, own in items.items()}

    return rules.remembered((Family.RESOURCES, place.target, side, is_absent), make)


def _judge(findings: Findings, rules: RuleSet, place: Place, side: Side) -> None:
    for resource, plan in _plans(rules, place, side).items():
        amounts = place.amounts(resource)
        decision = plan.lane.decide(amounts)
        if not (decision.refuses or decision.audits):
            continue
        own = (place.requests if side is Side.REQUESTS else place.limits).get(resource, "none")
        subject = f'workload resource {side[:-1]} "{resource}={own}" at {place.path}.resources.{side}.{resource}'
        for item in decision.audits:
            findings.audit(f"{subject} matched audit namespace rule: {_violation(item, amounts)}")
        if decision.ruling is Ruling.DENIED and decision.item is not None:
            fault = _violation(decision.item, amounts)
            findings.refuse(FORBIDDEN_RESOURCES, f"{subject} is denied by namespace rule: {fault}")
        elif decision.refuses:
            options = "; ".join(_violation(item, amounts) for item in plan.lane.allows)
            findings.refuse(
                FORBIDDEN_RESOURCES,
                f"{subject} is not allowed by namespace rule: "
                f"it does not satisfy any allowed resource policy ({options})",
            )


def _violation(item: ResourceItem, amounts: Amounts) -> str:
    return f"it violates policy {item.policy}, {item.fault(amounts)}"


def _remedied(rules: RuleSet, place: Place) -> Place:
    """Return *place* with what policies put in and take out.

    Limits follow requests, and what becomes of a limit may free its request: so both, twice.
    """
    after = Place(place.target, place.path, place.steps, place.resources, dict(place.requests), dict(place.limits))
    for side in (*Side, *Side):
        own = after.requests if side is Side.REQUESTS else after.limits
        for resource, plan in _plans(rules, place, side).items():
            if plan.default is not None:
                own.setdefault(resource, plan.default)
            if plan.lane.decide(after.amounts(resource)).refuses:
                for item in plan.remedies:
                    _remedy(item, own, after.requests.get(resource))
    return after


def _remedy(item: ResourceItem, own: dict[str, str], request: str | None) -> None:
    """Change *own*, the list that *item* is about, so that it holds, where that is possible."""
    match item.policy:
        case Policy.REMOVE:
            own.pop(item.resource, None)
        case Policy.MATCH_REQUEST if request is not None:
            own[item.resource] = request
        case Policy.RATIO if item.resource not in own:
            amount = quantity_or_none(request)
            if amount:
                own[item.resource] = str(item.ceiling(amount))
        case _:
            pass


def _operations(before: Place, after: Place) -> list[PatchOperation]:
    if before == after:
        return []
    if before.resources is None:
        given = {"requests": after.requests, "limits": after.limits}
        value = {side: amounts for side, amounts in given.items() if amounts}
        return [PatchOperation(op="add", path=pointer(*before.steps), value=value)]
    present = before.resources
    return [
        *map_patch((*before.steps, "requests"), None if present.requests is None else before.requests, after.requests),
        *map_patch((*before.steps, "limits"), None if present.limits is None else before.limits, after.limits),
    ]

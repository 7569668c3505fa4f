"""Rules about labels and annotations of any kind of object (RL-18, E-9, E-10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tenantry.api import labels as names
from tenantry.api.meta import ObjectMeta
from tenantry.api.rules import Enforce
from tenantry.api.shared import AdditionalMetadata
from tenantry.api.workloads import MetadataOnly
from tenantry.tenancy.request import Operation, Request
from tenantry.tenancy.rules.judging import Findings, Wording, binding_rules, unenforceable
from tenantry.tenancy.rules.kinds import NAMESPACE, kind_selector
from tenantry.tenancy.rules.matching import Action, Ruling
from tenantry.tenancy.rules.metadata_plan import FieldPlan, MetadataItem, MetadataPlan, key_policies, metadata_plan
from tenantry.tenancy.rules.ruleset import Family, LaneKey, Lanes, RuleSet
from tenantry.tenancy.verdict import ALLOWED, UNCHANGED, Mutation, Verdict
from tenantry.tenancy.views import ObjectContext

FORBIDDEN_METADATA: Final = "ForbiddenMetadata"
METADATA_LANE: Final = LaneKey[MetadataItem](Family.METADATA)

_WORDING: Final = Wording(family="metadata", plural="values", reason=FORBIDDEN_METADATA)
_UNRULED: Final = frozenset({names.MANAGED_BY_CONTROLLER, names.MANAGED_BY_RESOURCES})


@dataclass(frozen=True, slots=True)
class NamespaceMetadata:
    """Labels and annotations that rules put on a Namespace: *managed* always, *default* where there are none."""

    managed_labels: dict[str, str]
    managed_annotations: dict[str, str]
    default_labels: dict[str, str]
    default_annotations: dict[str, str]


@dataclass(frozen=True, slots=True, order=True)
class ManagedKind:
    """A kind with managed metadata, as rules name it."""

    group: str
    """Empty for the core group; may be a glob: ``*`` means any group that has the kind."""
    version: str
    """As the rule says; empty where it names none."""
    kind: str


def lanes(enforce: Enforce, action: Action) -> Lanes:
    """Return what *enforce* adds to the lane of metadata rules; raise ExpressionError for a wrong expression."""
    items = tuple(
        MetadataItem(
            action=action,
            kinds=kind_selector(rule.api_groups, rule.kinds),
            labels=tuple(key_policies(rule.labels, action)),
            annotations=tuple(key_policies(rule.annotations, action)),
        )
        for rule in enforce.metadata
    )
    return {METADATA_LANE: items} if items else {}


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge labels and annotations of an object that are new or changed; Namespaces are :func:`check_namespace`'s."""
    if not _is_ruled_write(request):
        return ALLOWED
    rules = binding_rules(request, context, Family.METADATA)
    if rules is None:
        return ALLOWED
    metadata = request.new(MetadataOnly).metadata
    old = request.old(MetadataOnly)
    if _is_unruled(metadata):
        return ALLOWED
    return _verdict(rules, request.group, request.kind, metadata, old.metadata if old is not None else None)


def check_namespace(metadata: ObjectMeta, rules: RuleSet, *, old: ObjectMeta | None = None) -> Verdict:
    """Judge the labels and annotations of a Namespace, for CREATE, UPDATE and ``/status``.

    *rules* are those of the requester (:meth:`RuleSet.for_requester`).  On UPDATE, judge by
    the rules of the stored labels as well as by those of the submitted ones: else a change of
    label would be a way out of the rules that guard it.
    """
    if not rules.has(Family.METADATA):
        return ALLOWED
    return _verdict(rules, "", NAMESPACE, metadata, old)


def mutate(request: Request, context: ObjectContext) -> Mutation:
    """Return the managed and default metadata that an object lacks; Namespaces are :func:`namespace_metadata`'s."""
    if not _is_ruled_write(request):
        return UNCHANGED
    rules = binding_rules(request, context, Family.METADATA)
    if rules is None:
        return UNCHANGED
    plan = _plan(rules, request.group, request.kind)
    metadata = request.new(MetadataOnly).metadata
    if plan.is_empty or _is_unruled(metadata):
        return UNCHANGED
    return Mutation(
        labels=_missing(plan.labels, metadata.labels or {}),
        annotations=_missing(plan.annotations, metadata.annotations or {}),
    )


def namespace_metadata(rules: RuleSet) -> NamespaceMetadata:
    """Return what rules put on a Namespace; *rules* as for :func:`check_namespace`."""
    plan = _plan(rules, "", NAMESPACE)
    return NamespaceMetadata(
        managed_labels=dict(plan.labels.managed),
        managed_annotations=dict(plan.annotations.managed),
        default_labels=dict(plan.labels.defaults),
        default_annotations=dict(plan.annotations.defaults),
    )


def managed_metadata_of_kind(rules: RuleSet, group: str, version: str, kind: str) -> AdditionalMetadata:  # noqa: ARG001
    """Return what all objects of a kind must have, by blocks that bind everybody (R-3).

    *version* has no influence: objects are the same in all versions of their group.
    """
    plan = _plan(rules, group, kind)
    return AdditionalMetadata(
        labels=dict(plan.labels.managed) or None, annotations=dict(plan.annotations.managed) or None
    )


def managed_kinds(rules: RuleSet) -> tuple[ManagedKind, ...]:
    """Return the kinds with managed metadata, sorted, Namespace among them where it is named."""
    lane = rules.lane(METADATA_LANE)
    return tuple(sorted({kind for item in lane.items for kind in _kinds_of(item)})) if lane is not None else ()


def _kinds_of(item: MetadataItem) -> Iterator[ManagedKind]:
    if all(policy.managed is None for policy in (*item.labels, *item.annotations)):
        return
    for group in item.kinds.groups:
        for kind in item.kinds.kinds:
            if kind.is_concrete:
                yield ManagedKind(group.group.text, group.version, kind.text)


def _is_ruled_write(request: Request) -> bool:
    # Events are the cluster's own noise about objects: no rule is about them.
    return (
        request.operation in {Operation.CREATE, Operation.UPDATE}
        and not request.subresource
        and request.kind not in {NAMESPACE, "Event"}
    )


def _is_unruled(metadata: ObjectMeta) -> bool:
    return (metadata.labels or {}).get(names.MANAGED_BY) in _UNRULED


def _plan(rules: RuleSet, group: str, kind: str) -> MetadataPlan:
    def make() -> MetadataPlan:
        lane = rules.lane(METADATA_LANE)
        return metadata_plan(lane.items if lane is not None else (), group, kind)

    return rules.remembered(("metadata", group, kind), make)


def _missing(plan: FieldPlan, present: Mapping[str, str]) -> dict[str, str]:
    wanted = {**{key: value for key, value in plan.defaults.items() if key not in present}, **plan.managed}
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def _verdict(rules: RuleSet, group: str, kind: str, metadata: ObjectMeta, old: ObjectMeta | None) -> Verdict:
    # As stored, it was judged when it came, and its controllers must be able to go on.
    if old is not None and _texts(old) == _texts(metadata):
        return ALLOWED
    refusal = unenforceable(rules, Family.METADATA)
    if refusal is not None:
        return refusal
    plan = _plan(rules, group, kind)
    findings = Findings()
    _judge(findings, plan.labels, metadata.labels or {})
    _judge(findings, plan.annotations, metadata.annotations or {})
    return findings.verdict()


def _texts(metadata: ObjectMeta) -> tuple[Mapping[str, str], Mapping[str, str]]:
    return metadata.labels or {}, metadata.annotations or {}


def _judge(findings: Findings, plan: FieldPlan, present: Mapping[str, str]) -> None:
    for selector in plan.required:
        if not any(selector.selects_key(key) for key in present):
            findings.refuse(
                FORBIDDEN_METADATA, f'metadata "{selector.text}" at {plan.path} is required by namespace rule'
            )
    for key, value in present.items() if plan.policies else ():
        lane = plan.lane(key)
        if lane is None:
            continue
        # An empty value says nothing, so that a list of what is allowed has nothing to say to it.
        if not value and lane.decide(value).ruling is Ruling.MISSED and not any(p.is_required for p in lane.items):
            continue
        findings.judge(lane, value, path=f"{plan.path}[{key}]", wording=_WORDING)

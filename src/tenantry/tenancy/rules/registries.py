"""Rules about images and their pull policies (RL-8, E-5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tenantry.api.rules import Enforce
from tenantry.api.workloads import Container, Pod
from tenantry.tenancy.request import Request
from tenantry.tenancy.rules.judging import Findings, Wording, binding_rules, unenforceable
from tenantry.tenancy.rules.matching import Action, Decision, Match, Ruling, compiled_match
from tenantry.tenancy.rules.ruleset import Family, LaneKey, Lanes, RuleSet
from tenantry.tenancy.rules.workloads import (
    CONTAINERS,
    EPHEMERAL_CONTAINERS,
    INIT_CONTAINERS,
    POD,
    VOLUMES,
    checked_targets,
    is_about_pod,
)
from tenantry.tenancy.verdict import ALLOWED, Verdict
from tenantry.tenancy.views import ObjectContext

FORBIDDEN_REGISTRY: Final = "ForbiddenContainerRegistry"
FORBIDDEN_PULL_POLICY: Final = "ForbiddenPullPolicy"
IMAGE_TARGETS: Final = (INIT_CONTAINERS, EPHEMERAL_CONTAINERS, CONTAINERS, VOLUMES)
PULL_POLICIES: Final = ("Always", "Never", "IfNotPresent")

_WORDING: Final = Wording(
    family="registry", plural="registries", reason=FORBIDDEN_REGISTRY, audit="audit registry rule"
)


@dataclass(frozen=True, slots=True)
class RegistryItem:
    """One registry of a block, matched against the image reference as it is written."""

    action: Action
    match: Match
    policies: tuple[str, ...] = ()
    """Pull policies that an image must choose from which this item allows; empty = any."""

    @property
    def text(self) -> str:
        """The match as messages show it."""
        return self.match.text

    def matches(self, value: str) -> bool:
        """Return whether the image reference *value* matches."""
        return self.match.matches(value)


REGISTRY_LANES: Final = {target: LaneKey[RegistryItem](Family.REGISTRIES, target) for target in IMAGE_TARGETS}


@dataclass(frozen=True, slots=True)
class Image:
    """An image that a Pod names."""

    target: str
    path: str
    reference: str
    pull_policy: str


def lanes(enforce: Enforce, action: Action) -> Lanes:
    """Return what *enforce* adds to the lanes of images; raise ExpressionError or ValueError for a wrong rule.

    The target ``pod`` stands for all images of the Pod.
    """
    workloads = enforce.workloads
    if workloads is None or not workloads.registries:
        return {}
    items = tuple(RegistryItem(action, compiled_match(entry), tuple(entry.policy)) for entry in workloads.registries)
    targets = checked_targets(workloads.targets)
    everywhere = not targets or POD in targets
    return {key: items for target, key in REGISTRY_LANES.items() if everywhere or target in targets}


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge the images of a Pod that are new or changed."""
    if not is_about_pod(request, "ephemeralcontainers"):
        return ALLOWED
    rules = binding_rules(request, context, Family.REGISTRIES)
    if rules is None:
        return ALLOWED
    # What is as stored was judged when it came.  To judge it again would stop others from
    # taking their finalizers off Pods that were there before a rule was.
    old = request.old(Pod)
    stored = frozenset(images(old)) if old is not None else frozenset()
    changed = [image for image in images(request.new(Pod)) if image not in stored]
    if not changed:
        return ALLOWED
    return unenforceable(rules, Family.REGISTRIES) or _verdict(rules, changed)


def images(pod: Pod) -> Iterator[Image]:
    """Yield the images of all containers and image volumes of *pod*."""
    spec = pod.spec
    yield from _images(INIT_CONTAINERS, "initContainers", spec.init_containers or ())
    yield from _images(EPHEMERAL_CONTAINERS, "ephemeralContainers", spec.ephemeral_containers or ())
    yield from _images(CONTAINERS, "containers", spec.containers or ())
    for index, volume in enumerate(spec.volumes or ()):
        if volume.image is not None:
            yield Image(VOLUMES, f"volumes[{index}]({volume.name})", volume.image.reference, volume.image.pull_policy)


def _images(target: str, section: str, containers: Sequence[Container]) -> Iterator[Image]:
    for index, container in enumerate(containers):
        yield Image(target, f"{section}[{index}]", container.image, container.image_pull_policy)


def _verdict(rules: RuleSet, changed: Sequence[Image]) -> Verdict:
    findings = Findings()
    for image in changed:
        lane = rules.lane(REGISTRY_LANES[image.target])
        if lane is None:
            continue
        if not image.reference and lane.decides:
            findings.refuse(
                FORBIDDEN_REGISTRY,
                f'registry "" at {image.path} is not allowed by namespace rule: an image reference is required',
            )
            continue
        decision = findings.judge(lane, image.reference, path=image.path, wording=_WORDING)
        if decision is not None and decision.ruling is Ruling.ALLOWED:
            _judge_pull_policy(findings, image, decision)
    return findings.verdict()


def _judge_pull_policy(findings: Findings, image: Image, decision: Decision[RegistryItem]) -> None:
    policies = decision.item.policies if decision.item is not None else ()
    if not policies or image.pull_policy in policies:
        return
    subject = f'registry "{image.reference}" at {image.path}'
    allowed = f"(allowed: {', '.join(policies)})"
    if image.pull_policy:
        fault = f"uses pullPolicy={image.pull_policy}, which is not allowed by namespace rule {allowed}"
    else:
        fault = f"must explicitly set pullPolicy by namespace rule {allowed}"
    findings.refuse(FORBIDDEN_PULL_POLICY, f"{subject} {fault}")

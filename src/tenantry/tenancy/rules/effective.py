"""The rules in force in a namespace: projected from its Tenant, compiled once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tenantry.api.meta import ObjectMeta
from tenantry.api.rules import Enforce, NamespaceRule
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import DecodeError
from tenantry.foundation.templates import TemplateError
from tenantry.tenancy.rules import ingress, metadata, qos, registries, resources, schedulers, services
from tenantry.tenancy.rules.matching import Action
from tenantry.tenancy.rules.projection import projected, rendered, selected_rules
from tenantry.tenancy.rules.ruleset import EMPTY_RULES, CompiledBlock, Family, LaneKey, Lanes, RuleSet


@dataclass(frozen=True, slots=True)
class _Part:
    """One family, as a part of a block."""

    family: Family
    is_in: Callable[[Enforce], bool]
    lanes: Callable[[Enforce, Action], Lanes]


_PARTS: Final = (
    _Part(Family.REGISTRIES, lambda e: bool(e.workloads and e.workloads.registries), registries.lanes),
    _Part(Family.QOS_CLASSES, lambda e: bool(e.workloads and e.workloads.qos_classes), qos.lanes),
    _Part(Family.SCHEDULERS, lambda e: bool(e.workloads and e.workloads.schedulers), schedulers.lanes),
    _Part(Family.RESOURCES, lambda e: bool(e.workloads and e.workloads.resources), resources.lanes),
    _Part(Family.SERVICES, lambda e: e.services is not None, services.lanes),
    _Part(Family.INGRESS, lambda e: e.ingress is not None, ingress.lanes),
    _Part(Family.METADATA, lambda e: bool(e.metadata), metadata.lanes),
)


def projected_rules(tenant: Tenant, namespace: ObjectMeta) -> tuple[NamespaceRule, ...]:
    """Return the blocks of *namespace*, in the tenant's order, templates rendered: what RuleStatus shows.

    Raises:
        TemplateError: A template is wrong, or asks for what is not there; it names the rule.
    """
    blocks = []
    for index, rule in selected_rules(tenant, namespace):
        try:
            blocks.append(rendered(projected(rule), tenant, namespace))
        except (TemplateError, DecodeError) as error:
            raise TemplateError(f"spec.rules[{index}]: {error}") from error
    return tuple(blocks)


def compiled(blocks: Sequence[NamespaceRule]) -> RuleSet:
    """Return *blocks*, as projected, ready for use.

    What does not compile becomes a problem of its family, never an error.
    """
    return RuleSet.of(blocks, [_compiled(block, f"rules[{index}]") for index, block in enumerate(blocks)])


def effective_rules(tenant: Tenant, namespace: ObjectMeta) -> RuleSet:
    """Return the rules in force in *namespace*; never raises.

    A rule that can't be rendered or compiled is a problem of the families it has: their
    checks refuse, naming it, until the Tenant is put right (fail closed).

    ``projection.projection_key`` tells when two results are the same.
    """
    blocks: list[NamespaceRule] = []
    ready: list[CompiledBlock] = []
    for index, rule in selected_rules(tenant, namespace):
        block, path = projected(rule), f"spec.rules[{index}] of Tenant {tenant.metadata.name}"
        try:
            block = rendered(block, tenant, namespace)
            ready.append(_compiled(block, path))
        except (TemplateError, DecodeError) as error:
            # Whom the block is for may be what is wrong, so the problem is everybody's.
            problems = {part.family: f"{path}: {error}" for part in _PARTS if part.is_in(block.enforce or Enforce())}
            ready.append(CompiledBlock(problems=problems))
        blocks.append(block)
    return RuleSet.of(blocks, ready) if blocks else EMPTY_RULES


def _compiled(block: NamespaceRule, path: str) -> CompiledBlock:
    enforce = block.enforce or Enforce()
    added: dict[LaneKey[Any], tuple[Any, ...]] = {}
    problems: dict[Family, str] = {}
    for part in _PARTS:
        if not part.is_in(enforce):
            continue
        try:
            added.update(part.lanes(enforce, Action(enforce.action)))
        except ValueError as error:  # Of expressions, CIDRs, quantities, names of policies and targets.
            problems[part.family] = f"{path}: {error}"
    return CompiledBlock(audience=block.audience, lanes=added, problems=problems)

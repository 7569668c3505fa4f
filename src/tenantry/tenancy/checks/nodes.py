"""Labels and annotations of Nodes that Capsule users may not touch (CN-9)."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.api.configuration import NodeMetadata
from tenantry.api.meta import PartialObject
from tenantry.api.shared import ForbiddenList
from tenantry.tenancy.checks.forbidden import changed_keys, forbidden_keys, forbidden_text
from tenantry.tenancy.request import Operation, Request, Role
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import Installation


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeContext:
    """All that a decision about a Node may depend on."""

    installation: Installation
    role: Role


def check(request: Request, context: NodeContext) -> Verdict:
    """Judge an update of a Node, or of its status, by a Capsule user: removing a key counts as touching it."""
    if context.role is not Role.CAPSULE_USER or request.operation is not Operation.UPDATE:
        return ALLOWED
    limits = context.installation.configuration.node_metadata or NodeMetadata()
    new, old = request.new(PartialObject).metadata, (request.old(PartialObject) or PartialObject()).metadata
    verdict = _touched("Label", limits.forbidden_labels, changed_keys(old.labels, new.labels))
    if verdict.denial is not None:
        return verdict
    return _touched("Annotation", limits.forbidden_annotations, changed_keys(old.annotations, new.annotations))


def _touched(noun: str, forbidden: ForbiddenList | None, keys: set[str]) -> Verdict:
    hits = forbidden_keys(forbidden, keys)
    if forbidden is None or not hits:
        return ALLOWED
    return denied(
        f"Forbidden{noun}",
        f"Unable to update Node as some {noun.lower()}s are marked as forbidden by system administrators: "
        f"{', '.join(hits)}; {forbidden_text(forbidden)}",
    )

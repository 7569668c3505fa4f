"""What admission makes of a submitted Namespace: its tenant, and the metadata that goes with it (M-2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tenantry.api import labels
from tenantry.api.core import Namespace
from tenantry.api.meta import ObjectMeta, OwnerReference
from tenantry.api.shared import AdditionalMetadata
from tenantry.foundation.codec import to_plain
from tenantry.foundation.patches import PatchOperation, pointer
from tenantry.tenancy.identity import is_exempt
from tenantry.tenancy.namespaces.assignment import assigned_tenant
from tenantry.tenancy.namespaces.context import NamespaceContext
from tenantry.tenancy.namespaces.metadata import (
    IDENTITY_LABELS,
    MetadataChange,
    desired_metadata,
    identity_labels,
    managed_metadata,
    metadata_rules,
)
from tenantry.tenancy.namespaces.ownership import Placement, placed_references, placement
from tenantry.tenancy.owners import is_owner
from tenantry.tenancy.request import Operation, Request, Role
from tenantry.tenancy.rules.metadata import namespace_metadata
from tenantry.tenancy.verdict import UNCHANGED, Denial, Mutation, Notice
from tenantry.tenancy.views import TenantView

_REFERENCES: Final = pointer("metadata", "ownerReferences")


def mutate(request: Request, context: NamespaceContext) -> Mutation:
    """Return what to make of the Namespace that *request* submits; the same again changes nothing.

    Raises:
        DecodeError: An object is no Namespace.
    """
    # A write of a subresource is never mutated: validation refuses what it may not change (N-11).
    if request.subresource or (context.role is not Role.CONTROLLER and _is_exempt(request, context)):
        return UNCHANGED
    if request.operation is Operation.CREATE:
        return _creation(request, context)
    if request.operation is Operation.UPDATE and context.role is not Role.CONTROLLER:
        return _update(request, context)
    return UNCHANGED


def _is_exempt(request: Request, context: NamespaceContext) -> bool:
    return is_exempt(request.requester, context.installation)


def _creation(request: Request, context: NamespaceContext) -> Mutation:
    view = assigned_tenant(request, context)
    if view is None:
        return UNCHANGED
    if isinstance(view, Denial):
        return Mutation(denial=view)
    new = request.new(Namespace).metadata
    change = desired_metadata(view.tenant, new, None)
    references = placed_references(view.tenant, None, new, keep_others=context.role.is_admin)
    name = view.tenant.metadata.name
    notice = Notice(
        reason="TenantAssigned",
        action="Mutated",
        message=f"namespace {new.name or new.generate_name!r} has been assigned to tenant {name!r}",
    )
    return _mutation(_with_rules(change, request, context, view), new, references=references, notices=(notice,))


def _update(request: Request, context: NamespaceContext) -> Mutation:
    stored = request.old(Namespace)
    old = stored.metadata if stored else ObjectMeta()
    new = request.new(Namespace).metadata
    decided = placement(request, old, new, context)
    if isinstance(decided, Denial):
        return Mutation(denial=decided)
    view = decided.tenant
    if view is None:
        return UNCHANGED if decided.former is None else _release(decided.former, old, new)
    if context.role is Role.UNKNOWN and decided.is_as_stored:
        return UNCHANGED
    references = placed_references(view.tenant, old, new)
    if context.role is Role.UNKNOWN or old.deletion_timestamp is not None:
        change = MetadataChange(identity_labels(view.tenant, new), {}, frozenset(), frozenset())
        return _mutation(change, new, references=references)
    change = _kept(decided, old, desired_metadata(view.tenant, new, _former_metadata(decided, old)))
    return _mutation(_with_rules(change, request, context, view), new, references=references)


def _kept(decided: Placement, old: ObjectMeta, change: MetadataChange) -> MetadataChange:
    """Leave the node selector of a namespace that stays: whoever changes it is refused, not corrected (14.1)."""
    if decided.is_join or labels.NODE_SELECTOR not in (old.annotations or {}):
        return change
    annotations = {key: value for key, value in change.set_annotations.items() if key != labels.NODE_SELECTOR}
    return change._replace(set_annotations=annotations)


def _former_metadata(decided: Placement, old: ObjectMeta) -> AdditionalMetadata | None:
    if decided.is_join and decided.former is not None:
        return managed_metadata(decided.former.tenant, old)
    return None


def _release(former: TenantView, old: ObjectMeta, new: ObjectMeta) -> Mutation:
    """Take away what the tenant managed: nobody else will, once the namespace is not its own."""
    managed = managed_metadata(former.tenant, old)
    return Mutation(
        remove_labels=frozenset((managed.labels or {}).keys() & (new.labels or {}).keys()),
        remove_annotations=frozenset((managed.annotations or {}).keys() & (new.annotations or {}).keys()),
    )


def _with_rules(
    change: MetadataChange, request: Request, context: NamespaceContext, view: TenantView
) -> MetadataChange:
    """Return *change* with what rules want for this requester: managed values win, defaults fill what is absent."""
    new = request.new(Namespace).metadata
    present = {key: value for key, value in (new.labels or {}).items() if key not in change.remove_labels}
    placed = ObjectMeta(
        name=new.name, uid=new.uid, labels={**present, **change.set_labels}, annotations=new.annotations
    )
    rules = metadata_rules(view.tenant, placed)
    is_one = is_owner(request.requester, view.owners)
    ruled = namespace_metadata(rules.for_requester(request.requester, context.role, is_owner=is_one))
    reserved = IDENTITY_LABELS if view.tenant.spec.node_selector is None else IDENTITY_LABELS | {labels.NODE_SELECTOR}

    def merged(
        wanted: Mapping[str, str], managed: Mapping[str, str], default: Mapping[str, str], present: Mapping[str, str]
    ) -> dict[str, str]:
        absent = {key: value for key, value in default.items() if key not in present}
        overlays = ({key: one[key] for key in one.keys() - reserved} for one in (absent, managed))
        below, above = overlays
        return {**below, **wanted, **above}

    set_labels = merged(change.set_labels, ruled.managed_labels, ruled.default_labels, new.labels or {})
    set_annotations = merged(
        change.set_annotations, ruled.managed_annotations, ruled.default_annotations, new.annotations or {}
    )
    return MetadataChange(
        set_labels=set_labels,
        set_annotations=set_annotations,
        remove_labels=change.remove_labels - set_labels.keys(),
        remove_annotations=change.remove_annotations - set_annotations.keys(),
    )


def _mutation(
    change: MetadataChange,
    new: ObjectMeta,
    *,
    references: tuple[OwnerReference, ...],
    notices: tuple[Notice, ...] = (),
) -> Mutation:
    return Mutation(
        labels=_differing(change.set_labels, new.labels),
        annotations=_differing(change.set_annotations, new.annotations),
        remove_labels=change.remove_labels,
        remove_annotations=change.remove_annotations,
        operations=_reference_operations(references, new),
        notices=notices,
    )


def _reference_operations(references: tuple[OwnerReference, ...], new: ObjectMeta) -> tuple[PatchOperation, ...]:
    if references == new.owner_references:
        return ()
    return (PatchOperation(op="add", path=_REFERENCES, value=to_plain(references)),)


def _differing(wanted: Mapping[str, str], present: Mapping[str, str] | None) -> dict[str, str]:
    return {key: value for key, value in wanted.items() if (present or {}).get(key) != value}

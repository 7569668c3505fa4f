"""Which volumes PersistentVolumeClaims may get (L-5 to L-7)."""

from __future__ import annotations

from typing import Final

from tenantry.api import labels
from tenantry.api.meta import LabelSelector, LabelSelectorRequirement
from tenantry.api.workloads import PersistentVolumeClaim
from tenantry.foundation.codec import decode_any, encode
from tenantry.foundation.patches import PatchOperation
from tenantry.tenancy.checks.classes import class_verdict, missing_class
from tenantry.tenancy.checks.exemptions import is_cluster_component, is_judged_write
from tenantry.tenancy.request import Operation, Request
from tenantry.tenancy.verdict import ALLOWED, UNCHANGED, Mutation, Verdict, denied
from tenantry.tenancy.views import ClassKind, ObjectContext

CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"
"""Kubernetes still prefers it to ``spec.storageClassName``."""


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge storage class and named volume, on an update only where they change (V-11)."""
    if not is_judged_write(request, context):
        return ALLOWED
    claim, old = request.new(PersistentVolumeClaim), request.old(PersistentVolumeClaim)
    verdict = _class(context, claim, old)
    if verdict.denial is not None:
        return verdict
    return _volume(request, context, claim, old)


def mutate(request: Request, context: ObjectContext) -> Mutation:
    """Bind what selects or names existing volumes to the tenant's own (L-7); applying it twice changes nothing.

    A claim that is to be provisioned is left alone: no provisioner takes a selector.
    """
    if not is_judged_write(request, context, subresources=("",)):
        return UNCHANGED
    claim, old = request.new(PersistentVolumeClaim), request.old(PersistentVolumeClaim)
    selector = claim.spec.selector
    if old is not None and (old.status.phase == "Bound" or old.spec.selector == selector):
        # A selector never changes after creation, so that of an old claim can't be put right.
        return UNCHANGED
    if selector is None and not (request.operation is Operation.CREATE and claim.spec.volume_name):
        return UNCHANGED
    wanted = own_selector(selector, context.tenant.metadata.name)
    if wanted == selector:
        return UNCHANGED
    return Mutation(operations=(PatchOperation(op="add", path="/spec/selector", value=decode_any(encode(wanted))),))


def own_selector(selector: LabelSelector | None, tenant: str) -> LabelSelector:
    """Return *selector* with exactly one requirement on the tenant label: that it be *tenant*."""
    given = selector or LabelSelector()
    equal = {key: value for key, value in (given.match_labels or {}).items() if key != labels.TENANT}
    others = [requirement for requirement in given.match_expressions if requirement.key != labels.TENANT]
    ours = LabelSelectorRequirement(key=labels.TENANT, operator="In", values=(tenant,))
    return LabelSelector(match_labels=equal or None, match_expressions=(*others, ours))


def class_names(claim: PersistentVolumeClaim) -> tuple[str, ...]:
    """Return the storage classes that *claim* names: none, one, or two where field and old annotation disagree.

    An empty name stands for "no class", which is a choice of its own: a volume made by hand.
    """
    names = ((claim.metadata.annotations or {}).get(CLASS_ANNOTATION), claim.spec.storage_class_name)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _class(context: ObjectContext, claim: PersistentVolumeClaim, old: PersistentVolumeClaim | None) -> Verdict:
    names = class_names(claim)
    if old is not None and class_names(old) == names:
        return ALLOWED
    spec = context.tenant.spec
    if not names:
        return missing_class(spec, ClassKind.STORAGE)
    for name in names:
        verdict = class_verdict(spec, ClassKind.STORAGE, name, context.lookups)
        if verdict.denial is not None:
            return verdict
    return ALLOWED


def _volume(
    request: Request, context: ObjectContext, claim: PersistentVolumeClaim, old: PersistentVolumeClaim | None
) -> Verdict:
    volume = claim.spec.volume_name
    if not volume or (old is not None and old.spec.volume_name == volume):
        return ALLOWED
    if old is not None and is_cluster_component(request.requester):
        # The volume binder writes what it bound, before the controller could label a fresh volume.
        return ALLOWED
    tenant = context.tenant.metadata.name
    found = context.lookups.volume_labels(volume)
    if found is not None and found.get(labels.TENANT) == tenant:
        return ALLOWED
    # Whose volume it is, or that there is none, is nothing the requester needs to know.
    return denied(
        "CrossTenantReference",
        f"Preventing a cross-tenant mount for PersistentVolume {volume}: it must exist and carry the label "
        f"{labels.TENANT}={tenant}",
    )

"""The classes that objects get which name none (L-15)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tenantry.api.shared import DefaultAllowedList
from tenantry.api.workloads import Gateway, Ingress, PersistentVolumeClaim, Pod
from tenantry.foundation.patches import PatchOperation
from tenantry.tenancy.checks import claims, ingresses
from tenantry.tenancy.checks.allowed import allowed_classes
from tenantry.tenancy.checks.classes import NOUNS
from tenantry.tenancy.checks.exemptions import is_judged_write
from tenantry.tenancy.request import Operation, Request
from tenantry.tenancy.verdict import UNCHANGED, Denial, Mutation, Notice
from tenantry.tenancy.views import ClassKind, ObjectContext

_PREEMPTION_POLICY: Final = "PreemptLowerPriority"
"""What a PriorityClass means that names none."""


def mutate(request: Request, context: ObjectContext) -> Mutation:
    """Return the tenant's default classes for *request*'s object; applying it twice changes nothing.

    Where the object carries the cluster's default at its creation, the tenant's takes its place:
    the API server fills in its own before webhooks are asked, so the two cases look the same.
    """
    default = _BY_RESOURCE.get(request.resource)
    if default is None or not is_judged_write(request, context, subresources=("",)):
        return UNCHANGED
    return default(request, context)


def _pod(request: Request, context: ObjectContext) -> Mutation:
    wanted = _default(context, ClassKind.PRIORITY) or _default(context, ClassKind.RUNTIME)
    if not wanted or request.operation is not Operation.CREATE:
        return UNCHANGED
    pod = request.new(Pod)
    priority, runtime = _priority(context, pod), _runtime(context, pod)
    return Mutation(
        operations=priority.operations + runtime.operations,
        notices=priority.notices + runtime.notices,
        denial=priority.denial,
    )


def _priority(context: ObjectContext, pod: Pod) -> Mutation:
    default, given = _default(context, ClassKind.PRIORITY), pod.spec.priority_class_name
    if not default:
        return UNCHANGED
    if given not in {"", default} and not _is_cluster_default(context, ClassKind.PRIORITY, given):
        return UNCHANGED
    entry = context.lookups.cluster_class(ClassKind.PRIORITY, default)
    if entry is None:
        return Mutation(
            denial=Denial(
                reason=f"Missing{ClassKind.PRIORITY}",
                message=f"The default Pod Priority Class {default} of the current Tenant does not exist: name another "
                "one, or reach out to the system administrators",
            )
        )
    # The API server resolved priority and preemption from the name it saw, and compares them
    # with what the new name gives: all three must change together.
    policy = entry.preemption_policy or _PREEMPTION_POLICY
    operations = []
    if given != default:
        operations.append(PatchOperation(op="add", path="/spec/priorityClassName", value=default))
    if pod.spec.priority != entry.priority:
        operations.append(PatchOperation(op="add", path="/spec/priority", value=entry.priority))
    if pod.spec.preemption_policy != policy:
        operations.append(PatchOperation(op="add", path="/spec/preemptionPolicy", value=policy))
    return _mutation(ClassKind.PRIORITY, default, *operations)


def _runtime(context: ObjectContext, pod: Pod) -> Mutation:
    default = _default(context, ClassKind.RUNTIME)
    if not default or pod.spec.runtime_class_name:
        return UNCHANGED
    return _set(ClassKind.RUNTIME, "/spec/runtimeClassName", default)


def _claim(request: Request, context: ObjectContext) -> Mutation:
    default = _default(context, ClassKind.STORAGE)
    if not default or request.operation is not Operation.CREATE:
        return UNCHANGED
    claim = request.new(PersistentVolumeClaim)
    given = claim.spec.storage_class_name
    if claims.CLASS_ANNOTATION in (claim.metadata.annotations or {}) or given == default:
        return UNCHANGED
    # An empty name asks for a volume made by hand, which is no matter of defaults.
    if given is not None and not _is_cluster_default(context, ClassKind.STORAGE, given):
        return UNCHANGED
    return _set(ClassKind.STORAGE, "/spec/storageClassName", default)


def _ingress(request: Request, context: ObjectContext) -> Mutation:
    default = _default(context, ClassKind.INGRESS)
    if not default:
        return UNCHANGED
    ingress = request.new(Ingress)
    given = ingresses.class_names(ingress)
    # The cluster's default is put on new objects only: later, the name is somebody's choice.
    replaced = (
        request.operation is Operation.CREATE
        and given == (ingress.spec.ingress_class_name,)
        and given != (default,)
        and _is_cluster_default(context, ClassKind.INGRESS, given[0])
    )
    if given and not replaced:
        return UNCHANGED
    return _set(ClassKind.INGRESS, "/spec/ingressClassName", default)


def _gateway(request: Request, context: ObjectContext) -> Mutation:
    default = _default(context, ClassKind.GATEWAY)
    if not default or request.new(Gateway).spec.gateway_class_name:
        return UNCHANGED
    return _set(ClassKind.GATEWAY, "/spec/gatewayClassName", default)


_BY_RESOURCE: Final[dict[str, Callable[[Request, ObjectContext], Mutation]]] = {
    "pods": _pod,
    "persistentvolumeclaims": _claim,
    "ingresses": _ingress,
    "gateways": _gateway,
}


def _default(context: ObjectContext, kind: ClassKind) -> str:
    allowed = allowed_classes(context.tenant.spec, kind)
    return allowed.default if isinstance(allowed, DefaultAllowedList) else ""


def _is_cluster_default(context: ObjectContext, kind: ClassKind, name: str) -> bool:
    entry = context.lookups.cluster_class(kind, name)
    return entry is not None and entry.is_default


def _set(kind: ClassKind, path: str, name: str) -> Mutation:
    return _mutation(kind, name, PatchOperation(op="add", path=path, value=name))


def _mutation(kind: ClassKind, name: str, *operations: PatchOperation) -> Mutation:
    if not operations:
        return UNCHANGED
    notice = Notice(
        reason="TenantDefaulted", action="Mutated", message=f"Assigned the Tenant's default {NOUNS[kind]} {name}"
    )
    return Mutation(operations=operations, notices=(notice,))

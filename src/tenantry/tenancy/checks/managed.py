"""Objects that the controllers own, and that nobody else may touch (CN-4)."""

from __future__ import annotations

from tenantry.api import labels
from tenantry.api.meta import PartialObject
from tenantry.tenancy.checks.exemptions import is_cluster_component
from tenantry.tenancy.request import Operation, Request
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ObjectContext


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge a write on an object that carries the label, or would carry it.

    Of *context* only role and namespace are read: such objects exist outside tenants too.
    """
    if context.role.is_admin or is_cluster_component(request.requester):
        return ALLOWED
    if request.operation is Operation.DELETE and context.namespace.deletion_timestamp is not None:
        return ALLOWED
    if not _is_touched(request):
        return ALLOWED
    name = request.name or "(to be named)"
    return denied(
        "ForbiddenLabel",
        "Labeling resources as controller managed can only be done by the controller or administrators: "
        f"{request.kind} {name} has {labels.MANAGED_BY}={labels.MANAGED_BY_CONTROLLER}",
    )


def _is_touched(request: Request) -> bool:
    before = _is_managed(request.old(PartialObject))
    if request.operation is Operation.DELETE:
        return before
    after = _is_managed(request.new(PartialObject))
    # A subresource reports about the object and is the business of whoever implements its kind:
    # the label alone may not come or go by that way.
    return before != after if request.subresource else before or after


def _is_managed(obj: PartialObject | None) -> bool:
    return obj is not None and (obj.metadata.labels or {}).get(labels.MANAGED_BY) == labels.MANAGED_BY_CONTROLLER

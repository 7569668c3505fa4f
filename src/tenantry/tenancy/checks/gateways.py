"""Which classes Gateways may name (L-13)."""

from __future__ import annotations

from tenantry.api.workloads import Gateway
from tenantry.tenancy.checks.classes import class_verdict, missing_class
from tenantry.tenancy.checks.exemptions import is_judged_write
from tenantry.tenancy.request import Request
from tenantry.tenancy.verdict import ALLOWED, Verdict
from tenantry.tenancy.views import ClassKind, ObjectContext


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge the class of a new Gateway, or one that an update sets."""
    spec = context.tenant.spec
    if spec.gateway_options is None or not is_judged_write(request, context):
        return ALLOWED
    gateway, old = request.new(Gateway), request.old(Gateway)
    name = gateway.spec.gateway_class_name
    if old is not None and old.spec.gateway_class_name == name:
        return ALLOWED
    if not name:
        return missing_class(spec, ClassKind.GATEWAY)
    return class_verdict(spec, ClassKind.GATEWAY, name, context.lookups)

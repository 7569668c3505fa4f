"""The labels that tell whose an object is (CN-6)."""

from __future__ import annotations

from typing import Final

from tenantry.api import labels
from tenantry.api.meta import PartialObject
from tenantry.tenancy.checks.exemptions import is_judged_write
from tenantry.tenancy.request import Request
from tenantry.tenancy.verdict import UNCHANGED, Mutation
from tenantry.tenancy.views import ObjectContext

_NOT_STORED: Final = frozenset({"authorization.k8s.io", "authentication.k8s.io"})
"""Reviews must have empty metadata, or the API server refuses them."""
_UNLABELLED: Final = frozenset({"bindings", "events"})


def mutate(request: Request, context: ObjectContext) -> Mutation:
    """Return both labels with the tenant's name, for what lacks one; applying it twice changes nothing."""
    if not is_judged_write(request, context, subresources=("",)):
        return UNCHANGED
    if request.group in _NOT_STORED or request.resource in _UNLABELLED:
        return UNCHANGED
    tenant = context.tenant.metadata.name
    found = request.new(PartialObject).metadata.labels or {}
    wanted = {labels.CAPSULE_MANAGED_BY: tenant, labels.NEW_TENANT: tenant}
    missing = {key: value for key, value in wanted.items() if found.get(key) != value}
    return Mutation(labels=missing) if missing else UNCHANGED

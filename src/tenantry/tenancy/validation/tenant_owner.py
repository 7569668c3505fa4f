"""What a TenantOwner may say (CN-2)."""

from __future__ import annotations

from typing import Final

from tenantry.api.tenant_owner import TenantOwner
from tenantry.tenancy.request import Operation, Request
from tenantry.tenancy.validation.subjects import user_problem
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied

INVALID: Final = "AdmissionFailed"


def check(request: Request) -> Verdict:
    """Judge a CREATE or UPDATE of a TenantOwner, whoever asks.

    Raises:
        DecodeError: An object is no TenantOwner.
    """
    if request.subresource or request.operation not in {Operation.CREATE, Operation.UPDATE}:
        return ALLOWED
    old, new = request.old(TenantOwner), request.new(TenantOwner)
    if old is not None and old.spec == new.spec:
        return ALLOWED
    problem = user_problem("spec", new.spec)
    return ALLOWED if problem is None else denied(INVALID, f"TenantOwner {new.metadata.name!r}: {problem}")

"""Namespaces in which Capsule users may change nothing for a while (CN-7, I-10)."""

from __future__ import annotations

from typing import Final

from tenantry.api import labels
from tenantry.tenancy.request import Operation, Request, Role
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ObjectContext

_HARMLESS: Final = frozenset({("", "events"), ("events.k8s.io", "events")})
_QUESTIONS: Final = "authorization.k8s.io"
"""LocalSubjectAccessReviews are created to ask something, and not stored."""


def is_cordoned(context: ObjectContext) -> bool:
    """Return whether the namespace is cordoned, by its own label or with its tenant."""
    return context.tenant.spec.cordoned or (context.namespace.labels or {}).get(labels.CORDONED) == "true"


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge a write in a namespace that *context* may show as cordoned."""
    return check_in_cordoned(request, context) if is_cordoned(context) else ALLOWED


def check_in_cordoned(request: Request, context: ObjectContext) -> Verdict:
    """Judge a write in a namespace that is known to be cordoned, whatever *context* shows.

    The API server chose an entry that selects the label: fresher evidence than a cache has.
    Controllers and administrators go on; a namespace that terminates may be emptied.
    """
    if context.role is not Role.CAPSULE_USER or request.operation is Operation.CONNECT:
        return ALLOWED
    if request.group == _QUESTIONS or (request.group, request.resource) in _HARMLESS:
        return ALLOWED
    if request.operation is Operation.DELETE and context.namespace.deletion_timestamp is not None:
        return ALLOWED
    resource = "/".join(part for part in (request.resource, request.subresource) if part)
    return denied(
        "Cordoned",
        f"The current namespace '{request.namespace}' is cordoned. The attempted operation {request.operation} "
        f"of {resource} is not allowed: please, reach out to the system administrators",
    )

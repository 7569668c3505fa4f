"""Which tenant a new Namespace goes into (N-1 to N-6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tenantry.api import labels
from tenantry.api.core import Namespace
from tenantry.api.meta import ObjectMeta
from tenantry.tenancy.namespaces.claims import claim_of
from tenantry.tenancy.namespaces.context import NamespaceContext
from tenantry.tenancy.owners import is_owner
from tenantry.tenancy.request import Request, Role
from tenantry.tenancy.verdict import Denial
from tenantry.tenancy.views import TenantView

UNASSIGNED: Final = "TenantUnassigned"
NOT_OWNED: Final = "can not assign the desired namespace to a non-owned Tenant"
NONE_OWNED: Final = "You do not have any Tenant assigned: please, reach out to the system administrators"


def assigned_tenant(request: Request, context: NamespaceContext) -> TenantView | Denial | None:
    """Return the tenant for the namespace that *request* creates; None leaves it outside all tenants.

    Raises:
        DecodeError: The object is no Namespace.
    """
    namespace = request.new(Namespace).metadata
    label = claim_of(namespace).label
    if context.role is Role.UNKNOWN:
        return None
    if context.role.is_admin:
        if label is None:
            return None
        named = context.tenants.get(label)
        return named or _denied(f"{NOT_OWNED}: there is no tenant {label!r}")
    if label is None:
        return _by_ownership(namespace, context)
    named = context.tenants.get(label)
    # The same words whether the tenant is somebody else's or nobody's: names of tenants are not for guessing.
    return named if named is not None and is_owner(request.requester, named.owners) else _denied(NOT_OWNED)


def _by_ownership(namespace: ObjectMeta, context: NamespaceContext) -> TenantView | Denial:
    owned = _unique(context.candidates)
    if not owned:
        return _denied(NONE_OWNED)
    if len(owned) == 1:
        return owned[0]
    name = namespace.name or namespace.generate_name
    # No two names of one length can be a prefix of the same text, so the longest is one.
    fitting = [view for view in owned if name.startswith(f"{view.tenant.metadata.name}-")]
    if fitting:
        return max(fitting, key=lambda view: len(view.tenant.metadata.name))
    # One that is being deleted takes nothing in, so it makes no choice of the only one that is left.
    living = [view for view in owned if view.tenant.metadata.deletion_timestamp is None]
    if len(living) == 1:
        return living[0]
    return _denied(_none_fits(owned, is_forced=context.installation.configuration.force_tenant_prefix))


def _none_fits(owned: Sequence[TenantView], *, is_forced: bool) -> str:
    names = ", ".join(view.tenant.metadata.name for view in owned)
    if is_forced:
        return f"The Namespace prefix used doesn't match any available Tenant: start its name with one of {names} and -"
    return (
        f"Unable to assign namespace to tenant. Please use {labels.TENANT} label when creating a namespace, "
        f"with one of {names}"
    )


def _unique(views: Iterable[TenantView]) -> list[TenantView]:
    """Return *views* by name, each tenant once: an owner may be found by user and by group (#2058)."""
    return [view for _, view in sorted({view.tenant.metadata.name: view for view in views}.items())]


def _denied(message: str) -> Denial:
    return Denial(reason=UNASSIGNED, message=message)

"""The frozen view that decisions about a Namespace read, gathered once a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tenantry.tenancy.request import Role
from tenantry.tenancy.views import Installation, TenantView


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceContext:
    """All that a decision about a Namespace may depend on, besides the request itself."""

    installation: Installation
    role: Role
    """``identity.role_of`` the requester."""
    tenants: Mapping[str, TenantView] = field(default_factory=dict)
    """By name: those of ``claims.named_tenants(request)`` that exist, terminating ones too."""
    candidates: tuple[TenantView, ...] = ()
    """Tenants that the requester owns, in any order; mutation reads them for a CREATE by a Capsule user."""
    counted: frozenset[str] | None = None
    """Names that use up the namespace quota (N-13) of the tenant that the new namespace goes into
    (``claims.tenant_of``): its existing namespaces, and what other requests have reserved.  Read for
    a CREATE into a tenant with a quota; None means that nobody gathered it, and a quota then refuses."""

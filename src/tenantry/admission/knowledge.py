"""What a decision may ask about the cluster, and how it says that it needs to be told.

Decisions are synchronous functions of a request and a Knowledge.  There are two kinds of
knowledge: :class:`tenantry.admission.state.State`, from caches, and
:class:`tenantry.admission.live.LiveKnowledge`, from answers read for this one request.
Either raises Unanswered for what it cannot tell; whoever runs the decision then reads the
answer and runs it again.  So the same code decides on the hot path and when a refusal is
confirmed (spec 13.2), and only the latter waits.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol

from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import CoreOwner
from tenantry.api.tenant import Tenant
from tenantry.tenancy.namespaces.claims import claim_of, is_valid
from tenantry.tenancy.request import Requester, Role
from tenantry.tenancy.rules.ruleset import RuleSet
from tenantry.tenancy.validation.rules import KindScope
from tenantry.tenancy.views import Installation, Lookups, TenantView


class Topic(StrEnum):
    """What can be read from the API server."""

    CONFIGURATION = "configuration"
    TENANT_OWNERS = "tenant owners"
    PROMOTED_ACCOUNTS = "promoted accounts"
    TENANTS = "tenants"
    TENANT = "tenant"
    """*name*: the tenant's."""
    NAMESPACE = "namespace"
    """*name*: the namespace's."""
    NAMESPACES = "namespaces of a tenant"
    """*name*: the tenant's."""
    CLASS = "class"
    """*kind* and *name*."""
    CLASSES = "classes"
    """*kind*."""
    VOLUME = "volume"
    """*name*."""
    INGRESSES = "ingresses"
    KINDS = "kinds"
    """Those that the API server serves."""


class Question(NamedTuple):
    """One thing to read."""

    topic: Topic
    name: str = ""
    kind: str = ""


class Unanswered(Exception):  # noqa: N818  # no error: a decision says what it lacks
    """A decision needs the answer to *question*."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


class Knowledge(Protocol):
    """What is known about the cluster.  Every method may raise Unanswered."""

    @property
    def installation(self) -> Installation:
        """Settings and Capsule users of the installation."""
        ...

    @property
    def lookups(self) -> Lookups:
        """Other objects that checks look at."""
        ...

    def tenant(self, name: str) -> Tenant | None:
        """Return the Tenant, or None where there is none."""
        ...

    def namespace(self, name: str) -> ObjectMeta | None:
        """Return the Namespace's metadata, or None where there is none."""
        ...

    def home_tenant(self, namespace: str) -> str | None:
        """Return the name of the tenant whose namespace that is; None where it is in none."""
        ...

    def owners(self, tenant: Tenant) -> tuple[CoreOwner, ...]:
        """Return who owns *tenant* in effect."""
        ...

    def owned_by(self, requester: Requester) -> tuple[TenantView, ...]:
        """Return the tenants that *requester* owns, in any order."""
        ...

    def rules(self, tenant: Tenant, namespace: ObjectMeta) -> RuleSet:
        """Return the rules in force in *namespace* of *tenant*."""
        ...

    def role(self, requester: Requester) -> Role:
        """Return what the installation takes *requester* for."""
        ...

    def kind_scope(self, group: str, kind: str) -> KindScope | None:
        """Return where objects of *kind* live, *group* being an entry of ``apiGroups``; None: it is not served."""
        ...


def tenant_in_charge(namespace: ObjectMeta, find: Callable[[str], Tenant | None]) -> Tenant | None:
    """Return the tenant whose rules hold in *namespace*; *find* gets a Tenant by name.

    A valid owner reference decides.  Where there is none, as after a restore, the label
    does: the API server selected the request by it, and to police too much is the safe side.
    """
    claim = claim_of(namespace)
    valid = {
        tenant.metadata.name: tenant
        for reference in claim.references
        if (tenant := find(reference.name)) is not None and is_valid(reference, tenant)
    }
    if claim.label in valid:
        return valid[claim.label]
    if len(valid) == 1:
        return next(iter(valid.values()))
    return find(claim.label) if claim.label else None

"""The ownership invariant: who may change which tenant a Namespace belongs to (N-8 to N-11, N-20 to N-22, 14.2).

Label and owner reference always agree, a namespace enters a tenant by an owner's CREATE or
by an administrator, and leaves it by an administrator alone.  One decision serves both
webhooks: mutation makes of the submitted object what was decided, validation refuses
whatever is not that already.  So a write that is never mutated, to /status or /finalize or
past a mutating webhook that is down, can't say more than one that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tenantry.api.meta import ObjectMeta, OwnerReference
from tenantry.api.tenant import Tenant
from tenantry.tenancy.namespaces.claims import (
    Claim,
    agrees,
    belongs_to,
    claim_of,
    is_tenant_reference,
    is_valid,
    names_tenant,
    reference_to,
)
from tenantry.tenancy.namespaces.context import NamespaceContext
from tenantry.tenancy.owners import is_owner
from tenantry.tenancy.request import Request, Requester, Role
from tenantry.tenancy.verdict import Denial
from tenantry.tenancy.views import TenantView

PATCHED: Final = "ReasonNamespacePatch"
CROSSING: Final = "CrossTenantReference"
_ASK: Final = "please, reach out to the system administrators"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Which tenant a Namespace is to belong to after an UPDATE."""

    tenant: TenantView | None
    """None: to none."""
    former: TenantView | None
    """Which tenant the stored object belongs to."""
    is_as_stored: bool
    """The submitted object says about its tenant what the stored one says, in the same words."""

    @property
    def is_join(self) -> bool:
        """Whether the namespace enters *tenant*, from another or from none."""
        return self.tenant is not None and _name(self.tenant) != _name(self.former)


def placement(request: Request, old: ObjectMeta, new: ObjectMeta, context: NamespaceContext) -> Placement | Denial:
    """Decide where an UPDATE leaves a namespace; the table of spec 14.2."""
    before, after = claim_of(old), claim_of(new)
    home = belongs_to(before, context.tenants)
    if context.role is Role.ADMINISTRATOR:
        decided = _by_administrator(home, before, after, context)
    elif context.role is Role.CAPSULE_USER:
        decided = _by_capsule_user(home, before, after, request.requester)
    else:
        decided = _by_others(home, before, after, context)
    if isinstance(decided, Denial):
        return decided
    return _unless_terminating(decided, old)


def update_denial(request: Request, old: ObjectMeta, new: ObjectMeta, context: NamespaceContext) -> Denial | None:
    """Return why an UPDATE breaks the invariant as it was submitted, mutated or not; None where it does not."""
    decided = placement(request, old, new, context)
    if isinstance(decided, Denial):
        return decided
    if decided.is_as_stored:
        return None
    if request.subresource:
        # Nothing is put right there, and the metadata of a new tenant would be missing.
        return _patched(
            f"what namespace {new.name!r} belongs to can not change through namespaces/{request.subresource}"
        )
    after = claim_of(new)
    if after.is_empty if decided.tenant is None else agrees(after, decided.tenant.tenant):
        return None
    return _patched(
        f"the tenant label and the owner reference of namespace {new.name!r} must both name "
        f"{_described(decided.tenant)}, and nothing else"
    )


def creation_denial(request: Request, new: ObjectMeta, context: NamespaceContext) -> Denial | None:
    """Return why a CREATE breaks the invariant as it was submitted, mutated or not; None where it does not."""
    claim = claim_of(new)
    if claim.is_empty:
        if context.role is not Role.CAPSULE_USER:
            return None
        return _crossing(f"namespace {new.name!r} was assigned to no Tenant: {_ASK}")
    target = belongs_to(claim, context.tenants)
    if not context.role.is_admin and (target is None or not is_owner(request.requester, target.owners)):
        return _crossing("only tenant owners can create tenant-owned namespaces")
    if target is None or not agrees(claim, target.tenant):
        return _crossing(
            f"the tenant label and the owner reference of namespace {new.name!r} do not agree: "
            "they must both name one existing Tenant, the reference with its uid"
        )
    return terminating_denial(target.tenant, new)


def terminating_denial(tenant: Tenant, namespace: ObjectMeta) -> Denial | None:
    """Return why nothing may enter *tenant*: it is being deleted (N-22)."""
    if tenant.metadata.deletion_timestamp is None:
        return None
    return _crossing(
        f"tenant {tenant.metadata.name!r} is terminating: namespace {namespace.name!r} can not be placed in it"
    )


def placed_references(
    tenant: Tenant | None, old: ObjectMeta | None, new: ObjectMeta, *, keep_others: bool = True
) -> tuple[OwnerReference, ...]:
    """Return the owner references of a namespace that belongs to *tenant*: exactly one to a Tenant.

    Args:
        tenant: None: no reference to any.
        old: The stored object; a valid reference in it stays as it is, older API versions
            and flags included.
        new: The submitted object.
        keep_others: Whether references to other kinds stay, after the Tenant's.
    """
    others = [one for one in new.owner_references if not is_tenant_reference(one)] if keep_others else []
    if tenant is None:
        return tuple(others)
    stored = [one for one in (old.owner_references if old else ()) if is_tenant_reference(one)]
    own = next((one for one in stored if is_valid(one, tenant)), reference_to(tenant))
    return (own, *others)


def _by_capsule_user(home: TenantView | None, before: Claim, after: Claim, requester: Requester) -> Placement | Denial:
    if home is None:
        # All Capsule users can patch all namespaces of the cluster: only this stands before them.
        if after != before:
            return _patched("namespace can not be patched into a tenant")
        return _patched("namespace is not owned by any tenant")
    if not is_owner(requester, home.owners):
        return _patched(
            f"namespace can not be patched: {requester.username!r} is not an owner of tenant {_name(home)!r}"
        )
    return _within(home, before, after)


def _by_others(home: TenantView | None, before: Claim, after: Claim, context: NamespaceContext) -> Placement | Denial:
    if after == before:
        return Placement(tenant=home, former=home, is_as_stored=True)
    if home is not None:
        return _within(home, before, after)
    if after.is_empty and before.names.isdisjoint(context.tenants):
        # What is left of tenants that are gone may be cleaned up by whoever may write namespaces.
        return Placement(tenant=None, former=None, is_as_stored=False)
    return _patched(
        "namespace can not be patched into a tenant: only administrators of the installation may join, "
        "migrate or release namespaces"
    )


def _within(home: TenantView, before: Claim, after: Claim) -> Placement | Denial:
    """Keep a namespace in *home* while anything still names it; else somebody wants it out."""
    if after != before and not names_tenant(after, home.tenant):
        return _patched(
            f"namespace can not be moved out of tenant {_name(home)!r}: only administrators of the "
            "installation may migrate or release namespaces"
        )
    return Placement(tenant=home, former=home, is_as_stored=after == before)


def _by_administrator(
    home: TenantView | None, before: Claim, after: Claim, context: NamespaceContext
) -> Placement | Denial:
    if after == before:
        return Placement(tenant=home, former=home, is_as_stored=True)
    if after.label is not None and after.label in context.tenants:
        # The label is what an administrator says; the reference, whose uid nobody types, follows.
        target: TenantView | None = context.tenants[after.label]
    elif home is not None and after.label in {None, before.label} and names_tenant(after, home.tenant):
        target = home
    elif after.is_empty:
        target = None
    elif after.label is None:
        return _patched("an owner reference to a Tenant needs the label capsule.clastix.io/tenant with its name")
    else:
        return _patched(f"there is no tenant {after.label!r} for the namespace to belong to")
    return Placement(tenant=target, former=home, is_as_stored=False)


def _unless_terminating(decided: Placement, old: ObjectMeta) -> Placement | Denial:
    if _name(decided.tenant) == _name(decided.former):
        return decided
    if old.deletion_timestamp is not None:
        return _patched(f"namespace {old.name!r} is terminating: what it belongs to can not change")
    denial = terminating_denial(decided.tenant.tenant, old) if decided.tenant is not None else None
    return denial or decided


def _name(view: TenantView | None) -> str | None:
    return None if view is None else view.tenant.metadata.name


def _described(view: TenantView | None) -> str:
    return "no tenant" if view is None else f"tenant {_name(view)!r} (uid {view.tenant.metadata.uid})"


def _patched(message: str) -> Denial:
    return Denial(reason=PATCHED, message=message)


def _crossing(message: str) -> Denial:
    return Denial(reason=CROSSING, message=message)

"""Are the tenants well?  Checks of ``tenantry doctor``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tenantry.api.labels import TENANT
from tenantry.api.tenant import Tenant
from tenantry.tenancy.inspection.adoption import is_misplaced
from tenantry.tenancy.inspection.findings import Facts, Finding, fine, note, problem
from tenantry.tenancy.inspection.summary import ready_condition
from tenantry.tenancy.namespaces.claims import claim_of

_MOST_NAMES: Final = 10


def tenants(facts: Facts) -> Iterator[Finding]:
    """Every Tenant is Ready."""
    bad = False
    for each in facts.tenants:
        ready = ready_condition(each.status.conditions)
        name = each.metadata.name
        if each.metadata.deletion_timestamp is not None:
            bad = True
            yield note("Tenants", f"{name} is terminating: {ready.message if ready else 'not reported yet'}")
        elif ready is None or ready.status != "True":
            bad = True
            why = ready.message if ready is not None else "the operator has not reported on it yet"
            yield problem("Tenants", f"{name} is not Ready: {why}", f"tenantry tenant show {name}")
        elif each.status.observed_generation != each.metadata.generation:
            bad = True
            yield note("Tenants", f"the last edit of {name} is not in force yet", f"tenantry tenant show {name}")
    if facts.tenants and not bad:
        yield fine("Tenants", f"all {len(facts.tenants)} are Ready")


def namespaces(facts: Facts) -> Iterator[Finding]:
    """Label and owner reference of each namespace name one living tenant."""
    tenants_by_name = {each.metadata.name: each for each in facts.tenants}
    lost: dict[str, list[str]] = {}
    for each in facts.namespaces:
        if each.deletion_timestamp is None and is_misplaced(each, tenants_by_name):
            claim = claim_of(each)
            owner = claim.label or next((name for name in sorted(claim.names)), "")
            lost.setdefault(owner, []).append(each.name)
    for owner, names in sorted(lost.items()):
        listed = _listed(names)
        if owner in tenants_by_name:
            yield problem(
                "Namespaces",
                f"{listed}: tenant label and owner reference do not both name tenant {owner}, as after a restore",
                _adopting(facts, owner, names),
            )
        else:
            yield problem(
                "Namespaces",
                f"{listed}: marked as of tenant {owner or '(none)'}, which does not exist",
                f"restore the Tenant and run tenantry adopt {owner} --all-labelled; or as an administrator take "
                f"the label {TENANT} and the owner reference away",
            )


def _adopting(facts: Facts, owner: str, names: list[str]) -> str:
    labelled = {each.name for each in facts.namespaces if TENANT in (each.labels or {})}
    chosen = "--all-labelled" if labelled.issuperset(names) else " ".join(sorted(names)[:_MOST_NAMES])
    return f"tenantry adopt {owner} {chosen}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{'namespace' if len(names) == 1 else 'namespaces'} {shown}{more}"


def roles(facts: Facts) -> Iterator[Finding]:
    """The operator may bind every ClusterRole that a tenant names."""
    for each in facts.roles:
        users = _listed_tenants(facts, each.role)
        if not each.exists:
            yield problem(
                "Roles", f"ClusterRole {each.role} does not exist, but {users}", "create it, or mend what names it"
            )
        elif each.refusal:
            yield problem(
                "Roles",
                f"the operator may not bind ClusterRole {each.role}, but {users}: {each.refusal}",
                f"install with --bindable-cluster-role {each.role} (Helm: manager.rbac.bindableClusterRoles), besides "
                "those given before",
            )


def named_roles(facts_tenants: Facts) -> dict[str, list[str]]:
    """Return which ClusterRoles are named, and by whom (``Tenant/oil``, ``the configuration``)."""
    found: dict[str, list[str]] = {}
    for tenant in facts_tenants.tenants:
        for role in _roles_of(tenant):
            found.setdefault(role, []).append(f"Tenant/{tenant.metadata.name}")
    for owner in facts_tenants.tenant_owners:
        for role in owner.spec.cluster_roles:
            found.setdefault(role, []).append(f"TenantOwner/{owner.metadata.name}")
    if facts_tenants.configuration is not None:
        spec = facts_tenants.configuration.spec
        given = [*(spec.rbac.administration_cluster_roles if spec.administrators else ())]
        given += spec.rbac.promotion_cluster_roles if spec.allow_service_account_promotion else ()
        for role in given:
            found.setdefault(role, []).append(f"CapsuleConfiguration/{facts_tenants.configuration.metadata.name}")
    return {role: sorted(set(users)) for role, users in sorted(found.items())}


def _roles_of(tenant: Tenant) -> Iterator[str]:
    spec = tenant.spec
    for owner in spec.owners:
        yield from owner.cluster_roles
    for each in spec.additional_role_bindings:
        yield each.cluster_role_name
    for rule in spec.rules:
        if rule.permissions is not None:
            for binding in rule.permissions.bindings:
                yield binding.cluster_role_name
            for promotion in rule.permissions.promotions:
                yield from promotion.cluster_roles


def _listed_tenants(facts: Facts, role: str) -> str:
    users = named_roles(facts).get(role, [])
    shown = ", ".join(users[:3]) + (f" and {len(users) - 3} more" if len(users) > 3 else "")
    return f"{shown} {'names' if len(users) == 1 else 'name'} it"


def rights(facts: Facts) -> Iterator[Finding]:
    """The two accounts have the rights that the installation's manifests give them."""
    if facts.missing_rights:
        shown = "; ".join(facts.missing_rights[:_MOST_NAMES])
        more = (
            f"; and {len(facts.missing_rights) - _MOST_NAMES} more" if len(facts.missing_rights) > _MOST_NAMES else ""
        )
        yield problem("Rights", f"rights are missing: {shown}{more}", "apply the output of `tenantry manifests` again")
    elif "rights" not in facts.unread:
        yield fine("Rights", "operator and admission have the rights that they need")


def not_enforced(facts: Facts) -> Iterator[Finding]:
    """Settings that this version takes and does not enforce, or cannot see enforced."""
    names = [each.metadata.name for each in facts.tenants if any(rule.quota for rule in each.spec.rules)]
    if names:
        yield note(
            "Tenants",
            f"rules[].quota is not enforced by this version: {', '.join(sorted(names)[:_MOST_NAMES])}",
            "use spec.resourceQuotas until then",
        )
    names = [each.metadata.name for each in facts.tenants if each.spec.node_selector]
    if names:
        yield note(
            "Tenants",
            f"nodeSelector of {', '.join(sorted(names)[:_MOST_NAMES])} works only if the API server runs the admission "
            "plugin PodNodeSelector, which cannot be seen from here",
            "check kube-apiserver's --enable-admission-plugins",
        )


def unread(facts: Facts) -> Iterator[Finding]:
    """What your rights did not let the doctor see."""
    for what, why in sorted(facts.unread.items()):
        yield note("Not checked", f"{what}: {why}", "run it with the rights of a cluster administrator")

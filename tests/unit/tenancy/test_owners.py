"""Who owns a tenant, and what promoted ServiceAccounts get."""

from __future__ import annotations

import pytest

from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.meta import LabelSelector, ObjectMeta
from tenantry.api.rules import Promotion, RulePermissions, TenantRule
from tenantry.api.shared import CoreOwner, OwnerSpec, PromotedOwner, UserSpec
from tenantry.api.tenant import Permissions, Tenant, TenantSpec
from tenantry.api.tenant_owner import TenantOwner, TenantOwnerSpec
from tenantry.tenancy.owners import (
    PromotedCandidate,
    effective_owners,
    is_owner,
    owner_keys,
    promoted_accounts,
    requester_keys,
)
from tenantry.tenancy.request import Requester

PROMOTING = CapsuleConfigurationSpec(allow_service_account_promotion=True)
BUILDER = "system:serviceaccount:oil-dev:builder"


def _tenant(spec: TenantSpec) -> Tenant:
    return Tenant(metadata=ObjectMeta(name="oil", uid="u-oil"), spec=spec)


def _tenant_owner(name: str, *, labels: dict[str, str], roles: tuple[str, ...] = ("view",)) -> TenantOwner:
    return TenantOwner(
        metadata=ObjectMeta(name=name, labels=labels), spec=TenantOwnerSpec(kind="User", name=name, cluster_roles=roles)
    )


def test_owners_of_all_sources_are_sorted_and_merged() -> None:
    """I-4, 14.1: roles keep the spec's order unless they come from several sources."""
    tenant = _tenant(
        TenantSpec(
            owners=(
                OwnerSpec(kind="User", name="zoe", cluster_roles=("view", "admin")),
                OwnerSpec(kind="User", name="ann", cluster_roles=("view", "admin")),
                OwnerSpec(kind="Group", name="devs"),
            ),
            permissions=Permissions(
                match_owners=(
                    LabelSelector(match_labels={"team": "gas"}),
                    LabelSelector(match_labels={"team": "oil"}),
                )
            ),
        )
    )
    configuration = CapsuleConfigurationSpec(
        allow_service_account_promotion=True, administrators=(UserSpec(kind="User", name="root"),)
    )

    owners = effective_owners(
        tenant,
        tenant_owners=[
            _tenant_owner("ann", labels={"team": "oil"}, roles=("edit",)),
            _tenant_owner("bob", labels={"projectcapsule.dev/tenant": "oil"}),
            _tenant_owner("eve", labels={"projectcapsule.dev/tenant": "gas"}),
        ],
        promoted=[
            PromotedCandidate(namespace="oil-dev", name="builder", labels={"owner.projectcapsule.dev/promote": "true"}),
            PromotedCandidate(namespace="oil-dev", name="no", labels={"owner.projectcapsule.dev/promote": "false"}),
            PromotedCandidate(namespace="oil-dev", name="ruled", labels={"projectcapsule.dev/promote": "true"}),
        ],
        configuration=configuration,
    )

    assert owners == (
        CoreOwner(kind="Group", name="devs"),
        CoreOwner(
            kind="ServiceAccount",
            name=BUILDER,
            cluster_roles=("capsule-namespace-provisioner", "capsule-namespace-deleter"),
        ),
        CoreOwner(kind="User", name="ann", cluster_roles=("admin", "edit", "view")),
        CoreOwner(kind="User", name="bob", cluster_roles=("view",)),
        CoreOwner(kind="User", name="root", cluster_roles=("capsule-namespace-deleter",)),
        CoreOwner(kind="User", name="zoe", cluster_roles=("view", "admin")),
    )


@pytest.mark.parametrize("by_installation", [False, True])
@pytest.mark.parametrize("by_tenant", [False, True])
def test_promotion_needs_both_switches(*, by_installation: bool, by_tenant: bool) -> None:
    tenant = _tenant(
        TenantSpec(
            permissions=Permissions(allow_owner_promotion=by_tenant),
            rules=(TenantRule(permissions=RulePermissions(promotions=(Promotion(cluster_roles=("edit",)),))),),
        )
    )
    configuration = CapsuleConfigurationSpec(allow_service_account_promotion=by_installation)
    account = PromotedCandidate(
        namespace="oil-dev",
        name="builder",
        labels={"owner.projectcapsule.dev/promote": "true", "projectcapsule.dev/promote": "true"},
    )

    owners = effective_owners(tenant, tenant_owners=(), promoted=[account], configuration=configuration)
    promotions = promoted_accounts(tenant, [account], configuration, namespaces=[ObjectMeta(name="oil-dev")])

    assert (bool(owners), bool(promotions)) == (by_installation and by_tenant, by_installation and by_tenant)


def test_rule_promotions_bind_where_the_rule_selects_and_at_home() -> None:
    """I-8: all namespaces without a selector; else the selected ones and the account's own."""
    tenant = _tenant(
        TenantSpec(
            rules=(
                TenantRule(permissions=RulePermissions(promotions=(Promotion(cluster_roles=("view", "edit")),))),
                TenantRule(
                    namespace_selector=LabelSelector(match_labels={"env": "prod"}),
                    permissions=RulePermissions(
                        promotions=(
                            Promotion(cluster_roles=("deployer",), selector=LabelSelector(match_labels={"app": "ci"})),
                        )
                    ),
                ),
            )
        )
    )
    namespaces = [
        ObjectMeta(name="oil-prod", labels={"env": "prod"}),
        ObjectMeta(name="oil-dev"),
        ObjectMeta(name="oil-test"),
    ]
    promoted = {"projectcapsule.dev/promote": "true"}

    found = promoted_accounts(
        tenant,
        [
            PromotedCandidate(namespace="oil-dev", name="ci", labels=promoted | {"app": "ci"}),
            PromotedCandidate(namespace="oil-dev", name="app", labels=promoted),
            PromotedCandidate(namespace="oil-dev", name="none", labels={"app": "ci"}),
        ],
        PROMOTING,
        namespaces=namespaces,
    )

    everywhere = ("oil-dev", "oil-prod", "oil-test")
    assert found == (
        PromotedOwner(
            kind="ServiceAccount",
            name="system:serviceaccount:oil-dev:app",
            cluster_roles=("view", "edit"),
            targets=everywhere,
        ),
        PromotedOwner(
            kind="ServiceAccount",
            name="system:serviceaccount:oil-dev:ci",
            cluster_roles=("deployer",),
            targets=("oil-dev", "oil-prod"),
        ),
        PromotedOwner(
            kind="ServiceAccount",
            name="system:serviceaccount:oil-dev:ci",
            cluster_roles=("view", "edit"),
            targets=everywhere,
        ),
    )


@pytest.mark.parametrize(
    ("requester", "owns"),
    [
        (Requester(username="ann"), True),
        (Requester(username="Ann"), False),
        (Requester(username="bob", groups=frozenset({"devs"})), True),
        (Requester(username="devs"), False),
        (Requester(username=BUILDER), True),
        (Requester(username="eve", groups=frozenset({"ann"})), False),
    ],
)
def test_the_index_by_owner_finds_exactly_the_owners(requester: Requester, *, owns: bool) -> None:
    """D-8: names are compared as they are written."""
    owners = (
        UserSpec(kind="User", name="ann"),
        UserSpec(kind="Group", name="devs"),
        UserSpec(kind="ServiceAccount", name=BUILDER),
    )

    assert is_owner(requester, owners) is owns
    assert (not requester_keys(requester).isdisjoint(owner_keys(owners))) is owns

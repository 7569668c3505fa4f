"""Who a requester is to the installation."""

from __future__ import annotations

import pytest

from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import UserSpec
from tenantry.api.tenant_owner import TenantOwner, TenantOwnerSpec
from tenantry.tenancy.identity import AccountName, account_name, capsule_users, is_exempt, role_of
from tenantry.tenancy.request import Requester, Role
from tenantry.tenancy.views import Installation

OWN = "system:serviceaccount:capsule-system:capsule"
INSTALLATION = Installation(
    configuration=CapsuleConfigurationSpec(
        administrators=(
            UserSpec(kind="User", name="root"),
            UserSpec(kind="Group", name="platform"),
            UserSpec(kind="ServiceAccount", name="system:serviceaccount:velero:velero"),
        ),
        ignore_user_with_groups=("ignored",),
    ),
    users=(
        UserSpec(kind="Group", name="projectcapsule.dev"),
        UserSpec(kind="User", name="alice"),
        UserSpec(kind="ServiceAccount", name="system:serviceaccount:flux:deployer"),
    ),
    own_accounts=frozenset({OWN}),
)


@pytest.mark.parametrize(
    ("username", "groups", "home_tenant", "role"),
    [
        (OWN, {"system:serviceaccounts", "projectcapsule.dev"}, None, Role.CONTROLLER),
        (OWN, {"ignored"}, "oil", Role.CONTROLLER),
        ("root", set(), None, Role.ADMINISTRATOR),
        ("eve", {"platform", "projectcapsule.dev"}, None, Role.ADMINISTRATOR),
        ("system:serviceaccount:velero:velero", {"system:serviceaccounts"}, None, Role.ADMINISTRATOR),
        ("root", {"ignored"}, None, Role.UNKNOWN),
        ("eve", {"platform", "projectcapsule.dev", "ignored"}, None, Role.UNKNOWN),
        ("bob", {"projectcapsule.dev"}, None, Role.CAPSULE_USER),
        ("bob", {"projectcapsule.dev", "ignored"}, None, Role.UNKNOWN),
        ("bob", {"ProjectCapsule.dev"}, None, Role.UNKNOWN),
        ("alice", set(), None, Role.CAPSULE_USER),
        ("alice", {"ignored"}, None, Role.CAPSULE_USER),
        ("Alice", set(), None, Role.UNKNOWN),
        ("system:serviceaccount:flux:deployer", {"system:serviceaccounts"}, None, Role.CAPSULE_USER),
        ("system:serviceaccount:oil-dev:builder", {"system:serviceaccounts"}, "oil", Role.CAPSULE_USER),
        ("system:serviceaccount:oil-dev:builder", {"system:serviceaccounts"}, None, Role.UNKNOWN),
        ("someone", set(), "oil", Role.UNKNOWN),
        (
            "system:serviceaccount:kube-system:generic-garbage-collector",
            {"system:serviceaccounts:kube-system", "projectcapsule.dev"},
            "oil",
            Role.UNKNOWN,
        ),
        ("kubernetes-admin", {"system:masters"}, None, Role.UNKNOWN),
    ],
)
def test_roles(username: str, groups: set[str], home_tenant: str | None, role: Role) -> None:
    """The first class that applies is the role; an ignored group cancels groups and administrators, not names."""
    requester = Requester(username=username, groups=frozenset(groups))

    assert role_of(requester, INSTALLATION, home_tenant=home_tenant) is role


@pytest.mark.parametrize(
    ("username", "groups", "exempt"),
    [
        (OWN, set(), True),
        ("kubernetes-admin", {"system:masters"}, True),
        ("system:node:a", {"system:nodes"}, True),
        ("system:serviceaccount:kube-system:namespace-controller", {"system:serviceaccounts:kube-system"}, True),
        ("root", {"system:masters"}, False),
        ("root", set(), False),
        ("system:serviceaccount:default:namespace-controller", {"system:serviceaccounts"}, False),
        ("alice", {"projectcapsule.dev"}, False),
    ],
)
def test_exempt_are_system_requesters_but_not_listed_administrators(
    username: str, groups: set[str], *, exempt: bool
) -> None:
    assert is_exempt(Requester(username=username, groups=frozenset(groups)), INSTALLATION) is exempt


def test_effective_users_come_from_all_sources_once_and_sorted() -> None:
    """I-2: configured users, the deprecated lists, and TenantOwners that aggregate; administrators are none."""
    configuration = CapsuleConfigurationSpec(
        users=(UserSpec(kind="User", name="zoe"), UserSpec(kind="Group", name="projectcapsule.dev")),
        administrators=(UserSpec(kind="User", name="root"),),
        user_names=("ann", "system:serviceaccount:flux:deployer"),
        user_groups=("projectcapsule.dev", "teams"),
    )
    owners = [
        _owner("one", "User", "ann", aggregate=True),
        _owner("two", "Group", "devs", aggregate=True),
        _owner("three", "Group", "ops", aggregate=False),
    ]

    assert capsule_users(configuration, owners) == (
        UserSpec(kind="Group", name="devs"),
        UserSpec(kind="Group", name="projectcapsule.dev"),
        UserSpec(kind="Group", name="teams"),
        UserSpec(kind="ServiceAccount", name="system:serviceaccount:flux:deployer"),
        UserSpec(kind="User", name="ann"),
        UserSpec(kind="User", name="zoe"),
    )


@pytest.mark.parametrize(
    ("username", "account"),
    [
        ("system:serviceaccount:ns:name", AccountName("ns", "name")),
        ("system:serviceaccount:ns:na.me", AccountName("ns", "na.me")),
        ("system:serviceaccount:ns:", None),
        ("system:serviceaccount::name", None),
        ("system:serviceaccount:ns", None),
        ("system:serviceaccount:ns:name:more", None),
        ("ns:name", None),
    ],
)
def test_account_names(username: str, account: AccountName | None) -> None:
    assert account_name(username) == account


def _owner(name: str, kind: str, subject: str, *, aggregate: bool) -> TenantOwner:
    return TenantOwner(
        metadata=ObjectMeta(name=name), spec=TenantOwnerSpec(kind=kind, name=subject, aggregate=aggregate)
    )

"""By which names a principal is found, and whose reads are filtered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.access.identity import Identity
from tenantry.access.principals import Audience, binding_keys, requester_of, subject_keys
from tenantry.api.configuration import CapsuleConfiguration, CapsuleConfigurationSpec, CapsuleConfigurationStatus
from tenantry.api.core import RoleBinding
from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import Subject, UserSpec
from tenantry.tenancy.identity import role_of
from tenantry.tenancy.request import Role
from tenantry.tenancy.views import Installation

ACCOUNT = "system:serviceaccount:oil:builder"


def test_a_user_is_found_by_name_and_groups() -> None:
    assert subject_keys(Identity(user="alice", groups=("devs",))) == {
        "User:alice",
        "Group:devs",
        "Group:system:authenticated",
    }


def test_a_service_account_is_found_by_its_whole_name_and_its_groups() -> None:
    assert subject_keys(Identity(user=ACCOUNT)) == {
        f"User:{ACCOUNT}",
        f"ServiceAccount:{ACCOUNT}",
        "Group:system:authenticated",
        "Group:system:serviceaccounts",
        "Group:system:serviceaccounts:oil",
    }


def binding(*subjects: Subject) -> RoleBinding:
    return RoleBinding(metadata=ObjectMeta(name="any", namespace="oil"), subjects=subjects or None)


def test_a_binding_is_found_by_each_subject() -> None:
    bound = binding(
        Subject(kind="User", name="alice"),
        Subject(kind="Group", name="devs"),
        Subject(kind="ServiceAccount", name="builder", namespace="gas"),
        Subject(kind="ServiceAccount", name="builder"),
    )

    assert binding_keys(bound) == {
        "User:alice",
        "Group:devs",
        "ServiceAccount:system:serviceaccount:gas:builder",
        "ServiceAccount:system:serviceaccount:oil:builder",
    }


def test_a_namesake_account_of_another_namespace_is_somebody_else() -> None:
    """CVE-2023-46254."""
    bound = binding_keys(binding(Subject(kind="ServiceAccount", name="builder", namespace="gas")))

    assert bound.isdisjoint(subject_keys(Identity(user=ACCOUNT)))


@pytest.mark.parametrize("group", ["system:authenticated", "system:serviceaccounts", "system:serviceaccounts:oil"])
def test_a_binding_of_a_system_group_makes_nothing_visible(group: str) -> None:
    assert binding_keys(binding(Subject(kind="Group", name=group))) == frozenset()


def test_a_binding_without_subjects_or_of_an_unknown_kind_is_nobodys() -> None:
    assert binding_keys(binding()) == frozenset()
    assert binding_keys(binding(Subject(kind="Robot", name="r2"))) == frozenset()


def configuration(*users: tuple[str, str], cancelling: tuple[str, ...] = ()) -> CapsuleConfiguration:
    return CapsuleConfiguration(
        spec=CapsuleConfigurationSpec(ignore_user_with_groups=cancelling),
        status=CapsuleConfigurationStatus(users=tuple(UserSpec(kind=kind, name=name) for kind, name in users)),
    )


@pytest.mark.parametrize(
    ("identity", "is_filtered"),
    [
        (Identity(user="alice"), True),
        (Identity(user="bob", groups=("devs",)), True),
        (Identity(user=ACCOUNT), True),
        (Identity(user="system:serviceaccount:oil:other"), False),
        (Identity(user="bob", groups=("admins",)), False),
        (Identity(user="devs"), False),
        (Identity(user="ignored", groups=("devs",)), False),
        (Identity(user="alice", groups=("ignored-group",)), False),
        (Identity(user="alice", groups=("cancelling",)), True),
        (Identity(user="bob", groups=("devs", "cancelling")), False),
    ],
)
def test_capsule_users_are_filtered_less_the_ignored(identity: Identity, *, is_filtered: bool) -> None:
    audience = Audience.of(
        configuration(
            ("User", "alice"),
            ("User", "ignored"),
            ("Group", "devs"),
            ("ServiceAccount", ACCOUNT),
            cancelling=("cancelling",),
        ),
        ignored_users=["ignored"],
        ignored_groups=["ignored-group"],
    )

    assert audience.includes(identity) is is_filtered


def test_without_a_configuration_nobody_is_filtered() -> None:
    assert not Audience.of(None).includes(Identity(user="alice", groups=("devs",)))


@given(
    st.lists(
        st.sampled_from([("User", "alice"), ("User", ACCOUNT), ("Group", "devs"), ("ServiceAccount", ACCOUNT)]),
        max_size=3,
    ),
    st.sampled_from(["alice", "devs", ACCOUNT, "system:serviceaccount:kube-system:x"]),
    st.lists(st.sampled_from(["devs", "ops", "system:serviceaccounts:kube-system"]), max_size=3, unique=True),
    st.sampled_from([(), ("ops",)]),
)
def test_who_is_filtered_is_a_capsule_user_for_admission(
    users: list[tuple[str, str]], user: str, groups: list[str], cancelling: tuple[str, ...]
) -> None:
    stored = configuration(*users, cancelling=cancelling)
    identity = Identity(user=user, groups=tuple(groups))
    installation = Installation(configuration=stored.spec, users=stored.status.users)

    role = role_of(requester_of(identity), installation, home_tenant=None)

    assert Audience.of(stored).includes(identity) is (role is Role.CAPSULE_USER)


def test_accounts_that_live_in_a_tenant_are_capsule_users() -> None:
    """Whatever the configuration names (I-1); the gateway's own lists of whom to ignore still hold."""
    robot = Identity(user="system:serviceaccount:team-a:robot")
    nobody = Audience.of(None)

    assert nobody.includes(robot, lives_in_tenant=True)
    assert not nobody.includes(robot)
    assert not Audience.of(None, ignored_users=[robot.user]).includes(robot, lives_in_tenant=True)
    assert not nobody.includes(
        Identity(user="system:serviceaccount:kube-system:robot", groups=("system:serviceaccounts:kube-system",)),
        lives_in_tenant=True,
    )

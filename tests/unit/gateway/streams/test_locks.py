"""Whom a lock holds."""

from __future__ import annotations

import pytest

from tenantry.gateway.settings import Locks
from tenantry.gateway.streams.locks import LockSet
from tenantry.gateway.streams.records import Principal

ALICE = Principal(name="alice", groups=("devs",))
ROBOT = Principal(name="alice", real_name="robot", real_groups=("robots",))
ACCOUNT = Principal(name="system:serviceaccount:team:builder")


@pytest.mark.parametrize(
    ("principal", "users", "groups", "is_held"),
    [
        (ALICE, {"alice"}, set(), True),
        (ALICE, set(), {"ops", "devs"}, True),
        (ALICE, {"devs", "robot", ""}, {"alice", ""}, False),
        (ALICE, set(), {"system:authenticated"}, True),
        (ALICE, set(), {"system:unauthenticated", "system:serviceaccounts"}, False),
        (ROBOT, {"robot"}, set(), True),
        (ROBOT, set(), {"robots"}, True),
        (ROBOT, {"alice"}, set(), True),
        (ACCOUNT, set(), {"system:serviceaccounts:team"}, True),
        (ACCOUNT, set(), {"system:serviceaccounts"}, True),
        (ACCOUNT, set(), {"system:serviceaccounts:te"}, False),
        (Principal(name="system:anonymous"), set(), {"system:unauthenticated"}, True),
        (Principal(name="system:anonymous"), set(), {"system:authenticated"}, False),
    ],
)
def test_a_lock_holds_by_name_and_by_group_of_either(
    principal: Principal,
    users: set[str],
    groups: set[str],
    is_held: bool,  # noqa: FBT001
) -> None:
    locks = LockSet.of(Locks(users=frozenset(users), groups=frozenset(groups)))
    assert locks.holds(principal) is is_held

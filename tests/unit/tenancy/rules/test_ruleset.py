"""Audiences: whom blocks bind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.tenancy.request import Request, Requester, Role
from tenantry.tenancy.rules.effective import compiled
from tenantry.tenancy.rules.registries import check
from tenantry.tenancy.rules.ruleset import EMPTY_RULES, Family, RuleSet
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Make = Callable[..., ObjectContext]

ROBOT = "system:serviceaccount:oil-dev:robot"
POD = {"spec": {"containers": [{"image": "bad"}]}}


def deny(*audience: tuple[str, str], image: str = "bad") -> dict[str, Any]:
    return {
        "audience": [{"kind": kind, "name": name} for kind, name in audience],
        "enforce": {"action": "deny", "workloads": {"registries": [{"exact": [image]}]}},
    }


@pytest.mark.parametrize(
    ("audience", "binds"),
    [
        ([], {"alice", "robot", "admin", "stranger"}),
        ([("User", "alice")], {"alice"}),
        ([("User", "bob"), ("Group", "robots")], {"robot"}),
        ([("ServiceAccount", ROBOT)], {"robot"}),
        ([("ServiceAccount", "robot")], set()),
        ([("Custom", "CapsuleUser")], {"alice", "robot"}),
        ([("Custom", "Administrator")], {"admin"}),
        ([("Custom", "TenantOwner")], {"alice", "admin"}),
        ([("Custom", "Controller")], {"controller"}),
        ([("Custom", "Nobody"), ("Kind", "alice")], set()),
        ([("Custom", "TenantOwner"), ("Custom", "Controller")], {"alice", "admin", "controller"}),
    ],
)
def test_whom_a_block_binds(ask: Ask, context: Make, audience: list[tuple[str, str]], binds: set[str]) -> None:
    everybody = {
        "alice": ("alice", frozenset({"oil"}), Role.CAPSULE_USER, True),
        "robot": (ROBOT, frozenset({"robots"}), Role.CAPSULE_USER, False),
        "admin": ("admin", frozenset[str](), Role.ADMINISTRATOR, True),
        "stranger": ("stranger", frozenset[str](), Role.UNKNOWN, False),
        "controller": ("system:serviceaccount:capsule-system:capsule", frozenset({"oil"}), Role.CONTROLLER, False),
    }
    bound = set()
    for who, (username, groups, role, is_owner) in everybody.items():
        request = ask("Pod", POD, requester=Requester(username=username, groups=groups))
        if check(request, context(deny(*audience), role=role, is_owner=is_owner)).denial is not None:
            bound.add(who)
    assert bound == binds


def test_blocks_for_others_are_as_if_not_there(context: Make) -> None:
    """Neither do they override what binds the requester, nor make a list of what is allowed."""
    rules = context(deny(), deny(("User", "bob"), image="x"), deny(("User", "alice"), image="y")).rules
    alice = rules.for_requester(Requester(username="alice"), Role.CAPSULE_USER, is_owner=True)
    assert [len(alice.blocks), len(rules.blocks)] == [2, 3]
    assert alice.blocks == (rules.blocks[0], rules.blocks[2])


def test_without_audiences_the_rules_are_everybodys(context: Make) -> None:
    rules = context(deny(), deny(image="x")).rules
    assert rules.for_requester(Requester(username="alice"), Role.CAPSULE_USER, is_owner=True) is rules


def test_the_rules_of_a_requester_are_made_once(context: Make) -> None:
    rules = context(deny(("Group", "oil"))).rules
    first = rules.for_requester(Requester(username="a", groups=frozenset({"oil"})), Role.UNKNOWN, is_owner=False)
    other = rules.for_requester(Requester(username="b", groups=frozenset({"oil"})), Role.UNKNOWN, is_owner=False)
    assert first is other


def test_what_is_empty_says_so(context: Make) -> None:
    rules = context(deny()).rules
    assert [EMPTY_RULES.is_empty, rules.is_empty, compiled(()).is_empty] == [True, False, True]
    assert rules.families == {Family.REGISTRIES}
    assert not rules.has_metadata_rules
    assert RuleSet() == EMPTY_RULES == compiled(())

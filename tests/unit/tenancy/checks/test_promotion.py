"""Promotion labels of ServiceAccounts are the owners' to give (CN-8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.tenancy.checks import promotion
from tenantry.tenancy.request import Request, Requester, Role
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Situation = Callable[..., ObjectContext]

OWNER = "owner.projectcapsule.dev/promote"
RULE = "projectcapsule.dev/promote"
ON = {"allowServiceAccountPromotion": True}
ROBOT_NAME = "system:serviceaccount:oil-dev:robot"
ROBOT = Requester(username=ROBOT_NAME, groups=frozenset({"system:serviceaccounts", "system:serviceaccounts:oil-dev"}))


def account(**labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "builder", "labels": labels}}


def labelled(key: str, value: str) -> dict[str, Any]:
    return account(**{key: value, "app": "ci"})


def not_by_you(*keys: str) -> Verdict:
    return denied(
        "ReasonPromotionDenied",
        f"Promotion of ServiceAccount oil-dev/builder denied: {', '.join(keys)} can only be changed by owners of the "
        "tenant oil that were not promoted themselves, and by administrators",
    )


GLOBALLY_OFF = denied(
    "ReasonPromotionDenied",
    "Promotion of ServiceAccounts is disabled (allowServiceAccountPromotion): please, reach out to the system "
    "administrators",
)
OFF_HERE = denied(
    "ReasonPromotionDenied",
    "Promotion of ServiceAccounts is disabled for the tenant oil (permissions.allowOwnerPromotion): please, reach "
    "out to the system administrators",
)
CHANGES = [
    pytest.param(labelled(OWNER, "true"), None, id="create"),
    pytest.param(labelled(OWNER, "false"), account(app="ci"), id="any value counts"),
    pytest.param(labelled(OWNER, ""), labelled(OWNER, "true"), id="change"),
    pytest.param(account(), labelled(OWNER, "true"), id="removal"),
]


@pytest.mark.parametrize(("new", "old"), CHANGES)
def test_owners_and_administrators_may(
    ask: Ask, situation: Situation, new: dict[str, Any], old: dict[str, Any] | None
) -> None:
    request = ask("serviceaccounts", new, old=old)

    assert promotion.check(request, situation(configuration=ON)) == ALLOWED
    assert promotion.check(request, situation(configuration=ON, role=Role.ADMINISTRATOR, is_owner=False)) == ALLOWED


@pytest.mark.parametrize(("new", "old"), CHANGES)
@pytest.mark.parametrize("role", [Role.CAPSULE_USER, Role.UNKNOWN])
def test_others_may_not(
    ask: Ask, situation: Situation, new: dict[str, Any], old: dict[str, Any] | None, role: Role
) -> None:
    context = situation(configuration=ON, is_owner=False, role=role)

    assert promotion.check(ask("serviceaccounts", new, old=old), context) == not_by_you(OWNER)


def test_the_rule_label_is_guarded_too(ask: Ask, situation: Situation) -> None:
    both = account(**{OWNER: "true", RULE: "true"})

    assert promotion.check(ask("serviceaccounts", both), situation(configuration=ON, is_owner=False)) == not_by_you(
        OWNER, RULE
    )


@pytest.mark.parametrize("is_owner", [False, True], ids=["plain", "promoted"])
def test_service_accounts_may_not_also_when_promoted(ask: Ask, situation: Situation, *, is_owner: bool) -> None:
    request = ask("serviceaccounts", labelled(OWNER, "true"), requester=ROBOT)

    assert promotion.check(request, situation(configuration=ON, is_owner=is_owner)) == not_by_you(OWNER)


@pytest.mark.parametrize(
    ("owner", "allowed"),
    [
        ({"kind": "ServiceAccount", "name": ROBOT_NAME}, True),
        ({"kind": "Group", "name": "system:serviceaccounts:oil-dev"}, True),
        ({"kind": "ServiceAccount", "name": "system:serviceaccount:oil-dev:other"}, False),
        ({"kind": "Group", "name": ROBOT_NAME}, False),
    ],
)
def test_a_service_account_that_the_platform_named_an_owner_may(
    ask: Ask, situation: Situation, owner: dict[str, str], *, allowed: bool
) -> None:
    request = ask("serviceaccounts", labelled(OWNER, "true"), requester=ROBOT)

    assert promotion.check(request, situation({"owners": [owner]}, configuration=ON)) == (
        ALLOWED if allowed else not_by_you(OWNER)
    )


@pytest.mark.parametrize("role", [Role.CAPSULE_USER, Role.ADMINISTRATOR])
def test_both_switches_are_needed(ask: Ask, situation: Situation, role: Role) -> None:
    request = ask("serviceaccounts", labelled(OWNER, "false"))
    off_here = {"permissions": {"allowOwnerPromotion": False}}

    assert promotion.check(request, situation(role=role)) == GLOBALLY_OFF
    assert promotion.check(request, situation(off_here, configuration=ON, role=role)) == OFF_HERE


def test_a_label_can_be_taken_away_after_the_switch_was_turned_off(ask: Ask, situation: Situation) -> None:
    assert promotion.check(ask("serviceaccounts", account(), old=labelled(OWNER, "true")), situation()) == ALLOWED


@pytest.mark.parametrize(
    ("new", "old"),
    [
        pytest.param(labelled(OWNER, "true"), labelled(OWNER, "true"), id="the labels stay"),
        pytest.param(account(app="web"), account(app="ci"), id="other labels"),
        pytest.param(account(), None, id="no labels"),
        pytest.param(None, labelled(OWNER, "true"), id="delete"),
    ],
)
def test_anything_else_passes_whoever_does_it(
    ask: Ask, situation: Situation, new: dict[str, Any] | None, old: dict[str, Any] | None
) -> None:
    request = ask("serviceaccounts", new, old=old, requester=ROBOT)

    assert promotion.check(request, situation(is_owner=False, role=Role.UNKNOWN)) == ALLOWED


def test_asking_for_a_token_passes(ask: Ask, situation: Situation) -> None:
    request = ask("serviceaccounts", labelled(OWNER, "true"), subresource="token")

    assert promotion.check(request, situation(is_owner=False)) == ALLOWED

"""Capsule users change nothing in a cordoned namespace (CN-7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.api.meta import ObjectMeta
from tenantry.tenancy.checks import cordoning
from tenantry.tenancy.request import Operation, Request, Role
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Situation = Callable[..., ObjectContext]

OBJECT: dict[str, Any] = {"metadata": {"name": "x"}}
CORDONED = ObjectMeta(name="oil-dev", labels={"projectcapsule.dev/cordoned": "true"})


def refused(operation: str, resource: str = "configmaps") -> Verdict:
    return denied(
        "Cordoned",
        f"The current namespace 'oil-dev' is cordoned. The attempted operation {operation} of {resource} is not "
        "allowed: please, reach out to the system administrators",
    )


@pytest.mark.parametrize(
    ("new", "old", "subresource", "verdict"),
    [
        (OBJECT, None, "", refused("CREATE")),
        (OBJECT, OBJECT, "", refused("UPDATE")),
        (None, OBJECT, "", refused("DELETE")),
        (OBJECT, OBJECT, "scale", refused("UPDATE", "configmaps/scale")),
    ],
)
@pytest.mark.parametrize("by", ["tenant", "namespace"])
def test_writes_of_capsule_users_are_refused(
    ask: Ask,
    situation: Situation,
    new: dict[str, Any] | None,
    old: dict[str, Any] | None,
    subresource: str,
    verdict: Verdict,
    by: str,
) -> None:
    context = situation({"cordoned": True}) if by == "tenant" else situation(namespace=CORDONED)

    assert cordoning.check(ask("configmaps", new, old=old, subresource=subresource), context) == verdict


@pytest.mark.parametrize("labels", [None, {}, {"projectcapsule.dev/cordoned": "false"}])
def test_elsewhere_they_pass(ask: Ask, situation: Situation, labels: dict[str, str] | None) -> None:
    context = situation(namespace=ObjectMeta(name="oil-dev", labels=labels))

    assert cordoning.check(ask("configmaps", OBJECT), context) == ALLOWED


def test_the_entry_that_the_api_server_chose_is_evidence_enough(ask: Ask, situation: Situation) -> None:
    assert cordoning.check_in_cordoned(ask("configmaps", OBJECT), situation()) == refused("CREATE")


@pytest.mark.parametrize("role", [Role.CONTROLLER, Role.ADMINISTRATOR, Role.UNKNOWN])
def test_controllers_and_administrators_go_on(ask: Ask, situation: Situation, role: Role) -> None:
    assert cordoning.check(ask("configmaps", OBJECT), situation(namespace=CORDONED, role=role)) == ALLOWED


@pytest.mark.parametrize("resource", ["events", "localsubjectaccessreviews"])
def test_what_changes_no_content_passes(ask: Ask, situation: Situation, resource: str) -> None:
    assert cordoning.check(ask(resource, OBJECT), situation(namespace=CORDONED)) == ALLOWED


def test_connections_pass(ask: Ask, situation: Situation) -> None:
    request = ask("pods", OBJECT, subresource="exec", operation=Operation.CONNECT)

    assert cordoning.check(request, situation(namespace=CORDONED)) == ALLOWED


def test_a_terminating_namespace_may_be_emptied_but_not_filled(ask: Ask, situation: Situation) -> None:
    terminating = ObjectMeta(name="oil-dev", labels=CORDONED.labels, deletion_timestamp="2026-01-01T00:00:00Z")
    context = situation(namespace=terminating)

    assert cordoning.check(ask("configmaps", None, old=OBJECT), context) == ALLOWED
    assert cordoning.check(ask("configmaps", OBJECT), context) == refused("CREATE")

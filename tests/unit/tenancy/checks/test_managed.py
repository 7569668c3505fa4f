"""Objects labelled managed-by=controller belong to the controllers (CN-4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.api.meta import ObjectMeta
from tenantry.tenancy.checks import managed
from tenantry.tenancy.request import Request, Requester, Role
from tenantry.tenancy.verdict import ALLOWED, denied
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Situation = Callable[..., ObjectContext]

OURS: dict[str, Any] = {"metadata": {"name": "x", "labels": {"projectcapsule.dev/managed-by": "controller"}}}
RESOURCES: dict[str, Any] = {"metadata": {"name": "x", "labels": {"projectcapsule.dev/managed-by": "resources"}}}
PLAIN: dict[str, Any] = {"metadata": {"name": "x"}}
REFUSED = denied(
    "ForbiddenLabel",
    "Labeling resources as controller managed can only be done by the controller or administrators: "
    "ConfigMap x has projectcapsule.dev/managed-by=controller",
)


@pytest.mark.parametrize(
    ("new", "old", "subresource", "refused"),
    [
        pytest.param(OURS, None, "", True, id="create"),
        pytest.param(OURS, OURS, "", True, id="edit"),
        pytest.param(PLAIN, OURS, "", True, id="unlabel"),
        pytest.param(OURS, PLAIN, "", True, id="label"),
        pytest.param(None, OURS, "", True, id="delete"),
        pytest.param(PLAIN, OURS, "status", True, id="unlabel through the status"),
        pytest.param(OURS, PLAIN, "status", True, id="label through the status"),
        pytest.param(OURS, OURS, "status", False, id="report in the status"),
        pytest.param(PLAIN, PLAIN, "", False, id="not ours"),
        pytest.param(RESOURCES, None, "", False, id="another manager"),
        pytest.param(None, PLAIN, "", False, id="delete what is not ours"),
    ],
)
@pytest.mark.parametrize("role", [Role.CAPSULE_USER, Role.UNKNOWN])
def test_nobody_else_writes_them(
    ask: Ask,
    situation: Situation,
    new: dict[str, Any] | None,
    old: dict[str, Any] | None,
    subresource: str,
    role: Role,
    *,
    refused: bool,
) -> None:
    request = ask("configmaps", new, old=old, subresource=subresource)

    assert managed.check(request, situation(role=role)) == (REFUSED if refused else ALLOWED)


@pytest.mark.parametrize("role", [Role.CONTROLLER, Role.ADMINISTRATOR])
def test_administrators_and_the_installation_may(ask: Ask, situation: Situation, role: Role) -> None:
    assert managed.check(ask("configmaps", None, old=OURS), situation(role=role)) == ALLOWED


@pytest.mark.parametrize(
    "requester",
    [
        Requester(
            username="system:serviceaccount:kube-system:generic-garbage-collector",
            groups=frozenset({"system:serviceaccounts", "system:serviceaccounts:kube-system"}),
        ),
        Requester(username="system:kube-controller-manager"),
        Requester(username="system:apiserver", groups=frozenset({"system:masters"})),
    ],
)
def test_kubernetes_itself_may(ask: Ask, situation: Situation, requester: Requester) -> None:
    request = ask("configmaps", None, old=OURS, requester=requester)

    assert managed.check(request, situation(role=Role.UNKNOWN)) == ALLOWED


def test_cluster_admins_that_are_no_administrators_of_capsule_may_not(ask: Ask, situation: Situation) -> None:
    root = Requester(username="kubernetes-admin", groups=frozenset({"system:masters"}))

    assert managed.check(ask("configmaps", None, old=OURS, requester=root), situation(role=Role.UNKNOWN)) == REFUSED


def test_a_terminating_namespace_may_be_emptied_but_not_filled(ask: Ask, situation: Situation) -> None:
    context = situation(namespace=ObjectMeta(name="oil-dev", deletion_timestamp="2026-01-01T00:00:00Z"))

    assert managed.check(ask("configmaps", None, old=OURS), context) == ALLOWED
    assert managed.check(ask("configmaps", PLAIN, old=OURS), context) == REFUSED

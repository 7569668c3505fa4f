"""Capsule users do not touch forbidden keys of Nodes (CN-9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.foundation.codec import from_plain
from tenantry.tenancy.checks import nodes
from tenantry.tenancy.request import Operation, Request, Role
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import Installation

Ask = Callable[..., Request]

LIMITS = {
    "nodeMetadata": {
        "forbiddenLabels": {"denied": ["zone", "rack"], "deniedRegex": "^node-role"},
        "forbiddenAnnotations": {"denied": ["cost"]},
    }
}


def context(plain: dict[str, Any], role: Role = Role.CAPSULE_USER) -> nodes.NodeContext:
    return nodes.NodeContext(
        installation=Installation(configuration=from_plain(plain, CapsuleConfigurationSpec)), role=role
    )


def node(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    return {"metadata": {"name": "n1", "labels": labels, "annotations": annotations}}


def labels_refused(keys: str) -> Verdict:
    return denied(
        "ForbiddenLabel",
        f"Unable to update Node as some labels are marked as forbidden by system administrators: {keys}; "
        "forbidden are: zone, rack; forbidden is what matches the regular expression: ^node-role",
    )


@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [
        pytest.param(node({"a": "2"}), node({"a": "1"}), ALLOWED, id="a free label"),
        pytest.param(node({"zone": "a"}), node({"zone": "a"}), ALLOWED, id="untouched"),
        pytest.param(
            node({"zone": "a", "rack": "1", "node-role/x": ""}),
            node(),
            labels_refused("node-role/x, rack, zone"),
            id="added",
        ),
        pytest.param(node({"zone": "b"}), node({"zone": "a"}), labels_refused("zone"), id="changed"),
        pytest.param(node(), node({"zone": "a"}), labels_refused("zone"), id="removed"),
        pytest.param(
            node(annotations={"cost": "9"}),
            node(annotations={"cost": "1"}),
            denied(
                "ForbiddenAnnotation",
                "Unable to update Node as some annotations are marked as forbidden by system administrators: cost; "
                "forbidden are: cost",
            ),
            id="annotation",
        ),
    ],
)
@pytest.mark.parametrize("subresource", ["", "status"])
def test_forbidden_keys_stay_as_they_are(
    ask: Ask, new: dict[str, Any], old: dict[str, Any], verdict: Verdict, subresource: str
) -> None:
    assert nodes.check(ask("nodes", new, old=old, subresource=subresource), context(LIMITS)) == verdict


@pytest.mark.parametrize("plain", [{}, {"nodeMetadata": {}}, {"nodeMetadata": {"forbiddenLabels": {}}}])
def test_without_limits_everything_passes(ask: Ask, plain: dict[str, Any]) -> None:
    assert nodes.check(ask("nodes", node({"zone": "b"}), old=node({"zone": "a"})), context(plain)) == ALLOWED


@pytest.mark.parametrize("role", [Role.CONTROLLER, Role.ADMINISTRATOR, Role.UNKNOWN])
def test_only_capsule_users_are_judged(ask: Ask, role: Role) -> None:
    request = ask("nodes", node({"zone": "b"}), old=node({"zone": "a"}))

    assert nodes.check(request, context(LIMITS, role)) == ALLOWED


def test_only_updates_are_judged(ask: Ask) -> None:
    request = ask("nodes", node({"zone": "b"}), operation=Operation.CREATE)

    assert nodes.check(request, context(LIMITS)) == ALLOWED

"""Gateways: classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.tenancy.checks import gateways
from tenantry.tenancy.request import Request, Role
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ClassEntry, ClassKind, ObjectContext

Ask = Callable[..., Request]
Situation = Callable[..., ObjectContext]

CLASSES = {"gatewayOptions": {"allowedClasses": {"allowed": ["envoy"], "allowedRegex": "^int-", "default": "base"}}}
CHOICES = (
    "use one from the following list (envoy) or use one matching the regular expression (^int-) or "
    "use the default (base)"
)
# D-11: the noun is the class's, not the Gateway's.
FORBIDDEN = denied("ForbiddenGatewayClass", f"Gateway Class public is forbidden for the current Tenant: {CHOICES}")


def gateway(name: str = "") -> dict[str, Any]:
    return {"metadata": {"name": "front"}, "spec": {"gatewayClassName": name} if name else {}}


@pytest.mark.parametrize(
    ("submitted", "old", "verdict"),
    [
        (gateway("envoy"), None, ALLOWED),
        (gateway("int-a"), None, ALLOWED),
        (gateway("base"), None, ALLOWED),
        (gateway("public"), None, FORBIDDEN),
        (gateway("public"), gateway("public"), ALLOWED),
        (gateway("public"), gateway("envoy"), FORBIDDEN),
        (
            gateway(),
            None,
            denied("MissingGatewayClass", f"Gateway Class is missing, the current Tenant requires one: {CHOICES}"),
        ),
    ],
)
def test_the_class_is_set_and_allowed(
    ask: Ask, situation: Situation, submitted: dict[str, Any], old: dict[str, Any] | None, verdict: Verdict
) -> None:
    assert gateways.check(ask("gateways", submitted, old=old), situation(CLASSES)) == verdict


def test_the_class_may_be_allowed_by_its_labels(ask: Ask, situation: Situation, shelf: Any) -> None:
    spec = {"gatewayOptions": {"allowedClasses": {"matchLabels": {"env": "prod"}}}}
    entries = (ClassEntry(name="public", labels={"env": "prod"}), ClassEntry(name="test"))
    context = situation(spec, lookups=shelf(classes={ClassKind.GATEWAY: entries}))

    assert gateways.check(ask("gateways", gateway("public")), context) == ALLOWED
    assert gateways.check(ask("gateways", gateway("test")), context) == denied(
        "ForbiddenGatewayClass",
        "Gateway Class test is forbidden for the current Tenant: use one whose labels match (env=prod)",
    )


@pytest.mark.parametrize("role", list(Role))
def test_only_the_installation_itself_is_not_judged(ask: Ask, situation: Situation, role: Role) -> None:
    assert gateways.check(ask("gateways", gateway("public")), situation(CLASSES, role=role)) == (
        ALLOWED if role is Role.CONTROLLER else FORBIDDEN
    )

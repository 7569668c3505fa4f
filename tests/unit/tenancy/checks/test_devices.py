"""ResourceClaims and their templates: every device request is judged (D-2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.tenancy.checks import devices
from tenantry.tenancy.request import Request
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ClassEntry, ClassKind, ObjectContext

Ask = Callable[..., Request]
Situation = Callable[..., ObjectContext]

CLASSES = {"deviceClasses": {"allowed": ["gpu"], "matchLabels": {"env": "prod"}}}
CHOICES = "use one from the following list (gpu) or use one whose labels match (env=prod)"


def exactly(name: str) -> dict[str, Any]:
    return {"name": "r", "exactly": {"deviceClassName": name}}


def first_available(*names: str) -> dict[str, Any]:
    return {"name": "r", "firstAvailable": [{"name": "s", "deviceClassName": name} for name in names]}


def forbidden(name: str, path: str) -> Verdict:
    return denied(
        "ForbiddenDeviceClass", f"Device Class {name} at {path} is forbidden for the current Tenant: {CHOICES}"
    )


@pytest.mark.parametrize(
    ("requests", "verdict"),
    [
        pytest.param([], ALLOWED, id="no request"),
        pytest.param([exactly("gpu"), first_available("gpu", "nic")], ALLOWED, id="all allowed"),
        pytest.param(
            [exactly("gpu"), exactly("fpga")],
            forbidden("fpga", "{spec}.devices.requests[1].exactly.deviceClassName"),
            id="not only the first request",
        ),
        pytest.param(
            [first_available("gpu", "fpga")],
            forbidden("fpga", "{spec}.devices.requests[0].firstAvailable[1].deviceClassName"),
            id="every alternative",
        ),
        pytest.param(
            [{"name": "r", "deviceClassName": "fpga"}],
            forbidden("fpga", "{spec}.devices.requests[0].deviceClassName"),
            id="as v1beta1 writes it",
        ),
        pytest.param(
            [{"name": "r"}],
            denied(
                "MissingDeviceClass",
                "Device Class is missing at {spec}.devices.requests[0].deviceClassName, "
                f"the current Tenant requires one: {CHOICES}",
            ),
            id="none",
        ),
    ],
)
@pytest.mark.parametrize("resource", ["resourceclaims", "resourceclaimtemplates"])
def test_every_requested_class_is_allowed(
    ask: Ask,
    situation: Situation,
    shelf: Any,
    resource: str,
    requests: list[dict[str, Any]],
    verdict: Verdict,
) -> None:
    spec: dict[str, Any] = {"devices": {"requests": requests}}
    claim = {"spec": spec if resource == "resourceclaims" else {"spec": spec}}
    entries = (ClassEntry(name="nic", labels={"env": "prod"}), ClassEntry(name="fpga"))
    context = situation(CLASSES, lookups=shelf(classes={ClassKind.DEVICE: entries}))
    path = "spec" if resource == "resourceclaims" else "spec.spec"
    expected = (
        denied(verdict.denial.reason, verdict.denial.message.replace("{spec}", path)) if verdict.denial else verdict
    )

    assert devices.check(ask(resource, claim), context) == expected
    # What stands there already is not judged again.
    assert devices.check(ask(resource, claim, old=claim), context) == ALLOWED


def test_claims_without_devices_and_tenants_without_limits_pass(ask: Ask, situation: Situation) -> None:
    free: dict[str, Any] = {"spec": {"devices": {"requests": [exactly("fpga")]}}}

    assert devices.check(ask("resourceclaims", {"spec": {}}), situation(CLASSES)) == ALLOWED
    assert devices.check(ask("resourceclaims", free), situation({"deviceClasses": {}})) == ALLOWED
    assert devices.check(ask("resourceclaims", free), situation()) == ALLOWED

"""Lines of ``tenantry tenants`` and ``tenantry tenant show``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tenantry.api.core import Event, Namespace, ResourceQuota
from tenantry.api.meta import CAPSULE_API_VERSION
from tenantry.foundation.codec import from_plain
from tenantry.tenancy.inspection.summary import (
    OwnerLine,
    QuotaLine,
    Refusal,
    SpaceLine,
    TenantLine,
    owner_lines,
    quota_lines,
    refusals,
    space_lines,
    tenant_line,
)

Make = Callable[..., Any]
READY = [{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "reconciled"}]


def test_a_tenant_is_one_line(tenant: Make) -> None:
    found = tenant(
        spec={"namespaceOptions": {"quota": 3}, "owners": [{"kind": "User", "name": "alice"}]},
        status={
            "state": "Cordoned",
            "size": 2,
            "conditions": READY,
            "owners": [{"kind": "Group", "name": "team"}, {"kind": "User", "name": "alice"}],
        },
        creationTimestamp="2026-01-01T00:00:00Z",
    )

    assert tenant_line(found) == TenantLine(
        name="oil",
        state="Cordoned",
        namespaces=2,
        quota=3,
        owners=("Group/team", "User/alice"),
        ready="True",
        message="reconciled",
        created="2026-01-01T00:00:00Z",
    )


def test_before_the_first_reconcile_the_spec_tells_the_owners(tenant: Make) -> None:
    line = tenant_line(tenant())

    assert (line.owners, line.ready, line.quota) == (("User/alice",), "Unknown", None)
    assert owner_lines(tenant()) == (
        OwnerLine(kind="User", name="alice", cluster_roles=("admin", "capsule-namespace-deleter")),
    )


def test_a_namespace_is_cordoned_by_its_tenant_or_by_its_own_label(tenant: Make, namespace: Make) -> None:
    spaces = {"spaces": [{"name": "a", "uid": "1", "conditions": READY}], "namespaces": ["a", "b"]}
    stored = {
        "a": from_plain({"metadata": {"name": "a"}, "status": {"phase": "Active"}}, Namespace),
        "b": Namespace(metadata=namespace("b", labels={"projectcapsule.dev/cordoned": "true"})),
    }

    assert space_lines(tenant(status=spaces), stored) == (
        SpaceLine(name="a", phase="Active", cordoned=False, ready="True"),
        SpaceLine(name="b", phase="", cordoned=True, ready="Unknown"),
    )
    cordoned = space_lines(tenant(spec={"cordoned": True}, status=spaces), {})
    assert [(each.phase, each.cordoned) for each in cordoned] == [("Unknown", True)] * 2


def quota(namespace: str, index: int, used: Mapping[str, str], *, managed: bool = True) -> ResourceQuota:
    owner = {"apiVersion": CAPSULE_API_VERSION, "kind": "Tenant", "name": "oil", "uid": "oil-uid", "controller": True}
    return from_plain(
        {
            "metadata": {
                "name": f"capsule-oil-{index}",
                "namespace": namespace,
                "labels": {
                    "capsule.clastix.io/resource-quota": str(index),
                    "projectcapsule.dev/managed-by": "controller",
                },
                "ownerReferences": [owner] if managed else [],
            },
            "status": {"used": dict(used), "hard": {"pods": "10"}},
        },
        ResourceQuota,
    )


def test_a_shared_quota_is_told_once(tenant: Make) -> None:
    """What others made under the same label does not count."""
    shared = tenant(
        spec={"resourceQuotas": {"scope": "Tenant", "items": [{"hard": {"pods": "10", "limits.cpu": "4"}}]}}
    )
    stored = [quota("a", 0, {"pods": "2", "limits.cpu": "500m"}), quota("b", 0, {"pods": "3", "limits.cpu": "1"})]

    assert quota_lines(shared, [*stored, quota("c", 0, {"pods": "5"}, managed=False)]) == (
        QuotaLine(index=0, namespace="", resource="limits.cpu", used="1500m", hard="4"),
        QuotaLine(index=0, namespace="", resource="pods", used="5", hard="10"),
    )


def test_a_quota_of_each_namespace_is_told_for_each(tenant: Make) -> None:
    apart = tenant(spec={"resourceQuotas": {"scope": "Namespace", "items": [{"hard": {"pods": "10"}}]}})

    assert quota_lines(apart, [quota("b", 0, {"pods": "3"}), quota("a", 0, {})]) == (
        QuotaLine(index=0, namespace="a", resource="pods", used="0", hard="10"),
        QuotaLine(index=0, namespace="b", resource="pods", used="3", hard="10"),
    )


def event(note: str, at: str, **more: Any) -> Event:
    plain = {
        "metadata": {"annotations": {"audit.projectcapsule.dev/username": "bob"}},
        "eventTime": at,
        "type": "Warning",
        "reason": "ForbiddenContainerRegistry",
        "note": note,
        "regarding": {"kind": "Pod", "name": "web", "namespace": "oil-dev"},
        **more,
    }
    return from_plain(plain, Event)


def test_the_latest_refusals_come_first_and_a_series_counts_by_its_last_time() -> None:
    events = [
        event("old", "2026-01-01T10:00:00.000000Z"),
        event("again", "2026-01-01T09:00:00Z", series={"count": 4, "lastObservedTime": "2026-01-01T12:00:00Z"}),
        event("fine", "2026-01-01T13:00:00Z", type="Normal"),
        event("new", "2026-01-01T11:00:00Z"),
    ]

    found = refusals(events, limit=2)

    assert [each.message for each in found] == ["again", "new"]
    assert found[0] == Refusal(
        at="2026-01-01T12:00:00Z",
        count=4,
        namespace="oil-dev",
        object="Pod/web",
        user="bob",
        reason="ForbiddenContainerRegistry",
        message="again",
    )

"""Changes that a tenant's user may make because it sees the object."""

from __future__ import annotations

import pytest

from tenantry.access.identity import Identity
from tenantry.access.requests import RequestInfo, request_info
from tenantry.access.visibility import PrincipalView, TenantShare
from tenantry.access.writes import WriteDecision, is_guarded_write, virtual_group, write_decision
from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant, TenantSpec

SEEN, HIDDEN = {"pool": "blue"}, {"pool": "red"}


def view(*operations: str) -> PrincipalView:
    tenant = Tenant(metadata=ObjectMeta(name="blue"), spec=TenantSpec(node_selector=SEEN))
    share = TenantShare(tenant=tenant, operations={"Nodes": frozenset(operations)})
    return PrincipalView(identity=Identity(user="alice"), subject_keys=frozenset({"User:alice"}), tenants=(share,))


def change(method: str, rest: str = "") -> RequestInfo:
    return request_info(method, f"/api/v1/nodes/n1{rest}")


@pytest.mark.parametrize(
    ("operations", "method", "decision"),
    [
        (("List", "Update"), "PUT", WriteDecision.WITH_GROUP),
        (("List", "Update"), "PATCH", WriteDecision.WITH_GROUP),
        (("List", "Update"), "DELETE", WriteDecision.AS_THEMSELVES),
        (("List", "Delete"), "DELETE", WriteDecision.WITH_GROUP),
        (("List", "Delete"), "PATCH", WriteDecision.AS_THEMSELVES),
        (("List",), "PATCH", WriteDecision.AS_THEMSELVES),
        (("Update", "Delete"), "PATCH", WriteDecision.NOT_VISIBLE),
        (("Update", "Delete"), "DELETE", WriteDecision.NOT_VISIBLE),
        ((), "DELETE", WriteDecision.NOT_VISIBLE),
    ],
)
def test_each_operation_needs_list_too(operations: tuple[str, ...], method: str, decision: WriteDecision) -> None:
    assert write_decision(view(*operations), change(method), SEEN) is decision


@pytest.mark.parametrize("labels", [HIDDEN, {}, None])
def test_the_exact_object_must_be_visible(labels: dict[str, str] | None) -> None:
    all_of_it = view("List", "Update", "Delete")
    assert write_decision(all_of_it, change("PATCH"), labels) is WriteDecision.NOT_VISIBLE


def test_subresources_are_the_clusters_rbac_alone() -> None:
    all_of_it = view("List", "Update", "Delete")
    assert write_decision(all_of_it, change("PATCH", "/status"), SEEN) is WriteDecision.AS_THEMSELVES
    assert write_decision(all_of_it, change("PATCH", "/status"), HIDDEN) is WriteDecision.NOT_VISIBLE


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("PUT", "/api/v1/nodes/a", True),
        ("DELETE", "/apis/storage.k8s.io/v1/storageclasses/a", True),
        ("PATCH", "/apis/networking.k8s.io/v1/ingressclasses/a", True),
        ("PATCH", "/apis/scheduling.k8s.io/v1/priorityclasses/a", True),
        ("PATCH", "/apis/node.k8s.io/v1/runtimeclasses/a", True),
        ("PATCH", "/api/v1/persistentvolumes/a", True),
        ("DELETE", "/api/v1/nodes", False),
        ("POST", "/api/v1/nodes", False),
        ("GET", "/api/v1/nodes/a", False),
        ("POST", "/api/v1/nodes/a/proxy", False),
        ("DELETE", "/api/v1/watch/nodes/a", False),
        ("DELETE", "/api/v1/namespaces/a", False),
        ("DELETE", "/api/v1/namespaces/n/nodes/a", False),
        ("DELETE", "/apis/metrics.k8s.io/v1beta1/nodes/a", False),
        ("DELETE", "/apis/other.io/v1/nodes/a", False),
        ("DELETE", "/apis/capsule.clastix.io/v1beta2/tenants/a", False),
    ],
)
def test_only_the_kinds_that_have_operations_are_guarded(method: str, path: str, *, expected: bool) -> None:
    assert is_guarded_write(request_info(method, path)) is expected


def test_there_is_a_group_for_each_kind_and_operation() -> None:
    assert virtual_group("storageclasses", "delete") == "tenantry:gateway:storageclasses:delete"

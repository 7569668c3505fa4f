"""The table of admission, read back: which paths there are, and what runs for whom."""

from __future__ import annotations

import pytest

from tenantry.tenancy.request import Operation, Request, Requester
from tenantry.tenancy.table import LATER_PATHS, OWN_PATHS, STAGES, TABLE, Stage, Subject, rows_of, subject_of

CAPSULE_PATHS = {
    "mutating": {
        "/defaults",
        "/generic/metadata",
        "/namespaces/mutating",
        "/persistentvolumeclaims/mutating",
        "/resourcepools/claim/mutating",
        "/resourcepools/mutating",
        "/rules/generic/mutating",
        "/tenants/mutating",
    },
    "validating": {
        "/config/validating",
        "/custom-quotas/calculations",
        "/custom-quotas/cluster/validating",
        "/custom-quotas/namespaced/validating",
        "/devices/validating",
        "/gateways/validating",
        "/generic/cordoning",
        "/generic/customresources",
        "/generic/managed",
        "/generic/replications",
        "/global-resource-quotas/calculations",
        "/ingresses/validating",
        "/namespaces/validating",
        "/nodes/validating",
        "/persistentvolumeclaims/validating",
        "/pods/validating",
        "/resourcepools/claim/validating",
        "/resourcepools/validating",
        "/rules/generic/validating",
        "/rulestatus/validating",
        "/serviceaccounts/validating",
        "/services/validating",
        "/tenantowners/validating",
        "/tenants/validating",
    },
}


def request(
    resource: str,
    *,
    group: str = "",
    subresource: str = "",
    operation: Operation = Operation.CREATE,
    namespace: str = "n",
) -> Request:
    return Request(
        operation=operation,
        group=group,
        kind="Any",
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        requester=Requester(username="alice"),
    )


def names(path: str, about: Request) -> list[str]:
    return [row.name for row in rows_of(path, about)]


def test_every_path_of_capsules_is_served_and_ours() -> None:
    served: dict[str, set[str]] = {"mutating": set(), "validating": set()}
    for path, stage in STAGES.items():
        if path not in OWN_PATHS:
            served[stage].add(path)

    assert served == CAPSULE_PATHS
    assert OWN_PATHS == {
        "/admission/mutating": Stage.MUTATING,
        "/admission/validating": Stage.VALIDATING,
        "/admission/validating/cordoned": Stage.VALIDATING,
    }


@pytest.mark.parametrize("path", sorted(LATER_PATHS))
def test_what_is_not_built_yet_allows_everything(path: str) -> None:
    assert [names(path, request(resource)) for resource in ("pods", "configmaps", "namespaces")] == [[], [], []]


def test_names_are_unique_within_a_stage() -> None:
    seen = [(row.stage, row.name) for row in TABLE]

    assert len(set(seen)) == len(seen)


def test_subjects() -> None:
    capsule = "capsule.clastix.io"
    subjects = [
        subject_of(request("namespaces")),
        subject_of(request("nodes", namespace="")),
        subject_of(request("tenants", group=capsule, namespace="")),
        subject_of(request("tenantowners", group=capsule, namespace="")),
        subject_of(request("capsuleconfigurations", group=capsule, namespace="")),
        subject_of(request("rulestatuses", group=capsule)),
        subject_of(request("pods")),
        subject_of(request("clusterroles", group="rbac.authorization.k8s.io", namespace="")),
    ]

    assert subjects == [
        Subject.NAMESPACE,
        Subject.NODE,
        Subject.TENANT,
        Subject.TENANT_OWNER,
        Subject.CONFIGURATION,
        Subject.OBJECT,
        Subject.OBJECT,
        Subject.NOTHING,
    ]


def test_our_endpoints_run_everything_that_applies_in_order() -> None:
    judged = "/admission/validating"
    pods = ["pods", "rules.registries", "rules.qos", "rules.schedulers", "rules.resources", "rules.metadata"]
    any_object = ["cordoning", "managed"]
    table = {
        "pods": (request("pods"), [*any_object, *pods]),
        "pods/resize": (
            request("pods", subresource="resize", operation=Operation.UPDATE),
            ["cordoning", "pods", "rules.registries", "rules.qos", "rules.resources"],
        ),
        "pods/status": (request("pods", subresource="status"), ["cordoning"]),
        "configmaps": (request("configmaps"), [*any_object, "rules.metadata"]),
        "deleted": (request("configmaps", operation=Operation.DELETE), any_object),
        "connected": (request("pods", subresource="exec", operation=Operation.CONNECT), []),
        "services": (request("services"), [*any_object, "services", "rules.services", "rules.metadata"]),
        "routes": (
            request("httproutes", group="gateway.networking.k8s.io"),
            [*any_object, "rules.ingress", "rules.metadata"],
        ),
        "not that group": (request("ingresses", group="example.com"), [*any_object, "rules.metadata"]),
        "rulestatuses": (
            request("rulestatuses", group="capsule.clastix.io"),
            ["rulestatus", *any_object, "rules.metadata"],
        ),
        "namespaces/finalize": (
            request("namespaces", subresource="finalize", operation=Operation.UPDATE),
            ["namespaces"],
        ),
        "nodes": (request("nodes", namespace=""), ["nodes"]),
        "clusterroles": (request("clusterroles", namespace=""), []),
    }

    found = {name: names(judged, about) for name, (about, _) in table.items()}

    assert found == {name: rows for name, (_, rows) in table.items()}
    assert names("/admission/mutating", request("pods")) == ["defaults", "rules.resources", "rules.metadata", "labels"]
    assert names("/admission/mutating", request("persistentvolumeclaims")) == [
        "defaults",
        "claims",
        "rules.metadata",
        "labels",
    ]
    assert names("/admission/mutating", request("pods", subresource="binding")) == []


def test_a_path_of_capsules_runs_its_own_rows() -> None:
    pod = request("pods")

    assert [
        names(path, pod) for path in ("/pods/validating", "/generic/managed", "/generic/metadata", "/defaults")
    ] == [
        ["pods"],
        ["managed"],
        ["labels"],
        ["defaults"],
    ]
    assert names("/services/validating", pod) == []


def test_an_unknown_path_is_an_error() -> None:
    with pytest.raises(KeyError):
        rows_of("/nowhere", request("pods"))

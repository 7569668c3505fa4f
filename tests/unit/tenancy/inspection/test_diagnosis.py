"""What the doctor says about a sick installation, one illness at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tenantry.api.configuration import CapsuleConfiguration
from tenantry.api.core import CustomResourceDefinition, Lease, WebhookConfiguration
from tenantry.api.crds import crd_manifests
from tenantry.api.tenant_owner import TenantOwner
from tenantry.foundation.clock import rfc3339_micro
from tenantry.foundation.codec import from_plain
from tenantry.tenancy.inspection.diagnosis import CHECKS, diagnosis
from tenantry.tenancy.inspection.findings import Certificate, Facts, Level, RoleTrial, Webhooks, Workload
from tenantry.tenancy.inspection.upkeep import named_roles

Make = Callable[..., Any]
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
CA = frozenset({"-----BEGIN CERTIFICATE-----\nca\n-----END CERTIFICATE-----\n"})
READY = [{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "reconciled"}]
ADMISSION = {"app.kubernetes.io/component": "admission-acknowledgement"}


def crds(**changes: Any) -> dict[str, CustomResourceDefinition]:
    found = {}
    for each in crd_manifests():
        status = {"storedVersions": [version["name"] for version in each["spec"]["versions"] if version["storage"]]}
        found[each["metadata"]["name"]] = from_plain({**each, "status": status}, CustomResourceDefinition)
    return {name: each for name, each in {**found, **changes}.items() if each is not None}


def lease(
    name: str,
    *,
    seconds_ago: int = 1,
    seen: int = 50,
    labels: dict[str, str] | None = None,
    holder: str = "pod_0123abcd",
) -> Lease:
    return from_plain(
        {
            "metadata": {"name": name, "labels": labels or {}, "annotations": {"tenantry.io/seen-tenants": str(seen)}},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": 15,
                "renewTime": rfc3339_micro(NOW - timedelta(seconds=seconds_ago)),
            },
        },
        Lease,
    )


LEADER = lease("42c733ea.clastix.capsule.io")
WORKER = lease("admission-0", labels=ADMISSION)


def deployment(name: str, *, ready: int = 2, image: str = "tenantry", namespace: str = "capsule-system") -> Workload:
    return from_plain(
        {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [{"image": image}]}}},
            "status": {"readyReplicas": ready},
        },
        Workload,
    )


def webhooks(policy: str = "Fail", **changes: Any) -> Webhooks:
    stored = WebhookConfiguration(webhooks=[{"name": "objects", "failurePolicy": policy}])
    usual: dict[str, Any] = {
        "kind": "ValidatingWebhookConfiguration",
        "name": "hook",
        "stored": stored,
        "bundles": [CA],
        "expected": {"objects": "Fail"},
    }
    return Webhooks(**{**usual, **changes})


def configuration(**spec: Any) -> CapsuleConfiguration:
    plain = {"users": [{"kind": "Group", "name": "g"}], "enableTLSReconciler": True, **spec}
    status = {"conditions": READY, "users": plain["users"]}
    return from_plain({"metadata": {"name": "default"}, "spec": plain, "status": status}, CapsuleConfiguration)


@pytest.fixture
def well(tenant: Make, namespace: Make) -> Facts:
    """An installation with nothing wrong."""
    ready = tenant(status={"conditions": READY, "observedGeneration": 1})
    return Facts(
        now=NOW,
        namespace="capsule-system",
        configuration_name="default",
        server_version="v1.36.3",
        crds=crds(),
        configuration=configuration(),
        deployments=[deployment("tenantry-operator"), deployment("tenantry-admission")],
        leases=[LEADER, WORKER],
        certificate=Certificate(secret="tls", authorities=CA, expires=NOW + timedelta(days=90), is_trusted=True),
        webhooks=[webhooks()],
        endpoints=2,
        tenants=[ready],
        tenants_version=50,
        namespaces=[namespace("oil-dev", label="oil", refers_to="oil"), namespace("default")],
        roles=[RoleTrial(role="admin")],
        metrics={"operator": True},
    )


def told(facts: Facts) -> list[tuple[str, str]]:
    """Level and subject of all that is not as it should be."""
    return [(each.level.value, each.subject) for each in diagnosis(facts) if each.level is not Level.OK]


def test_a_healthy_installation_has_good_words_only(well: Facts) -> None:
    assert told(well) == []
    assert [each.subject for each in diagnosis(well)] == [
        "API server",
        "CRDs",
        "Configuration",
        "Operator",
        "Admission",
        "Webhooks",
        "Certificate",
        "Service",
        "Rights",
        "Tenants",
    ]


GONE = lease("42c733ea.clastix.capsule.io", seconds_ago=60)
OLD_CRD = CustomResourceDefinition(
    spec={"versions": [{"name": "v1beta2", "served": True}]},
    status=from_plain({"status": {"storedVersions": ["v1beta1", "v1beta2"]}}, CustomResourceDefinition).status,
)
BY_HAND = Certificate(secret="tls", authorities=CA, expires=NOW + timedelta(days=90), is_trusted=True)
ILLNESSES: dict[str, tuple[dict[str, Any], str, str]] = {
    "a CRD is missing": ({"crds": crds(**{"tenants.capsule.clastix.io": None})}, "CRDs", "tenantry crds"),
    "a CRD serves an old version only": (
        {"crds": crds(**{"tenants.capsule.clastix.io": CustomResourceDefinition(spec={"versions": []})})},
        "CRDs",
        "tenantry crds",
    ),
    "Capsule runs too": (
        {"deployments": [deployment("capsule", image="ghcr.io/projectcapsule/capsule:v0.13.0", namespace="x")]},
        "Capsule",
        "kubectl -n x scale --replicas=0 deployment capsule",
    ),
    "Capsule runs from a mirror, as a DaemonSet": (
        {"daemon_sets": [deployment("my-capsule-controller-manager", image="mirror/c:1", namespace="x")]},
        "Capsule",
        "kubectl -n x delete daemonset my-capsule-controller-manager",
    ),
    "a replica is missing": (
        {"deployments": [deployment("tenantry-admission", ready=1)]},
        "Deployments",
        "logs deployment/tenantry-admission",
    ),
    "there is no configuration": ({"configuration": None}, "Configuration", "--configuration-name"),
    "the configuration is not ready": (
        {"configuration": from_plain({"spec": {"users": [{"kind": "User", "name": "a"}]}}, CapsuleConfiguration)},
        "Configuration",
        "operator runs",
    ),
    "nobody leads": ({"leases": [WORKER]}, "Operator", "logs deployment/tenantry-operator"),
    "Capsule leads": (
        {"leases": [lease(LEADER.metadata.name, holder="capsule-7_3f2504e0-4f89-11d3-9a0c-0305e82c3301"), WORKER]},
        "Operator",
        "stop Capsule's controller",
    ),
    "the leader is gone": ({"leases": [GONE, WORKER]}, "Operator", "logs deployment/tenantry-operator"),
    "no admission": ({"leases": [LEADER]}, "Admission", "tenantry admission disarm"),
    "admission is dead": (
        {"leases": [LEADER, lease("a", seconds_ago=60, labels=ADMISSION)]},
        "Admission",
        "tenantry admission disarm",
    ),
    "admission is behind": (
        {"leases": [LEADER, lease("a", seen=49, labels=ADMISSION)]},
        "Admission",
        "restart that replica",
    ),
    "disarmed": ({"disarmed": True}, "Webhooks", "tenantry admission arm"),
    "not registered": ({"webhooks": [webhooks(stored=None)]}, "Webhooks", "AdmissionRegistered"),
    "an entry is missing": (
        {"webhooks": [webhooks(expected={"objects": "Fail", "namespaces": "Fail"})]},
        "Webhooks",
        "operator runs",
    ),
    "an entry lets everything pass": ({"webhooks": [webhooks("Ignore")]}, "Webhooks", "operator runs"),
    "another CA is trusted": ({"webhooks": [webhooks(bundles=[frozenset()])]}, "Webhooks", "caBundle"),
    "no certificate": ({"certificate": Certificate(secret="tls")}, "Certificate", "operator runs"),
    "the certificate has ended": ({"certificate": replace(BY_HAND, expires=NOW)}, "Certificate", "operator runs"),
    "the certificate ends soon": (
        {"certificate": replace(BY_HAND, expires=NOW + timedelta(hours=40))},
        "Certificate",
        "operator runs",
    ),
    "the certificate is another's": ({"certificate": replace(BY_HAND, is_trusted=False)}, "Certificate", "operator"),
    "no endpoint": ({"endpoints": 0}, "Service", "get pods"),
    "rights are missing": ({"missing_rights": ["operator: list tenants"]}, "Rights", "tenantry manifests"),
    "a role may not be bound": (
        {"roles": [RoleTrial(role="boss", refusal="forbidden")]},
        "Roles",
        "--bindable-cluster-role boss",
    ),
    "a role does not exist": ({"roles": [RoleTrial(role="boss", exists=False)]}, "Roles", "create it"),
}


@pytest.mark.parametrize("illness", ILLNESSES)
def test_each_illness_is_one_problem_with_a_next_step(well: Facts, illness: str) -> None:
    changes, subject, step = ILLNESSES[illness]

    found = [each for each in diagnosis(replace(well, **changes)) if each.level is not Level.OK]

    assert [(each.level, each.subject) for each in found] == [(Level.PROBLEM, subject)]
    assert step in found[0].next_step
    assert found[0].what


def test_capsule_s_proxy_may_stay(well: Facts) -> None:
    proxy = deployment("capsule-proxy", image="ghcr.io/projectcapsule/capsule-proxy:v0.9", namespace="x")

    assert told(replace(well, deployments=[proxy])) == []


def test_tenants_that_may_still_be_stored_in_the_old_version_are_told(well: Facts) -> None:
    found = replace(well, crds=crds(**{"tenants.capsule.clastix.io": OLD_CRD}))

    assert told(found) == [("problem", "CRDs")]


def test_a_configuration_without_users_protects_nobody(well: Facts) -> None:
    nobody = from_plain({"metadata": {"name": "default"}, "status": {"conditions": READY}}, CapsuleConfiguration)

    assert told(replace(well, configuration=nobody)) == [("problem", "Configuration")]


def test_a_ca_that_the_platform_gives_is_not_compared(well: Facts) -> None:
    assert told(replace(well, webhooks=[webhooks(bundles=[frozenset()], has_own_bundle=True)])) == []


def test_tenants_are_told_by_what_their_status_says(well: Facts, tenant: Make) -> None:
    failed = [{"type": "Ready", "status": "False", "reason": "Failed", "message": "oil-dev: no"}]
    ready = tenant("ready", status={"conditions": READY, "observedGeneration": 1})
    sick = [
        tenant("new"),
        tenant("sick", status={"conditions": failed}),
        tenant("edited", status={"conditions": READY}, generation=2),
        tenant("going", deletionTimestamp="2026-01-01T00:00:00Z"),
    ]

    found = diagnosis(replace(well, tenants=[ready, *sick], namespaces=[]))

    assert [(each.level.value, each.what) for each in found if each.subject == "Tenants"] == [
        ("problem", "new is not Ready: the operator has not reported on it yet"),
        ("problem", "sick is not Ready: oil-dev: no"),
        ("note", "the last edit of edited is not in force yet"),
        ("note", "going is terminating: not reported yet"),
    ]


def test_restored_namespaces_are_told_with_the_command_that_mends_them(well: Facts, namespace: Make) -> None:
    lost = [
        namespace("a", label="oil", refers_to="oil", uid="old"),
        namespace("b", label="oil"),
        namespace("c", label="coal"),
        namespace("d", label="oil", deletion_timestamp="2026-01-01T00:00:00Z"),
    ]

    found = [each for each in diagnosis(replace(well, namespaces=lost)) if each.subject == "Namespaces"]

    assert [(each.what.partition(":")[0], each.next_step.partition(";")[0]) for each in found] == [
        ("namespace c", "restore the Tenant and run tenantry adopt coal --all-labelled"),
        ("namespaces a, b", "tenantry adopt oil --all-labelled"),
    ]


def test_a_namespace_that_lost_its_label_is_named_in_the_command(well: Facts, namespace: Make) -> None:
    found = diagnosis(replace(well, namespaces=[namespace("a", refers_to="oil")]))

    assert [each.next_step for each in found if each.subject == "Namespaces"] == ["tenantry adopt oil a"]


def test_what_is_taken_but_not_enforced_is_a_note(well: Facts, tenant: Make) -> None:
    spec = {"nodeSelector": {"pool": "a"}, "rules": [{"quota": [{"name": "x"}]}]}
    found = tenant(spec=spec, status={"conditions": READY, "observedGeneration": 1})

    assert told(replace(well, tenants=[found])) == [("note", "Tenants"), ("note", "Tenants")]


def test_what_could_not_be_read_is_a_note_not_a_problem() -> None:
    """Whoever lacks rights is told so, and not that things are missing."""
    blind = Facts(
        now=NOW,
        namespace="capsule-system",
        configuration_name="default",
        server_version="v1.36.3",
        unread={"configuration": "forbidden", "rights": "forbidden", "CRDs": "forbidden"},
    )

    assert told(blind) == [("note", "Not checked")] * 3


def test_metrics_that_do_not_answer_are_a_note(well: Facts) -> None:
    assert told(replace(well, metrics={"operator": False})) == [("note", "Metrics")]


def test_webhooks_outside_the_cluster_have_no_endpoints_to_miss(well: Facts) -> None:
    assert told(replace(well, is_outside=True, endpoints=0)) == [("note", "Service")]


def test_roles_are_collected_from_everything_that_names_one(well: Facts, tenant: Make) -> None:
    spec = {
        "owners": [{"kind": "User", "name": "a", "clusterRoles": ["one"]}],
        "additionalRoleBindings": [{"clusterRoleName": "two", "subjects": []}],
        "rules": [
            {
                "permissions": {
                    "bindings": [{"clusterRoleName": "three", "subjects": []}],
                    "promotions": [{"clusterRoles": ["four", "one"], "selector": {}}],
                }
            }
        ],
    }
    owner = from_plain({"metadata": {"name": "o"}, "spec": {"clusterRoles": ["five"]}}, TenantOwner)
    admins = configuration(administrators=[{"kind": "User", "name": "root"}])

    assert named_roles(replace(well, tenants=[tenant(spec=spec)], tenant_owners=[owner], configuration=admins)) == {
        "capsule-namespace-deleter": ["CapsuleConfiguration/default"],
        "five": ["TenantOwner/o"],
        "four": ["Tenant/oil"],
        "one": ["Tenant/oil"],
        "three": ["Tenant/oil"],
        "two": ["Tenant/oil"],
    }


def test_every_check_says_what_should_be_so() -> None:
    assert all(check.__doc__ and check.__doc__.endswith((".", ").")) for check in CHECKS)

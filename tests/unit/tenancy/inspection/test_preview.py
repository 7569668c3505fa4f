"""What an edited Tenant would change and refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.core import LimitRange, NetworkPolicy, ResourceQuota, RoleBinding
from tenantry.api.meta import ObjectMeta
from tenantry.api.rule_status import RuleStatus
from tenantry.api.tenant import Tenant
from tenantry.api.workloads import Ingress
from tenantry.foundation.codec import Raw, encode, from_plain
from tenantry.tenancy.desired.namespace_objects import NamespacePlan, namespace_objects
from tenantry.tenancy.inspection.changes import Act, Change, Managed, Plan, Surroundings, differences, notes, plan
from tenantry.tenancy.inspection.judging import Judge, Refused, Running, Shelf, ingress_index, refused
from tenantry.tenancy.rules.effective import projected_rules
from tenantry.tenancy.views import ClassEntry, ClassKind, IngressUse, Installation

Make = Callable[..., Any]
TYPES: dict[str, type[Managed]] = {
    "RoleBinding": RoleBinding,
    "LimitRange": LimitRange,
    "NetworkPolicy": NetworkPolicy,
    "ResourceQuota": ResourceQuota,
    "RuleStatus": RuleStatus,
}
LIMITS = {"limitRanges": {"items": [{"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}]}}
OWNERS = {"owners": [{"kind": "User", "name": "alice"}]}


@pytest.fixture
def member(namespace: Make) -> ObjectMeta:
    found: ObjectMeta = namespace("oil-dev", label="oil", refers_to="oil")
    return found


def surroundings(tenant: Tenant, *members: ObjectMeta) -> Surroundings:
    """All objects as the controllers made them for *tenant*."""
    facts = plan(tenant, Surroundings(members=members)).facts
    manifests = [
        manifest
        for each in members
        for manifest in namespace_objects(NamespacePlan(facts), each, quotas=(), rules=projected_rules(tenant, each))
    ]
    managed = [from_plain(each, TYPES[each["kind"]]) for each in manifests]
    return Surroundings(configuration=CapsuleConfigurationSpec(), members=members, managed=managed)


def test_a_tenant_as_it_is_changes_nothing(tenant: Make, member: ObjectMeta) -> None:
    stored = tenant(spec={**OWNERS, **LIMITS, "networkPolicies": {"items": [{"podSelector": {}}]}})

    assert plan(stored, surroundings(stored, member)).changes == ()


def test_each_object_that_comes_changes_or_goes_is_told(tenant: Make, member: ObjectMeta) -> None:
    stored = tenant(spec={**OWNERS, **LIMITS, "networkPolicies": {"items": [{"podSelector": {}}]}})
    edited = tenant(
        spec={
            "owners": [{"kind": "User", "name": "alice", "clusterRoles": ["admin"]}],
            "limitRanges": {"items": [{"limits": [{"type": "Pod", "max": {"cpu": "2"}}]}]},
            "namespaceOptions": {"additionalMetadata": {"labels": {"cost": "47"}}},
            "resourceQuotas": {"scope": "Namespace", "items": [{"hard": {"pods": "5"}}]},
        }
    )

    found = plan(edited, surroundings(stored, member)).changes

    bindings = [each for each in found if each.kind == "RoleBinding"]
    assert [(each.act, each.namespace) for each in bindings] == [(Act.DELETE, "oil-dev")]
    assert [each for each in found if each.kind != "RoleBinding"] == [
        Change(act=Act.CHANGE, kind="Namespace", namespace="", name="oil-dev", details=("labels.cost: + 47",)),
        Change(act=Act.CREATE, kind="ResourceQuota", namespace="oil-dev", name="capsule-oil-0"),
        Change(
            act=Act.CHANGE,
            kind="LimitRange",
            namespace="oil-dev",
            name="capsule-oil-0",
            details=("spec.limits[0].max.cpu: 1 -> 2",),
        ),
        Change(act=Act.DELETE, kind="NetworkPolicy", namespace="oil-dev", name="capsule-oil-0"),
    ]


def test_what_others_made_and_terminating_namespaces_are_left_out(tenant: Make, namespace: Make) -> None:
    stored = tenant()
    going = namespace("gone", label="oil", refers_to="oil", deletion_timestamp="2026-01-01T00:00:00Z")
    own = from_plain({"metadata": {"name": "own", "namespace": "gone"}}, LimitRange)

    assert plan(stored, Surroundings(members=[going], managed=[own])).changes == ()


def test_rules_that_cannot_be_rendered_are_a_problem_and_change_no_rule_status(
    tenant: Make, member: ObjectMeta
) -> None:
    rule = {"enforce": {"workloads": {"schedulers": [{"exact": ["{{ .tenant.spec.data.none }}"]}]}}}
    edited = tenant(spec={**OWNERS, "rules": [rule]})

    found = plan(edited, surroundings(tenant(), member))

    assert found.changes == ()
    assert [each.partition(":")[0] for each in found.problems] == ["rules of namespace oil-dev"]


def test_differences_are_told_by_path_and_cut_after_a_few() -> None:
    assert differences({"a": {"b": 1}, "c": [1, 2]}, {"a": {"b": 2}, "c": [1], "example.com/x": {"y": []}}) == (
        "a.b: 1 -> 2",
        "c[1]: - 2",
        "[example.com/x]: + {y: []}",
    )
    assert differences({}, {str(number): number for number in range(10)})[-1] == "and 2 more"


def test_notes_tell_what_no_object_shows(tenant: Make) -> None:
    stored = tenant()
    edited = tenant(
        spec={
            "namespaceOptions": {"quota": 1},
            "cordoned": True,
            "nodeSelector": {"pool": "a"},
            "rules": [{"quota": [{"name": "x", "hard": {"pods": "1"}}]}],
        }
    )

    assert notes(stored, stored, {"a", "b"}) == ()
    assert [each.split(":")[0] for each in notes(edited, stored, {"a", "b"})] == [
        "it has 2 namespaces, more than the new quota of 1",
        "it would be cordoned",
        "its node selector would change",
        "rules[].quota is not enforced by this version",
    ]


def running(kind: str, resource: str, name: str, content: Mapping[str, Any], group: str = "") -> Running:
    plain = {"metadata": {"name": name, "namespace": "oil-dev", **content.get("metadata", {})}}
    return Running(
        group=group,
        version="v1",
        kind=kind,
        resource=resource,
        namespace="oil-dev",
        name=name,
        content=Raw(encode({**content, **plain})),
    )


def pod(name: str, image: str, **more: Any) -> Running:
    content = {"spec": {"containers": [{"name": "main", "image": image}]}, **more}
    return running("Pod", "pods", name, content)


def judge(tenant: Tenant, member: ObjectMeta, shelf: Shelf | None = None) -> Judge:
    found: Plan = plan(tenant, Surroundings(members=[member]))
    return Judge(facts=found.facts, installation=Installation(), members=found.members, lookups=shelf or Shelf())


def test_objects_that_break_the_edited_tenant_are_told_with_who_is_to_blame(tenant: Make, member: ObjectMeta) -> None:
    stored = tenant(spec={**OWNERS, "serviceOptions": {"allowedServices": {"nodePort": False}}})
    edited = tenant(
        spec={
            **OWNERS,
            "serviceOptions": {"allowedServices": {"nodePort": False}},
            "containerRegistries": {"allowed": ["ghcr.io"]},
        }
    )
    objects = [
        pod("bad", "docker.io/nginx:1"),
        pod("good", "ghcr.io/nginx:1"),
        pod("over", "docker.io/nginx:1", status={"phase": "Succeeded"}),
        pod("going", "docker.io/nginx:1", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        running("Service", "services", "port", {"spec": {"type": "NodePort"}}),
    ]

    found = refused(objects, edited=judge(edited, member), stored=judge(stored, member))

    assert [(each.kind, each.name, each.reason, each.is_new) for each in found] == [
        ("Pod", "bad", "ForbiddenContainerRegistry", True),
        ("Service", "port", "ForbiddenNodePort", False),
    ]
    assert isinstance(found[0], Refused)
    assert "docker.io" in found[0].message


def test_defaults_are_filled_in_before_an_object_is_judged(tenant: Make, member: ObjectMeta) -> None:
    limited = tenant(spec={**OWNERS, "storageClasses": {"allowed": ["fast"], "default": "fast"}})
    shelf = Shelf(classes={ClassKind.STORAGE: [ClassEntry(name="fast")]})
    claims = [
        running("PersistentVolumeClaim", "persistentvolumeclaims", "none", {"spec": {}}),
        running("PersistentVolumeClaim", "persistentvolumeclaims", "slow", {"spec": {"storageClassName": "slow"}}),
    ]

    found = refused(claims, edited=judge(limited, member, shelf), stored=judge(tenant(), member, shelf))

    assert [each.name for each in found] == ["slow"]


def test_rules_for_owners_are_not_asked_about_what_controllers_made(tenant: Make, member: ObjectMeta) -> None:
    rule = {
        "audience": [{"kind": "Custom", "name": "TenantOwner"}],
        "enforce": {"action": "deny", "workloads": {"registries": [{"exp": "docker.io/.*"}]}},
    }
    edited = tenant(spec={**OWNERS, "rules": [rule]})
    replica_set = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app", "uid": "1", "controller": True}
    objects = [
        pod("by-hand", "docker.io/nginx:1"),
        pod("by-controller", "docker.io/nginx:1", metadata={"ownerReferences": [replica_set]}),
    ]

    found = refused(objects, edited=judge(edited, member), stored=judge(tenant(), member))

    assert [(each.name, each.is_new) for each in found] == [("by-hand", True)]


def test_a_cordoned_tenant_refuses_no_running_object(tenant: Make, member: ObjectMeta) -> None:
    edited = tenant(spec={**OWNERS, "cordoned": True})

    assert refused([pod("a", "x")], edited=judge(edited, member), stored=judge(tenant(), member)) == ()


def test_hosts_that_collide_are_found_among_all_ingresses(tenant: Make, member: ObjectMeta) -> None:
    spec = {"rules": [{"host": "a.example.com", "http": {"paths": [{"path": "/"}]}}]}
    mine, theirs = (
        from_plain({"metadata": {"name": name, "namespace": place}, "spec": spec}, Ingress)
        for name, place in (("mine", "oil-dev"), ("theirs", "gas-dev"))
    )
    index = ingress_index([mine, theirs], {"oil-dev": "oil", "gas-dev": "gas"})
    assert index == {
        ("a.example.com", "/"): [
            IngressUse(namespace="oil-dev", name="mine", tenant="oil"),
            IngressUse(namespace="gas-dev", name="theirs", tenant="gas"),
        ]
    }
    shelf = Shelf(ingresses=index)
    obj = running("Ingress", "ingresses", "mine", {"spec": spec}, group="networking.k8s.io")

    def reasons(scope: str) -> list[str]:
        edited = tenant(spec={**OWNERS, "ingressOptions": {"hostnameCollisionScope": scope}})
        found = refused([obj], edited=judge(edited, member, shelf), stored=judge(tenant(), member, shelf))
        return [each.reason for each in found]

    assert (reasons("Cluster"), reasons("Tenant")) == (["IngressHostnameCollision"], [])


def test_what_cannot_be_read_is_told_not_raised(tenant: Make, member: ObjectMeta) -> None:
    edited = tenant(spec={**OWNERS, "containerRegistries": {"allowed": ["ghcr.io"]}})
    odd = running("Pod", "pods", "odd", {"spec": {"containers": "none"}})

    (found,) = refused([odd], edited=judge(edited, member), stored=judge(edited, member))

    assert (found.reason, found.is_new) == ("AdmissionFailed", False)

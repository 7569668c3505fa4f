"""What filtered principals are told about their rights, decided from what they see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.access.identity import Identity
from tenantry.access.proxy_rules import proxy_rule
from tenantry.access.reviews import ResourceAttributes
from tenantry.access.self_reviews import ResourceRule, Ruling, needs_labels, rules_gained, ruling
from tenantry.access.served import KindFacts, is_served
from tenantry.access.visibility import PrincipalView, TenantShare
from tenantry.api.meta import LabelSelector, ObjectMeta
from tenantry.api.proxy import ClusterResource
from tenantry.api.tenant import Tenant, TenantSpec

ALL = frozenset({"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"})
SEEN, HIDDEN = {"pool": "blue"}, {"pool": "red"}


def kind(group: str, resource: str, *, namespaced: bool = False, verbs: frozenset[str] = ALL) -> KindFacts:
    return KindFacts(group=group, version="v1", resource=resource, kind="K", is_namespaced=namespaced, verbs=verbs)


NAMESPACES, NODES, PODS = kind("", "namespaces"), kind("", "nodes"), kind("", "pods", namespaced=True)
METRICS = kind("metrics.k8s.io", "nodes", verbs=frozenset({"get", "list"}))
CLASSES, DRIVERS, WIDGETS = (
    kind("storage.k8s.io", "storageclasses"),
    kind("storage.k8s.io", "csidrivers"),
    kind("a.io", "ws"),
)


def view(*operations: str) -> PrincipalView:
    tenant = Tenant(metadata=ObjectMeta(name="blue"), spec=TenantSpec(node_selector=SEEN))
    share = TenantShare(
        tenant=tenant,
        namespaces=frozenset({"b", "a"}),
        operations={"Nodes": frozenset(operations), "StorageClasses": frozenset(operations)},
    )
    selector = LabelSelector(match_labels={"w": "1"})
    rule = proxy_rule(ClusterResource(api_groups=("a.io",), resources=("ws",), operations=("List",), selector=selector))
    return PrincipalView(
        identity=Identity(user="alice"),
        subject_keys=frozenset({"User:alice"}),
        tenants=(share,),
        rules=(rule,),
    )


def asked(verb: str, facts: KindFacts, **more: str) -> ResourceAttributes:
    return ResourceAttributes(verb=verb, group=facts.group, resource=facts.resource, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("attributes", "facts", "labels", "expected"),
    [
        (asked("list", NAMESPACES), NAMESPACES, None, Ruling.ALLOWED),
        (asked("watch", NODES), NODES, None, Ruling.ALLOWED),
        (asked("list", METRICS), METRICS, None, Ruling.ALLOWED),
        (asked("watch", METRICS), METRICS, None, Ruling.ASK),
        (asked("list", WIDGETS), WIDGETS, None, Ruling.ALLOWED),
        (asked("list", DRIVERS), DRIVERS, None, Ruling.ASK),
        (asked("get", NAMESPACES, name="a"), NAMESPACES, {}, Ruling.ALLOWED),
        (asked("get", NAMESPACES, name="a"), NAMESPACES, None, Ruling.ASK),
        (asked("get", NAMESPACES, name="z"), NAMESPACES, {}, Ruling.ASK),
        (asked("get", NODES, name="n"), NODES, SEEN, Ruling.ALLOWED),
        (asked("get", NODES, name="n"), NODES, HIDDEN, Ruling.ASK),
        (asked("get", NODES), NODES, None, Ruling.ASK),
        (asked("get", CLASSES), CLASSES, None, Ruling.ALLOWED),
        (asked("update", NODES, name="n"), NODES, SEEN, Ruling.ALLOWED),
        (asked("patch", NODES, name="n"), NODES, SEEN, Ruling.ALLOWED),
        (asked("delete", NODES, name="n"), NODES, SEEN, Ruling.ASK),
        (asked("update", NODES, name="n"), NODES, HIDDEN, Ruling.ASK),
        (asked("update", NODES), NODES, SEEN, Ruling.ASK),
        (asked("update", NODES, name="n", subresource="status"), NODES, SEEN, Ruling.ASK),
        (asked("list", PODS), PODS, None, Ruling.ASK_NAMESPACES),
        (asked("watch", PODS), PODS, None, Ruling.ASK_NAMESPACES),
        (asked("list", PODS, namespace="a"), PODS, None, Ruling.ASK),
        (asked("get", PODS), PODS, None, Ruling.ASK),
        (asked("list", PODS, subresource="log"), PODS, None, Ruling.ASK),
        (asked("list", NAMESPACES), None, None, Ruling.ASK),
    ],
)
def test_r_037_who_answers(
    attributes: ResourceAttributes, facts: KindFacts | None, labels: dict[str, str] | None, expected: Ruling
) -> None:
    assert ruling(view("List", "Update"), attributes, facts, labels) is expected


@given(
    verb=st.sampled_from(
        ["create", "delete", "deletecollection", "patch", "update", "impersonate", "bind", "*", "escalate"]
    ),
    facts=st.sampled_from([NAMESPACES, NODES, PODS, METRICS, CLASSES, DRIVERS, WIDGETS, None]),
    name=st.sampled_from(["", "a"]),
    labels=st.sampled_from([SEEN, HIDDEN, None]),
)
def test_invariant_31_no_change_is_granted_by_reading_rights(
    verb: str, facts: KindFacts | None, name: str, labels: dict[str, str] | None
) -> None:
    attributes = asked(verb, facts or NODES, name=name)
    assert ruling(view("List"), attributes, facts, labels) is Ruling.ASK


def test_labels_are_looked_up_only_where_they_decide() -> None:
    assert needs_labels(asked("get", NODES, name="n"), NODES)
    assert needs_labels(asked("delete", NODES, name="n"), NODES)
    assert not needs_labels(asked("delete", NAMESPACES, name="n"), NAMESPACES)
    assert not needs_labels(asked("list", NODES, name="n"), NODES)
    assert not needs_labels(asked("get", NODES), NODES)
    assert not needs_labels(asked("get", PODS, name="p"), PODS)
    assert not needs_labels(asked("get", NODES, name="n"), None)


def test_r_037_rules_are_gained_for_what_is_seen() -> None:
    def rule(*verbs: str, group: str, resource: str, names: tuple[str, ...] | None = None) -> ResourceRule:
        return ResourceRule(verbs=verbs, api_groups=(group,), resources=(resource,), resource_names=names)

    assert rules_gained(view("List", "Update"), (NAMESPACES, NODES, PODS, METRICS, CLASSES, DRIVERS, WIDGETS)) == (
        rule("list", "watch", group="", resource="namespaces"),
        rule("get", group="", resource="namespaces", names=("a", "b")),
        rule("list", "watch", group="", resource="nodes"),
        rule("list", group="metrics.k8s.io", resource="nodes"),
        rule("list", "watch", group="storage.k8s.io", resource="storageclasses"),
        rule("get", group="storage.k8s.io", resource="storageclasses"),
        rule("update", "patch", group="storage.k8s.io", resource="storageclasses"),
        rule("list", "watch", group="a.io", resource="ws"),
    )


def test_kinds_without_a_rule_are_not_ours_to_answer() -> None:
    seen = view("List")
    assert [is_served(seen, facts, "list") for facts in (NAMESPACES, NODES, WIDGETS, DRIVERS, PODS)] == [
        True,
        True,
        True,
        False,
        True,
    ]
    assert not is_served(seen, PODS, "get")
    assert not is_served(seen, METRICS, "watch")

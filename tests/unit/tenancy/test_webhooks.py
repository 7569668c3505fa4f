"""Which requests reach the webhooks: each meets at most one entry of a side, and none slips by."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tenantry.api.configuration import (
    CapsuleConfiguration,
    CapsuleConfigurationSpec,
    CapsuleConfigurationStatus,
    DynamicAdmission,
    MatchCondition,
    MutatingAdmission,
    MutatingWebhook,
    NodeMetadata,
    ServiceReference,
    ValidatingAdmission,
    ValidatingWebhook,
    WebhookClient,
    WebhookOptions,
    WebhookRule,
)
from tenantry.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from tenantry.api.rules import Enforce, MetadataRule, TenantRule
from tenantry.api.shared import ForbiddenList, UserSpec
from tenantry.api.tenant import Tenant, TenantSpec
from tenantry.foundation.codec import from_plain
from tenantry.foundation.selectors import selector_matches
from tenantry.tenancy.webhook_defaults import is_idle
from tenantry.tenancy.webhooks import webhook_configurations

TENANT = "capsule.clastix.io/tenant"
CORDONED = "projectcapsule.dev/cordoned"
MANAGED_BY = "projectcapsule.dev/managed-by"
NODE_SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"
BOTH_LABELS = {"capsule.clastix.io/managed-by": "solar", "projectcapsule.dev/tenant": "solar"}
OWN = "system:serviceaccount:capsule-system:capsule"


def configurations(
    configuration: CapsuleConfiguration | None = None, *, idle: tuple[str, ...] = ("idle",)
) -> tuple[dict[str, Any], dict[str, Any]]:
    return webhook_configurations(
        configuration or CapsuleConfiguration(),
        ca_bundle="Q0E=",
        namespace="capsule-system",
        service_name="capsule-webhook-service",
        own_accounts=(OWN,),
        idle_tenants=idle,
    )


@dataclass(frozen=True, kw_only=True)
class Call:
    """A write, as the API server matches it against webhooks."""

    group: str = ""
    resource: str = "pods"
    subresource: str = ""
    operation: str = "CREATE"
    username: str = "alice"
    groups: tuple[str, ...] = ("projectcapsule.dev", "system:authenticated")
    namespace_labels: Mapping[str, str] | None = field(default_factory=lambda: {TENANT: "solar"})
    """None for what is in no namespace."""
    object: dict[str, Any] | None = None
    old_object: dict[str, Any] | None = None


def meets(webhook: dict[str, Any], call: Call) -> bool:
    """The API server's own matching: rules, selectors, then the conditions by their Python twins."""
    return (
        any(_rule_matches(rule, call) for rule in webhook["rules"])
        and _namespace_matches(webhook["namespaceSelector"], call)
        and _object_matches(webhook["objectSelector"], call)
        and all(
            TWINS[condition["name"]](call, condition["expression"]) for condition in webhook.get("matchConditions", ())
        )
    )


def _rule_matches(rule: dict[str, Any], call: Call) -> bool:
    is_cluster = call.resource == "namespaces" or call.namespace_labels is None
    return (
        bool({"*", call.group} & set(rule["apiGroups"]))
        and call.operation in rule["operations"]
        and any(_resource_matches(pattern, call) for pattern in rule["resources"])
        and rule["scope"] in {"*", "Cluster" if is_cluster else "Namespaced"}
    )


def _resource_matches(pattern: str, call: Call) -> bool:
    resource, _, subresource = pattern.partition("/")
    return resource in {"*", call.resource} and subresource in {"*", call.subresource}


def _selects(selector: dict[str, Any], labels: Mapping[str, str]) -> bool:
    parsed = from_plain(selector, LabelSelector)
    return selector_matches(parsed.match_labels, parsed.match_expressions, labels)


def _namespace_matches(selector: dict[str, Any], call: Call) -> bool:
    return call.namespace_labels is None or _selects(selector, call.namespace_labels)


def _object_matches(selector: dict[str, Any], call: Call) -> bool:
    if not selector:
        return True
    return any(_selects(selector, _labels(one)) for one in (call.object, call.old_object) if one is not None)


def _labels(one: dict[str, Any] | None) -> dict[str, str]:
    return ((one or {}).get("metadata") or {}).get("labels") or {}


def _annotations(one: dict[str, Any] | None) -> dict[str, str]:
    return ((one or {}).get("metadata") or {}).get("annotations") or {}


def _by_system(call: Call) -> bool:
    is_in_group = bool({"system:nodes", "system:serviceaccounts:kube-system"} & set(call.groups))
    return is_in_group or call.username == "system:kube-controller-manager"


def _parsed_list(expression: str) -> list[str]:
    found = re.search(r"\[[^\]]*\]", expression)
    assert found is not None
    names: list[str] = json.loads(found.group())
    return names


def _by_superuser(call: Call, expression: str) -> bool:
    is_superuser = "system:masters" in call.groups
    changes = _annotations(call.object).get(NODE_SELECTOR, "") != _annotations(call.old_object).get(NODE_SELECTOR, "")
    is_judged = "node-selector" in expression and call.operation == "UPDATE" and changes
    return is_superuser and not is_judged


def _same(call: Call, *keys: str) -> bool:
    old, new = call.old_object or {}, call.object or {}
    metadata_same = _labels(new) == _labels(old) and _annotations(new) == _annotations(old)
    return metadata_same and all(new.get(key) == old.get(key) for key in keys)


def _has_something_to_add(call: Call, expression: str) -> bool:
    if call.operation != "UPDATE" or not set(BOTH_LABELS) <= set(_labels(call.object)):
        return True
    looks_at_spec = f'"{call.resource}"' in expression.partition("request.resource.resource in")[2]
    return not _same(call, *(("spec",) if looks_at_spec else ()))


TWINS: dict[str, Callable[[Call, str], bool]] = {
    "not-by-the-installation": lambda call, expression: call.username not in _parsed_list(expression),
    "not-by-the-installation-but-into-tenants": lambda call, expression: (
        call.username not in _parsed_list(expression) or (call.operation == "CREATE" and TENANT in _labels(call.object))
    ),
    "not-by-the-system": lambda call, _: not _by_system(call),
    "not-by-superusers": lambda call, expression: not _by_superuser(call, expression),
    "not-judged-elsewhere": lambda call, expression: f"{call.group}/{call.resource}" not in _parsed_list(expression),
    "not-managed": lambda call, _: (
        bool(call.subresource)
        or "controller" not in {_labels(one).get(MANAGED_BY) for one in (call.object, call.old_object)}
    ),
    "not-collected-by-the-system": lambda call, _: call.operation != "DELETE" or not _by_system(call),
    "not-a-subresource-by-the-system": lambda call, _: (
        call.subresource in {"", "ephemeralcontainers", "resize"} or not _by_system(call)
    ),
    "not-merely-finishing": lambda call, _: (
        call.operation != "UPDATE"
        or "deletionTimestamp" not in ((call.object or {}).get("metadata") or {})
        or not _same(call, "spec")
    ),
    "metadata-changes": lambda call, _: call.operation != "UPDATE" or not _same(call),
    "something-to-add": _has_something_to_add,
}

RESOURCES = (
    ("", "pods"),
    ("", "pods", "ephemeralcontainers"),
    ("", "pods", "resize"),
    ("", "pods", "status"),
    ("", "pods", "binding"),
    ("", "services"),
    ("", "serviceaccounts"),
    ("", "serviceaccounts", "token"),
    ("", "configmaps"),
    ("", "persistentvolumeclaims"),
    ("", "events"),
    ("events.k8s.io", "events"),
    ("", "namespaces"),
    ("", "namespaces", "status"),
    ("", "namespaces", "finalize"),
    ("", "nodes"),
    ("apps", "deployments"),
    ("apps", "deployments", "scale"),
    ("coordination.k8s.io", "leases"),
    ("networking.k8s.io", "ingresses"),
    ("networking.k8s.io", "networkpolicies"),
    ("gateway.networking.k8s.io", "gateways"),
    ("gateway.networking.k8s.io", "httproutes"),
    ("resource.k8s.io", "resourceclaims"),
    ("capsule.clastix.io", "tenants"),
    ("capsule.clastix.io", "tenantowners"),
    ("capsule.clastix.io", "rulestatuses"),
    ("capsule.clastix.io", "capsuleconfigurations"),
    ("example.com", "widgets"),
)
CLUSTER_SCOPED = {"nodes", "tenants", "tenantowners", "capsuleconfigurations"}

objects = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "labels": st.dictionaries(
                    st.sampled_from([*BOTH_LABELS, MANAGED_BY, "app"]), st.sampled_from(["controller", "x"]), max_size=4
                ),
                "annotations": st.dictionaries(st.sampled_from([NODE_SELECTOR, "note"]), st.just("x"), max_size=2),
                "deletionTimestamp": st.just("2026-01-01T00:00:00Z"),
            },
        ),
        "spec": st.sampled_from([{"a": 1}, {"a": 2}]),
    }
)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    group, resource, subresource = (*draw(st.sampled_from(RESOURCES)), "")[:3]
    operation = draw(st.sampled_from(["CREATE", "UPDATE", "DELETE"]))
    namespace = draw(
        st.fixed_dictionaries(
            {},
            optional={
                TENANT: st.sampled_from(["solar", "idle", "new"]),
                CORDONED: st.sampled_from(["true", "false"]),
            },
        )
    )
    return Call(
        group=group,
        resource=resource,
        subresource=subresource,
        operation=operation,
        username=draw(st.sampled_from(["alice", OWN, "system:node:n1", "system:kube-controller-manager"])),
        groups=draw(
            st.sampled_from(
                [
                    ("system:authenticated",),
                    ("system:masters",),
                    ("system:nodes",),
                    ("system:serviceaccounts", "system:serviceaccounts:kube-system"),
                ]
            )
        ),
        namespace_labels=None if resource in CLUSTER_SCOPED else namespace,
        object=None if operation == "DELETE" else draw(objects),
        old_object=None if operation == "CREATE" else draw(objects),
    )


def entries(side: dict[str, Any], call: Call) -> list[str]:
    return [webhook["name"].partition(".")[0] for webhook in side["webhooks"] if meets(webhook, call)]


@settings(max_examples=2000, deadline=None)
@given(calls(), st.sampled_from([(), ("idle",), ("idle", "solar")]))
def test_no_request_meets_two_entries_of_a_side(call: Call, idle: tuple[str, ...]) -> None:
    mutating, validating = configurations(idle=idle)

    assert len(entries(mutating, call)) <= 1
    assert len(entries(validating, call)) <= 1


@settings(max_examples=1000, deadline=None)
@given(calls())
def test_every_write_of_a_user_to_what_is_judged_meets_an_entry(call: Call) -> None:
    """A Pod, its new containers, a labelled object, a write in a cordoned namespace: all are judged."""
    call = replace(call, username="mallory", groups=("system:authenticated",))
    _, validating = configurations()
    namespace = call.namespace_labels or {}
    is_finishing = call.operation == "UPDATE" and not TWINS["not-merely-finishing"](call, "")
    if TENANT not in namespace or is_finishing or call.resource in {"events", "namespaces"}:
        return
    is_pod = call.resource == "pods" and call.subresource in {"", "ephemeralcontainers", "resize"}
    is_write = call.operation != "DELETE"
    changes_metadata = call.operation == "CREATE" or (is_write and not _same(call))
    must = namespace.get(CORDONED) == "true" or (is_pod and is_write)
    must = must or (namespace[TENANT] != "idle" and not call.subresource and changes_metadata)

    assert len(entries(validating, call)) == 1 or not must


def test_where_requests_go() -> None:
    """The table of webhook_defaults, by example: what the mutating and the validating side meet."""
    mutating, validating = configurations()
    lease = {"metadata": {"labels": BOTH_LABELS}, "spec": {"renewTime": "1"}}
    renewed = {**lease, "spec": {"renewTime": "2"}}
    managed = {"metadata": {"labels": {MANAGED_BY: "controller"}}}
    idle, cordoned = {TENANT: "idle"}, {TENANT: "solar", CORDONED: "true"}
    config_map = Call(resource="configmaps", object={"metadata": {}})
    renewal = Call(group="coordination.k8s.io", resource="leases", operation="UPDATE", object=renewed, old_object=lease)
    namespace = Call(resource="namespaces", namespace_labels={}, object={"metadata": {}})
    labelled = {"metadata": {"labels": {TENANT: "solar"}}}
    kube_system = ("system:serviceaccounts:kube-system",)
    table = {
        "a Pod": (Call(object={"metadata": {}}), ["objects"], ["objects"]),
        "a Pod of an idle tenant": (Call(namespace_labels=idle, object={}), ["objects"], ["objects"]),
        "a Pod elsewhere": (Call(namespace_labels={}, object={}), [], []),
        "a Pod in a cordoned namespace": (Call(namespace_labels=cordoned, object={}), ["objects"], ["cordoned"]),
        "a Pod's status": (Call(subresource="status", operation="UPDATE", object={}, old_object={}), [], []),
        "the deletion of a Pod": (Call(operation="DELETE", old_object={}), [], []),
        "the same, cordoned": (Call(operation="DELETE", old_object={}, namespace_labels=cordoned), [], ["cordoned"]),
        "the same, by a controller": (
            Call(operation="DELETE", old_object={}, namespace_labels=cordoned, groups=kube_system),
            [],
            [],
        ),
        "a ConfigMap": (config_map, ["others"], ["others"]),
        "a ConfigMap of an idle tenant": (replace(config_map, namespace_labels=idle), ["labels"], []),
        "a scaled Deployment, cordoned": (
            Call(group="apps", resource="deployments", subresource="scale", operation="UPDATE",
                 object={}, old_object={}, namespace_labels=cordoned),
            [],
            ["cordoned"],
        ),
        "a renewed Lease": (renewal, [], []),
        "a renewed Lease of an idle tenant": (replace(renewal, namespace_labels=idle), [], []),
        "a Service with another spec": (replace(renewal, group="", resource="services"), ["others"], ["changes"]),
        "an event": (Call(resource="events", object={}), [], []),
        "a managed object": (Call(resource="limitranges", object=managed), [], ["managed"]),
        "an object that is managed no more": (
            Call(resource="limitranges", operation="UPDATE", object={"metadata": {}}, old_object=managed),
            ["others"],
            ["managed"],
        ),
        "a Pod with another label": (
            Call(operation="UPDATE", object={"metadata": {"labels": {"app": "x"}}}, old_object={"metadata": {}}),
            ["changes"],
            ["changes"],
        ),
        "a Pod's new containers": (
            Call(subresource="ephemeralcontainers", operation="UPDATE", object={}, old_object={}),
            [],
            ["changes"],
        ),
        "its deletion": (Call(resource="limitranges", operation="DELETE", old_object=managed), [], ["managed"]),
        "its deletion by the garbage collector": (
            Call(resource="limitranges", operation="DELETE", old_object=managed, groups=kube_system),
            [],
            [],
        ),
        "a Pod that a controller makes from a template which claims to be managed": (
            Call(object=managed, groups=kube_system),
            ["objects"],
            ["managed"],
        ),
        "what the operator makes": (Call(resource="limitranges", object=managed, username=OWN), [], []),
        "a Namespace": (namespace, ["namespaces"], ["namespaces"]),
        "what the operator writes to one": (
            replace(namespace, username=OWN, operation="UPDATE", object=labelled, old_object=labelled),
            [],
            [],
        ),
        "a Namespace made as the operator": (replace(namespace, username=OWN), [], []),
        "the same, with the label of a tenant": (
            replace(namespace, username=OWN, object=labelled),
            ["namespaces"],
            [],
        ),
        "a Namespace by a superuser": (replace(namespace, groups=("system:masters",)), [], []),
        "a superuser's change of a node selector": (
            replace(
                namespace,
                groups=("system:masters",),
                operation="UPDATE",
                old_object={"metadata": {"annotations": {NODE_SELECTOR: "a=b"}}},
            ),
            [],
            ["namespaces"],
        ),
        "a Namespace's status": (replace(namespace, subresource="status"), [], ["namespaces"]),
        "a Tenant": (
            Call(group="capsule.clastix.io", resource="tenants", namespace_labels=None, object={}),
            ["tenants"],
            ["kinds"],
        ),
        "a node": (Call(resource="nodes", operation="UPDATE", namespace_labels=None, object={}, old_object={}), [], []),
    }  # fmt: skip

    met = {name: (entries(mutating, call), entries(validating, call)) for name, (call, _, _) in table.items()}

    assert met == {name: (on_mutation, on_validation) for name, (_, on_mutation, on_validation) in table.items()}


def test_nodes_are_judged_once_the_platform_forbids_keys_there() -> None:
    spec = CapsuleConfigurationSpec(node_metadata=NodeMetadata(forbidden_labels=ForbiddenList(denied=("zone",))))
    _, validating = configurations(CapsuleConfiguration(spec=spec))
    call = Call(resource="nodes", operation="UPDATE", namespace_labels=None, object={}, old_object={})

    assert entries(validating, call) == ["nodes"]
    assert entries(validating, replace(call, groups=("system:nodes",))) == []


def test_the_platforms_entries_are_rendered_as_they_are() -> None:
    """A Capsule configuration with entries of its own works unchanged (W-1)."""
    spec = CapsuleConfigurationSpec(
        administrators=(UserSpec(kind="Group", name="platform"),),
        admission=DynamicAdmission(
            mutating=MutatingAdmission(
                name="mine",
                labels={"a": "b"},
                annotations={"c": "d"},
                client=WebhookClient(url="https://127.0.0.1:9443/", ca_bundle="T1dO"),
                webhooks=(
                    MutatingWebhook(
                        name="defaults.projectcapsule.dev",
                        path="/defaults",
                        rules=(
                            WebhookRule(
                                api_groups=("",), api_versions=("v1",), operations=("CREATE",), resources=("pods",)
                            ),
                        ),
                        namespace_selector=LabelSelector(
                            match_expressions=(LabelSelectorRequirement(key=TENANT, operator="Exists"),)
                        ),
                        match_conditions=(MatchCondition(name="x", expression="true"),),
                        side_effects="None",
                        timeout_seconds=30,
                        admission_review_versions=("v1", "v1beta1"),
                        reinvocation_policy="IfNeeded",
                    ),
                ),
            ),
            validating=ValidatingAdmission(
                client=WebhookClient(service=ServiceReference(name="hook", namespace="elsewhere", path="/base")),
                webhooks=(
                    ValidatingWebhook(
                        name="pods.projectcapsule.dev",
                        path="/pods/validating",
                        opts=WebhookOptions(capsule_users=True, administrators=True),
                    ),
                ),
            ),
        ),
    )
    status = CapsuleConfigurationStatus(users=(UserSpec(kind="User", name='al"ice'),))

    mutating, validating = configurations(CapsuleConfiguration(spec=spec, status=status))

    assert mutating == {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {
            "name": "mine",
            "labels": {"a": "b", MANAGED_BY: "controller"},
            "annotations": {"c": "d", "projectcapsule.dev/admission-state-hash": _hash(mutating)},
        },
        "webhooks": [
            {
                "name": "defaults.projectcapsule.dev",
                "clientConfig": {"url": "https://127.0.0.1:9443/defaults", "caBundle": "T1dO"},
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["pods"],
                        "scope": "*",
                    }
                ],
                "failurePolicy": "Fail",
                "matchPolicy": "Equivalent",
                "namespaceSelector": {"matchExpressions": [{"key": TENANT, "operator": "Exists"}]},
                "objectSelector": {},
                "matchConditions": [{"name": "x", "expression": "true"}],
                "sideEffects": "None",
                "timeoutSeconds": 30,
                "admissionReviewVersions": ["v1", "v1beta1"],
                "reinvocationPolicy": "IfNeeded",
            }
        ],
    }
    assert validating["metadata"]["name"] == "capsule-dynamic-webhook"
    assert validating["webhooks"] == [
        {
            "name": "pods.projectcapsule.dev",
            "clientConfig": {
                "service": {"namespace": "elsewhere", "name": "hook", "path": "/base/pods/validating", "port": 443},
                "caBundle": "Q0E=",
            },
            "rules": [],
            "failurePolicy": "Fail",
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": {},
            "sideEffects": "None",
            "timeoutSeconds": 10,
            "admissionReviewVersions": ["v1"],
            "matchConditions": [
                {
                    "name": "capsule-requesters",
                    "expression": (
                        '(request.userInfo.username in ["al\\"ice"] || (has(request.userInfo.groups) && '
                        "request.userInfo.groups.exists(group, group in [])))"
                        " || (request.userInfo.username.startsWith('system:serviceaccount:') && "
                        "!(has(request.userInfo.groups) && request.userInfo.groups.exists(group, group in "
                        '["system:serviceaccounts:kube-system"])))'
                        " || (request.userInfo.username in [] || (has(request.userInfo.groups) && "
                        'request.userInfo.groups.exists(group, group in ["platform"])))'
                    ),
                }
            ],
        }
    ]


def _hash(side: dict[str, Any]) -> str:
    value: str = side["metadata"]["annotations"]["projectcapsule.dev/admission-state-hash"]
    assert re.fullmatch(r"[0-9a-f]{16}", value)
    return value


def test_the_hash_follows_the_entries_alone() -> None:
    same, _ = configurations()
    also_same, _ = configurations(CapsuleConfiguration(metadata=ObjectMeta(resource_version="7")))
    other, _ = configurations(idle=("idle", "other"))

    assert _hash(same) == _hash(also_same)
    assert _hash(same) != _hash(other)


def test_an_idle_tenant_has_no_metadata_rule_for_objects() -> None:
    def tenant(*kinds: str) -> Tenant:
        enforce = Enforce(metadata=(MetadataRule(kinds=kinds),))
        return Tenant(spec=TenantSpec(rules=(TenantRule(), TenantRule(enforce=enforce))))

    assert [is_idle(one) for one in (Tenant(), tenant("Namespace"), tenant("Namespace", "Pod"), tenant("*"))] == [
        True,
        True,
        False,
        False,
    ]


def test_an_empty_service_name_is_none() -> None:
    """Go clients send what is unset as an empty string (13.8)."""
    spec = CapsuleConfigurationSpec(admission=DynamicAdmission(service_name=""))

    assert configurations(CapsuleConfiguration(spec=spec)) == configurations()

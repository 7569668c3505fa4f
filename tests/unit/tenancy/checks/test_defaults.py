"""The classes that objects get which name none, or which got the cluster's default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.foundation.patches import PatchOperation
from tenantry.tenancy.checks import claims, defaults, gateways, ingresses, pods
from tenantry.tenancy.request import Operation, Request, Role
from tenantry.tenancy.verdict import ALLOWED, UNCHANGED, Denial, Mutation, Notice
from tenantry.tenancy.views import ClassEntry, ClassKind, ObjectContext

Ask = Callable[..., Request]
Situation = Callable[..., ObjectContext]

# The cluster's defaults are allowed too, and still give way (L-15).
SPEC = {
    "priorityClasses": {"default": "ours", "allowed": ["ours", "cluster", "batch"]},
    "runtimeClasses": {"default": "ours", "allowed": ["ours", "kata"]},
    "storageClasses": {"default": "ours", "allowed": ["ours", "cluster", "batch"]},
    "ingressOptions": {"allowedClasses": {"default": "ours", "allowed": ["ours", "cluster", "batch"]}},
    "gatewayOptions": {"allowedClasses": {"default": "ours", "allowed": ["cluster", "batch"]}},
}
ENTRIES = (
    ClassEntry(name="ours", priority=700, preemption_policy="Never"),
    ClassEntry(name="cluster", priority=5, is_default=True),
    ClassEntry(name="batch", priority=1),
)
CLASSES = dict.fromkeys(ClassKind, ENTRIES)


def notice(noun: str, name: str = "ours") -> Notice:
    return Notice(reason="TenantDefaulted", action="Mutated", message=f"Assigned the Tenant's default {noun} {name}")


def put(path: str, value: Any = "ours") -> PatchOperation:
    return PatchOperation(op="add", path=path, value=value)


PRIORITY = (
    put("/spec/priorityClassName"),
    put("/spec/priority", 700),
    put("/spec/preemptionPolicy", "Never"),
)
PRIORITY_DEFAULTED = Mutation(operations=PRIORITY, notices=(notice("Pod Priority Class"),))


@pytest.mark.parametrize(
    ("spec", "mutation"),
    [
        pytest.param({}, PRIORITY_DEFAULTED, id="no class at all"),
        pytest.param(
            {"priority": 0, "preemptionPolicy": "PreemptLowerPriority"},
            PRIORITY_DEFAULTED,
            id="what the API server resolves for no class",
        ),
        pytest.param(
            {"priorityClassName": "cluster", "priority": 5, "preemptionPolicy": "PreemptLowerPriority"},
            PRIORITY_DEFAULTED,
            id="the cluster's default, although it is allowed",
        ),
        pytest.param({"priorityClassName": "batch", "priority": 1}, UNCHANGED, id="another class"),
        pytest.param({"priorityClassName": "gone"}, UNCHANGED, id="a class that does not exist"),
        pytest.param(
            {"priorityClassName": "ours", "priority": 700, "preemptionPolicy": "Never"}, UNCHANGED, id="done already"
        ),
        pytest.param(
            {"priorityClassName": "ours", "priority": 3, "preemptionPolicy": "Never"},
            Mutation(operations=(put("/spec/priority", 700),), notices=(notice("Pod Priority Class"),)),
            id="the default with another number",
        ),
    ],
)
def test_pods_get_the_default_priority_class_with_what_it_means(
    ask: Ask, situation: Situation, shelf: Any, spec: dict[str, Any], mutation: Mutation
) -> None:
    context = situation({"priorityClasses": SPEC["priorityClasses"]}, lookups=shelf(classes=CLASSES))

    assert defaults.mutate(ask("pods", {"spec": spec}), context) == mutation


def test_a_class_without_preemption_policy_preempts(ask: Ask, situation: Situation, shelf: Any) -> None:
    context = situation({"priorityClasses": {"default": "batch"}}, lookups=shelf(classes=CLASSES))

    assert defaults.mutate(ask("pods", {"spec": {}}), context) == Mutation(
        operations=(
            put("/spec/priorityClassName", "batch"),
            put("/spec/priority", 1),
            put("/spec/preemptionPolicy", "PreemptLowerPriority"),
        ),
        notices=(notice("Pod Priority Class", "batch"),),
    )


def test_a_default_priority_class_that_does_not_exist_refuses_who_needs_it(
    ask: Ask, situation: Situation, shelf: Any
) -> None:
    context = situation({"priorityClasses": {"default": "lost"}}, lookups=shelf(classes=CLASSES))

    assert defaults.mutate(ask("pods", {"spec": {"priorityClassName": "batch"}}), context) == UNCHANGED
    assert defaults.mutate(ask("pods", {"spec": {}}), context) == Mutation(
        denial=Denial(
            reason="MissingPriorityClass",
            message="The default Pod Priority Class lost of the current Tenant does not exist: name another one, or "
            "reach out to the system administrators",
        )
    )


def test_pods_get_both_defaults_at_once(ask: Ask, situation: Situation, shelf: Any) -> None:
    assert defaults.mutate(ask("pods", {"spec": {}}), situation(SPEC, lookups=shelf(classes=CLASSES))) == Mutation(
        operations=(*PRIORITY, put("/spec/runtimeClassName")),
        notices=(notice("Pod Priority Class"), notice("Pod Runtime Class")),
    )


@pytest.mark.parametrize(("name", "changes"), [(None, True), ("", True), ("kata", False), ("ours", False)])
def test_pods_get_the_default_runtime_class(ask: Ask, situation: Situation, name: str | None, *, changes: bool) -> None:
    context = situation({"runtimeClasses": SPEC["runtimeClasses"]})

    assert defaults.mutate(ask("pods", {"spec": {"runtimeClassName": name}}), context) == (
        Mutation(operations=(put("/spec/runtimeClassName"),), notices=(notice("Pod Runtime Class"),))
        if changes
        else UNCHANGED
    )


@pytest.mark.parametrize(
    ("claim", "changes"),
    [
        pytest.param({"spec": {}}, True, id="no class"),
        pytest.param({"spec": {"storageClassName": "cluster"}}, True, id="the cluster's default, although allowed"),
        pytest.param({"spec": {"storageClassName": ""}}, False, id="no class on purpose"),
        pytest.param({"spec": {"storageClassName": "batch"}}, False, id="another"),
        pytest.param({"spec": {"storageClassName": "ours"}}, False, id="done already"),
        pytest.param(
            {"metadata": {"annotations": {claims.CLASS_ANNOTATION: "batch"}}, "spec": {}}, False, id="by annotation"
        ),
    ],
)
def test_claims_get_the_default_storage_class(
    ask: Ask, situation: Situation, shelf: Any, claim: dict[str, Any], *, changes: bool
) -> None:
    context = situation(SPEC, lookups=shelf(classes=CLASSES))

    assert defaults.mutate(ask("persistentvolumeclaims", claim), context) == (
        Mutation(operations=(put("/spec/storageClassName"),), notices=(notice("Storage Class"),))
        if changes
        else UNCHANGED
    )


@pytest.mark.parametrize(
    ("ingress", "old", "changes"),
    [
        pytest.param({"spec": {}}, None, True, id="no class"),
        pytest.param({"spec": {}}, {"spec": {"ingressClassName": "batch"}}, True, id="no class any more"),
        pytest.param({"spec": {"ingressClassName": "cluster"}}, None, True, id="the cluster's default"),
        pytest.param(
            {"spec": {"ingressClassName": "cluster"}}, {"spec": {}}, False, id="the cluster's default, by choice"
        ),
        pytest.param({"spec": {"ingressClassName": "batch"}}, None, False, id="another"),
        pytest.param({"spec": {"ingressClassName": "ours"}}, None, False, id="done already"),
        pytest.param(
            {"metadata": {"annotations": {"kubernetes.io/ingress.class": "cluster"}}, "spec": {}},
            None,
            False,
            id="by annotation",
        ),
    ],
)
def test_ingresses_get_the_default_class(
    ask: Ask, situation: Situation, shelf: Any, ingress: dict[str, Any], old: dict[str, Any] | None, *, changes: bool
) -> None:
    context = situation(SPEC, lookups=shelf(classes=CLASSES))

    assert defaults.mutate(ask("ingresses", ingress, old=old), context) == (
        Mutation(operations=(put("/spec/ingressClassName"),), notices=(notice("Ingress Class"),))
        if changes
        else UNCHANGED
    )


def test_gateways_get_the_default_class(ask: Ask, situation: Situation) -> None:
    assert defaults.mutate(ask("gateways", {"spec": {}}), situation(SPEC)) == Mutation(
        operations=(put("/spec/gatewayClassName"),), notices=(notice("Gateway Class"),)
    )
    assert defaults.mutate(ask("gateways", {"spec": {"gatewayClassName": "batch"}}), situation(SPEC)) == UNCHANGED


@pytest.mark.parametrize("resource", ["pods", "persistentvolumeclaims", "ingresses", "gateways", "configmaps"])
def test_without_defaults_nothing_changes(ask: Ask, situation: Situation, resource: str) -> None:
    assert defaults.mutate(ask(resource, {"spec": {}}), situation()) == UNCHANGED


@pytest.mark.parametrize("resource", ["pods", "persistentvolumeclaims"])
def test_pods_and_claims_get_theirs_at_creation_only(ask: Ask, situation: Situation, shelf: Any, resource: str) -> None:
    request = ask(resource, {"spec": {}}, old={"spec": {}})

    assert defaults.mutate(request, situation(SPEC, lookups=shelf(classes=CLASSES))) == UNCHANGED


@pytest.mark.parametrize(
    ("role", "subresource", "operation"),
    [
        (Role.CONTROLLER, "", Operation.CREATE),
        (Role.CAPSULE_USER, "binding", Operation.CREATE),
        (Role.CAPSULE_USER, "", Operation.DELETE),
    ],
)
def test_the_rest_is_left_alone(
    ask: Ask, situation: Situation, role: Role, subresource: str, operation: Operation
) -> None:
    request = ask("pods", {"spec": {}}, subresource=subresource, operation=operation)

    assert defaults.mutate(request, situation(SPEC, role=role)) == UNCHANGED


CHECKS = {
    "pods": pods.check,
    "persistentvolumeclaims": claims.check,
    "ingresses": ingresses.check,
    "gateways": gateways.check,
}
CLASS_FIELDS = {
    "pods": "priorityClassName",
    "persistentvolumeclaims": "storageClassName",
    "ingresses": "ingressClassName",
    "gateways": "gatewayClassName",
}


def patched(obj: Mapping[str, Any], operations: tuple[PatchOperation, ...]) -> dict[str, Any]:
    spec = dict(obj["spec"])
    for operation in operations:
        spec[operation.path.removeprefix("/spec/")] = operation.value
    return {**obj, "spec": spec}


@given(
    resource=st.sampled_from(sorted(CHECKS)),
    name=st.sampled_from([None, "ours", "cluster", "batch"]),
    runtime=st.sampled_from([None, "ours", "kata"]),
)
def test_defaulting_again_changes_nothing_and_what_it_set_is_allowed(
    ask: Ask, situation: Situation, shelf: Any, resource: str, name: str | None, runtime: str | None
) -> None:
    named = {CLASS_FIELDS[resource]: name, "runtimeClassName": runtime}
    obj = {"spec": {field: value for field, value in named.items() if value is not None}}
    context = situation(SPEC, lookups=shelf(classes=CLASSES))

    result = patched(obj, defaults.mutate(ask(resource, obj), context).operations)

    assert defaults.mutate(ask(resource, result), context) == UNCHANGED
    assert CHECKS[resource](ask(resource, result), context) == ALLOWED

"""Pods: images, pull policies, priority and runtime classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.tenancy.checks import pods
from tenantry.tenancy.request import Operation, Request, Requester, Role
from tenantry.tenancy.verdict import ALLOWED, denied
from tenantry.tenancy.views import ClassEntry, ClassKind, ObjectContext

Ask = Callable[..., Request]
Situation = Callable[..., ObjectContext]

REGISTRIES = {"containerRegistries": {"allowed": ["ghcr.io"], "allowedRegex": r"\.oil\.example(:\d+)?$"}}
REGISTRY_CHOICES = (
    r"use one from the following list (ghcr.io) or use one matching the regular expression (\.oil\.example(:\d+)?$)"
)
PRIORITIES = {"priorityClasses": {"allowed": ["batch"], "matchLabels": {"env": "prod"}}}
PRIORITY_CHOICES = "use one from the following list (batch) or use one whose labels match (env=prod)"


def pod(*images: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": f"c{index}", "image": image} for index, image in enumerate(images or ("ghcr.io/a:1",))]
    return {"metadata": {"name": "web"}, "spec": {"containers": containers, **spec}}


def no_registry(image: str, place: str) -> Any:
    return denied(
        "MissingFQCI",
        f"Container image {image} at {place} names no registry, which the current Tenant requires: {REGISTRY_CHOICES}",
    )


def foreign(image: str, place: str, host: str = "evil.example") -> Any:
    return denied(
        "ForbiddenContainerRegistry",
        f"Container image {image} at {place} comes from the registry {host}, which is forbidden for the current "
        f"Tenant: {REGISTRY_CHOICES}",
    )


@pytest.mark.parametrize(
    ("submitted", "verdict"),
    [
        pytest.param(pod("ghcr.io/a"), ALLOWED, id="listed"),
        pytest.param(pod("cr.oil.example:5000/a"), ALLOWED, id="matches the expression, with its port"),
        pytest.param(pod("nginx"), no_registry("nginx", "containers[0]"), id="no registry"),
        pytest.param(pod("ghcr.io/a", "evil.example/b"), foreign("evil.example/b", "containers[1]"), id="second"),
        pytest.param(
            pod("GHCR.io/a"), foreign("GHCR.io/a", "containers[0]", "GHCR.io"), id="the list is case sensitive"
        ),
        pytest.param(
            pod(initContainers=[{"name": "i", "image": "evil.example/i"}]),
            foreign("evil.example/i", "initContainers[0]"),
            id="init container",
        ),
        pytest.param(
            pod(ephemeralContainers=[{"name": "e", "image": "evil.example/e"}]),
            foreign("evil.example/e", "ephemeralContainers[0]"),
            id="ephemeral container",
        ),
        pytest.param(
            pod(volumes=[{"name": "a"}, {"name": "m", "image": {"reference": "evil.example/m"}}]),
            foreign("evil.example/m", "volumes[1](m)"),
            id="image volume",
        ),
        pytest.param(
            pod(volumes=[{"name": "m", "image": {}}]), no_registry("", "volumes[0](m)"), id="image volume without image"
        ),
    ],
)
def test_every_image_comes_from_an_allowed_registry(
    ask: Ask, situation: Situation, submitted: dict[str, Any], verdict: Any
) -> None:
    assert pods.check(ask("pods", submitted), situation(REGISTRIES)) == verdict


def test_an_ephemeral_container_is_judged_when_it_is_added(ask: Ask, situation: Situation) -> None:
    debugger = pod(ephemeralContainers=[{"name": "e", "image": "evil.example/sh"}])
    request = ask("pods", debugger, old=pod(), subresource="ephemeralcontainers")

    assert pods.check(request, situation(REGISTRIES)) == foreign("evil.example/sh", "ephemeralContainers[0]")


def test_an_update_is_judged_by_the_images_it_changes(ask: Ask, situation: Situation) -> None:
    old = pod("old.example/a:1")

    assert pods.check(ask("pods", old, old=old), situation(REGISTRIES)) == ALLOWED
    assert pods.check(ask("pods", pod("old.example/a:2"), old=old), situation(REGISTRIES)) == foreign(
        "old.example/a:2", "containers[0]", "old.example"
    )


@pytest.mark.parametrize(
    ("submitted", "refused"),
    [
        (pod(containers=[{"name": "a", "image": "ghcr.io/a", "imagePullPolicy": "Always"}]), None),
        (pod(containers=[{"name": "a", "image": "ghcr.io/a"}]), None),
        (
            pod(containers=[{"name": "a", "image": "ghcr.io/a", "imagePullPolicy": "Never"}]),
            ("Never", "ghcr.io/a", "containers[0]"),
        ),
        (pod("a", initContainers=[{"name": "a", "image": "b:1"}]), ("IfNotPresent", "b:1", "initContainers[0]")),
        (
            pod(
                "a",
                ephemeralContainers=[{"name": "a", "image": "b", "imagePullPolicy": "IfNotPresent"}],
            ),
            ("IfNotPresent", "b", "ephemeralContainers[0]"),
        ),
        (
            pod("a", volumes=[{"name": "m", "image": {"reference": "m", "pullPolicy": "Never"}}]),
            ("Never", "m", "volumes[0](m)"),
        ),
    ],
)
def test_every_pull_policy_is_an_allowed_one(
    ask: Ask, situation: Situation, submitted: dict[str, Any], refused: tuple[str, str, str] | None
) -> None:
    verdict = ALLOWED
    if refused is not None:
        policy, image, place = refused
        verdict = denied(
            "ForbiddenPullPolicy",
            f"Image pull policy {policy} of {image} at {place} is forbidden for the current Tenant: "
            "use one from the following list (Always)",
        )
    assert pods.check(ask("pods", submitted), situation({"imagePullPolicies": ["Always"]})) == verdict


@pytest.mark.parametrize(
    ("name", "old", "verdict"),
    [
        pytest.param("", None, ALLOWED, id="none is named"),
        pytest.param("batch", None, ALLOWED, id="listed"),
        pytest.param("prod", None, ALLOWED, id="by its labels"),
        pytest.param(
            "test",
            None,
            denied(
                "ForbiddenPriorityClass",
                f"Pod Priority Class test is forbidden for the current Tenant: {PRIORITY_CHOICES}",
            ),
            id="neither",
        ),
        pytest.param("test", "test", ALLOWED, id="an update that leaves it"),
        pytest.param(
            "test",
            "batch",
            denied(
                "ForbiddenPriorityClass",
                f"Pod Priority Class test is forbidden for the current Tenant: {PRIORITY_CHOICES}",
            ),
            id="D-10: an update that changes it",
        ),
    ],
)
def test_priority_classes_are_judged_when_they_are_set(
    ask: Ask, situation: Situation, shelf: Any, name: str, old: str | None, verdict: Any
) -> None:
    entries = (ClassEntry(name="prod", labels={"env": "prod"}), ClassEntry(name="test", labels={"env": "test"}))
    before = None if old is None else pod(priorityClassName=old)
    context = situation(PRIORITIES, lookups=shelf(classes={ClassKind.PRIORITY: entries}))

    assert pods.check(ask("pods", pod(priorityClassName=name), old=before), context) == verdict


@pytest.mark.parametrize(
    ("name", "old", "allowed"),
    [(None, None, True), ("kata", None, True), ("runc", None, False), ("runc", "runc", True), ("runc", "kata", False)],
)
def test_runtime_classes_are_judged_when_they_are_set(
    ask: Ask, situation: Situation, name: str | None, old: str | None, *, allowed: bool
) -> None:
    before = None if old is None else pod(runtimeClassName=old)
    verdict = pods.check(
        ask("pods", pod(runtimeClassName=name), old=before), situation({"runtimeClasses": {"allowed": ["kata"]}})
    )

    assert verdict == (
        ALLOWED
        if allowed
        else denied(
            "ForbiddenRuntimeClass",
            "Pod Runtime Class runc is forbidden for the current Tenant: use one from the following list (kata)",
        )
    )


@pytest.mark.parametrize("role", [Role.CAPSULE_USER, Role.ADMINISTRATOR, Role.UNKNOWN])
def test_pods_are_judged_whoever_makes_them(ask: Ask, situation: Situation, role: Role) -> None:
    maker = Requester(
        username="system:serviceaccount:kube-system:replicaset-controller",
        groups=frozenset({"system:serviceaccounts:kube-system"}),
    )

    assert pods.check(ask("pods", pod("nginx"), requester=maker), situation(REGISTRIES, role=role)) == no_registry(
        "nginx", "containers[0]"
    )


def test_the_installation_itself_is_not_judged(ask: Ask, situation: Situation) -> None:
    assert pods.check(ask("pods", pod("nginx")), situation(REGISTRIES, role=Role.CONTROLLER)) == ALLOWED


@pytest.mark.parametrize(
    ("subresource", "operation"),
    [("", Operation.DELETE), ("", Operation.CONNECT), ("status", Operation.UPDATE), ("binding", Operation.CREATE)],
)
def test_what_sets_no_image_is_not_judged(
    ask: Ask, situation: Situation, subresource: str, operation: Operation
) -> None:
    request = ask("pods", pod("nginx"), subresource=subresource, operation=operation)

    assert pods.check(request, situation(REGISTRIES)) == ALLOWED


def test_a_tenant_without_limits_takes_any_pod_without_reading_it(ask: Ask, situation: Situation) -> None:
    request = ask("pods", {"spec": "not even a Pod"})

    assert pods.check(request, situation({})) == ALLOWED

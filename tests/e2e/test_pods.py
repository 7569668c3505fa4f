"""Pods in a tenant's namespace: images, pull policies, priority and runtime classes (L-1 to L-4, L-15)."""

from __future__ import annotations

from tenantry.testing.plain import (
    Plain,
    pod,
    priority_class,
    refused,
    runtime_class,
    standing,
    team,
    told,
)
from tenantry.testing.world import World

ALWAYS = {"imagePullPolicy": "Always"}
OTHER = {"name": "other", "image": "quay.io/acme/side:1", "resources": {}}
DEBUG = {"name": "debug", "image": "quay.io/acme/debug:1"}


async def test_pull_policies_are_judged_in_every_container(world: World) -> None:
    """L-1: main, init and ephemeral containers, at creation and later; the list is in the message."""
    team_ = await team(world, {"imagePullPolicies": ["IfNotPresent", "Never"]})
    owner, ns = team_.owner, team_.namespace
    facts = ("Always", "IfNotPresent, Never")

    await refused(owner.create(pod(ns, "main", container=ALWAYS)), *facts)
    await refused(owner.create(pod(ns, "init", initContainers=[OTHER | ALWAYS])), *facts, "initContainers[0]")
    # The API server's own default for this image is Always.
    await refused(owner.create(pod(ns, "latest", image="quay.io/acme/web:latest")), *facts)

    fine = pod(ns, "fine", container={"imagePullPolicy": "Never"})
    await owner.create(fine)
    wrong = {"spec": {"ephemeralContainers": [DEBUG | ALWAYS]}}
    await refused(team_.admin.patch(fine, wrong, "strategic", "ephemeralcontainers"), *facts)
    await team_.admin.patch(fine, {"spec": {"ephemeralContainers": [DEBUG]}}, "strategic", "ephemeralcontainers")

    await told(world, ns, "ForbiddenPullPolicy", "Always")


async def test_registries_are_judged_by_host(world: World) -> None:
    """L-2: exact hosts and an expression; what names no host is refused, also by an update."""
    allowed = {"allowed": ["docker.io", "myregistry.azurecr.io"], "allowedRegex": r"quay\.\w+"}
    team_ = await team(world, {"containerRegistries": allowed})
    owner, ns = team_.owner, team_.namespace
    for image in ("docker.io/library/nginx:1.27", "myregistry.azurecr.io/app", "quay.io/acme/web:1"):
        await owner.create(pod(ns, "web", image=image), dry_run=True)

    for image in ("gcr.io/pause:3.0", "docker.io.evil.example/nginx", "docker.io:5000/nginx"):
        await refused(
            owner.create(pod(ns, "web", image=image)), image, "docker.io, myregistry.azurecr.io", r"quay\.\w+"
        )
    for image in ("nginx:1.27", "library/nginx"):
        await refused(owner.create(pod(ns, "web", image=image)), image, "docker.io, myregistry.azurecr.io")
    await refused(owner.create(pod(ns, "web", initContainers=[OTHER | {"image": "gcr.io/init"}])), "gcr.io")

    running = pod(ns, "running")
    await owner.create(running)
    patch = {"spec": {"containers": [{"name": "main", "image": "gcr.io/other:1"}]}}
    await refused(owner.patch(running, patch, "strategic"), "gcr.io")
    await refused(owner.change(running, lambda o: o["spec"]["containers"][0].update(image="nginx")), "nginx")
    patch = {"spec": {"ephemeralContainers": [DEBUG | {"image": "gcr.io/debug"}]}}
    await refused(team_.admin.patch(running, patch, "strategic", "ephemeralcontainers"), "gcr.io")
    patch = {"spec": {"containers": [{"name": "main", "image": "quay.io/acme/web:2"}]}}
    changed = await owner.patch(running, patch, "strategic")
    assert changed["spec"]["containers"][0]["image"] == "quay.io/acme/web:2"

    await told(world, ns, "ForbiddenContainerRegistry", "gcr.io")
    await told(world, ns, "MissingFQCI", "nginx")


async def test_priority_classes_are_allowed_by_name_expression_or_labels(world: World) -> None:
    """L-3: a class that is none of these is refused with the list; to name none passes."""
    names = {role: world.unique(role) for role in ("gold", "bronze", "labelled", "other")}
    classes = [
        priority_class(names["gold"], 10),
        priority_class(names["bronze"], 5),
        priority_class(names["labelled"], 7, metadata={"labels": {"env": "customer"}}),
        priority_class(names["other"], 9),
    ]
    team_ = await team(
        world,
        {
            "priorityClasses": {
                "allowed": [names["gold"]],
                "allowedRegex": "^bronze-",
                "matchLabels": {"env": "customer"},
            }
        },
    )
    async with standing(team_.admin, *classes):
        for role in ("gold", "bronze", "labelled"):
            obj = pod(team_.namespace, role, priorityClassName=names[role])
            await world.eventually(lambda obj=obj: team_.owner.create(obj, dry_run=True))  # type: ignore[misc]
        created = await team_.owner.create(pod(team_.namespace, "none"))
        assert "priorityClassName" not in created["spec"]
        await refused(
            team_.owner.create(pod(team_.namespace, "other", priorityClassName=names["other"])),
            f"Pod Priority Class {names['other']} is forbidden for the current Tenant",
            f"use one from the following list ({names['gold']})",
        )
        await told(world, team_.namespace, "ForbiddenPriorityClass", names["other"])


async def test_a_default_priority_class_sets_all_that_follows_from_it(world: World) -> None:
    """L-15: value and preemption too, and before the cluster's own default even if that is allowed."""
    mine, global_ = world.unique("tenant"), world.unique("global")
    classes = [
        priority_class(mine, 1202, preemptionPolicy="Never"),
        priority_class(global_, 1203, globalDefault=True),
    ]
    teams = [
        await team(world, {"priorityClasses": {"allowed": allowed, "default": mine}})
        for allowed in ([mine], [mine, global_])
    ]
    async with standing(Plain(world.admin), *classes):
        for one in teams:
            created = await world.eventually(
                lambda one=one: one.owner.create(pod(one.namespace, "none"), dry_run=True)  # type: ignore[misc]
            )
            spec = created["spec"]
            assert (spec["priorityClassName"], spec["priority"], spec["preemptionPolicy"]) == (mine, 1202, "Never")
    await refused(teams[0].owner.create(pod(teams[0].namespace, "gone")), mine, "does not exist")
    await told(world, teams[0].namespace, "MissingPriorityClass", mine)


async def test_runtime_classes_are_allowed_by_name_expression_or_labels(world: World) -> None:
    """L-4, as priority classes."""
    names = {role: world.unique(role) for role in ("legacy", "kata", "labelled", "other")}
    classes = [
        runtime_class(names["legacy"]),
        runtime_class(names["kata"]),
        runtime_class(names["labelled"], metadata={"labels": {"env": "customer"}}),
        runtime_class(names["other"]),
    ]
    allowed = {"allowed": [names["legacy"]], "allowedRegex": "^kata-", "matchLabels": {"env": "customer"}}
    team_ = await team(world, {"runtimeClasses": allowed})
    async with standing(team_.admin, *classes):
        for role in ("legacy", "kata", "labelled"):
            obj = pod(team_.namespace, role, runtimeClassName=names[role])
            await world.eventually(lambda obj=obj: team_.owner.create(obj, dry_run=True))  # type: ignore[misc]
        await team_.owner.create(pod(team_.namespace, "none"), dry_run=True)
        await refused(
            team_.owner.create(pod(team_.namespace, "other", runtimeClassName=names["other"])),
            f"Pod Runtime Class {names['other']} is forbidden for the current Tenant",
            f"use one from the following list ({names['legacy']})",
        )
        await told(world, team_.namespace, "ForbiddenRuntimeClass", names["other"])


async def test_a_default_runtime_class_brings_its_overhead(world: World) -> None:
    """L-15: what the API server derives from a runtime class is as if the user had named it."""
    mine, other = world.unique("default"), world.unique("other")
    team_ = await team(world, {"runtimeClasses": {"allowed": [other], "default": mine}})
    classes = (runtime_class(mine, overhead={"podFixed": {"cpu": "10m"}}), runtime_class(other))
    async with standing(team_.admin, *classes):

        async def none() -> str | None:
            created = await team_.owner.create(pod(team_.namespace, "none"), dry_run=True)
            assert created["spec"]["runtimeClassName"] == mine
            assert created["spec"]["overhead"] == {"cpu": "10m"}
            return mine

        await world.eventually(none)
        given = await team_.owner.create(pod(team_.namespace, "given", runtimeClassName=other), dry_run=True)
        assert given["spec"]["runtimeClassName"] == other


async def test_pods_of_controllers_are_judged_and_defaulted_too(world: World) -> None:
    """A Deployment's Pods come from a ServiceAccount of kube-system: the tenant's limits hold for them as well."""
    team_ = await team(world, {"containerRegistries": {"allowed": ["quay.io"]}})
    for name, image in (("good", "quay.io/acme/web:1"), ("bad", "gcr.io/acme/web:1")):
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": image}]}}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": team_.namespace},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template, "strategy": {}},
            "status": {},
        }
        await team_.owner.create(deployment)
    await told(world, team_.namespace, "FailedCreate", "gcr.io")

    async def runs() -> bool:
        pods = await team_.owner.list("v1", "Pod", team_.namespace)
        return [one["metadata"]["labels"]["app"] for one in pods] == ["good"]

    await world.eventually(runs)

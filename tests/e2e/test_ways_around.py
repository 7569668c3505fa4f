"""Ways around what a tenant may do, and that they lead nowhere (13.15)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from tenantry.kube.errors import ApiError
from tenantry.testing.plain import (
    Json,
    Plain,
    any_object,
    config_map,
    ingress,
    owned_labels,
    pod,
    refused,
    service,
    team,
    told,
    usable,
)
from tenantry.testing.world import World

TENANT = "capsule.clastix.io/tenant"
MANAGED_BY = "projectcapsule.dev/managed-by"
RBAC = "rbac.authorization.k8s.io/v1"
DENY_BAD: Json = {
    "enforce": {"action": "deny", "metadata": [{"apiGroups": ["*"], "kinds": ["*"], "labels": {"bad": {}}}]}
}
ONLY_QUAY: Json = {"enforce": {"action": "allow", "workloads": {"registries": [{"exp": "^quay\\.io/"}]}}}


async def everything(admin: Plain, namespace: str, *subjects: Json) -> None:
    """Give *subjects* every right in *namespace*, as careless platforms do."""
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    await admin.create(any_object(RBAC, "Role", "everything", namespace, rules=rules))
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "everything"}
    await admin.create(
        any_object(RBAC, "RoleBinding", "everything", namespace, roleRef=reference, subjects=list(subjects))
    )


async def test_a_namespace_can_not_shed_its_tenant_and_its_rules_with_it(world: World) -> None:
    """A namespaceSelector sees the labels that a request submits, so nothing rests on one there."""
    team_ = await team(world, {"rules": [DENY_BAD]})
    namespace = any_object("v1", "Namespace", team_.namespace)
    bad = config_map(team_.namespace, "bad", labels={"bad": "1"})
    for patch, kind in (
        ({"metadata": {"labels": {TENANT: None}}}, "merge"),
        ({"metadata": {"labels": None}}, "merge"),
        ({"metadata": {"labels": {"$patch": "replace", "mine": "1"}}}, "strategic"),
        ({"metadata": {"labels": {TENANT: "other"}}}, "strategic"),
        ([{"op": "replace", "path": "/metadata/labels", "value": {}}], "json"),
    ):
        changed = await team_.owner.patch(namespace, patch, kind)
        assert changed["metadata"]["labels"][TENANT] == team_.tenant
        await refused(team_.owner.create(bad), "bad", "denied")


async def test_a_namespace_can_not_leave_a_rule_by_the_label_that_selects_it(world: World) -> None:
    """Both the stored and the submitted labels choose the rules for a Namespace itself."""
    rule = {
        "namespaceSelector": {"matchLabels": {"env": "prod"}},
        "enforce": {
            "action": "allow",
            "metadata": [{"kinds": ["Namespace"], "labels": {"cost": {"required": True}}}],
        },
    }
    tenant = await world.tenant({"owners": [{"kind": "User", "name": "alice"}], "rules": [rule]})
    alice = await world.user("alice")
    name = await world.namespace(alice, tenant.metadata.name, labels={"env": "prod", "cost": "1"})
    await usable(world, alice, name)
    owner, namespace = Plain(alice), any_object("v1", "Namespace", name)
    await refused(owner.patch(namespace, {"metadata": {"labels": {"cost": None}}}), "cost", "required")
    await refused(owner.patch(namespace, {"metadata": {"labels": {"cost": None, "env": "dev"}}}), "cost", "required")
    free = await world.namespace(alice, tenant.metadata.name, labels={"env": "dev"})
    await usable(world, alice, free)
    await refused(owner.patch(any_object("v1", "Namespace", free), {"metadata": {"labels": {"env": "prod"}}}), "cost")


async def test_a_new_namespace_is_ruled_from_its_first_moment(world: World) -> None:
    """Neither the API server's cache nor ours knows it yet; nothing slips by."""
    tenant = await world.tenant({"owners": [{"kind": "User", "name": "alice"}], "rules": [DENY_BAD]})
    alice, admin = await world.user("alice"), Plain(world.admin)
    for _ in range(15):
        name = await world.namespace(alice, tenant.metadata.name)
        await refused(admin.create(config_map(name, "bad", labels={"bad": "1"})), "bad", "denied")
        made = await admin.create(config_map(name, "good"))
        assert made["metadata"]["labels"] == owned_labels(tenant.metadata.name)


async def test_pods_that_claim_to_be_managed_are_judged_like_any(world: World) -> None:
    """An object selector sees the old and the new object, so it must never lead past a check."""
    team_ = await team(world, {"rules": [ONLY_QUAY]})
    labels = {"app": "sneaky", MANAGED_BY: "controller"}
    await refused(team_.owner.create(pod(team_.namespace, "x", metadata={"labels": labels})), "controller managed")
    for value in ("Controller", "resources", ""):
        body = pod(team_.namespace, "x", image="gcr.io/x", metadata={"labels": {MANAGED_BY: value}})
        await refused(team_.owner.create(body), "gcr.io/x")
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "gcr.io/a"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "sneaky"}}, "template": template}
    replicas = any_object("apps/v1", "ReplicaSet", "sneaky", team_.namespace, spec=spec)
    replicas["metadata"]["labels"] = {"app": "sneaky"}
    await team_.owner.create(replicas)
    # As whom Pods are made is the cluster's choice; whoever it is, no Pod of that image comes.
    await told(world, team_.namespace, "FailedCreate", "denied the request")
    assert await team_.admin.list("v1", "Pod", team_.namespace) == []


async def test_one_thing_tried_over_and_over_is_told_as_a_series(world: World) -> None:
    """13.16: by one event that counts, also where each try has a generated name."""
    team_ = await team(world, {"rules": [ONLY_QUAY]})
    for _ in range(5):
        body = pod(team_.namespace, "", image="gcr.io/x", metadata={"generateName": "web-"})
        del body["metadata"]["name"]
        await refused(team_.owner.create(body), "gcr.io/x")

    async def counted() -> bool:
        events = await team_.admin.list("events.k8s.io/v1", "Event", team_.namespace)
        ours = [one for one in events if one["reason"] == "ForbiddenContainerRegistry"]
        assert [one["regarding"]["name"] for one in ours] == ["web-"]
        return bool(ours[0]["series"]["count"] >= 2)

    await world.eventually(counted)


async def test_collections_of_managed_objects_can_not_be_deleted(world: World) -> None:
    """Each of them is judged."""
    limits = {"limitRanges": {"items": [{"limits": [{"type": "Pod", "max": {"cpu": "4"}}]}]}}
    team_ = await team(world, limits)
    ns = team_.namespace
    await everything(team_.admin, ns, {"kind": "User", "name": "alice"})
    limit = any_object("v1", "LimitRange", f"capsule-{team_.tenant}-0", ns)
    await world.eventually(lambda: team_.admin.get(limit))
    before = await team_.admin.list(RBAC, "RoleBinding", ns)
    for path in (f"/api/v1/namespaces/{ns}/limitranges", f"/apis/{RBAC}/namespaces/{ns}/rolebindings"):
        await refused(team_.owner.client.request("DELETE", path), "controller managed")
    await team_.admin.get(limit)
    after = await team_.admin.list(RBAC, "RoleBinding", ns)
    managed = [one["metadata"]["name"] for one in before if MANAGED_BY in one["metadata"]["labels"]]
    assert {one["metadata"]["name"] for one in after} >= set(managed)


async def test_no_subresource_lets_in_what_the_object_may_not_have(world: World) -> None:
    """Ephemeral containers, resizes and statuses; a scale brings Pods, which are judged."""
    team_ = await team(world, {"rules": [ONLY_QUAY], "containerRegistries": {"allowed": ["quay.io"]}})
    ns = team_.namespace
    await everything(team_.admin, ns, {"kind": "User", "name": "alice"})
    running = pod(ns, "running")
    await team_.owner.create(running)
    debug = {"name": "debug", "image": "gcr.io/debug"}
    ephemeral = {"spec": {"ephemeralContainers": [debug]}}
    for kind, patch in (
        ("strategic", ephemeral),
        ("merge", ephemeral),
        ("json", [{"op": "add", "path": "/spec/ephemeralContainers", "value": [debug]}]),
    ):
        await refused(team_.owner.patch(running, patch, kind, "ephemeralcontainers"), "gcr.io")

    def add(found: Json) -> None:
        found["spec"]["ephemeralContainers"] = [debug]

    await refused(team_.owner.change(running, add, "ephemeralcontainers"), "gcr.io")
    # The API server itself keeps images out of these two; whatever they answer, the image stays.
    wrong = {"spec": {"containers": [{"name": "main", "image": "gcr.io/x"}]}}
    for subresource in ("status", "resize"):
        with suppress(ApiError):
            await team_.owner.patch(running, wrong, "strategic", subresource)
    assert (await team_.owner.get(running))["spec"]["containers"][0]["image"] == "quay.io/acme/web:1"

    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "a", "image": "gcr.io/a"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    deployment = any_object("apps/v1", "Deployment", "web", ns, spec=spec)
    await team_.owner.create(deployment)
    await team_.owner.patch(deployment, {"spec": {"replicas": 2}}, "merge", "scale")
    await told(world, ns, "FailedCreate", "gcr.io/a")


async def test_no_way_of_writing_is_left_out(world: World) -> None:
    """Create, generated names, update, every patch and apply, as well as dry runs of them."""
    team_ = await team(world, {"rules": [DENY_BAD, ONLY_QUAY]})
    ns, owner = team_.namespace, team_.owner
    web = service(ns, "web")
    await owner.create(web)
    generated = service(ns, "x", metadata={"labels": {"bad": "1"}, "generateName": "web-"})
    del generated["metadata"]["name"]
    apply = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": {"bad": "1"}}}
    image = pod(ns, "applied", image="gcr.io/x")
    attempts: list[Any] = [
        owner.create(generated),
        owner.create(service(ns, "dry", metadata={"labels": {"bad": "1"}}), dry_run=True),
        owner.change(web, lambda o: o["metadata"]["labels"].update(bad="1")),
        owner.patch(web, {"metadata": {"labels": {"bad": "1"}}}),
        owner.patch(web, {"metadata": {"labels": {"$patch": "replace", "bad": "1"}}}, "strategic"),
        owner.patch(web, [{"op": "add", "path": "/metadata/labels/bad", "value": "1"}], "json"),
        owner.patch(web, apply, "apply", manager="kubectl"),
    ]
    for attempt in attempts:
        await refused(attempt, "bad", "denied")
    del image["metadata"]["creationTimestamp"]
    await refused(owner.patch(image, {**image, "status": None}, "apply", manager="kubectl"), "gcr.io/x")


async def test_labels_of_the_tenant_come_back_whatever_the_patch(world: World) -> None:
    """CN-6, also by strategic merges that replace or delete maps."""
    team_ = await team(world, {})
    web = service(team_.namespace, "web")
    await team_.owner.create(web)
    for patch in (
        {"metadata": {"labels": {"$patch": "replace"}}},
        {"metadata": {"labels": {"$patch": "delete"}}},
        {"metadata": {"labels": None}},
        {"metadata": {"labels": dict.fromkeys(owned_labels(""), "")}},
    ):
        changed = await team_.owner.patch(web, patch, "strategic")
        assert changed["metadata"]["labels"] == owned_labels(team_.tenant)


async def test_a_dry_run_takes_nothing_and_tells_nothing(world: World) -> None:
    """13.15, 13.16: it reserves no host, and no event speaks of it."""
    options = {"ingressOptions": {"hostnameCollisionScope": "Tenant"}}
    audit = {"enforce": {"action": "audit", "workloads": {"registries": [{"exp": "dry"}]}}}
    team_ = await team(world, {**options, "rules": [audit, DENY_BAD]})
    host = f"{world.unique('dry')}.example"
    await team_.owner.create(ingress(team_.namespace, "one", host), dry_run=True)
    await team_.owner.create(ingress(team_.namespace, "two", host))
    await team_.owner.create(pod(team_.namespace, "dry", image="dry/web"), dry_run=True)
    await refused(team_.owner.create(config_map(team_.namespace, "dry", labels={"bad": "1"}), dry_run=True), "denied")
    await refused(team_.owner.create(config_map(team_.namespace, "real", labels={"bad": "1"})), "denied")
    await told(world, team_.namespace, "ForbiddenMetadata", "bad")
    ours = [
        event["regarding"]["name"]
        for event in await team_.admin.list("events.k8s.io/v1", "Event", team_.namespace)
        if event["reportingController"] == "controller.projectcapsule.dev"
    ]
    assert ours == ["real"]

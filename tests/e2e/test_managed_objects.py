"""Whose an object is: the tenant's labels, what controllers manage, rule statuses, nodes (CN-3, CN-4, CN-6, CN-9)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from tenantry.kube.resources import NODES
from tenantry.testing.plain import (
    Json,
    Plain,
    any_object,
    config_map,
    owned_labels,
    pod,
    refused,
    service,
    team,
    told,
)
from tenantry.testing.world import World

MANAGED_BY = "projectcapsule.dev/managed-by"
SENTENCE = "Labeling resources as controller managed can only be done by the controller or administrators"
SPEC = {
    "limitRanges": {"items": [{"limits": [{"type": "Container", "default": {"cpu": "200m"}}]}]},
    "networkPolicies": {"items": [{"podSelector": {}, "policyTypes": ["Ingress"]}]},
    "resourceQuotas": {"scope": "Namespace", "items": [{"hard": {"pods": "10"}}]},
}


async def test_every_object_tells_its_tenant(world: World) -> None:
    """CN-6: whatever its kind and whoever makes it; the labels can't be given away."""
    team_ = await team(world, {})
    ns, ours = team_.namespace, owned_labels(team_.tenant)
    kinds: list[Json] = [
        config_map(ns, "it"),
        pod(ns, "it"),
        service(ns, "it"),
        any_object("v1", "Secret", "it", ns),
        any_object("v1", "ServiceAccount", "it", ns),
        any_object("coordination.k8s.io/v1", "Lease", "it", ns, spec={}),
        any_object("policy/v1", "PodDisruptionBudget", "it", ns, spec={"minAvailable": 1}),
    ]
    for body in kinds:
        assert (await team_.admin.create(body))["metadata"]["labels"] == ours, body["kind"]
    given = config_map(ns, "given", labels={"mine": "1", "projectcapsule.dev/tenant": "gas"})
    assert (await team_.owner.create(given))["metadata"]["labels"] == {"mine": "1", **ours}
    for patch in ({"projectcapsule.dev/tenant": "gas"}, dict.fromkeys(ours)):
        changed = await team_.owner.patch(given, {"metadata": {"labels": patch}})
        assert changed["metadata"]["labels"] == {"mine": "1", **ours}
    # A typed client sends back what it read; nothing comes of it.
    before = await team_.owner.get(given)
    after = await team_.owner.update(before)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert "labels" not in (await Plain(world.admin).create(config_map("default", world.unique("out"))))["metadata"]


async def test_what_controllers_manage_is_left_alone_by_tenants(world: World) -> None:
    """CN-4: no change, no deletion, and nothing of one's own under that label; administrators may."""
    team_ = await team(world, SPEC)
    ns, tenant = team_.namespace, team_.tenant
    robot = Plain(world.account(ns, "default"))
    rbac = "rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    await team_.admin.create(any_object(rbac, "Role", "all", ns, rules=rules))
    subjects: list[Json] = [
        {"kind": "ServiceAccount", "name": "default", "namespace": ns},
        {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "alice"},
    ]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "all"}
    await team_.admin.create(any_object(rbac, "RoleBinding", "all", ns, roleRef=reference, subjects=subjects))
    bindings = [
        one for one in await team_.admin.list(rbac, "RoleBinding", ns) if MANAGED_BY in one["metadata"]["labels"]
    ]
    managed = [
        any_object("v1", "LimitRange", f"capsule-{tenant}-0", ns),
        any_object("networking.k8s.io/v1", "NetworkPolicy", f"capsule-{tenant}-0", ns),
        any_object("v1", "ResourceQuota", f"capsule-{tenant}-0", ns),
        any_object("capsule.clastix.io/v1beta2", "RuleStatus", "capsule-managed-rules", ns),
        {"apiVersion": rbac, "kind": "RoleBinding", "metadata": bindings[0]["metadata"]},
    ]
    for who in (team_.owner, robot):
        for obj in managed:
            await world.eventually(lambda obj=obj: team_.admin.get(obj))  # type: ignore[misc]
            for attempt in (
                who.patch(obj, {"metadata": {"annotations": {"a": "b"}}}),
                who.patch(obj, {"metadata": {"labels": {MANAGED_BY: None}}}),
                who.patch(obj, [{"op": "remove", "path": "/metadata/labels"}], "json"),
                who.delete(obj),
            ):
                await refused(attempt, SENTENCE)
        await refused(who.create(config_map(ns, "fake", labels={MANAGED_BY: "controller"})), SENTENCE)
        mine = config_map(ns, world.unique("mine"))
        await who.create(mine)
        await refused(who.patch(mine, {"metadata": {"labels": {MANAGED_BY: "controller"}}}), SENTENCE)
    # Outside of tenants the label says the same.
    outside = Plain(world.acting("mallory"))
    await refused(
        outside.create(config_map("default", "fake", labels={MANAGED_BY: "controller"})), "configmaps is forbidden"
    )
    # Their own network policies are theirs.
    policy = any_object("networking.k8s.io/v1", "NetworkPolicy", "mine", ns, spec={"podSelector": {}})
    await team_.owner.create(policy)
    await team_.owner.delete(policy)


async def test_a_rule_status_can_say_no_nonsense_and_decides_nothing(world: World) -> None:
    """CN-3, D-15: its body is validated like a Tenant's rules, and rules hold without it."""
    deny = {
        "enforce": {"action": "deny", "metadata": [{"kinds": ["ConfigMap"], "labels": {"bad": {"required": False}}}]}
    }
    team_ = await team(world, {"rules": [deny]})
    status = any_object("capsule.clastix.io/v1beta2", "RuleStatus", "capsule-managed-rules", team_.namespace)
    wrong = {"spec": [{"enforce": {"workloads": {"registries": [{"exp": "("}]}}}]}
    boss = Plain(world.acting("the-boss", ("system:masters",)))
    bad = config_map(team_.namespace, "x", labels={"bad": "1"})
    async with world.configured(administrators=[{"kind": "User", "name": "the-boss"}]):
        await world.eventually(
            lambda: _refused_as(boss.patch(status, wrong), "spec[0].enforce", "unable to compile regex")
        )
        await boss.delete(status)
        await refused(team_.owner.create(bad), "bad", "denied")
        await world.eventually(lambda: team_.admin.get(status))
        # What an administrator puts there changes no decision, and is put right.
        await boss.patch(status, {"spec": []})
        await refused(team_.owner.create(bad), "bad", "denied")

        async def repaired() -> bool:
            found = await team_.admin.get(status)
            assert found["spec"] == [deny]
            assert found["status"]["rules"] == [deny]
            return True

        await world.eventually(repaired)


async def _refused_as(attempt: Awaitable[Any], *parts: str) -> bool:
    await refused(attempt, *parts)
    return True


async def test_forbidden_metadata_of_nodes(world: World) -> None:
    """CN-9: served once configured; changing, adding and removing count, other keys and users do not."""
    forbidden: Any = {"denied": ["acme.io/pool"], "deniedRegex": "^vault\\.io/"}
    admin = Plain(world.admin)
    rbac = "rbac.authorization.k8s.io/v1"
    name = world.unique("node-editor")
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "patch", "update"]}]
    role = any_object(rbac, "ClusterRole", name, rules=rules)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subjects = [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user} for user in ("alice", "ops")]
    binding = any_object(rbac, "ClusterRoleBinding", name, roleRef=reference, subjects=subjects)
    node = any_object("v1", "Node", (await world.admin.list(NODES)).items[0].metadata.name)
    alice, ops = Plain(await world.user("alice")), Plain(await world.user("ops", ("ops",)))
    labelled = {"acme.io/pool": "a", "vault.io/x": "1"}
    await admin.create(role)
    await admin.create(binding)
    await admin.patch(node, {"metadata": {"labels": labelled, "annotations": labelled}})
    try:
        async with world.configured(nodeMetadata={"forbiddenLabels": forbidden, "forbiddenAnnotations": forbidden}):
            for field, text in (
                ("labels", "some labels are marked as forbidden"),
                ("annotations", "some annotations are marked as forbidden"),
            ):
                for change in ({"acme.io/pool": "b"}, {"acme.io/pool": None}, {"vault.io/new": "1"}):

                    async def stopped(field: str = field, change: Any = change, text: str = text) -> bool:
                        await refused(alice.patch(node, {"metadata": {field: change}}), text)
                        return True

                    await world.eventually(stopped)
                await alice.patch(node, {"metadata": {field: {"free.io/x": "1"}}})
                await ops.patch(node, {"metadata": {field: {"vault.io/x": "2"}}})
            await told(world, "default", "ForbiddenLabel", "some labels are marked as forbidden")

        async def free() -> bool:
            await alice.patch(node, {"metadata": {"labels": {"acme.io/pool": "c"}}})
            return True

        await world.eventually(free)
    finally:
        gone = dict.fromkeys(("acme.io/pool", "vault.io/x", "free.io/x"))
        await admin.patch(node, {"metadata": {"labels": gone, "annotations": gone}})
        await admin.delete(binding)
        await admin.delete(role)

"""Cordoned namespaces, for every verb and class of requester (CN-7, T-6, I-10)."""

from __future__ import annotations

from typing import Any

from tenantry.testing.plain import (
    Json,
    Plain,
    Team,
    any_object,
    config_map,
    pod,
    refused,
    service,
    team,
    told,
)
from tenantry.testing.world import World

CORDONED = "projectcapsule.dev/cordoned"
RBAC = "rbac.authorization.k8s.io/v1"


def deployment(namespace: str) -> Json:
    """Return a Deployment of no Pods."""
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    return any_object("apps/v1", "Deployment", "web", namespace, spec=spec)


async def furnish(team_: Team) -> None:
    """Put in the namespace what is attacked later, and give alice rights that the role admin lacks."""
    ns = team_.namespace
    await grant(team_.admin, ns, {"kind": "User", "name": "alice"}, "pods/ephemeralcontainers")
    for obj in (config_map(ns, "settings"), pod(ns, "running"), service(ns, "web"), deployment(ns)):
        await team_.owner.create(obj)


async def grant(admin: Plain, namespace: str, subject: Json, resource: str) -> None:
    """Let *subject* do anything with a core resource in *namespace*."""
    name = f"{subject['name']}-{resource.partition('/')[2] or resource}"
    rules = [{"apiGroups": [""], "resources": [resource], "verbs": ["*"]}]
    await admin.create(any_object(RBAC, "Role", name, namespace, rules=rules))
    reference = {"apiGroup": RBAC.partition("/")[0], "kind": "Role", "name": name}
    await admin.create(any_object(RBAC, "RoleBinding", name, namespace, roleRef=reference, subjects=[subject]))


async def all_is_refused(owner: Plain, namespace: str) -> None:
    """Try every verb, on objects and subresources."""
    sentence = f"The current namespace '{namespace}' is cordoned. The attempted operation"
    settings, running, web = config_map(namespace, "settings"), pod(namespace, "running"), deployment(namespace)
    scale = {"spec": {"replicas": 1}}
    token = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    debug = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "a"}]}}
    role = any_object(RBAC, "Role", "x", namespace, rules=[])
    attempts: list[Any] = [
        owner.create(config_map(namespace, "new")),
        owner.create(config_map(namespace, "new"), dry_run=True),
        owner.create(role),
        owner.update({**settings, "data": {"key": "other"}}),
        owner.patch(settings, {"data": {"key": "other"}}),
        owner.patch(settings, {"data": {"key": "other"}}, "strategic"),
        owner.patch(settings, [{"op": "add", "path": "/data/x", "value": "y"}], "json"),
        owner.patch(settings, settings | {"metadata": {"name": "settings"}}, "apply", manager="kubectl"),
        owner.delete(settings),
        owner.delete(settings, dry_run=True),
        owner.client.request("DELETE", f"/api/v1/namespaces/{namespace}/configmaps"),
        owner.patch(web, scale, "merge", "scale"),
        owner.patch(web, {"spec": {"replicas": 1}}),
        owner.delete(running),
        owner.patch(running, debug, "strategic", "ephemeralcontainers"),
        owner.client.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", body=token),
    ]
    for attempt in attempts:
        await refused(attempt, sentence)


async def test_nothing_can_be_changed_while_the_tenant_is_cordoned(world: World) -> None:
    """CN-7: by owners and by the namespace's own ServiceAccounts; others, and controllers, go on."""
    team_ = await team(world, {})
    ns = team_.namespace
    await furnish(team_)
    robot = await service_account(world, ns)
    await grant(team_.admin, ns, {"kind": "ServiceAccount", "name": "robot", "namespace": ns}, "configmaps")
    await world.edit_tenant(team_.tenant, {"cordoned": True})

    await all_is_refused(team_.owner, ns)
    await refused(robot.create(config_map(ns, "new")), "is cordoned")
    await told(world, ns, "Cordoned", "is cordoned")
    # Reading and asking go on.
    await team_.owner.get(config_map(ns, "settings"))
    review = any_object(
        "authorization.k8s.io/v1",
        "LocalSubjectAccessReview",
        "",
        ns,
        spec={"user": "bob", "resourceAttributes": {"namespace": ns, "verb": "get", "resource": "pods"}},
    )
    del review["metadata"]["name"]
    await team_.owner.create(review)
    # The platform's people and controllers are not stopped.
    await team_.admin.patch(deployment(ns), {"spec": {"replicas": 1}})

    async def scaled() -> bool:
        return len(await team_.admin.list("v1", "Pod", ns)) == 2

    await world.eventually(scaled)
    await team_.admin.create(config_map(ns, "by-admin"))
    await team_.admin.delete(config_map(ns, "by-admin"))

    await world.edit_tenant(team_.tenant, {"cordoned": False})
    await team_.owner.create(config_map(ns, "new"))


async def test_an_owner_can_cordon_one_namespace_and_free_it_again(world: World) -> None:
    """I-10: by its label; other namespaces of the tenant are not concerned."""
    team_ = await team(world, {})
    await furnish(team_)
    other = await world.namespace(team_.owner.client, team_.tenant)
    namespace = any_object("v1", "Namespace", team_.namespace)
    await team_.owner.patch(namespace, {"metadata": {"labels": {CORDONED: "true"}}})

    await world.eventually(lambda: _cordoned(team_))
    await all_is_refused(team_.owner, team_.namespace)
    await world.eventually(lambda: team_.owner.create(config_map(other, "free")))

    await team_.owner.patch(namespace, {"metadata": {"labels": {CORDONED: None}}})
    await world.eventually(lambda: team_.owner.create(config_map(team_.namespace, "free")))


async def _cordoned(team_: Team) -> bool:
    await refused(team_.owner.create(config_map(team_.namespace, "x"), dry_run=True), "is cordoned")
    return True


async def test_a_cordoned_namespace_can_be_emptied_when_it_goes(world: World) -> None:
    """The tenant's end, and the platform's own deletions, are not stopped by a cordon."""
    team_ = await team(world, {})
    await furnish(team_)
    await world.edit_tenant(team_.tenant, {"cordoned": True})
    namespace = any_object("v1", "Namespace", team_.namespace)
    await refused(team_.owner.delete(namespace), "the selected tenant is cordoned")
    await team_.admin.delete(namespace)

    async def gone() -> bool:
        await refused(team_.admin.get(namespace), status=404)
        return True

    await world.eventually(gone)


async def test_administrators_go_on_in_cordoned_namespaces(world: World) -> None:
    """CN-7 stops Capsule users alone; a listed administrator is none."""
    team_ = await team(world, {})
    boss = Plain(await world.user("the-boss"))
    await grant(team_.admin, team_.namespace, {"kind": "User", "name": "the-boss"}, "configmaps")
    async with world.configured(administrators=[{"kind": "User", "name": "the-boss"}]):
        await world.edit_tenant(team_.tenant, {"cordoned": True})
        await world.eventually(lambda: boss.create(config_map(team_.namespace, "by-boss")))
        await refused(team_.owner.create(config_map(team_.namespace, "new")), "is cordoned")


async def service_account(world: World, namespace: str) -> Plain:
    """Make the ServiceAccount robot in *namespace* and return its requests."""
    admin = Plain(world.admin)
    await admin.create(any_object("v1", "ServiceAccount", "robot", namespace))
    return Plain(world.account(namespace, "robot"))

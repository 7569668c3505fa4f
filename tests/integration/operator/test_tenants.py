"""What a Tenant's status says and when, and how a Tenant goes."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import (
    CONFIG_MAPS,
    NAMESPACES,
    ROLE_BINDINGS,
    RULE_STATUSES,
    SERVICE_ACCOUNTS,
    STORAGE_CLASSES,
    TENANTS,
)

FINALIZER = "controller.projectcapsule.dev/finalize"
LEGACY = "capsule.clastix.io/resources"


async def is_gone(world: Any, resource: Any, name: str) -> bool:
    try:
        await world.admin.get(resource, name)
    except NotFoundError:
        return True
    return False


@pytest.mark.usefixtures("running")
async def test_nothing_is_claimed_before_admission_has_seen_it(world: Any) -> None:
    """observedGeneration, Ready, Cordoned and RuleStatus.status wait; what merely counts does not (13.2)."""
    name = world.unique("worker")
    await world.acknowledge(name, tenants=0, namespaces=0, configuration=1 << 60)
    tenant = await world.tenant(cordoned=True)
    namespace = await world.namespace(tenant)

    async def is_counted() -> bool:
        return bool((await world.stored(tenant)).status.size == 1)

    await world.eventually(is_counted)
    rules = await world.admin.get(RULE_STATUSES, "capsule-managed-rules", namespace)
    status = (await world.stored(tenant)).status
    assert (status.state, status.observed_generation, status.conditions, rules.status.conditions) == (
        "Active",
        0,
        (),
        (),
    )

    await world.acknowledge(name, tenants=1 << 60, namespaces=1 << 60, configuration=1 << 60)
    stored = await world.ready(tenant)
    assert stored.status.state == "Cordoned"


@pytest.mark.usefixtures("running")
async def test_a_worker_that_died_holds_nothing_up_for_long(world: Any) -> None:
    await world.acknowledge(world.unique("worker"), seconds=2, tenants=0, namespaces=0)
    tenant = await world.tenant()
    await world.namespace(tenant)

    await world.ready(tenant)


async def test_the_finalizer_is_there_while_there_are_namespaces(running: Any, world: Any, idle: Any) -> None:
    tenant = await world.tenant()
    await world.ready(tenant, 0)
    assert (await world.stored(tenant)).metadata.finalizers == ()

    await world.admin.patch(TENANTS, tenant.metadata.name, patch={"metadata": {"finalizers": [LEGACY]}}, kind="merge")
    name = await world.namespace(tenant)
    await world.ready(tenant, 1)
    await idle(running)
    assert (await world.stored(tenant)).metadata.finalizers == (FINALIZER,)

    await world.admin.delete(NAMESPACES, name)
    await world.ready(tenant, 0)
    await idle(running)
    assert (await world.stored(tenant)).metadata.finalizers == ()


@pytest.mark.usefixtures("running")
async def test_a_deleted_tenant_takes_its_namespaces_and_nothing_else(world: Any) -> None:
    """It stays until they are gone, and says what it waits for."""
    tenant, other = await world.tenant(), await world.tenant()
    mine, theirs = await world.namespace(tenant), await world.namespace(other)
    await world.admin.create(CONFIG_MAPS, {"metadata": {"name": "hold", "finalizers": ["example.com/hold"]}}, mine)
    await world.ready(tenant)
    await world.ready(other)

    await world.admin.delete(TENANTS, tenant.metadata.name)

    async def is_waiting() -> bool:
        status = (await world.stored(tenant)).status
        return (status.state, status.size) == ("Terminating", 1) and any(
            each.message == "waiting for 1 namespaces to finalize" for each in status.conditions
        )

    await world.eventually(is_waiting)
    assert not await is_gone(world, NAMESPACES, mine)

    await world.admin.patch(CONFIG_MAPS, "hold", mine, patch={"metadata": {"finalizers": None}}, kind="merge")
    await world.eventually(lambda: is_gone(world, TENANTS, tenant.metadata.name))
    assert await is_gone(world, NAMESPACES, mine)
    assert (await world.admin.get(NAMESPACES, theirs)).metadata.deletion_timestamp is None


async def test_finalizers_of_others_are_stripped_only_where_that_is_set(start: Any, world: Any, admin: Any) -> None:
    """13.12: off by default; on, after the grace, nothing keeps the namespace."""
    aggregated = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "everything", "labels": {"projectcapsule.dev/aggregate-to-controller": "true"}},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "patch", "delete"]}],
    }
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    await admin.request("POST", path, body=aggregated)
    tenant = await world.tenant()
    name = await world.namespace(tenant)
    await world.admin.create(CONFIG_MAPS, {"metadata": {"name": "hold", "finalizers": ["example.com/hold"]}}, name)
    async with start(force_delete_namespaces=True, force_delete_grace_seconds=1.0):
        await world.ready(tenant)
        await world.admin.delete(TENANTS, tenant.metadata.name)
        await world.eventually(lambda: is_gone(world, TENANTS, tenant.metadata.name))
    await admin.request("DELETE", f"{path}/everything")

    assert await is_gone(world, NAMESPACES, name)


@pytest.mark.usefixtures("running")
async def test_class_lists_follow_the_cluster(world: Any) -> None:
    """System PriorityClasses too where nothing is restricted; by name or label where it is."""
    fast, slow = world.unique("fast"), world.unique("slow")
    tenant = await world.tenant(storageClasses={"matchLabels": {"speed": fast}})

    async def storage() -> tuple[str, ...]:
        classes = (await world.stored(tenant)).status.classes
        return classes.storage if classes is not None else ("unknown",)

    async def is_listed(*names: str) -> bool:
        return await storage() == names

    await world.eventually(is_listed)
    for name, label in ((fast, fast), (slow, slow)):
        body = {"metadata": {"name": name, "labels": {"speed": label}}, "provisioner": "example.com/none"}
        await world.admin.request("POST", STORAGE_CLASSES.path(), body=body)
    await world.eventually(lambda: is_listed(fast))
    await world.admin.patch(STORAGE_CLASSES, slow, patch={"metadata": {"labels": {"speed": fast}}}, kind="merge")
    await world.eventually(lambda: is_listed(fast, slow))
    await world.admin.delete(STORAGE_CLASSES, fast)
    await world.eventually(lambda: is_listed(slow))
    await world.admin.delete(STORAGE_CLASSES, slow)

    classes = (await world.stored(tenant)).status.classes
    assert classes is not None
    assert classes.priority == ("system-cluster-critical", "system-node-critical")


@pytest.mark.usefixtures("running")
async def test_promoted_accounts_get_roles_where_the_rule_says(world: Any, configured: Any) -> None:
    """I-7 and I-8: owners everywhere, and roles of rules in the selected namespaces and the account's own."""
    await configured(allowServiceAccountPromotion=True)
    tenant = await world.tenant(
        owners=[],
        rules=[
            {
                "namespaceSelector": {"matchLabels": {"env": "prod"}},
                "permissions": {"promotions": [{"clusterRoles": ["view"]}]},
            }
        ],
    )
    dev = await world.namespace(tenant, "dev")
    prod = await world.namespace(tenant, "prod", labels={"env": "prod"})
    test = await world.namespace(tenant, "test")
    await world.ready(tenant, 3)
    for name, label in (("bot", "projectcapsule.dev/promote"), ("boss", "owner.projectcapsule.dev/promote")):
        await world.admin.create(SERVICE_ACCOUNTS, {"metadata": {"name": name, "labels": {label: "true"}}}, dev)

    async def roles(namespace: str) -> list[tuple[str, str]]:
        found = (await world.admin.list(ROLE_BINDINGS, namespace)).items
        return sorted((each.subjects[0].name, each.role_ref.name) for each in found)

    boss = [("boss", "capsule-namespace-deleter"), ("boss", "capsule-namespace-provisioner")]
    bot = [("bot", "view")]

    async def is_bound() -> bool:
        return [await roles(each) for each in (dev, prod, test)] == [boss + bot, boss + bot, boss]

    prefix = f"system:serviceaccount:{dev}"

    async def is_reported() -> bool:
        status = (await world.stored(tenant)).status
        promotions = [(each.name, each.cluster_roles, each.targets) for each in status.promotions]
        return [owner.name for owner in status.owners] == [f"{prefix}:boss"] and promotions == [
            (f"{prefix}:bot", ("view",), (dev, prod))
        ]

    await world.eventually(is_bound)
    await world.eventually(is_reported)

    await world.admin.delete(SERVICE_ACCOUNTS, "bot", dev)
    await world.admin.delete(SERVICE_ACCOUNTS, "boss", dev)

    async def is_unbound() -> bool:
        return [await roles(each) for each in (dev, prod, test)] == [[], [], []]

    await world.eventually(is_unbound)

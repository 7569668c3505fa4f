"""Tenants and namespaces that are frozen for a while (T-6, N-12, CN-7, I-10)."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.api import labels
from tenantry.kube.client import Client
from tenantry.kube.errors import ForbiddenError
from tenantry.kube.resources import CONFIG_MAPS, EVENTS, NAMESPACES, PODS, ROLE_BINDINGS, SERVICE_ACCOUNTS, TENANTS
from tenantry.testing.world import World

JSON = dict[str, Any]
TENANT_WORDS = "the selected tenant is cordoned"


async def working(world: World, **spec: Any) -> tuple[str, str, Client]:
    """Return a tenant, a namespace in which its owner has rights and a ConfigMap, and the owner."""
    user = world.unique("ada")
    tenant = (await world.tenant({"owners": [{"kind": "User", "name": user}], **spec})).metadata.name
    ada = await world.user(user)
    namespace = await world.namespace(ada, tenant)

    async def made() -> bool:
        await ada.create(CONFIG_MAPS, {"metadata": {"name": "before"}}, namespace)
        return bool(await world.admin.get(SERVICE_ACCOUNTS, "default", namespace))

    await world.eventually(made)
    return tenant, namespace, ada


async def frozen(client: Client, namespace: str) -> None:
    """Every kind of write is refused, in words that name namespace and operation."""
    words = f"The current namespace '{namespace}' is cordoned. The attempted operation"
    patch = {"data": {"a": "1"}}
    with pytest.raises(ForbiddenError, match=f"{words} CREATE of configmaps"):
        await client.create(CONFIG_MAPS, {"metadata": {"name": "new"}}, namespace)
    with pytest.raises(ForbiddenError, match=f"{words} UPDATE of configmaps"):
        await client.patch(CONFIG_MAPS, "before", namespace, patch=patch, kind="merge")
    with pytest.raises(ForbiddenError, match=f"{words} DELETE of configmaps"):
        await client.delete(CONFIG_MAPS, "before", namespace)
    with pytest.raises(ForbiddenError, match=words):
        await client.delete_collection(CONFIG_MAPS, namespace)
    with pytest.raises(ForbiddenError, match=words):
        await client.create(CONFIG_MAPS, {"metadata": {"name": "new"}}, namespace, dry_run=True)
    await client.get(CONFIG_MAPS, "before", namespace)


async def state(world: World, tenant: str, expected: str, *conditions: tuple[str, str, str]) -> None:
    async def is_so() -> bool:
        status = (await world.in_force(tenant)).status
        assert status.state == expected
        assert [(each.type, each.status, each.reason) for each in status.conditions] == list(conditions)
        return True

    await world.eventually(is_so)


READY = ("Ready", "True", "Succeeded")


async def test_a_cordoned_tenant_is_frozen(world: World) -> None:
    """Once its status says so, nothing of it can be changed by its users: namespaces nor what is in them."""
    tenant, namespace, ada = await working(world)
    await state(world, tenant, "Active", READY, ("Cordoned", "False", "Active"))

    await world.edit_tenant(tenant, {"cordoned": True})

    await state(world, tenant, "Cordoned", READY, ("Cordoned", "True", "Cordoned"))
    await frozen(ada, namespace)
    with pytest.raises(ForbiddenError, match=TENANT_WORDS):
        await world.namespace(ada, tenant)
    with pytest.raises(ForbiddenError, match=TENANT_WORDS):
        await ada.patch(NAMESPACES, namespace, patch={"metadata": {"labels": {"a": "1"}}}, kind="merge")
    with pytest.raises(ForbiddenError, match=TENANT_WORDS):
        await ada.patch(NAMESPACES, namespace, patch={"metadata": {"labels": {labels.CORDONED: None}}}, kind="merge")
    with pytest.raises(ForbiddenError, match=TENANT_WORDS):
        await ada.delete(NAMESPACES, namespace)
    found = (await world.stored(NAMESPACES, namespace))["metadata"]["labels"]
    assert found == {labels.TENANT: tenant, labels.METADATA_NAME: namespace, labels.CORDONED: "true"}

    await world.edit_tenant(tenant, {"cordoned": False})
    await state(world, tenant, "Active", READY, ("Cordoned", "False", "Active"))
    await ada.patch(CONFIG_MAPS, "before", namespace, patch={"data": {"a": "1"}}, kind="merge")
    await world.namespace(ada, tenant)
    found = (await world.stored(NAMESPACES, namespace))["metadata"]["labels"]
    assert found == {labels.TENANT: tenant, labels.METADATA_NAME: namespace}


async def test_the_cordon_is_told_in_events(world: World) -> None:
    """The refusal, in the namespace, about the object, by whom."""
    tenant, namespace, ada = await working(world)
    await world.edit_tenant(tenant, {"cordoned": True})
    with pytest.raises(ForbiddenError):
        await ada.create(CONFIG_MAPS, {"metadata": {"name": "new"}}, namespace)

    async def told() -> bool:
        found = [each for each in await world.listed(EVENTS, namespace) if each["reason"] == "Cordoned"]
        assert [
            (each["type"], each["action"], each["regarding"]["kind"], each["regarding"]["name"]) for each in found
        ] == [("Warning", "ValidationDenied", "ConfigMap", "new")]
        assert found[0]["related"]["name"] == tenant
        assert namespace in found[0]["note"]
        return True

    await world.eventually(told)


async def test_only_capsule_users_are_stopped(world: World) -> None:
    """P-13: administrators, the cluster's own and controllers go on; accounts of the tenant do not."""
    tenant, namespace, ada = await working(world)
    pod = {"metadata": {"name": "old"}, "spec": {"containers": [{"name": "a", "image": "quay.io/acme/web:1"}]}}
    await ada.create(PODS, pod, namespace)
    binding = {
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    await ada.create(ROLE_BINDINGS, binding, namespace)
    await world.edit_tenant(tenant, {"cordoned": True})

    await world.admin.create(CONFIG_MAPS, {"metadata": {"name": "by-admin"}}, namespace)
    async with world.configured(administrators=[{"kind": "User", "name": "boss"}]):
        boss = world.acting("boss", ("system:masters", labels.DEFAULT_USER_GROUP))
        await boss.create(CONFIG_MAPS, {"metadata": {"name": "by-boss"}}, namespace)
        await boss.patch(NAMESPACES, namespace, patch={"metadata": {"annotations": {"a": "1"}}}, kind="merge")
    await frozen(world.account(namespace, "default"), namespace)

    async def runs() -> bool:  # Scheduler and kubelet write bindings and statuses.
        return bool((await world.stored(PODS, "old", namespace))["status"]["phase"] == "Running")

    await world.eventually(runs)
    with pytest.raises(ForbiddenError, match="is cordoned"):
        await ada.patch(PODS, "old", namespace, patch={"metadata": {"labels": {"a": "1"}}}, kind="merge")


async def test_an_owner_cordons_a_single_namespace(world: World) -> None:
    """I-10: by label, and takes it off again; other namespaces go on, the tenant stays Active."""
    tenant, namespace, ada = await working(world)
    other = await world.namespace(ada, tenant)

    async def writable() -> bool:
        await ada.create(CONFIG_MAPS, {"metadata": {"generateName": "a-"}}, other)
        return True

    await world.eventually(writable)
    await ada.patch(NAMESPACES, namespace, patch={"metadata": {"labels": {labels.CORDONED: "true"}}}, kind="merge")

    async def is_frozen() -> bool:
        with pytest.raises(ForbiddenError):
            await ada.create(CONFIG_MAPS, {"metadata": {"name": "new"}}, namespace, dry_run=True)
        return True

    await world.eventually(is_frozen)
    await frozen(ada, namespace)
    await writable()
    await world.namespace(ada, tenant)
    await state(world, tenant, "Active", READY, ("Cordoned", "False", "Active"))

    async def told() -> bool:
        spaces = {each.name: each for each in (await world.admin.get(TENANTS, tenant)).status.spaces}
        conditions = {name: [(c.type, c.status, c.reason) for c in space.conditions] for name, space in spaces.items()}
        assert conditions[namespace] == [READY, ("Cordoned", "True", "Cordoned")]
        assert conditions[other] == [READY]
        return True

    await world.eventually(told)
    await ada.patch(NAMESPACES, namespace, patch={"metadata": {"annotations": {"a": "1"}}}, kind="merge")
    await ada.patch(NAMESPACES, namespace, patch={"metadata": {"labels": {labels.CORDONED: None}}}, kind="merge")

    async def thawed() -> bool:
        await ada.patch(CONFIG_MAPS, "before", namespace, patch={"data": {"a": "1"}}, kind="merge")
        return True

    await world.eventually(thawed)
    await ada.patch(NAMESPACES, namespace, patch={"metadata": {"labels": {labels.CORDONED: "false"}}}, kind="merge")
    await thawed()


async def test_an_owner_may_delete_a_single_cordoned_namespace(world: World) -> None:
    """N-12 looks at the tenant alone."""
    _, namespace, ada = await working(world)
    await ada.patch(NAMESPACES, namespace, patch={"metadata": {"labels": {labels.CORDONED: "true"}}}, kind="merge")

    await ada.delete(NAMESPACES, namespace)

    assert "deletionTimestamp" in (await world.stored(NAMESPACES, namespace))["metadata"]


async def test_a_namespace_made_in_the_frozen_tenant_by_an_administrator_is_frozen_too(world: World) -> None:
    tenant, _, ada = await working(world, cordoned=False)
    await world.edit_tenant(tenant, {"cordoned": True})
    async with world.configured(administrators=[{"kind": "User", "name": "boss"}]):
        # Not of system:masters, whom the API server spares until it has heard of the new entries.
        name = await world.namespace(world.acting("boss"), tenant)
        assert (await world.stored(NAMESPACES, name))["metadata"]["labels"][labels.CORDONED] == "true"

        async def is_frozen() -> bool:
            with pytest.raises(ForbiddenError, match="is cordoned"):
                await ada.create(CONFIG_MAPS, {"metadata": {"name": "new"}}, name)
            return True

        await world.eventually(is_frozen)

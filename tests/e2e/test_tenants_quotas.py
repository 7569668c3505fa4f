"""ResourceQuotas of a tenant, with real Pods that use them up (5.1, Q-1 to Q-3)."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.kube.client import Client
from tenantry.kube.errors import ForbiddenError
from tenantry.kube.resources import EVENTS, PODS, RESOURCE_QUOTAS
from tenantry.testing.world import World

JSON = dict[str, Any]
USED, HARD = "quota.capsule.clastix.io/used-", "quota.capsule.clastix.io/hard-"


async def tenant_of_two(world: World, quotas: JSON) -> tuple[str, str, str, Client]:
    """Return a tenant, two of its namespaces in which Pods can be made, and their owner."""
    user = world.unique("ada")
    tenant = (await world.tenant({"owners": [{"kind": "User", "name": user}], "resourceQuotas": quotas})).metadata.name
    ada = await world.user(user)
    first, second = [await world.namespace(ada, tenant) for _ in range(2)]
    return tenant, first, second, ada


def pod(name: str, cpu: str = "1", memory: str = "1Gi") -> JSON:
    resources = {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}
    container = {"name": "main", "image": "quay.io/acme/web:1", "resources": resources}
    return {"metadata": {"name": name}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}


async def runs(world: World, client: Client, namespace: str, name: str, **size: str) -> None:
    """Create a Pod once rights, the default ServiceAccount and the quota's own count are there."""

    async def created() -> bool:
        await client.create(PODS, pod(name, **size), namespace)
        return True

    await world.eventually(created)


async def quota(
    world: World,
    tenant: str,
    namespace: str,
    *,
    hard: JSON,
    used: JSON,
    annotations: JSON | None = None,
    index: int = 0,
) -> None:
    """Wait until the quota says exactly this, in spec, status and annotations."""

    async def is_so() -> bool:
        found = await world.stored(RESOURCE_QUOTAS, f"capsule-{tenant}-{index}", namespace)
        assert found["spec"]["hard"] == hard
        assert found["status"].get("used") == used
        assert found["status"].get("hard") == hard
        if annotations is not None:
            assert found["metadata"].get("annotations", {}) == annotations
        return True

    await world.eventually(is_so)


async def test_a_namespace_has_the_whole_to_itself(world: World) -> None:
    """Q-1: what one namespace uses is nothing to the other."""
    hard = {"limits.cpu": "2", "pods": "2"}
    tenant, first, second, ada = await tenant_of_two(world, {"scope": "Namespace", "items": [{"hard": hard}]})
    for namespace in (first, second):
        await quota(world, tenant, namespace, hard=hard, used={"limits.cpu": "0", "pods": "0"}, annotations={})

    await runs(world, ada, first, "a")
    await runs(world, ada, first, "b")

    await quota(world, tenant, first, hard=hard, used={"limits.cpu": "2", "pods": "2"})
    with pytest.raises(ForbiddenError, match="exceeded quota: capsule-"):
        await ada.create(PODS, pod("c"), first)
    await runs(world, ada, second, "a")
    await quota(world, tenant, second, hard=hard, used={"limits.cpu": "1", "pods": "1"})


async def test_a_tenant_shares_what_it_has(world: World) -> None:
    """Q-2: full at zero use, less what the others use, held at what is used once all is; and free again."""
    hard = {"limits.cpu": "3", "limits.memory": "16Gi", "pods": "10"}
    tenant, first, second, ada = await tenant_of_two(world, {"items": [{"hard": hard}]})

    def told(cpu: str, memory: str, pods: str) -> JSON:
        used = {"limits.cpu": cpu, "limits.memory": memory, "pods": pods}
        return {USED + key: value for key, value in used.items()} | {HARD + key: value for key, value in hard.items()}

    zero = {"limits.cpu": "0", "limits.memory": "0", "pods": "0"}
    for namespace in (first, second):
        await quota(world, tenant, namespace, hard=hard, used=zero, annotations=told("0", "0", "0"))

    await runs(world, ada, first, "a", cpu="1500m", memory="1536Mi")
    one = {"limits.cpu": "1500m", "limits.memory": "1536Mi", "pods": "1"}
    left = {"limits.cpu": "1500m", "limits.memory": "14848Mi", "pods": "9"}
    await quota(world, tenant, first, hard=hard, used=one, annotations=told("1500m", "1536Mi", "1"))
    await quota(world, tenant, second, hard=left, used=zero, annotations=told("1500m", "1536Mi", "1"))

    await runs(world, ada, second, "b", cpu="1500m", memory="512Mi")
    other = {"limits.cpu": "1500m", "limits.memory": "512Mi", "pods": "1"}
    annotations = told("3", "2Gi", "2")
    await quota(
        world,
        tenant,
        first,
        hard={"limits.cpu": "1500m", "limits.memory": "15872Mi", "pods": "9"},
        used=one,
        annotations=annotations,
    )
    await quota(
        world,
        tenant,
        second,
        hard={"limits.cpu": "1500m", "limits.memory": "14848Mi", "pods": "9"},
        used=other,
        annotations=annotations,
    )
    for namespace in (first, second):
        with pytest.raises(ForbiddenError, match=r"exceeded quota: capsule-.*limits\.cpu"):
            await ada.create(PODS, pod("c", cpu="1m"), namespace)

    await ada.delete(PODS, "a", first)
    await quota(world, tenant, first, hard=left | {"limits.memory": "15872Mi"}, used=zero)
    await quota(world, tenant, second, hard=hard, used=other, annotations=told("1500m", "512Mi", "1"))
    await runs(world, ada, second, "c", cpu="1500m", memory="512Mi")


async def test_each_item_is_shared_by_itself_and_edits_reach_all(world: World) -> None:
    tenant, first, second, ada = await tenant_of_two(
        world, {"scope": "Tenant", "items": [{"hard": {"pods": "3"}}, {"hard": {"limits.cpu": "8", "configmaps": "9"}}]}
    )
    await runs(world, ada, first, "a", cpu="2")
    await quota(world, tenant, second, hard={"pods": "2"}, used={"pods": "0"})
    # Each namespace has a ConfigMap of its own: the cluster's CA.
    used = {"limits.cpu": "0", "configmaps": "1"}
    await quota(world, tenant, second, hard={"limits.cpu": "6", "configmaps": "8"}, used=used, index=1)

    await world.edit_tenant(tenant, {"resourceQuotas": {"items": [{"hard": {"pods": "5"}}]}})
    await quota(world, tenant, first, hard={"pods": "5"}, used={"pods": "1"})
    await quota(
        world,
        tenant,
        second,
        hard={"pods": "4"},
        used={"pods": "0"},
        annotations={USED + "pods": "1", HARD + "pods": "5"},
    )
    assert [each["metadata"]["name"] for each in await world.listed(RESOURCE_QUOTAS, second)] == [f"capsule-{tenant}-0"]

    await world.edit_tenant(tenant, {"resourceQuotas": {"scope": "Namespace"}})
    for namespace in (first, second):
        used = {"pods": "1" if namespace == first else "0"}
        await quota(world, tenant, namespace, hard={"pods": "5"}, used=used)


async def test_more_than_allowed_is_told(world: World) -> None:
    """A limit lowered below what is used: hard = used everywhere, and the event Overprovisioned about the Tenant."""
    tenant, first, second, ada = await tenant_of_two(world, {"scope": "Tenant", "items": [{"hard": {"pods": "5"}}]})
    for namespace in (first, second):
        await runs(world, ada, namespace, "a")
    await quota(world, tenant, first, hard={"pods": "4"}, used={"pods": "1"})

    await world.edit_tenant(tenant, {"resourceQuotas": {"items": [{"hard": {"pods": "1"}}]}})

    for namespace in (first, second):
        await quota(world, tenant, namespace, hard={"pods": "1"}, used={"pods": "1"})

    async def told() -> bool:
        events = await world.listed(EVENTS, "default")
        return any(
            each["reason"] == "Overprovisioned"
            and each["regarding"].get("name") == tenant
            and each["type"] == "Warning"
            for each in events
        )

    await world.eventually(told)

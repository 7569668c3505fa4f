"""What the controllers put on objects that others make, and quotas that namespaces share."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.kube.errors import ForbiddenError
from tenantry.kube.resources import CONFIG_MAPS, PERSISTENT_VOLUMES, PODS, RESOURCE_QUOTAS, RULE_STATUSES, SERVICES


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "example.com/x"}]}}


async def create_pods(world: Any, namespace: str, *names: str) -> None:
    """Create Pods; right after a namespace its default ServiceAccount is not there yet."""

    async def is_made(name: str) -> bool:
        try:
            await world.admin.create(PODS, pod(name), namespace)
        except ForbiddenError as error:
            assert "serviceaccount" in str(error) or "quota" in str(error), error  # noqa: PT017
            return False
        return True

    for name in names:
        await world.eventually(lambda name=name: is_made(name))


@pytest.mark.usefixtures("running")
async def test_pods_and_services_get_the_tenant_s_metadata(world: Any) -> None:
    """Those that exist when the setting comes, and those that come later (R-8)."""
    tenant = await world.tenant()
    name = await world.namespace(tenant)
    await create_pods(world, name, "early")
    await world.ready(tenant)
    await world.edit(
        tenant,
        podOptions={"additionalMetadata": {"labels": {"cost": "7"}}},
        serviceOptions={"additionalMetadata": {"annotations": {"note": "x"}}},
    )
    await create_pods(world, name, "late")
    await world.admin.request(
        "POST", SERVICES.path(name), body={"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    )

    async def are_marked() -> bool:
        pods = [(each.metadata.labels or {}).get("cost") for each in (await world.admin.list(PODS, name)).items]
        service = await world.admin.get(SERVICES, "web", name)
        return pods == ["7", "7"] and (service.metadata.annotations or {}).get("note") == "x"

    await world.eventually(are_marked)


@pytest.mark.usefixtures("running")
async def test_a_volume_carries_the_tenant_of_its_claim_s_namespace(world: Any) -> None:
    """Foreign values are repaired, also where the claim does not exist (R-9)."""
    tenant = await world.tenant()
    name = await world.namespace(tenant)
    volume = world.unique("volume")
    body = {
        "metadata": {"name": volume, "labels": {"capsule.clastix.io/tenant": "other"}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": name, "name": "not-there-yet"},
        },
    }
    await world.admin.request("POST", PERSISTENT_VOLUMES.path(), body=body)

    async def is_right() -> bool:
        labels = (await world.admin.get(PERSISTENT_VOLUMES, volume)).metadata.labels
        return bool(labels["capsule.clastix.io/tenant"] == tenant.metadata.name)

    await world.eventually(is_right)
    await world.admin.patch(
        PERSISTENT_VOLUMES, volume, patch={"metadata": {"labels": {"capsule.clastix.io/tenant": ""}}}, kind="merge"
    )
    await world.eventually(is_right)
    await world.admin.delete(PERSISTENT_VOLUMES, volume)


def managing(**labels: str) -> list[dict[str, Any]]:
    keys = {key: {"managed": value} for key, value in labels.items()}
    return [{"enforce": {"metadata": [{"kinds": ["ConfigMap"], "labels": keys}]}}]


async def test_managed_metadata_reaches_existing_objects_and_leaves_them(start: Any, world: Any, admin: Any) -> None:
    """R-3: dropped keys go, unless somebody else gave them another value; the rest of the labels stays."""
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "configmaps", "labels": {"projectcapsule.dev/aggregate-to-controller": "true"}},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "patch"]}],
    }
    async with start():
        tenant = await world.tenant(rules=managing(tier="gold", cost="7"))
        name = await world.namespace(tenant)
        await admin.create(CONFIG_MAPS, {"metadata": {"name": "mine", "labels": {"own": "yes"}}}, name)

        async def trouble() -> str:
            return " ".join(each.message for each in (await world.stored(tenant)).status.conditions)

        async def lacks_rights() -> bool:
            return "managed metadata of ConfigMap needs list and patch" in await trouble()

        await world.eventually(lacks_rights)
        await admin.request("POST", path, body=role)
        await world.ready(tenant)

        async def labels() -> Any:
            return (await admin.get(CONFIG_MAPS, "mine", name)).metadata.labels

        assert await labels() == {"own": "yes", "tier": "gold", "cost": "7"}

        await admin.patch(CONFIG_MAPS, "mine", name, patch={"metadata": {"labels": {"cost": "8"}}}, kind="merge")
        await world.edit(tenant, rules=managing())
        await world.ready(tenant)
        assert await labels() == {"own": "yes", "cost": "8"}
        assert (await admin.get(RULE_STATUSES, "capsule-managed-rules", name)).status.rules != ()
    await admin.request("DELETE", f"{path}/configmaps")


@pytest.mark.usefixtures("running")
async def test_namespaces_share_a_quota(world: Any) -> None:
    """Q-2: each may take what the others leave; what one gives back, another gets."""
    tenant = await world.tenant(resourceQuotas={"items": [{"hard": {"pods": "3"}}]})
    first, second = await world.namespace(tenant, "a"), await world.namespace(tenant, "b")
    await world.ready(tenant, 2)
    quota = f"capsule-{tenant.metadata.name}-0"

    async def is_hard(*expected: str) -> bool:
        """Wait for Kubernetes' own quota controller, too: what it recounts meanwhile it may miscount."""
        found = [await world.admin.get(RESOURCE_QUOTAS, quota, each) for each in (first, second)]
        return all(
            each.spec["hard"]["pods"] == amount and (each.status.hard or {}).get("pods") == amount
            for each, amount in zip(found, expected, strict=True)
        )

    await world.eventually(lambda: is_hard("3", "3"))
    await create_pods(world, first, "one", "two")
    await world.eventually(lambda: is_hard("3", "1"))
    await create_pods(world, second, "three")
    await world.eventually(lambda: is_hard("2", "1"))
    stored = await world.admin.get(RESOURCE_QUOTAS, quota, first)
    assert stored.metadata.annotations == {
        "quota.capsule.clastix.io/used-pods": "3",
        "quota.capsule.clastix.io/hard-pods": "3",
    }

    await world.admin.delete(PODS, "one", first, grace_seconds=0)
    await world.eventually(lambda: is_hard("2", "2"))

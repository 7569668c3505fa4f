"""What a Tenant puts in its namespaces, as its Pods meet it (P-1, P-2, P-7, L-15)."""

from __future__ import annotations

from tenantry.testing.plain import any_object, pod, refused, team
from tenantry.testing.world import World


async def test_limit_ranges_and_quotas_reach_pods(world: World) -> None:
    """P-2: Kubernetes itself fills in and refuses, by the copies in the namespace."""
    limits = [{"type": "Container", "default": {"cpu": "200m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}}]
    team_ = await team(
        world,
        {
            "limitRanges": {"items": [{"limits": limits}]},
            "resourceQuotas": {"scope": "Namespace", "items": [{"hard": {"pods": "1"}}]},
            "networkPolicies": {"items": [{"podSelector": {}, "policyTypes": ["Ingress"]}]},
        },
    )
    name = f"capsule-{team_.tenant}-0"
    for version, kind in (("v1", "LimitRange"), ("v1", "ResourceQuota"), ("networking.k8s.io/v1", "NetworkPolicy")):
        copy = any_object(version, kind, name, team_.namespace)
        await world.eventually(lambda copy=copy: team_.owner.get(copy))  # type: ignore[misc]

    async def made() -> bool:
        found = await team_.owner.create(pod(team_.namespace, "one"))
        wanted = {"limits": {"cpu": "200m"}, "requests": {"cpu": "100m"}}
        assert found["spec"]["containers"][0]["resources"] == wanted
        return True

    await world.eventually(made)
    big = {"resources": {"limits": {"cpu": "2"}}}
    await refused(
        team_.owner.create(pod(team_.namespace, "big", container=big)), "maximum cpu usage per Container is 1"
    )
    await refused(team_.owner.create(pod(team_.namespace, "two")), f"exceeded quota: {name}")


async def test_the_node_selector_reaches_pods_and_no_pod_escapes_it(world: World) -> None:
    """P-7: by the annotation that the plugin PodNodeSelector reads; a Pod that disagrees is refused."""
    team_ = await team(world, {"nodeSelector": {"pool": "oil", "zone": "a"}})
    namespace = any_object("v1", "Namespace", team_.namespace)
    stored = await team_.owner.get(namespace)
    key = "scheduler.alpha.kubernetes.io/node-selector"
    assert stored["metadata"]["annotations"][key] == "pool=oil,zone=a"
    made = await team_.owner.create(pod(team_.namespace, "web", nodeSelector={"disk": "ssd"}), dry_run=True)
    assert made["spec"]["nodeSelector"] == {"disk": "ssd", "pool": "oil", "zone": "a"}
    await refused(team_.owner.create(pod(team_.namespace, "web", nodeSelector={"pool": "gas"})), "conflict")
    for who in (team_.owner, team_.admin):
        for value in (None, "", "pool=gas"):
            await refused(who.patch(namespace, {"metadata": {"annotations": {key: value}}}), key)

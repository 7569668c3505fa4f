"""``kubectl get -w`` through grants and revocations: a watch follows what the user may see, not only what happens."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from teams import Team, caught_up, made, manifest

from tenantry.testing.gateway import Gateway
from tenantry.testing.world import World

RBAC = "rbac.authorization.k8s.io"


async def test_namespaces_come_and_go_with_access(world: World, gateway: Gateway) -> None:
    """R-033: a RoleBinding adds its namespace to a watch, and takes it out again; others are never shown."""
    watcher, other = await _teams(world, gateway)
    async with watcher.running("get", "namespaces", "--watch", "--output-watch-events") as watch:
        await watch.said(watcher.namespace)
        await _bind(world, other.namespace, watcher.owner)
        await watch.said(other.namespace)
        await world.platform.kubectl("label", "namespace", other.namespace, "seen=yes")
        await watch.said(other.namespace, times=2)
        await _unbind(world, other.namespace, watcher.owner)
        await watch.said(other.namespace, times=3)
        created = await world.namespace(await world.user(watcher.owner), watcher.tenant)
        await watch.said(created)
        await watcher.kubectl("delete", "namespace", created, "--wait=false")
        await watch.until(lambda lines: any(created in line and "DELETED" in line for line in lines))
    told = [(line.split()[0], line.split()[1]) for line in watch.lines if other.namespace in line]

    assert told == [("ADDED", other.namespace), ("MODIFIED", other.namespace), ("DELETED", other.namespace)]
    assert {line.split()[1] for line in watch.lines[1:]} == {watcher.namespace, other.namespace, created}


async def test_a_watch_of_one_namespace_follows_access(world: World, gateway: Gateway) -> None:
    """``get ns NAME -w`` is the same with one name."""
    watcher, other = await _teams(world, gateway)
    await _bind(world, other.namespace, watcher.owner)

    async def visible() -> bool:
        return (await watcher.kubectl("get", "namespace", other.namespace, check=False)).code == 0

    await world.eventually(visible)
    async with watcher.running("get", "namespace", other.namespace, "-w", "--output-watch-events") as watch:
        await watch.said("ADDED")
        await _unbind(world, other.namespace, watcher.owner)
        await watch.said("DELETED")
    assert len([line for line in watch.lines if other.namespace in line]) == 2


async def test_pods_of_all_namespaces_come_with_access_and_end_without(world: World, gateway: Gateway) -> None:
    """``get pods -A -w``: pods of a namespace that becomes visible appear.

    Where one ceases to be, the watch ends and says why: controllers list again, and learn what is gone.
    """
    watcher, other = await _teams(world, gateway)
    for team in (watcher, other):
        await team.kubectl("run", "one", "--image=registry.example.org/one:1", "-n", team.namespace)
    async with watcher.running("get", "pods", "-A", "-w", "--output-watch-events") as watch:
        await watch.said(watcher.namespace)
        await _bind(world, other.namespace, watcher.owner, reflected=True)
        await watch.until(lambda lines: _told(lines, "ADDED", other, "one"))
        await other.kubectl("run", "two", "--image=registry.example.org/two:1", "-n", other.namespace)
        await watch.until(lambda lines: _told(lines, "ADDED", other, "two"))
        await _unbind(world, other.namespace, watcher.owner)
        await watch.said(f"namespace {other.namespace} is no longer visible to you")
    await other.kubectl("run", "three", "--image=registry.example.org/three:1", "-n", other.namespace)
    left = await watcher.kubectl("get", "pods", "-A", "-o", "name")

    assert left.stdout == "pod/one\n"
    assert not _told(watch.lines, "ADDED", other, "three")


async def test_a_new_namespace_joins_a_watch_of_all(world: World, gateway: Gateway) -> None:
    """R-033: nobody has to list again for a namespace that is created while a watch is open."""
    watcher, _ = await _teams(world, gateway)
    async with watcher.running("get", "configmaps", "-A", "-w", "-o", "name", "--output-watch-events") as watch:
        await watch.said("kube-root-ca.crt")
        created = f"{watcher.namespace}-new"
        await watcher.kubectl("create", "namespace", created)
        await watcher.kubectl("create", "configmap", "fresh", "-n", created)
        await watch.said("fresh")


async def test_watches_of_tenants_and_of_nodes_follow_rules(world: World, gateway: Gateway) -> None:
    """Ownership of a tenant and a rule on nodes, given and taken while watches are open."""
    watcher, other = await _teams(world, gateway)
    node = world.unique("node")
    await world.platform.kubectl("apply", "-f", "-", stdin=json.dumps(_node(node)))
    await _open_nodes(world, watcher, "node-2")

    async def visible() -> bool:
        return (await watcher.kubectl("get", "node", "node-2", check=False)).code == 0

    await world.eventually(visible)
    async with (
        watcher.running("get", "tenants", "-w", "--output-watch-events") as tenants,
        watcher.running("get", "nodes", "-w", "--output-watch-events") as nodes,
    ):
        await tenants.said(watcher.tenant)
        await nodes.said("node-2")
        owners = [{"kind": "User", "name": name} for name in (other.owner, watcher.owner)]
        await world.edit_tenant(other.tenant, {"owners": owners})
        await tenants.until(lambda lines: _line(lines, "ADDED", other.tenant))
        await _open_nodes(world, watcher, "node-2", node)
        await nodes.until(lambda lines: _line(lines, "ADDED", node))
        await world.edit_tenant(other.tenant, {"owners": owners[:1]})
        await tenants.until(lambda lines: _line(lines, "DELETED", other.tenant))
        await world.platform.kubectl("delete", "proxysetting", "nodes", "-n", watcher.namespace)
        await nodes.until(lambda lines: all(_line(lines, "DELETED", name) for name in ("node-2", node)))
    await world.platform.kubectl("delete", "node", node)

    assert {line.split()[1] for line in nodes.lines[1:]} == {"node-2", node}


async def _open_nodes(world: World, team: Team, *names: str) -> None:
    """Have the team's owner see nodes by a rule."""
    chosen = [{"key": "kubernetes.io/hostname", "operator": "In", "values": list(names)}]
    opened = {"apiGroups": [""], "resources": ["nodes"], "selector": {"matchExpressions": chosen}}
    rule: dict[str, Any] = manifest("ProxySetting", "nodes", version="capsule.clastix.io/v1beta1")
    rule["spec"] = {"subjects": [{"kind": "User", "name": team.owner, "clusterResources": [opened]}]}
    await world.platform.kubectl("apply", "-n", team.namespace, "-f", "-", stdin=json.dumps(rule))


async def _teams(world: World, gateway: Gateway) -> tuple[Team, Team]:
    watcher, other = await asyncio.gather(*(made(world, gateway, prefix=prefix) for prefix in ("watcher", "other")))
    await caught_up(world, watcher)
    return watcher, other


def _line(lines: list[str], *words: str) -> bool:
    return any(all(word in line for word in words) for line in lines)


def _told(lines: list[str], event: str, team: Team, pod: str) -> bool:
    return any(line.split()[:3] == [event, team.namespace, pod] for line in lines)


async def _bind(world: World, namespace: str, user: str, *, reflected: bool = False) -> None:
    binding = manifest(
        "RoleBinding",
        user,
        version=f"{RBAC}/v1",
        roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
        subjects=[{"apiGroup": RBAC, "kind": "User", "name": user}],
    )
    if reflected:
        binding["metadata"]["labels"] = {"reflection.proxy.projectcapsule.dev/enabled": "true"}
    await world.platform.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(binding))


async def _unbind(world: World, namespace: str, user: str) -> None:
    await world.platform.kubectl("delete", "rolebinding", user, "-n", namespace)


def _node(name: str) -> dict[str, Any]:
    node = manifest("Node", name)
    node["metadata"]["labels"] = {"kubernetes.io/hostname": name, "type": "none"}
    return node

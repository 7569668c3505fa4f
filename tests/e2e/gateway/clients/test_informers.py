"""Controllers: client-go informers, which begin by WatchList, through grants, revocations and restarts (8.3)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from commands import Running
from goprograms import informer
from teams import Team, made, manifest

from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

RBAC = "rbac.authorization.k8s.io"
NAMESPACES = ("-resource=namespaces",)
PODS = ("-resource=pods",)
TENANTS = ("-resource=tenants", "-group=capsule.clastix.io", "-version=v1beta2")
NODES = ("-resource=nodes",)
TYPED = ("-typed",)
KINDS = pytest.mark.parametrize("client", [(), TYPED], ids=["dynamic", "typed"])


@pytest_asyncio.fixture(loop_scope="session")
async def teams(world: World, gateway: Gateway) -> AsyncIterator[tuple[Team, Team]]:
    """Whose informers run, and a neighbour; each with a pod called ``one``."""
    yield await _teams(world, gateway)


async def test_each_kind_is_synced_by_one_watch(teams: tuple[Team, Team], world: World) -> None:
    """8.3.1: exactly what the user sees, in JSON and for clients that ask for protobuf first; nothing is listed."""
    mine, _ = teams
    await _open_nodes(world, mine)

    async def opened() -> bool:
        return (await mine.kubectl("get", "node", "node-2", check=False)).code == 0

    await world.eventually(opened)
    kinds = (NAMESPACES, PODS, TENANTS, NODES, NAMESPACES + TYPED, PODS + TYPED)
    namespace, pod, tenant = _key("", mine.namespace), _key(mine.namespace, "one"), _key("", mine.tenant)
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(_informer(mine, *kind)) for kind in kinds]
        for each in running:
            await each.said('"synced"')
        told = [_told(each) for each in running]

    node = _key("", "node-2")
    seen = [namespace, pod, tenant, node, namespace, pod]
    assert told == [[("added", key), ("synced", "/")] for key in seen]

    verbs = await _reads(mine, world, len(kinds))
    assert set(verbs) == {"watch"}  # Who falls back lists, too.


@KINDS
async def test_namespaces_come_and_go_with_access(
    teams: tuple[Team, Team], world: World, client: tuple[str, ...]
) -> None:
    """A RoleBinding that comes, a change meanwhile, a RoleBinding that goes; then a new namespace of one's own."""
    mine, theirs = teams
    foreign = _key("", theirs.namespace)
    async with _informer(mine, *NAMESPACES, *client) as following:
        await following.said('"synced"')
        await _bind(world, theirs.namespace, mine.owner)
        await _hears(following, ("added", foreign))
        await world.platform.kubectl("label", "namespace", theirs.namespace, "seen=yes")
        await _hears(following, ("modified", foreign))
        await _unbind(world, theirs.namespace, mine.owner)
        await _hears(following, ("deleted", foreign))
        created = await world.namespace(await world.user(mine.owner), mine.tenant)
        await _hears(following, ("added", _key("", created)))
        told = _told(following)

    assert [event for event, key in told if key == foreign] == ["added", "modified", "deleted"]


@KINDS
async def test_pods_of_all_namespaces_come_and_go_with_access(
    teams: tuple[Team, Team], world: World, client: tuple[str, ...]
) -> None:
    """The watch that ends with a revocation is begun anew by the informer, which then tells of what is gone."""
    mine, theirs = teams
    foreign = _key(theirs.namespace, "one")
    async with _informer(mine, *PODS, *client) as following:
        await following.said('"synced"')
        await _bind(world, theirs.namespace, mine.owner)
        await _hears(following, ("added", foreign))
        await mine.kubectl("label", "pod", "one", "seen=yes", "-n", mine.namespace)
        await _hears(following, ("modified", _key(mine.namespace, "one")))
        await _unbind(world, theirs.namespace, mine.owner)
        await _hears(following, ("deleted", foreign))
        await mine.kubectl("run", "two", "--image=registry.example.org/two:1", "-n", mine.namespace)
        await _hears(following, ("added", _key(mine.namespace, "two")))
        await mine.kubectl("delete", "pod", "one", "-n", mine.namespace, "--wait=false")
        await _hears(following, ("deleted", _key(mine.namespace, "one")))


async def test_what_happens_during_a_restart_is_learnt(world: World, platform: Platform, tmp_path: Path) -> None:
    """8.3.2: the gateway is away while access is given, taken, and objects change: informers learn all of it."""
    gateway = await Gateway.start(platform, tmp_path / "gw")
    mine, theirs = await _teams(world, gateway)
    taken = await made(world, gateway)
    await _bind(world, taken.namespace, mine.owner)
    async with (
        _informer(mine, *NAMESPACES) as namespaces,
        _informer(mine, *NAMESPACES, *TYPED) as typed,
        _informer(mine, *PODS) as pods,
    ):
        for each in (namespaces, typed):
            await _hears(each, ("added", _key("", taken.namespace)))
        for each in (namespaces, typed, pods):
            await each.said('"synced"')
        await gateway.stop()
        await _unbind(world, taken.namespace, mine.owner)
        await _bind(world, theirs.namespace, mine.owner)
        await world.platform.kubectl("delete", "pod", "one", "-n", mine.namespace, "--now")
        await world.platform.kubectl("label", "namespace", mine.namespace, "seen=yes")
        await gateway.run()
        await gateway.wait_ready()
        for each in (namespaces, typed):
            await _hears(each, ("deleted", _key("", taken.namespace)))
            await _hears(each, ("added", _key("", theirs.namespace)))
            await _hears(each, ("modified", _key("", mine.namespace)))
        await _hears(pods, ("deleted", _key(mine.namespace, "one")))
        await _hears(pods, ("added", _key(theirs.namespace, "one")))
    await gateway.stop()


async def _teams(world: World, gateway: Gateway) -> tuple[Team, Team]:
    mine, theirs = await made(world, gateway, prefix="mine"), await made(world, gateway, prefix="theirs")
    for team in (mine, theirs):
        where = ("-n", team.namespace)
        await world.platform.kubectl("run", "one", "--image=registry.example.org/one:1", *where)
        await world.platform.kubectl("wait", "pod", "one", "--for=condition=Ready", "--timeout=60s", *where)
    return mine, theirs


def _informer(team: Team, *arguments: str) -> AbstractAsyncContextManager[Running]:
    return Running.started(str(informer()), f"-kubeconfig={team.kubeconfig}", *arguments)


def _key(namespace: str, name: str) -> str:
    return f"{namespace}/{name}"


def _told(following: Running) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in following.lines if line.startswith("{")]
    return [(each["event"], _key(each.get("namespace", ""), each.get("name", ""))) for each in lines]


async def _hears(following: Running, wanted: tuple[str, str]) -> None:
    await following.until(lambda _: wanted in _told(following))


async def _reads(team: Team, world: World, count: int) -> list[str]:
    """Return the verbs of the reads that informers of *team* made, once there are *count*."""

    async def recorded() -> list[str]:
        records = [json.loads(line) for line in team.gateway.audit_file.read_text().splitlines()]
        made = [each for each in records if str(each.get("userAgent", "")).startswith("informer")]
        verbs = [each["verb"] for each in made if each["user"]["name"] == team.owner and each["verb"] != "get"]
        return verbs if len(verbs) >= count else []

    return await world.eventually(recorded)


async def _bind(world: World, namespace: str, user: str) -> None:
    binding = manifest(
        "RoleBinding",
        user,
        version=f"{RBAC}/v1",
        roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
        subjects=[{"apiGroup": RBAC, "kind": "User", "name": user}],
    )
    binding["metadata"]["labels"] = {"reflection.proxy.projectcapsule.dev/enabled": "true"}
    await world.platform.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(binding))


async def _unbind(world: World, namespace: str, user: str) -> None:
    await world.platform.kubectl("delete", "rolebinding", user, "-n", namespace)


async def _open_nodes(world: World, team: Team) -> None:
    rule = manifest("ProxySetting", "nodes", version="capsule.clastix.io/v1beta1")
    opened = {
        "apiGroups": [""],
        "resources": ["nodes"],
        "selector": {"matchLabels": {"kubernetes.io/hostname": "node-2"}},
    }
    rule["spec"] = {"subjects": [{"kind": "User", "name": team.owner, "clusterResources": [opened]}]}
    await world.platform.kubectl("apply", "-n", team.namespace, "-f", "-", stdin=json.dumps(rule))

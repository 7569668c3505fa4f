"""R-032: lists and watches over all namespaces show what each one lets the user see."""

from __future__ import annotations

import pytest
from caller import JSON, Caller, within
from stage import NAMESPACES, Stage, rbac, user

MAPS, PODS = "/api/v1/configmaps", "/api/v1/pods"
REFLECTED = {"reflection.proxy.projectcapsule.dev/enabled": "true"}
MINE = {"labelSelector": "mine=yes"}


async def two_namespaces(stage: Stage) -> tuple[str, list[str], Caller]:
    """An owner with two namespaces; the owner may read all in them."""
    name = stage.unique("user")
    tenant = await stage.tenant(user(name))
    spaces = sorted([await stage.namespace(tenant) for _ in range(2)])
    caller = stage.user(name)
    for space in spaces:
        await _readable(stage, caller, space)
    return name, spaces, caller


async def _readable(stage: Stage, caller: Caller, space: str) -> None:
    async def is_open() -> bool:
        return (await caller.ask(f"{NAMESPACES}/{space}/configmaps")).status == 200

    await stage.world.eventually(is_open)


async def a_map(stage: Stage, space: str, name: str, **match_labels: str) -> None:
    """Make a ConfigMap, which carries no label of its tenant."""
    path = f"{NAMESPACES}/{space}/configmaps"
    await stage.make(path, {"metadata": {"labels": {"mine": "yes", **match_labels}}}, name=name)


def pod() -> JSON:
    """A pod that is never scheduled."""
    return {
        "metadata": {"labels": {"mine": "yes"}},
        "spec": {"nodeName": "", "schedulerName": "nobody", "containers": [{"name": "c", "image": "example.org/c:1"}]},
    }


async def test_lists_are_of_all_own_namespaces_and_of_no_other(stage: Stage) -> None:
    """In order of namespace and name; objects need no label; foreign ones are not there."""
    _, spaces, caller = await two_namespaces(stage)
    foreign = await stage.namespace(await stage.tenant(user(stage.unique("other"))))
    for space in (*reversed(spaces), foreign):
        for name in ("b", "a"):
            await a_map(stage, space, name)
    wanted = [f"{space}/{name}" for space in spaces for name in ("a", "b")]

    reply = await caller.ask(MAPS, query=MINE)
    assert (reply.names, reply.body["kind"], reply.body["apiVersion"]) == (wanted, "ConfigMapList", "v1")
    assert int(reply.body["metadata"]["resourceVersion"]) > 0
    assert await caller.names(MAPS, labelSelector="mine=yes", fieldSelector="metadata.name=a") == [
        f"{space}/a" for space in spaces
    ]
    assert await caller.names(MAPS, labelSelector="mine=yes", fieldSelector=f"metadata.namespace={foreign}") == []
    listed = await stage.gateway.kubectl("get", "cm", "-A", "-l", "mine=yes", user=caller.kubeconfig)
    assert [line.split()[:2] for line in listed.stdout.splitlines()[1:]] == [each.split("/") for each in wanted]
    assert (await caller.refused(f"{NAMESPACES}/{foreign}/configmaps"))[:2] == (403, "Forbidden")


async def test_kinds_of_every_group_are_listed(stage: Stage) -> None:
    """Pods, Secrets, RoleBindings, Deployments; about unknown kinds RBAC speaks first, as without a gateway."""
    _, spaces, caller = await two_namespaces(stage)
    await stage.make(f"{NAMESPACES}/{spaces[0]}/pods", pod(), name="p")
    await stage.make(f"{NAMESPACES}/{spaces[1]}/secrets", {"metadata": {"labels": {"mine": "yes"}}}, name="s")

    assert await caller.names(PODS) == [f"{spaces[0]}/p"]
    assert await caller.names("/api/v1/secrets", **MINE) == [f"{spaces[1]}/s"]
    assert await caller.names("/apis/apps/v1/deployments") == []
    roles = await caller.ask("/apis/rbac.authorization.k8s.io/v1/rolebindings")
    assert {each["metadata"]["namespace"] for each in roles.body["items"]} == set(spaces)
    assert (await caller.refused("/api/v1/nonsense"))[:2] == (403, "Forbidden")
    table = (await stage.gateway.kubectl("get", "pods", "-A", user=caller.kubeconfig)).stdout.splitlines()
    assert [line.split()[:2] for line in table] == [["NAMESPACE", "NAME"], [spaces[0], "p"]]


async def test_a_namespace_that_rbac_closes_is_left_out(stage: Stage) -> None:
    """A subject of a ProxySetting sees both namespaces and may read one: -A is that one."""
    tenant = await stage.tenant(user(stage.unique("owner")))
    spaces = sorted([await stage.namespace(tenant) for _ in range(2)])
    name = stage.unique("user")
    for space in spaces:
        await a_map(stage, space, "m")
    await stage.setting(spaces[0], user(name))
    caller = stage.user(name)
    await stage.shows(lambda: caller.names(NAMESPACES), spaces)

    assert await caller.names(MAPS) == []
    await stage.bind(spaces[1], rbac(user(name)))
    await _readable(stage, caller, spaces[1])
    assert await caller.names(MAPS, **MINE) == [f"{spaces[1]}/m"]
    assert await caller.names("/api/v1/secrets") == []


async def test_rolebindings_open_lists_by_their_label(stage: Stage) -> None:
    """8.5: any binding shows the namespace; lists over all need the label, and end with it."""
    space = await stage.namespace(await stage.tenant(user(stage.unique("owner"))))
    name = stage.unique("user")
    await a_map(stage, space, "m")
    caller = stage.user(name)
    path = await stage.bind(space, rbac(user(name)))
    await stage.shows(lambda: caller.names(NAMESPACES), [space])
    await _readable(stage, caller, space)
    assert await caller.names(MAPS, **MINE) == []

    await stage.change(path, {"metadata": {"labels": REFLECTED}})
    await stage.shows(lambda: caller.names(MAPS, **MINE), [f"{space}/m"])
    await stage.change(path, {"metadata": {"labels": {next(iter(REFLECTED)): "false"}}})
    await stage.shows(lambda: caller.names(MAPS, **MINE), [])


async def test_strangers_and_users_without_namespaces(stage: Stage) -> None:
    """The API server's 403 for the one, an empty list for the other."""
    stranger = stage.user(groups=("visitors",))
    assert (await stranger.refused(PODS))[:2] == (403, "Forbidden")
    reply = await stage.user().ask(PODS)
    assert (reply.status, reply.body["kind"], reply.body["items"]) == (200, "PodList", [])
    assert (await stage.gateway.kubectl("get", "pods", "-A", user=stage.user().kubeconfig)).stderr == (
        "No resources found\n"
    )


async def test_pages_have_everything_once(stage: Stage) -> None:
    """Limit and continue, across namespaces; a token is nobody else's, and for no other query."""
    _, spaces, caller = await two_namespaces(stage)
    for space in spaces:
        for name in ("a", "b", "c"):
            await a_map(stage, space, name)
    wanted = [f"{space}/{name}" for space in spaces for name in ("a", "b", "c")]
    seen: list[str] = []
    sizes: list[int] = []
    token = ""
    while not sizes or token:
        query = {**MINE, "limit": "2", **({"continue": token} if token else {})}
        reply = await caller.ask(MAPS, query=query)
        assert reply.status == 200, reply
        seen += reply.names
        sizes.append(len(reply.names))
        token = reply.body["metadata"].get("continue", "")
    assert (seen, max(sizes)) == (wanted, 2)

    first = (await caller.ask(MAPS, query={**MINE, "limit": "2"})).body["metadata"]["continue"]
    _, _, other = await two_namespaces(stage)
    assert (await other.ask(MAPS, query={**MINE, "limit": "2", "continue": first})).status in {400, 410}
    assert (await caller.ask(MAPS, query={"limit": "2", "continue": first})).status in {400, 410}
    assert (await caller.ask(MAPS, query={**MINE, "limit": "2", "continue": "made-up"})).status == 400
    listed = await stage.gateway.kubectl(
        "get", "cm", "-A", "-l", "mine=yes", "--chunk-size=1", "-o", "name", user=caller.kubeconfig
    )
    assert len(listed.stdout.split()) == len(wanted)


async def test_a_page_of_another_visible_set_is_expired(stage: Stage) -> None:
    """8.3, 5: 410, so that the client begins anew."""
    name, spaces, caller = await two_namespaces(stage)
    for space in spaces:
        await a_map(stage, space, "m")
    token = (await caller.ask(MAPS, query={**MINE, "limit": "1"})).body["metadata"]["continue"]
    assert token
    await stage.namespace(await stage.tenant(user(name)))

    async def status() -> int:
        return (await caller.ask(MAPS, query={**MINE, "limit": "1", "continue": token})).status

    await within(1, status, 410)


@pytest.mark.parametrize("begins", ["with a version", "with initial events"])
async def test_watches_follow_namespaces(stage: Stage, begins: str) -> None:
    """Objects of both, a namespace that comes; one that goes makes the client list again."""
    name, spaces, caller = await two_namespaces(stage)
    await a_map(stage, spaces[0], "first")
    version = (await caller.ask(MAPS)).body["metadata"]["resourceVersion"]
    query = {"resourceVersion": version} if begins == "with a version" else {}
    async with caller.watching(MAPS, **MINE, **query) as watch:
        if not query:
            assert await watch.told() == ("ADDED", f"{spaces[0]}/first")
        await a_map(stage, spaces[1], "second")
        assert await watch.told() == ("ADDED", f"{spaces[1]}/second")
        await stage.change(f"{NAMESPACES}/{spaces[0]}/configmaps/first", {"metadata": {"labels": {"new": "yes"}}})
        assert await watch.told() == ("MODIFIED", f"{spaces[0]}/first")
        await stage.change(f"{NAMESPACES}/{spaces[0]}/configmaps/first", {"metadata": {"labels": {"mine": "no"}}})
        assert await watch.told() == ("DELETED", f"{spaces[0]}/first")
        await stage.remove(f"{NAMESPACES}/{spaces[1]}/configmaps/second")
        assert await watch.told() == ("DELETED", f"{spaces[1]}/second")
        tenant = await stage.tenant(user(name))
        new = await stage.namespace(tenant)
        await a_map(stage, new, "third")
        assert await watch.told() == ("ADDED", f"{new}/third")


async def test_watch_list_over_all_namespaces(stage: Stage) -> None:
    """8.3, 1: what there is, then one bookmark that says so, then what comes."""
    _, spaces, caller = await two_namespaces(stage)
    for space in spaces:
        await a_map(stage, space, "m")
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    async with caller.watching(MAPS, **MINE, **query) as watch:
        assert sorted([await watch.told() for _ in spaces]) == [("ADDED", f"{space}/m") for space in spaces]
        event = await watch.event()
        assert event is not None
        assert (event["type"], event["object"]["metadata"]["annotations"]) == (
            "BOOKMARK",
            {"k8s.io/initial-events-end": "true"},
        )
        await a_map(stage, spaces[0], "later")
        assert await watch.told() == ("ADDED", f"{spaces[0]}/later")


async def test_kubectl_watches_all_namespaces(stage: Stage) -> None:
    """`get -A -w` for a while: what there is, and nothing of others."""
    _, spaces, caller = await two_namespaces(stage)
    for space in spaces:
        await a_map(stage, space, "m")
    done = await stage.gateway.kubectl(
        "get",
        "--raw",
        f"{MAPS}?watch=1&labelSelector=mine%3Dyes&timeoutSeconds=1&resourceVersion=0",
        user=caller.kubeconfig,
    )
    assert [f"{space}" in done.stdout for space in spaces] == [True, True]
    assert done.stdout.count('"type":"ADDED"') == len(spaces)

"""R-031, 8.3: watches of what is filtered, frame by frame, with the API server's own answers beside."""

from __future__ import annotations

import pytest
from caller import JSON, Caller, Watch, within
from stage import NAMESPACES, Stage, rbac, user

END = "k8s.io/initial-events-end"
WATCH_LIST = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
BOOKMARKS = {"allowWatchBookmarks": "true"}
PATIENCE = 20


async def an_owner(stage: Stage) -> tuple[str, str, list[str], Caller]:
    """A user, the tenant, two namespaces of it, and the client."""
    name = stage.unique("user")
    tenant = await stage.tenant(user(name))
    spaces = sorted([await stage.namespace(tenant) for _ in range(2)])
    caller = stage.user(name)
    await stage.shows(lambda: caller.names(NAMESPACES), spaces)
    return name, tenant, spaces, caller


async def version_of(caller: Caller) -> str:
    """The version of a list, to watch from."""
    return str((await caller.ask(NAMESPACES)).body["metadata"]["resourceVersion"])


async def told_of(watch: Watch, name: str) -> str:
    """The type of the next event about *name*."""
    while True:
        kind, about = await watch.told()
        if about == name:
            return kind


async def test_watches_follow_what_the_user_gains_and_loses(stage: Stage) -> None:
    """One stream over a namespace that is made, changed, bound, unbound, of a tenant that is taken, and deleted."""
    name, tenant, spaces, caller = await an_owner(stage)
    foreign = await stage.namespace(await stage.tenant(user(stage.unique("other"))))
    async with caller.watching(NAMESPACES, resourceVersion=await version_of(caller), **BOOKMARKS) as watch:
        new = await stage.namespace(tenant)
        assert await watch.told() == ("ADDED", new)
        await stage.change(f"{NAMESPACES}/{new}", {"metadata": {"labels": {"a": "b"}}})
        while (event := await watch.event()) is not None and event["object"]["metadata"].get("labels", {}).get(
            "a"
        ) != "b":
            assert event["type"] in {"MODIFIED", "BOOKMARK"}
        assert event is not None
        assert event["type"] == "MODIFIED"
        binding = await stage.bind(foreign, rbac(user(name)))
        assert await told_of(watch, foreign) == "ADDED"
        await stage.remove(binding)
        assert await told_of(watch, foreign) == "DELETED"
        await stage.remove(f"{NAMESPACES}/{new}")
        kinds = [await told_of(watch, new)]
        while kinds[-1] != "DELETED":
            kinds.append(await told_of(watch, new))
        assert set(kinds) <= {"MODIFIED", "DELETED"}
        await stage.world.edit_tenant(tenant, {"owners": [user(stage.unique("else"))]})
        gone = dict.fromkeys(spaces, "")
        while "" in gone.values():
            kind, about = await watch.told()
            gone[about] = kind if kind == "DELETED" else ""
        assert gone == dict.fromkeys(spaces, "DELETED")


async def test_a_synthetic_event_is_followed_by_a_bookmark_to_resume_from(stage: Stage) -> None:
    """8.3, 2: the object is old, so the version to go on from comes apart; from it nothing comes twice."""
    name, _, _, caller = await an_owner(stage)
    foreign = await stage.namespace(await stage.tenant(user(stage.unique("other"))))
    async with caller.watching(NAMESPACES, resourceVersion=await version_of(caller), **BOOKMARKS) as watch:
        binding = await stage.bind(foreign, rbac(user(name)))
        assert await told_of(watch, foreign) == "ADDED"
        least = int((await stage.admin.ask(binding)).body["metadata"]["resourceVersion"])
        version = (await watch.bookmark())["metadata"]["resourceVersion"]
        while int(version) < least:
            version = (await watch.bookmark())["metadata"]["resourceVersion"]
    async with caller.watching(NAMESPACES, resourceVersion=version, timeoutSeconds="1") as watch:
        assert [event["type"] for event in await watch.rest()] == []


async def test_a_resume_from_before_a_change_of_the_view_is_expired(stage: Stage) -> None:
    """8.3, 2: whoever was away while a binding went has to list again."""
    name, _, spaces, caller = await an_owner(stage)
    foreign = await stage.namespace(await stage.tenant(user(stage.unique("other"))))
    binding = await stage.bind(foreign, rbac(user(name)))
    await within(PATIENCE, lambda: caller.names(NAMESPACES), sorted([*spaces, foreign]))
    version = await version_of(caller)
    await stage.remove(binding)
    await within(PATIENCE, lambda: caller.names(NAMESPACES), spaces)

    reply = await caller.ask(NAMESPACES, query={"watch": "1", "resourceVersion": version, "timeoutSeconds": "1"})
    status: JSON = reply.body if reply.status != 200 else {}
    if not status:
        async with caller.watching(NAMESPACES, resourceVersion=version, timeoutSeconds="1") as watch:
            (event,) = await watch.rest()
            assert event["type"] == "ERROR"
            status = event["object"]
    assert (status["code"], status["reason"]) == (410, "Expired")
    async with caller.watching(NAMESPACES, resourceVersion=await version_of(caller), timeoutSeconds="1") as watch:
        assert await watch.rest() == []


async def test_an_ancient_version_is_expired_and_zero_is_what_there_is(stage: Stage) -> None:
    """1 is below the start; 0 and no version begin with what is seen."""
    _, _, spaces, caller = await an_owner(stage)
    reply = await caller.ask(NAMESPACES, query={"watch": "1", "resourceVersion": "1", "timeoutSeconds": "1"})
    said = reply.body if isinstance(reply.body, dict) else {}
    assert (said.get("object", said)["code"], said.get("object", said)["reason"]) == (410, "Expired")
    for query in ({"resourceVersion": "0"}, {}):
        async with caller.watching(NAMESPACES, timeoutSeconds="1", **query) as watch:
            events = await watch.rest()
            assert [(each["type"], each["object"]["metadata"]["name"]) for each in events] == [
                ("ADDED", space) for space in spaces
            ]


async def test_a_version_ahead_is_waited_for_and_then_too_large(stage: Stage) -> None:
    """8.3, 2: 504 with the cause that clients look for, on list and watch, as the API server."""
    _, _, _, caller = await an_owner(stage)
    ahead = str(int(await version_of(caller)) + 100_000)
    for query in (
        {"resourceVersion": ahead, "resourceVersionMatch": "NotOlderThan"},
        {"resourceVersion": ahead, "watch": "1", **WATCH_LIST},
    ):
        reply = await caller.ask(NAMESPACES, query=query)
        assert (reply.status, reply.body["reason"]) == (504, "Timeout")
        assert [each["reason"] for each in reply.body["details"]["causes"]] == ["ResourceVersionTooLarge"]


async def test_watch_list(stage: Stage) -> None:
    """8.3, 1: what there is, the bookmark, what comes; also for who sees nothing."""
    _, tenant, spaces, caller = await an_owner(stage)
    async with caller.watching(NAMESPACES, **WATCH_LIST) as watch:
        assert [await watch.told() for _ in spaces] == [("ADDED", space) for space in spaces]
        event = await watch.event()
        assert event is not None
        assert (event["type"], event["object"]["metadata"]["annotations"]) == ("BOOKMARK", {END: "true"})
        assert int(event["object"]["metadata"]["resourceVersion"]) > 0
        new = await stage.namespace(tenant)
        assert await watch.told() == ("ADDED", new)
    async with stage.user().watching(NAMESPACES, **WATCH_LIST) as watch:
        assert (await watch.bookmark())["metadata"]["annotations"] == {END: "true"}


@pytest.mark.parametrize(
    "query",
    [
        {"watch": "1", "sendInitialEvents": "true", "allowWatchBookmarks": "true"},
        {"watch": "1", "sendInitialEvents": "false"},
        {"watch": "1", "sendInitialEvents": "true", "resourceVersionMatch": "Exact", "resourceVersion": "5"},
        {"watch": "1", "resourceVersionMatch": "NotOlderThan", "resourceVersion": "5"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "resourceVersion": "0"},
        {"resourceVersionMatch": "Exact"},
        {"resourceVersionMatch": "Sometimes", "resourceVersion": "5"},
        {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
        {"resourceVersion": "abc"},
        {"continue": "nonsense"},
        {"limit": "-x"},
        {"watch": "1", "timeoutSeconds": "x"},
        {"fieldSelector": "a=b"},
        {"labelSelector": "a in b"},
    ],
    ids=lambda query: "&".join(f"{key}={value}" for key, value in query.items()),
)
async def test_options_that_make_no_sense_are_refused_as_by_the_api_server(stage: Stage, query: dict[str, str]) -> None:
    """Status and reason are the API server's own."""
    caller = stage.user()

    ours, theirs = await caller.ask(NAMESPACES, query=query), await stage.admin.ask(NAMESPACES, query=query)

    assert (ours.status, ours.body["reason"]) == (theirs.status, theirs.body["reason"])


async def test_a_watch_lasts_as_long_as_asked(stage: Stage) -> None:
    """The parameter timeoutSeconds ends it without an error; a bookmark comes before where that is allowed."""
    _, _, _, caller = await an_owner(stage)
    version = await version_of(caller)
    async with caller.watching(NAMESPACES, resourceVersion=version, timeoutSeconds="2", **BOOKMARKS) as watch:
        events = await watch.rest()
    assert {each["type"] for each in events} <= {"BOOKMARK"}
    assert all(each["object"]["metadata"]["resourceVersion"].isdigit() for each in events)


async def test_selectors_narrow_watches(stage: Stage) -> None:
    """An object that leaves the selector is DELETED, one that enters it ADDED."""
    _, _, spaces, caller = await an_owner(stage)
    path = f"{NAMESPACES}/{spaces[0]}"
    version = await version_of(caller)
    async with caller.watching(NAMESPACES, resourceVersion=version, labelSelector="tier=gold") as watch:
        await stage.change(path, {"metadata": {"labels": {"tier": "gold"}}})
        assert await watch.told() == ("ADDED", spaces[0])
        await stage.change(path, {"metadata": {"labels": {"tier": None}}})
        assert await watch.told() == ("DELETED", spaces[0])
    field = f"metadata.name={spaces[1]}"
    async with caller.watching(NAMESPACES, fieldSelector=field, timeoutSeconds="1") as watch:
        assert [each["object"]["metadata"]["name"] for each in await watch.rest()] == [spaces[1]]
    async with caller.watching(NAMESPACES, fieldSelector="metadata.name=kube-system", timeoutSeconds="1") as watch:
        assert await watch.rest() == []


async def test_odd_watch_paths_show_nothing_more(stage: Stage) -> None:
    """Invariant 13: neither /watch/ nor a watch of one name shows more than RBAC."""
    _, _, _, caller = await an_owner(stage)
    assert (await caller.refused("/api/v1/watch/namespaces"))[:2] == (403, "Forbidden")
    reply = await caller.ask(f"{NAMESPACES}/kube-system", query={"watch": "1", "timeoutSeconds": "1"})
    assert reply.status in {200, 403, 404}
    assert "kube-system" not in str(reply.body.get("object", {}) if isinstance(reply.body, dict) else reply.body)


async def test_kubectl_watches(stage: Stage) -> None:
    """`kubectl get ns -w` and `kubectl wait` go on over what comes."""
    _, tenant, spaces, caller = await an_owner(stage)
    done = await stage.gateway.kubectl(
        "wait", "--for=jsonpath={.status.phase}=Active", "ns", *spaces, "--timeout=10s", user=caller.kubeconfig
    )
    assert done.stdout.count("condition met") == len(spaces)
    refused = await stage.gateway.kubectl(
        "wait", "--for=delete", "ns/nobodys", "--timeout=5s", user=caller.kubeconfig, check=False
    )
    assert refused.code in {0, 1}
    assert tenant

"""Watches: what comes, goes and changes, for the objects and for who sees them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tenantry.access.identity import Identity
from tenantry.access.proxy_rules import ProxyRule
from tenantry.access.sight import Rule, Sight
from tenantry.kube.client import Client
from tenantry.kube.resources import NAMESPACES

PATH = "/api/v1/namespaces"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
WATCH_LIST = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"


async def label(admin: Client, name: str, **labels: str) -> str:
    """Change labels, and return the new version."""
    changed = await admin.patch(NAMESPACES, name, patch={"metadata": {"labels": labels}}, kind="merge")
    return changed.metadata.resource_version


async def version_of(door: Any, user: str) -> str:
    return str((await door.json(user, PATH))["metadata"]["resourceVersion"])


def of(events: list[Any]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


async def test_a_watch_begins_with_what_there_is(
    door: Any, knowledge: Any, namespaces: list[str], admin: Client
) -> None:
    knowledge.at_first("alice", *namespaces[:2])

    async with door.watch("alice", f"{PATH}?watch=true") as watch:
        assert await watch.names(2) == [("ADDED", namespaces[0]), ("ADDED", namespaces[1])]
        await label(admin, namespaces[2], hidden="yes")
        version = await label(admin, namespaces[0], seen="yes")
        event = await watch.next()
    assert (event["type"], event["object"]["metadata"]["resourceVersion"]) == ("MODIFIED", version)


async def test_a_watch_goes_on_from_a_list(door: Any, knowledge: Any, namespaces: list[str], admin: Client) -> None:
    """What changed between the two is told first."""
    knowledge.at_first("alice", *namespaces)
    version = await version_of(door, "alice")
    await label(admin, namespaces[1], step="1")

    async with door.watch("alice", f"{PATH}?watch=1&resourceVersion={version}") as watch:
        assert await watch.names(1) == [("MODIFIED", namespaces[1])]
        await label(admin, namespaces[0], step="2")
        assert await watch.names(1) == [("MODIFIED", namespaces[0])]


async def test_a_deletion_is_told_with_the_last_state(
    door: Any, knowledge: Any, admin: Client, unique: Callable[[str], str]
) -> None:
    knowledge.at_first("alice", rules=(everything("priorityclasses"),))
    path, name = "/apis/scheduling.k8s.io/v1/priorityclasses", unique("class")
    body = {"metadata": {"name": name}, "value": 7}
    version = (await door.json("alice", path))["metadata"]["resourceVersion"]

    async with door.watch("alice", f"{path}?watch=1&resourceVersion={version}") as watch:
        await admin.request("POST", path, body=body)
        await admin.request("DELETE", f"{path}/{name}")
        events = [await watch.next(), await watch.next()]
    assert of(events) == [("ADDED", name), ("DELETED", name)]
    assert events[1]["object"]["value"] == 7
    assert int(events[1]["object"]["metadata"]["resourceVersion"]) > int(version)


def everything(resource: str) -> ProxyRule:
    return ProxyRule(
        api_groups=("*",),
        resources=frozenset({resource}),
        operations=frozenset({"list", "get"}),
        sight=Sight(everything=True),
    )


async def test_a_watch_that_lists_says_when_it_did(door: Any, knowledge: Any, namespaces: list[str]) -> None:
    """8.3: WatchList, as client-go opens it."""
    knowledge.at_first("alice", *namespaces)

    async with door.watch("alice", f"{PATH}?{WATCH_LIST}") as watch:
        events = [await watch.next() for _ in range(4)]
    assert of(events) == [*(("ADDED", name) for name in namespaces), ("BOOKMARK", "")]
    assert events[3]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert events[3]["object"]["metadata"]["resourceVersion"].isdigit()


async def test_who_sees_nothing_is_told_so(door: Any, knowledge: Any) -> None:
    knowledge.at_first("nobody")

    async with door.watch("nobody", f"{PATH}?{WATCH_LIST}") as watch:
        event = await watch.next()
    assert event["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_no_initial_events_means_none(door: Any, knowledge: Any, namespaces: list[str], admin: Client) -> None:
    knowledge.at_first("alice", *namespaces)
    query = "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"

    async with door.watch("alice", f"{PATH}?{query}") as watch:
        await label(admin, namespaces[2], step="1")
        assert await watch.names(1) == [("MODIFIED", namespaces[2])]


async def test_what_becomes_visible_is_added_and_what_is_revoked_is_deleted(
    door: Any, knowledge: Any, namespaces: list[str]
) -> None:
    """R-031, 8.3: and a bookmark lets the client resume from now, not from the object's old version."""
    knowledge.at_first("alice", namespaces[0])

    async with door.watch("alice", f"{PATH}?{WATCH_LIST}") as watch:
        first = [await watch.next(), await watch.next()]
        granted = await until_bookmark(watch, await knowledge.from_now_on("alice", namespaces[0], namespaces[1]))
        revoked = await until_bookmark(watch, await knowledge.from_now_on("alice", namespaces[1]))

    assert of(first) == [("ADDED", namespaces[0]), ("BOOKMARK", "")]
    assert (of(granted), of(revoked)) == ([("ADDED", namespaces[1])], [("DELETED", namespaces[0])])


async def until_bookmark(watch: Any, version: int) -> list[Any]:
    """Return the events before the bookmark from which a client may resume; others may come before."""
    events = []
    while (event := await watch.next())["type"] != "BOOKMARK" or int(
        event["object"]["metadata"]["resourceVersion"]
    ) < version:
        if event["type"] != "BOOKMARK":
            events.append(event)
    return events


async def test_a_client_without_bookmarks_gets_none(
    door: Any, knowledge: Any, namespaces: list[str], admin: Client
) -> None:
    knowledge.at_first("alice", namespaces[0])

    async with door.watch("alice", f"{PATH}?watch=1") as watch:
        await watch.next()
        await knowledge.from_now_on("alice", *namespaces[:2])
        await label(admin, namespaces[0], step="1")
        assert await watch.names(2) == [("ADDED", namespaces[1]), ("MODIFIED", namespaces[0])]


async def test_a_client_that_was_away_while_its_view_changed_lists_again(
    door: Any, knowledge: Any, namespaces: list[str]
) -> None:
    """8.3: it would never learn what was revoked."""
    knowledge.at_first("alice", *namespaces)
    before = await version_of(door, "alice")
    await knowledge.from_now_on("alice", namespaces[0])

    async with door.watch("alice", f"{PATH}?watch=1&resourceVersion={before}") as watch:
        events = await watch.rest()
    assert [(event["type"], event["object"]["reason"], event["object"]["code"]) for event in events] == [
        ("ERROR", "Expired", 410)
    ]
    again = await version_of(door, "alice")
    async with door.watch("alice", f"{PATH}?watch=1&resourceVersion={again}&timeoutSeconds=1") as watch:
        assert await watch.rest() == []


async def test_a_version_from_before_the_start_is_expired(door: Any, knowledge: Any) -> None:
    knowledge.at_first("alice", "default")

    async with door.watch("alice", f"{PATH}?watch=1&resourceVersion=1") as watch:
        events = await watch.rest()
    assert [(event["type"], event["object"]["code"]) for event in events] == [("ERROR", 410)]


async def test_a_version_ahead_of_the_cluster_times_out(door: Any, knowledge: Any) -> None:
    knowledge.at_first("alice", "default")

    status, body = await door.get("alice", f"{PATH}?watch=1&resourceVersion=99999999")
    assert (status, json.loads(body)["details"]["causes"][0]["reason"]) == (504, "ResourceVersionTooLarge")


async def test_a_version_that_another_replica_gave_out_is_waited_for(
    door: Any, knowledge: Any, namespaces: list[str]
) -> None:
    """It is ahead of what this one was told, and not of the cluster."""
    knowledge.at_first("alice", namespaces[0])
    await version_of(door, "alice")
    ahead = await knowledge.from_now_on("bob", namespaces[0])

    async with door.watch("alice", f"{PATH}?watch=1&resourceVersion={ahead}&timeoutSeconds=1") as watch:
        assert await watch.rest() == []


async def test_what_leaves_the_selector_is_deleted_and_what_enters_is_added(
    door: Any, knowledge: Any, namespaces: list[str], admin: Client
) -> None:
    knowledge.at_first("alice", *namespaces)
    version = await version_of(door, "alice")

    async with door.watch("alice", f"{PATH}?watch=1&resourceVersion={version}&labelSelector=team%3Da") as watch:
        left = await label(admin, namespaces[0], team="b")
        entered = await label(admin, namespaces[0], team="a")
        events = [await watch.next(), await watch.next()]
    assert of(events) == [("DELETED", namespaces[0]), ("ADDED", namespaces[0])]
    # The state from before, at the version of the change, as the API server does it.
    assert [
        (event["object"]["metadata"]["resourceVersion"], event["object"]["metadata"]["labels"]["team"])
        for event in events
    ] == [
        (left, "a"),
        (entered, "a"),
    ]


async def test_what_leaves_the_sight_of_a_rule_is_deleted(
    door: Any, knowledge: Any, namespaces: list[str], admin: Client
) -> None:
    """Invariant 11."""
    rule = ProxyRule(
        api_groups=("",),
        resources=frozenset({"namespaces"}),
        operations=frozenset({"list", "get"}),
        sight=Sight(rules=(Rule(labels=(("team", "a"), ("number", "1"))),)),
    )
    knowledge.at_first("alice", rules=(rule,))
    version = await version_of(door, "alice")

    async with door.watch("alice", f"{PATH}?watch=1&resourceVersion={version}") as watch:
        await label(admin, namespaces[1], number="9", secret="not-for-alice")
        event = await watch.next()
    assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", namespaces[1])
    assert "secret" not in event["object"]["metadata"]["labels"]


async def test_one_object_is_watched_by_name(door: Any, knowledge: Any, namespaces: list[str], admin: Client) -> None:
    knowledge.at_first("alice", *namespaces)

    async with door.watch("alice", f"{PATH}?watch=1&fieldSelector=metadata.name%3D{namespaces[1]}") as watch:
        assert await watch.names(1) == [("ADDED", namespaces[1])]
        await label(admin, namespaces[0], step="1")
        await label(admin, namespaces[1], step="1")
        assert await watch.names(1) == [("MODIFIED", namespaces[1])]


@pytest.mark.parametrize("path", ["/api/v1/watch/namespaces", "/api/v1/watch/namespaces/{0}"])
async def test_the_old_form_of_a_watch_is_filtered(door: Any, knowledge: Any, namespaces: list[str], path: str) -> None:
    """Invariant 13."""
    knowledge.at_first("alice", namespaces[0])

    async with door.watch("alice", f"{path.format(namespaces[0])}?timeoutSeconds=1") as watch:
        assert of(await watch.rest()) == [("ADDED", namespaces[0])]
    async with door.watch("alice", f"/api/v1/watch/namespaces/{namespaces[1]}?timeoutSeconds=1") as watch:
        assert await watch.rest() == []


async def test_a_named_get_with_watch_is_a_get(door: Any, knowledge: Any, namespaces: list[str]) -> None:
    """Invariant 13."""
    knowledge.at_first("alice", namespaces[0])

    assert (await door.json("alice", f"{PATH}/{namespaces[0]}?watch=1"))["kind"] == "Namespace"
    assert (await door.get("alice", f"{PATH}/{namespaces[1]}?watch=1"))[0] == 404


async def test_tables_carry_their_columns_once(door: Any, knowledge: Any, namespaces: list[str], admin: Client) -> None:
    knowledge.at_first("alice", *namespaces[:2])

    async with door.watch("alice", f"{PATH}?watch=1", TABLE) as watch:
        events = [await watch.next(), await watch.next()]
        await label(admin, namespaces[0], step="1")
        events.append(await watch.next())
    columns = [event["object"]["columnDefinitions"] for event in events]
    assert [column["name"] for column in columns[0]] == ["Name", "Status", "Age"]
    assert columns[1:] == [None, None]
    assert [event["object"]["rows"][0]["cells"][:2] for event in events] == [
        [namespaces[0], "Active"],
        [namespaces[1], "Active"],
        [namespaces[0], "Active"],
    ]


async def test_metadata_is_watched_alone(door: Any, knowledge: Any, namespaces: list[str]) -> None:
    knowledge.at_first("alice", namespaces[0])

    async with door.watch("alice", f"{PATH}?{WATCH_LIST}", METADATA) as watch:
        events = [await watch.next(), await watch.next()]
    assert [event["object"]["kind"] for event in events] == ["PartialObjectMetadata"] * 2
    assert "spec" not in events[0]["object"]


async def test_a_watch_ends_in_time_with_a_bookmark(door: Any, knowledge: Any, namespaces: list[str]) -> None:
    knowledge.at_first("alice", namespaces[0])
    version = await version_of(door, "alice")

    query = f"watch=1&resourceVersion={version}&timeoutSeconds=1&allowWatchBookmarks=1"
    async with door.watch("alice", f"{PATH}?{query}") as watch:
        events = await watch.rest()
    assert events[-1]["type"] == "BOOKMARK"
    assert int(events[-1]["object"]["metadata"]["resourceVersion"]) >= int(version)


async def test_a_lock_ends_the_watches_of_one_user(
    door: Any, knowledge: Any, serving: Any, namespaces: list[str]
) -> None:
    knowledge.at_first("alice", namespaces[0])
    knowledge.at_first("bob", namespaces[0])

    async with door.watch("alice", f"{PATH}?watch=1") as hers, door.watch("bob", f"{PATH}?watch=1") as his:
        await asyncio.gather(hers.next(), his.next())
        assert serving.end_streams(lambda identity: identity == Identity(user="alice")) == 1
        with pytest.raises(Exception, match=r"payload|peer|reset|closed|Transfer"):
            await hers.next()
        await knowledge.from_now_on("bob", *namespaces[:2])
        assert await his.names(1) == [("ADDED", namespaces[1])]
    assert serving.watch_counts()["namespaces"] <= 1


async def test_what_is_not_filtered_any_more_ends(
    door: Any, knowledge: Any, serving: Any, namespaces: list[str], eventually: Any
) -> None:
    knowledge.at_first("alice", namespaces[0])

    async with door.watch("alice", f"{PATH}?watch=1") as watch:
        await watch.next()
        knowledge._views.clear()
        serving._view_changed(None, 1)
        assert await watch.next() is None
    await eventually(lambda: serving.watch_counts()["namespaces"] == 0)


async def test_whoever_leaves_is_forgotten(
    door: Any, knowledge: Any, serving: Any, namespaces: list[str], eventually: Any
) -> None:
    knowledge.at_first("alice", namespaces[0])
    async with door.watch("alice", f"{PATH}?watch=1") as watch:
        await watch.next()
        assert serving.watch_counts()["namespaces"] == 1
        watch.response.close()
    await eventually(lambda: serving.watch_counts()["namespaces"] == 0)

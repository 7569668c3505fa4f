"""Lists: what is visible and asked for, in name order, in pages, at a version."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tenantry.access.proxy_rules import ProxyRule
from tenantry.access.sight import Rule, Sight
from tenantry.gateway.serving import following
from tenantry.kube.client import Client
from tenantry.kube.resources import NAMESPACES

PATH = "/api/v1/namespaces"


def rule(*rules: Rule, names: frozenset[str] = frozenset()) -> ProxyRule:
    return ProxyRule(
        api_groups=("",),
        resources=frozenset({"namespaces"}),
        operations=frozenset({"list", "get"}),
        sight=Sight(rules=rules, names=names),
    )


async def test_only_what_is_visible_is_listed_in_name_order(door: Any, knowledge: Any, namespaces: list[str]) -> None:
    knowledge.at_first("alice", namespaces[2], namespaces[0], "no-such-namespace")

    assert await door.list("alice", PATH) == [namespaces[0], namespaces[2]]


async def test_who_sees_nothing_gets_an_empty_list(door: Any, knowledge: Any) -> None:
    """R-030: not 403."""
    knowledge.at_first("nobody")

    body = await door.json("nobody", PATH)
    assert (body["kind"], body["items"], body["metadata"]["resourceVersion"].isdigit()) == ("NamespaceList", [], True)


async def test_who_sees_nothing_of_a_kind_gets_an_empty_list_of_it(door: Any, knowledge: Any) -> None:
    knowledge.at_first("nobody")

    body = await door.json("nobody", "/apis/storage.k8s.io/v1/storageclasses")
    assert (body["kind"], body["items"]) == ("StorageClassList", [])


async def test_an_object_is_visible_where_one_whole_rule_holds(
    door: Any, knowledge: Any, namespaces: list[str], admin: Client
) -> None:
    """Selectors of different rules never combine, and a change of labels counts at once."""
    zero = Rule(labels=(("number", "0"), ("team", "a")))
    one = Rule(labels=(("number", "1"), ("team", "b")))
    knowledge.at_first("alice", rules=(rule(zero, one),))
    assert [name for name in await door.list("alice", PATH) if name in namespaces] == [namespaces[0]]

    patch = {"metadata": {"labels": {"team": "b"}}}
    changed = await admin.patch(NAMESPACES, namespaces[1], patch=patch, kind="merge")

    query = f"?resourceVersion={changed.metadata.resource_version}&resourceVersionMatch=NotOlderThan"
    assert [name for name in await door.list("alice", PATH + query) if name in namespaces] == namespaces[:2]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("labelSelector=number%3D1", [1]),
        ("labelSelector=number%20in%20(0,2)", [0, 2]),
        ("labelSelector=number!%3D1,team", [0, 2]),
        ("labelSelector=number%3E1", [2]),
        ("fieldSelector=status.phase%3DActive", [0, 1, 2]),
        ("fieldSelector=status.phase!%3DActive", []),
        ("fieldSelector=metadata.name%3D{0}", [0]),
        ("fieldSelector=metadata.name!%3D{0}", [1, 2]),
        ("labelSelector=number%3D1&fieldSelector=metadata.name%3D{0}", []),
    ],
)
async def test_selectors_narrow_what_is_visible(
    door: Any, knowledge: Any, namespaces: list[str], query: str, numbers: list[int]
) -> None:
    """Invariant 12."""
    knowledge.at_first("alice", *namespaces)

    assert await door.list("alice", f"{PATH}?{query.format(*namespaces)}") == [namespaces[one] for one in numbers]


async def test_a_selector_never_widens(door: Any, knowledge: Any, namespaces: list[str]) -> None:
    """Invariant 12: the name of a hidden object finds nothing."""
    knowledge.at_first("alice", namespaces[0])

    assert await door.list("alice", f"{PATH}?fieldSelector=metadata.name%3D{namespaces[1]}") == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("labelSelector=a%3D%3D%3Db", 400),
        ("fieldSelector=foo", 400),
        ("fieldSelector=foo%3Db", 400),
        ("limit=x", 400),
        ("resourceVersion=x", 400),
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422),
        ("resourceVersion=1&resourceVersionMatch=Foo", 422),
        ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 422),
        ("continue=abc", 400),
    ],
)
async def test_what_the_api_server_refuses_is_refused(door: Any, knowledge: Any, query: str, status: int) -> None:
    knowledge.at_first("alice", "default")

    told, body = await door.get("alice", f"{PATH}?{query}")
    assert (told, json.loads(body)["code"]) == (status, status)


@pytest.mark.parametrize(
    "accept", ["application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor", "text/html"]
)
async def test_a_form_that_is_not_filtered_is_refused(door: Any, knowledge: Any, accept: str) -> None:
    """Invariant 14."""
    knowledge.at_first("alice", "default")

    for target in (PATH, f"{PATH}/default", f"{PATH}?watch=1"):
        status, body = await door.get("alice", target, accept)
        assert (status, json.loads(body)["reason"]) == (406, "NotAcceptable")


async def test_what_client_go_accepts_is_served_as_json(door: Any, knowledge: Any) -> None:
    knowledge.at_first("alice", "default")

    body = await door.json("alice", PATH, "application/vnd.kubernetes.protobuf,application/json")
    assert body["kind"] == "NamespaceList"


async def test_pages_are_of_one_moment(door: Any, knowledge: Any, namespaces: list[str], admin: Client) -> None:
    """What changes between two pages shows in neither."""
    knowledge.at_first("alice", *namespaces)
    first = await door.json("alice", f"{PATH}?limit=1")

    patch = {"metadata": {"labels": {"number": "changed"}}}
    changed = await admin.patch(NAMESPACES, namespaces[1], patch=patch, kind="merge")
    await door.json("alice", f"{PATH}?resourceVersion={changed.metadata.resource_version}")
    second = await door.json("alice", f"{PATH}?limit=1&continue={first['metadata']['continue']}")
    third = await door.json("alice", f"{PATH}?limit=5&continue={second['metadata']['continue']}")

    pages = (first, second, third)
    assert [[item["metadata"]["name"] for item in page["items"]] for page in pages] == [[name] for name in namespaces]
    assert second["items"][0]["metadata"]["labels"]["number"] == "1"
    assert len({page["metadata"]["resourceVersion"] for page in pages}) == 1
    assert [page["metadata"].get("remainingItemCount") for page in pages] == [2, 1, None]
    assert "continue" not in third["metadata"]


async def test_a_page_token_is_of_use_to_nobody_else(door: Any, knowledge: Any, namespaces: list[str]) -> None:
    """Invariant 12: bound to the caller, the query and what the caller sees."""
    knowledge.at_first("alice", *namespaces)
    knowledge.at_first("bob", *namespaces)
    token = (await door.json("alice", f"{PATH}?limit=1"))["metadata"]["continue"]

    statuses = [
        (await door.get("bob", f"{PATH}?limit=1&continue={token}"))[0],
        (await door.get("alice", f"{PATH}?limit=1&labelSelector=number&continue={token}"))[0],
        (await door.get("alice", f"/api/v1/nodes?limit=1&continue={token}"))[0],
        (await door.get("alice", f"{PATH}?limit=2&continue={token}"))[0],
    ]
    knowledge.at_first("alice", *namespaces[:2])
    statuses.append((await door.get("alice", f"{PATH}?limit=2&continue={token}"))[0])

    assert statuses == [410, 410, 410, 200, 410]


async def test_a_list_is_at_least_as_new_as_asked(
    door: Any, knowledge: Any, unique: Callable[[str], str], admin: Client
) -> None:
    name = unique("seen")
    knowledge.at_first("alice", name)
    await door.json("alice", PATH)
    created = await admin.create(NAMESPACES, {"metadata": {"name": name}})

    assert await door.list("alice", f"{PATH}?resourceVersion={created.metadata.resource_version}") == [name]
    assert await door.list("alice", f"{PATH}?resourceVersion=0") == [name]


async def test_an_old_version_is_answered_exactly_or_is_gone(
    door: Any, knowledge: Any, namespaces: list[str], admin: Client
) -> None:
    knowledge.at_first("alice", *namespaces)
    version = (await door.json("alice", PATH))["metadata"]["resourceVersion"]
    changed = await admin.patch(
        NAMESPACES, namespaces[0], patch={"metadata": {"labels": {"number": "9"}}}, kind="merge"
    )
    await door.json("alice", f"{PATH}?resourceVersion={changed.metadata.resource_version}")

    then = await door.json("alice", f"{PATH}?resourceVersion={version}&resourceVersionMatch=Exact")
    assert [item["metadata"]["labels"]["number"] for item in then["items"]] == ["0", "1", "2"]
    status, body = await door.get("alice", f"{PATH}?resourceVersion=1&resourceVersionMatch=Exact")
    assert (status, json.loads(body)["reason"]) == (410, "Expired")


async def test_a_version_ahead_of_the_cluster_times_out(door: Any, knowledge: Any) -> None:
    """8.3: 504 with the cause that clients know."""
    knowledge.at_first("alice", "default")

    status, body = await door.get("alice", f"{PATH}?resourceVersion=99999999")
    told = json.loads(body)
    assert (status, told["reason"], told["details"]["causes"][0]["reason"]) == (
        504,
        "Timeout",
        "ResourceVersionTooLarge",
    )


async def test_a_list_is_as_new_as_what_changed_for_its_caller(
    door: Any, knowledge: Any, namespaces: list[str]
) -> None:
    """Else no watch could begin at its version."""
    knowledge.at_first("alice", namespaces[0])
    await door.json("alice", PATH)

    version = await knowledge.from_now_on("alice", *namespaces[:2])

    body = await door.json("alice", PATH)
    assert int(body["metadata"]["resourceVersion"]) >= version


@pytest.mark.parametrize("limit", [0, 1_000_000])
async def test_many_objects_are_caught_up_with_by_a_short_watch(
    door: Any, knowledge: Any, namespaces: list[str], monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Not by reading them all again: the server tells soon how far it is."""
    monkeypatch.setattr(following, "SMALL", limit)
    knowledge.at_first("alice", namespaces[0])
    await door.json("alice", PATH)

    version = await knowledge.from_now_on("alice", *namespaces[:2])

    body = await door.json("alice", f"{PATH}?resourceVersion={version}")
    assert int(body["metadata"]["resourceVersion"]) >= version

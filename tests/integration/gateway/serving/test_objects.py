"""Single objects: visible ones, and the silence about all others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tenantry.access.proxy_rules import ProxyRule
from tenantry.access.sight import Rule, Sight
from tenantry.kube.client import Client
from tenantry.kube.resources import NAMESPACES

PATH = "/api/v1/namespaces"


async def test_what_is_hidden_is_answered_as_what_does_not_exist(
    door: Any, knowledge: Any, namespaces: list[str], unique: Callable[[str], str]
) -> None:
    """8.5: the API server's own text; only the names differ."""
    knowledge.at_first("alice", namespaces[0])
    missing = unique("missing")

    hidden = await door.get("alice", f"{PATH}/{namespaces[1]}")
    absent = await door.get("alice", f"{PATH}/{missing}")

    assert hidden[0] == absent[0] == 404
    assert hidden[1].decode().replace(namespaces[1], "NAME") == absent[1].decode().replace(missing, "NAME")
    assert json.loads(hidden[1])["message"] == f'namespaces "{namespaces[1]}" not found'


async def test_a_hidden_class_is_not_found_by_its_full_name(door: Any, knowledge: Any) -> None:
    knowledge.at_first("alice")
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"

    status, body = await door.get("alice", f"{path}/system-node-critical")
    assert (status, json.loads(body)) == (
        404,
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'priorityclasses.scheduling.k8s.io "system-node-critical" not found',
            "reason": "NotFound",
            "details": {"name": "system-node-critical", "group": "scheduling.k8s.io", "kind": "priorityclasses"},
            "code": 404,
        },
    )


async def test_an_object_is_there_at_once_when_it_was_made(
    door: Any, knowledge: Any, unique: Callable[[str], str], admin: Client
) -> None:
    """8.3: what the cache does not know gets one live read."""
    names = [unique("new") for _ in range(5)]
    knowledge.at_first("alice", *names)
    await door.json("alice", PATH)

    for name in names:
        await admin.create(NAMESPACES, {"metadata": {"name": name}})
        assert (await door.json("alice", f"{PATH}/{name}"))["metadata"]["name"] == name


async def test_a_get_rule_shows_an_object_that_lists_leave_out(
    door: Any, knowledge: Any, namespaces: list[str]
) -> None:
    rule = ProxyRule(
        api_groups=("",),
        resources=frozenset({"namespaces"}),
        operations=frozenset({"get"}),
        sight=Sight(rules=(Rule(labels=(("number", "1"),)),)),
    )
    knowledge.at_first("alice", rules=(rule,))

    assert await door.list("alice", PATH) == []
    statuses = [(await door.get("alice", f"{PATH}/{name}"))[0] for name in namespaces]
    assert statuses == [404, 200, 404]


async def test_whoever_is_not_filtered_is_sent_elsewhere(door: Any) -> None:
    status, body = await door.get("stranger", PATH)
    assert (status, json.loads(body)["reason"]) == (503, "ServiceUnavailable")


async def test_an_unknown_kind_is_not_found(door: Any, knowledge: Any) -> None:
    knowledge.at_first("alice", "default")

    for target in ("/apis/nowhere.example.com/v1/things", "/api/v1/things", "/api/v1/pods"):
        status, body = await door.get("alice", target)
        assert (status, json.loads(body)["message"]) == (404, "the server could not find the requested resource")


async def test_many_ask_at_once(door: Any, knowledge: Any, namespaces: list[str]) -> None:
    """The first requests of a kind wait for the one list of it."""
    knowledge.at_first("alice", *namespaces)

    lists = await asyncio.gather(*(door.list("alice", PATH) for _ in range(20)))
    assert lists == [namespaces] * 20

"""Kinds of every sort: made at run time, with dates in their tables, without a watch, with many bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tenantry.access.proxy_rules import ProxyRule
from tenantry.access.sight import Rule, Sight
from tenantry.kube.client import Client
from tenantry.kube.resources import NAMESPACES

Direct = Callable[..., Awaitable[bytes]]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
SIZE = {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}
DUE = {"name": "Due", "type": "date", "jsonPath": ".spec.due"}


class Made:
    """A kind that was just made, with objects that say who may see them."""

    def __init__(self, admin: Client, group: str) -> None:
        self._admin = admin
        self.group = group
        self.path = f"/apis/{group}/v1/widgets"

    @property
    def rule(self) -> ProxyRule:
        return ProxyRule(
            api_groups=(self.group,),
            resources=frozenset({"widgets"}),
            operations=frozenset({"list", "get"}),
            sight=Sight(rules=(Rule(labels=(("seen", "yes"),)),)),
        )

    async def define(self, *columns: dict[str, str]) -> None:
        version = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            "additionalPrinterColumns": list(columns),
        }
        names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetCatalogue"}
        spec = {"group": self.group, "names": names, "scope": "Cluster", "versions": [version]}
        body = {"metadata": {"name": f"widgets.{self.group}"}, "spec": spec}
        whole = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", **body}
        await self._admin.request("POST", CRDS, body=whole)

    async def add(self, name: str, *, seen: str = "yes") -> None:
        spec = {"size": 3, "due": "2020-01-01T00:00:00Z", "html": "<&>é", "nested": {"metadata": {"name": "x"}}}
        body = {"metadata": {"name": name, "labels": {"seen": seen}}, "spec": spec}
        whole = {"apiVersion": f"{self.group}/v1", "kind": "Widget", **body}
        await self._admin.request("POST", self.path, body=whole)

    async def remove(self) -> None:
        await self._admin.request("DELETE", f"{CRDS}/widgets.{self.group}")


@pytest.fixture
def made(admin: Client, unique: Callable[[str], str]) -> Made:
    return Made(admin, f"{unique('group')}.example.com")


async def served(door: Any, path: str) -> Any:
    """Return the list once the API server serves the kind; it takes a moment."""
    async with asyncio.timeout(20):
        while True:
            status, body = await door.get("alice", path)
            if status == 200:
                return json.loads(body)
            assert status == 404, body
            await asyncio.sleep(0.1)


async def test_a_kind_that_appears_is_served(door: Any, knowledge: Any, made: Made, direct: Direct) -> None:
    """R-033: without a restart, and as the API server writes custom resources."""
    knowledge.at_first("alice", rules=(made.rule,))
    assert (await door.get("alice", made.path))[0] == 404

    await made.define(SIZE, AGE)
    assert (await served(door, made.path))["items"] == []
    await made.add("one")
    await made.add("two", seen="no")

    itself = json.loads(await direct(made.path))
    version = itself["metadata"]["resourceVersion"]
    status, body = await door.get("alice", f"{made.path}?resourceVersion={version}")
    assert status == 200
    assert json.loads(body) == {
        **itself,
        "items": [item for item in itself["items"] if item["metadata"]["name"] == "one"],
        "metadata": {**itself["metadata"], "resourceVersion": json.loads(body)["metadata"]["resourceVersion"]},
    }
    assert await door.get("alice", f"{made.path}/one") == (200, await direct(f"{made.path}/one"))
    table = await door.json("alice", made.path, TABLE)
    assert [row["cells"][:2] for row in table["rows"]] == [["one", 3]]


async def test_a_kind_that_goes_is_not_found(door: Any, knowledge: Any, made: Made, eventually: Any) -> None:
    knowledge.at_first("alice", rules=(made.rule,))
    await made.define(AGE)
    await served(door, made.path)

    await made.remove()

    async def is_gone() -> bool:
        return bool((await door.get("alice", made.path))[0] == 404)

    await eventually(is_gone)


async def test_dates_in_tables_are_told_as_of_now(door: Any, knowledge: Any, made: Made, direct: Direct) -> None:
    """8.3: cells that depend on time never come from the cache; and what is hidden stays hidden."""
    knowledge.at_first("alice", rules=(made.rule,))
    await made.define(SIZE, DUE, AGE)
    await served(door, made.path)
    for name, seen in (("one", "yes"), ("two", "no"), ("three", "yes")):
        await made.add(name, seen=seen)

    for include in ("None", "Metadata", "Object"):
        itself = json.loads(await direct(made.path, TABLE, includeObject=include))
        table = await door.json("alice", f"{made.path}?includeObject={include}", TABLE)
        assert [row["cells"][:3] for row in table["rows"]] == [
            row["cells"][:3] for row in itself["rows"] if row["cells"][0] != "two"
        ]
        assert [row["object"] is None for row in table["rows"]] == [include == "None"] * 2
        assert table["columnDefinitions"] == itself["columnDefinitions"]
    first = await door.json("alice", f"{made.path}?limit=1", TABLE)
    token = first["metadata"]["continue"]
    second = await door.json("alice", f"{made.path}?limit=1&continue={token}", TABLE)
    assert [page["rows"][0]["cells"][0] for page in (first, second)] == ["one", "three"]
    assert "continue" not in second["metadata"]


async def test_a_watch_with_dates_is_served_as_objects(door: Any, knowledge: Any, made: Made) -> None:
    knowledge.at_first("alice", rules=(made.rule,))
    await made.define(DUE)
    await served(door, made.path)
    await made.add("one")

    async with door.watch("alice", f"{made.path}?watch=1", f"{TABLE},application/json") as watch:
        assert (await watch.next())["object"]["kind"] == "Widget"
    assert (await door.get("alice", f"{made.path}?watch=1", TABLE))[0] == 406


async def test_other_columns_are_taken_up(
    door: Any, knowledge: Any, made: Made, admin: Client, eventually: Any
) -> None:
    knowledge.at_first("alice", rules=(made.rule,))
    await made.define(AGE)
    await served(door, made.path)
    await made.add("one")
    await door.json("alice", made.path, TABLE)

    version = {"op": "replace", "path": "/spec/versions/0/additionalPrinterColumns", "value": [SIZE, AGE]}
    headers = {"Content-Type": "application/json-patch+json"}
    await admin.request("PATCH", f"{CRDS}/widgets.{made.group}", body=[version], headers=headers)

    async def has_size() -> bool:
        table = await door.json("alice", made.path, TABLE)
        return [row["cells"][:2] for row in table["rows"]] == [["one", 3]]

    await eventually(has_size)


async def test_a_kind_without_watch_is_read_live(door: Any, knowledge: Any) -> None:
    """8.3: read live, then filtered."""
    path = "/api/v1/componentstatuses"
    rule = ProxyRule(
        api_groups=("",),
        resources=frozenset({"componentstatuses"}),
        operations=frozenset({"list"}),
        sight=Sight(names=frozenset({"scheduler"})),
    )
    knowledge.at_first("alice", rules=(rule,))

    assert await door.list("alice", path) == ["scheduler"]
    table = await door.json("alice", path, TABLE)
    assert [row["cells"][0] for row in table["rows"]] == ["scheduler"]
    status, body = await door.get("alice", f"{path}?watch=1")
    assert (status, json.loads(body)["reason"]) == (405, "MethodNotAllowed")


async def test_a_slow_reader_is_let_go_and_others_are_not_held_up(
    door: Any, knowledge: Any, serving: Any, namespaces: list[str], admin: Client, eventually: Any
) -> None:
    """8.3: a bounded queue for each watcher."""
    knowledge.at_first("slow", namespaces[0])
    knowledge.at_first("alice", namespaces[0])

    async with (
        door.watch("slow", "/api/v1/namespaces?watch=1"),
        door.watch("alice", "/api/v1/namespaces?watch=1") as reader,
    ):
        await reader.next()
        for number in range(60):
            # Buffers of sockets and of the client take some; the bound is ours.
            noise = {"metadata": {"annotations": {"noise": f"{number}" + "x" * 200_000}}}
            await admin.patch(NAMESPACES, namespaces[0], patch=noise, kind="merge")
            assert (await reader.next())["type"] == "MODIFIED"
        await eventually(lambda: serving.watch_counts()["namespaces"] == 1)

"""What comes from the cache is what the API server itself would have sent."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tenantry.access.proxy_rules import ProxyRule
from tenantry.access.sight import EVERYTHING
from tenantry.controlplane.cluster import ControlPlane

Direct = Callable[..., Awaitable[bytes]]
ALL = ProxyRule(api_groups=("*",), resources=frozenset({"*"}), operations=frozenset({"list", "get"}), sight=EVERYTHING)
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
OLD_TABLE = "application/json;as=Table;v=v1beta1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


def unaged(body: bytes) -> str:
    """Return *body* without the ages in its rows, which may differ by a second."""
    return re.sub(r'"(\d+[smhdy]){1,2}"', '"AGE"', body.decode())


@pytest.mark.parametrize("accept", ["application/json", METADATA])
async def test_an_object_is_byte_for_byte_the_same(
    door: Any, knowledge: Any, namespaces: list[str], direct: Direct, accept: str
) -> None:
    name = namespaces[0]
    knowledge.at_first("alice", name)
    await door.list("alice", "/api/v1/namespaces")

    assert await door.get("alice", f"/api/v1/namespaces/{name}", accept) == (
        200,
        await direct(f"/api/v1/namespaces/{name}", accept),
    )


@pytest.mark.parametrize("accept", [TABLE, OLD_TABLE])
@pytest.mark.parametrize("include", ["", "?includeObject=None", "?includeObject=Metadata", "?includeObject=Object"])
async def test_a_table_of_one_object_is_the_same_but_for_its_age(
    door: Any, knowledge: Any, namespaces: list[str], direct: Direct, accept: str, include: str
) -> None:
    name = namespaces[0]
    knowledge.at_first("alice", name)
    await door.list("alice", "/api/v1/namespaces")

    status, body = await door.get("alice", f"/api/v1/namespaces/{name}{include}", accept)

    query = {"includeObject": include.partition("=")[2]} if include else {}
    assert (status, unaged(body)) == (200, unaged(await direct(f"/api/v1/namespaces/{name}", accept, **query)))


@pytest.mark.parametrize("accept", ["application/json", METADATA_LIST, TABLE, OLD_TABLE])
@pytest.mark.parametrize(
    "path", ["/api/v1/namespaces", "/api/v1/nodes", "/apis/rbac.authorization.k8s.io/v1/clusterroles"]
)
async def test_a_list_is_the_same_but_for_its_version(
    door: Any, knowledge: Any, namespaces: list[str], direct: Direct, accept: str, path: str
) -> None:
    knowledge.at_first("alice", *namespaces, rules=(ALL,))

    _, body = await door.get("alice", path, accept)
    told = unaged(body)
    version = re.search(r'"resourceVersion":"(\d+)"', told)
    assert version is not None

    exact = {"resourceVersion": version[1], "resourceVersionMatch": "Exact"}
    expected = unaged(await direct(path, accept, **exact))
    assert told.rstrip("\n") == expected.rstrip("\n")


@pytest.mark.usefixtures("namespaces")
async def test_a_watch_says_the_same(door: Any, knowledge: Any, direct: Direct) -> None:
    knowledge.at_first("alice", rules=(ALL,))
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"

    async with door.watch("alice", f"/api/v1/namespaces?{query}&timeoutSeconds=1") as watch:
        events = await watch.rest()

    lines = await direct(
        "/api/v1/namespaces", **dict(pair.split("=") for pair in f"{query}&timeoutSeconds=1".split("&"))
    )
    expected = [json.loads(line) for line in lines.splitlines()]
    added = [event for event in events if event["type"] == "ADDED"]
    assert added == [event for event in expected if event["type"] == "ADDED"]
    end = next(event for event in events if event["type"] == "BOOKMARK")
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert end["object"]["kind"] == "Namespace"


async def test_kubectl_prints_the_same(
    front: str, knowledge: Any, namespaces: list[str], control_plane: ControlPlane
) -> None:
    knowledge.at_first("alice", *namespaces, rules=(ALL,))
    for what in (["get", "ns"], ["get", "nodes", "-o", "wide"], ["get", "ns", "--show-labels", namespaces[0]]):
        through = await run(control_plane, "--server", front, *what)
        itself = await run(control_plane, *what)
        assert (through[0], re.sub(r"\d+[smhd]\b", "AGE", through[1])) == (
            0,
            re.sub(r"\d+[smhd]\b", "AGE", itself[1]),
        ), through[2]


async def test_kubectl_says_that_what_is_hidden_does_not_exist(
    front: str, knowledge: Any, namespaces: list[str], control_plane: ControlPlane
) -> None:
    knowledge.at_first("alice", namespaces[0])

    assert await run(control_plane, "--server", front, "get", "ns", namespaces[1]) == (
        1,
        "",
        f'Error from server (NotFound): namespaces "{namespaces[1]}" not found\n',
    )


async def run(plane: ControlPlane, *arguments: str) -> tuple[int, str, str]:
    """Return exit code, output and errors of kubectl."""
    process = await asyncio.create_subprocess_exec(
        str(plane.kubectl),
        "--kubeconfig",
        str(plane.kubeconfig),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()

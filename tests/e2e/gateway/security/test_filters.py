"""What is shown, however it is asked for: invariants 11 to 14, and the hypotheses of 4.3."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio
from door import Asked, Door

from tenantry.access.requests import SINGLE_PARAMETERS
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

CAPSULE: Final = ("projectcapsule.dev",)
NAMESPACES: Final = "/api/v1/namespaces"
WATCH_LIST: Final = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
JSON_ONLY: Final = ("Accept", "application/json")


@dataclass(frozen=True, slots=True)
class Owner:
    """A tenant's owner, and what is to be seen."""

    name: str
    namespaces: tuple[str, ...]
    """Sorted; the first has the label ``env=prod``."""

    async def get(self, door: Door, target: str, **query: str) -> Asked:
        mark = "&" if "?" in target else "?"
        whole = f"{target}{mark}{urlencode(query, quote_via=quote)}" if query else target
        return await door.ask(whole, JSON_ONLY, tls=door.certificate(self.name, CAPSULE))

    async def listed(self, door: Door, target: str = NAMESPACES, **query: str) -> list[str]:
        asked = await self.get(door, target, **query)
        assert asked.status == 200, asked.reply.body
        return [item["metadata"]["name"] for item in asked.json["items"]]

    async def watched(self, door: Door, target: str = NAMESPACES, **query: str) -> list[str]:
        """Return whom a short watch tells of."""
        asked = await self.get(door, target, **{"timeoutSeconds": "1", **query})
        assert asked.status == 200, asked.reply.body
        events = [json.loads(line) for line in asked.reply.body.splitlines()]
        return [event["object"]["metadata"]["name"] for event in events if event["type"] == "ADDED"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def owners(door: Door, platform: Platform, unique: Callable[[str], str]) -> AsyncIterator[tuple[Owner, Owner]]:
    """Two tenants' owners; their namespaces stay as they are."""
    async with World(platform, unique) as world:
        yield await new_owner(door, world, "alice"), await new_owner(door, world, "bob")


async def new_owner(door: Door, world: World, prefix: str) -> Owner:
    """Make a tenant with three namespaces; return its owner once the gateway knows them."""
    user = world.unique(prefix)
    tenant = (await world.tenant({"owners": [{"kind": "User", "name": user}]})).metadata.name
    client = await world.user(user)
    names = [await world.namespace(client, tenant, labels={"env": env}) for env in ("prod", "dev", "dev")]
    owner = Owner(user, tuple(names))

    async def are_known() -> bool:
        return sorted(await owner.listed(door)) == sorted(names)

    await world.eventually(are_known)
    return owner


async def test_invariant_11_list_get_and_watch_agree(door: Door, world: World, owners: tuple[Owner, Owner]) -> None:
    """One predicate: what one of them shows all of them show, whatever exists."""
    existing = {item["metadata"]["name"] for item in json.loads(await world.admin.request("GET", NAMESPACES))["items"]}
    for owner in owners:
        shown = set(owner.namespaces)
        assert set(await owner.listed(door)) == shown
        assert set(await owner.watched(door, watch="1")) == shown
        statuses = {name: (await owner.get(door, f"{NAMESPACES}/{name}")).status for name in existing}
        assert {name for name, status in statuses.items() if status == 200} == shown
        assert set(statuses.values()) == {200, 404}


async def test_invariant_11_what_leaves_is_deleted(door: Door, world: World) -> None:
    """A watch by label tells of an object that leaves the set as DELETED, although it lives on."""
    owner = await new_owner(door, world, "carol")
    name = owner.namespaces[0]
    tls = door.certificate(owner.name, CAPSULE)
    async with await door.open(tls) as connection:
        await connection.send(
            f"GET {NAMESPACES}?watch=1&labelSelector=env%3Dprod HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        )
        assert (await connection.head()).status == 200
        first = json.loads(await connection.chunk())
        await world.admin.request(
            "PATCH",
            f"{NAMESPACES}/{name}",
            body={"metadata": {"labels": {"env": "dev"}}},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        second = json.loads(await connection.chunk())

    told = [(event["type"], event["object"]["metadata"]["name"]) for event in (first, second)]
    assert told == [("ADDED", name), ("DELETED", name)]


@pytest.mark.parametrize(
    ("selector", "kept"),
    [
        ("kubernetes.io/metadata.name=kube-system", 0),
        ("kubernetes.io/metadata.name in (kube-system,default)", 0),
        ("env=prod", 1),
        ("env!=prod", 2),
        ("!nothing", 3),
        ("env", 3),
        ("env in (prod,dev),env!=dev", 1),
    ],
)
async def test_invariant_12_selectors_only_narrow(
    door: Door, owners: tuple[Owner, Owner], selector: str, kept: int
) -> None:
    owner = owners[0]

    listed = await owner.listed(door, labelSelector=selector)

    assert (len(listed), set(listed) <= set(owner.namespaces)) == (kept, True)
    assert set(await owner.watched(door, watch="1", labelSelector=selector)) == set(listed)


@pytest.mark.parametrize("path", [NAMESPACES, "/api/v1/pods", "/apis/storage.k8s.io/v1/storageclasses"])
@pytest.mark.parametrize("parameter", sorted(SINGLE_PARAMETERS))
async def test_invariant_12_repeated_parameters_are_refused(
    door: Door, owners: tuple[Owner, Owner], path: str, parameter: str
) -> None:
    """4.3: two readers could take different ones; spelled with escapes it is the same parameter."""
    for second in (parameter, f"%{ord(parameter[0]):02x}{parameter[1:]}"):
        asked = await owners[0].get(door, f"{path}?{parameter}=1&{second}=2")
        assert asked.refusal == (400, "BadRequest")


@pytest.mark.parametrize("query", ["a;labelSelector=x", "labelSelector=%zz", "labelSelector=%ff", "%=1"])
async def test_invariant_12_queries_with_two_readings_are_refused(
    door: Door, owners: tuple[Owner, Owner], query: str
) -> None:
    assert (await owners[0].get(door, f"{NAMESPACES}?{query}")).refusal == (400, "BadRequest")


@pytest.mark.parametrize("target", [NAMESPACES, "/api/v1/configmaps"])
async def test_invariant_12_a_page_is_of_use_to_nobody_else(
    door: Door, owners: tuple[Owner, Owner], target: str
) -> None:
    """Nor with another filter, nor changed."""
    alice, bob = owners
    first = (await alice.get(door, target, limit="1")).json
    token = first["metadata"]["continue"]
    page = {"limit": "1", "continue": token}

    assert (await alice.get(door, target, **page)).status == 200
    others = [
        await bob.get(door, target, **page),
        await alice.get(door, target, **page, labelSelector="env=dev"),
        await alice.get(
            door, target, limit="1", **{"continue": token[:-3] + ("AAA" if token[-3:] != "AAA" else "BBB")}
        ),
        await alice.get(door, "/apis/storage.k8s.io/v1/storageclasses", **page),
    ]
    assert {each.status for each in others} <= {400, 403, 410}
    assert not any(name in each.reply.body.decode() for each in others for name in alice.namespaces)


VERBS: Final = (
    ("GET", "/api/v1/namespaces", "list", "namespaces", None),
    ("GET", "/api/v1/namespaces?watch=1", "watch", "namespaces", None),
    ("GET", "/api/v1/namespaces?watch", "watch", "namespaces", None),
    ("GET", "/api/v1/namespaces?watch=TRUE", "watch", "namespaces", None),
    ("GET", "/api/v1/namespaces?watch=0", "list", "namespaces", None),
    ("GET", "/api/v1/namespaces?watch=False", "list", "namespaces", None),
    ("GET", "/api/v1/namespaces?w%61tch=1", "watch", "namespaces", None),
    ("GET", "/api/v1/namespaces/x?watch=1", "get", "namespaces", None),
    ("HEAD", "/api/v1/namespaces/x", "get", "namespaces", None),
    ("GET", "/api/v1/watch/namespaces", "watch", "namespaces", None),
    ("GET", "/api/v1/watch/namespaces/x", "watch", "namespaces", None),
    ("GET", "/api/v1/watch/namespaces/x/pods", "watch", "pods", None),
    ("GET", "/api/v1/namespaces/x/status", "get", "namespaces", "status"),
    ("PUT", "/api/v1/namespaces/x/finalize", "update", "namespaces", "finalize"),
    ("GET", "/api/v1/namespaces/x/pods", "list", "pods", None),
    ("DELETE", "/api/v1/namespaces/x/pods", "deletecollection", "pods", None),
    ("DELETE", "/api/v1/nodes", "deletecollection", "nodes", None),
    ("DELETE", "/api/v1/nodes/x", "delete", "nodes", None),
    ("GET", "/api/v1/nodes/x/proxy/metrics", "get", "nodes", "proxy"),
    ("POST", "/api/v1/namespaces/x/pods/y/proxy/a", "create", "pods", "proxy"),
    ("GET", "/api/v1/namespaces/x/pods/y/exec", "get", "pods", "exec"),
    ("POST", "/api/v1/namespaces/x/pods/y/exec", "create", "pods", "exec"),
    ("GET", "/api/v1/namespaces/x/pods/y/log?follow=1", "get", "pods", "log"),
    ("PATCH", "/apis/apps/v1/namespaces/x/deployments/y/scale", "patch", "deployments", "scale"),
    ("PUT", "/apis/apps/v1/namespaces/x/deployments/y/status", "update", "deployments", "status"),
    ("POST", "/api/v1/namespaces/x/serviceaccounts/y/token", "create", "serviceaccounts", "token"),
    ("POST", "/api/v1/namespaces/x/pods/y/eviction", "create", "pods", "eviction"),
    ("GET", "/version", "get", None, None),
    ("GET", "/apis/apps/v1", "get", None, None),
)


@pytest.mark.parametrize(("method", "target", "verb", "resource", "subresource"), VERBS)
async def test_invariant_13_requests_are_what_the_api_server_takes_them_for(
    door: Door, method: str, target: str, verb: str, resource: str | None, subresource: str | None
) -> None:
    """As in its own RequestInfo; shown by the record, and a name with ?watch=1 is a get."""
    more = "timeoutSeconds=1"
    whole = f"{target}{'&' if '?' in target else '?'}{more}" if verb == "watch" else target
    asked = await door.ask(
        whole, JSON_ONLY, method=method, token=door.issuer.token(), body=None if method in {"GET", "HEAD"} else b"{}"
    )

    record = await door.record(asked)
    assert (record["verb"], record.get("resource"), record.get("subresource")) == (verb, resource, subresource)
    for each in asked.arrived:
        assert (each.method, each.target) == (method, whole)


async def test_invariant_13_no_form_of_a_request_shows_a_foreign_namespace(
    door: Door, owners: tuple[Owner, Owner]
) -> None:
    """4.3: named with ?watch=1, by the old watch paths, by field selector, by subresource.

    The old paths are not filtered: they go up as the user, whom the API server refuses.
    """
    alice, bob = owners
    foreign = bob.namespaces[0]
    for target in (
        f"{NAMESPACES}/{foreign}?watch=1&timeoutSeconds=1",
        f"{NAMESPACES}/{foreign}?watch=true&fieldSelector=metadata.name%3D{foreign}&timeoutSeconds=1",
        f"/api/v1/watch/namespaces/{foreign}?timeoutSeconds=1",
        f"/api/v1/watch/namespaces?timeoutSeconds=1&fieldSelector=metadata.name%3D{foreign}",
        f"{NAMESPACES}?fieldSelector=metadata.name%3D{foreign}",
        f"{NAMESPACES}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3D{foreign}",
        f"{NAMESPACES}?watch=1&timeoutSeconds=1&{WATCH_LIST}",
        f"{NAMESPACES}?resourceVersion=0",
        f"{NAMESPACES}/{foreign}/status",
        f"{NAMESPACES}/{foreign}/pods",
        f"{NAMESPACES}/{foreign}/configmaps/kube-root-ca.crt",
        f"/api/v1/configmaps?fieldSelector=metadata.namespace%3D{foreign}",
        f"/api/v1/watch/namespaces/{foreign}/configmaps?timeoutSeconds=1",
        "/api/v1/configmaps?watch=1&timeoutSeconds=1",
        f"/apis/capsule.clastix.io/v1beta2/tenants/{foreign.partition('-ns')[0]}",
    ):
        asked = await alice.get(door, target)
        assert asked.status in {200, 403, 404}, (target, asked.reply.body)
        # A refusal says again what the client asked for; nothing else of the object.
        assert asked.status != 200 or foreign not in asked.reply.body.decode(), target
    assert (await alice.get(door, "/api/v1/watch/namespaces")).status == 403


ACCEPTS: Final = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/json;as=Secret;v=v1;g=",
    "application/json;stream=watch",
    "application/json;q=0",
    "application/vnd.kubernetes.protobuf",
    "application/vnd.kubernetes.protobuf;stream=watch",
    "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io",
    "application/vnd.kubernetes.protobuf,application/json",
    "application/cbor",
    "application/cbor-seq",
    "application/cbor,application/json;q=0.9",
    "application/yaml",
    "text/html",
    "text/html,*/*;q=0.1",
    "*/*",
    "application/*",
    "nonsense",
    "",
)


@pytest.mark.parametrize("accept", ACCEPTS)
async def test_invariant_14_no_form_of_an_answer_is_unfiltered(
    door: Door, owners: tuple[Owner, Owner], accept: str
) -> None:
    """Filtered in what was asked for, or in JSON, or 406."""
    alice, bob = owners
    tls = door.certificate(alice.name, CAPSULE)
    for target in (
        NAMESPACES,
        f"{NAMESPACES}?watch=1&timeoutSeconds=1",
        "/api/v1/configmaps",
        "/api/v1/configmaps?watch=1&timeoutSeconds=1",
        f"{NAMESPACES}/{bob.namespaces[0]}",
    ):
        asked = await door.ask(target, ("Accept", accept), tls=tls)
        assert asked.status in {200, 404, 406, 415}, (target, asked.status, asked.reply.body)
        if asked.status != 404:
            shown = asked.reply.body
            assert not [name for name in ("kube-system", *bob.namespaces) if name.encode() in shown], target

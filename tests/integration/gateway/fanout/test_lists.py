"""Lists over all namespaces, from a real API server (R-032, R-040, R-043; 8.3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from tenantry.access.identity import Identity
from tenantry.access.requests import request_info
from tenantry.gateway.fanout.fanout import FanOut
from tenantry.kube.config import ClusterConfig
from tenantry.kube.credentials import StaticToken
from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import CONFIG_MAPS, CRDS
from tenantry.kube.tls import TlsSettings
from tenantry.kube.transport import Transport
from tenantry.testing.link import Link

from .conftest import JSON, MAPS, METADATA_LIST, TABLE, Place

Eventually = Callable[[Callable[[], Any]], Coroutine[Any, Any, None]]


def names(document: Any) -> list[tuple[str, str]]:
    return [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in document["items"]]


async def filled(place: Place, *counts: int) -> list[tuple[str, str]]:
    found = []
    for namespace, count in zip(place.namespaces, counts, strict=True):
        for number in range(count):
            await place.add_map(namespace, f"m{number}", text='}],"items":[{\\"')
            found.append((namespace, f"m{number}"))
    return found


async def test_all_objects_come_in_order_of_namespaces_as_the_api_server_wrote_them(place: Place) -> None:
    await filled(place, 2, 0, 3)
    whole = await place.door.list(place.user, MAPS)
    assert (whole["kind"], whole["apiVersion"]) == ("ConfigMapList", "v1")
    expected = []
    for namespace in place.namespaces:
        path = f"/api/v1/namespaces/{namespace}/configmaps?labelSelector=x%3D1"
        expected += json.loads(await place.admin.request("GET", path))["items"]
    assert whole["items"] == expected
    assert set(whole["metadata"]) == {"resourceVersion"}


async def test_a_namespace_that_rbac_closes_is_left_out(place: Place, unique: Callable[[str], str]) -> None:
    maps = await filled(place, 1, 1, 1)
    closed = unique("closed")
    await place.add_namespace(closed, role=None)
    await place.add_map(closed, "hidden")
    place.knowledge.shows(place.user, *place.namespaces, closed)
    assert names(await place.door.list(place.user, MAPS)) == maps


async def test_each_part_is_read_as_the_user_and_nobody_else(place: Place) -> None:
    """Invariants 3 and 10: what only the gateway's own account may read stays closed."""
    place.calls.clear()
    assert names(await place.door.list(place.user, "/api/v1/secrets")) == []
    assert place.calls == [("list", "secrets", 403)] * 3 + [("get", "secrets", 200)]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (JSON, {"kind": "SecretList", "apiVersion": "v1", "items": []}),
        (TABLE, {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": [], "rows": []}),
        (METADATA_LIST, {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "items": []}),
    ],
)
async def test_nothing_readable_is_an_empty_list(place: Place, accept: str, expected: dict[str, Any]) -> None:
    place.knowledge.versions[place.user] = 7
    document = await place.door.list(place.user, "/api/v1/secrets", accept)
    assert document == expected | {"metadata": {"resourceVersion": "7"}}


async def test_a_user_without_namespaces_gets_an_empty_list(place: Place) -> None:
    place.knowledge.shows(place.user)
    document = await place.door.list(place.user, "/apis/apps/v1/deployments")
    assert document == {"kind": "DeploymentList", "apiVersion": "apps/v1", "metadata": {}, "items": []}


@pytest.mark.parametrize("target", ["/api/v1/nonsense", "/apis/no.such/v1/things", "/api/v1/nodes"])
async def test_what_is_not_served_in_namespaces_is_not_found(place: Place, target: str) -> None:
    assert (await place.door.get(place.user, target))[0] == 404


async def test_a_table_has_the_rows_of_all(place: Place) -> None:
    maps = await filled(place, 1, 2, 1)
    table = await place.door.list(place.user, MAPS + "&includeObject=Metadata", TABLE)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    found = [row["object"]["metadata"] for row in table["rows"]]
    assert [(each["namespace"], each["name"]) for each in found] == maps
    assert {row["cells"][0] for row in table["rows"]} == {"m0", "m1"}


async def test_metadata_alone_can_be_had(place: Place) -> None:
    maps = await filled(place, 1, 0, 1)
    document = await place.door.list(place.user, MAPS, METADATA_LIST)
    assert (document["kind"], names(document)) == ("PartialObjectMetadataList", maps)
    assert "data" not in document["items"][0]


async def test_what_is_no_json_is_not_acceptable(place: Place) -> None:
    status, body = await place.door.get(place.user, MAPS, "application/vnd.kubernetes.protobuf")
    assert (status, body["reason"]) == (406, "NotAcceptable")
    mixed = await place.door.list(place.user, MAPS, "application/vnd.kubernetes.protobuf,application/json")
    assert mixed["kind"] == "ConfigMapList"


async def test_selectors_go_to_every_part(place: Place) -> None:
    """R-043: describe node asks for pods by spec.nodeName."""
    await filled(place, 2, 1, 2)
    assert names(await place.door.list(place.user, MAPS + "&fieldSelector=metadata.name%3Dm1")) == [
        (place.namespaces[0], "m1"),
        (place.namespaces[2], "m1"),
    ]
    pods = "/api/v1/pods?fieldSelector=spec.nodeName%3Dnowhere%2Cstatus.phase%21%3DFailed"
    assert names(await place.door.list(place.user, pods)) == []
    status, body = await place.door.get(place.user, "/api/v1/configmaps?labelSelector=x+in")
    assert (status, body["reason"]) == (400, "BadRequest")


async def test_custom_resources_whose_lists_begin_with_their_items(
    place: Place, unique: Callable[[str], str], eventually: Eventually
) -> None:
    group = f"{unique('g')}.example.com"
    await place.admin.create(CRDS, _crd(group))
    path = f"/apis/{group}/v1/namespaces/{place.namespaces[1]}/things"
    body = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "one"}, "spec": {"items": [[], "]"]}}
    await eventually(lambda: _is_served(place, f"/apis/{group}/v1/things"))
    await place.admin.request("POST", path, body=body)
    role = {"metadata": {"name": group}, "rules": [{"apiGroups": [group], "resources": ["*"], "verbs": ["*"]}]}
    await place.admin.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", body=role)
    for namespace in place.namespaces:
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": place.user}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": group}
        binding = {"metadata": {"name": "things"}, "roleRef": reference, "subjects": [subject]}
        await place.admin.request(
            "POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", body=binding
        )
    document = await place.door.list(place.user, f"/apis/{group}/v1/things")
    assert (document["kind"], document["apiVersion"]) == ("ThingList", f"{group}/v1")
    assert [item["spec"] for item in document["items"]] == [{"items": [[], "]"]}]
    assert document["metadata"]["resourceVersion"].isdecimal()
    assert len((await place.door.list(place.user, f"/apis/{group}/v1/things", TABLE))["rows"]) == 1


async def _is_served(place: Place, path: str) -> bool:
    try:
        await place.admin.request("GET", path)
    except NotFoundError:
        return False
    return True


def _crd(group: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    named = {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"}
    spec = {"group": group, "scope": "Namespaced", "names": named, "versions": [version]}
    return {"metadata": {"name": f"things.{group}"}, "spec": spec}


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 50])
async def test_pages_have_everything_once(place: Place, limit: int) -> None:
    maps = await filled(place, 3, 1, 4)
    found, token, versions = [], "", set()
    while True:
        page = await place.door.list(place.user, f"{MAPS}&limit={limit}" + (f"&continue={token}" if token else ""))
        assert len(page["items"]) <= limit
        found += names(page)
        versions.add(page["metadata"]["resourceVersion"])
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert (found, len(versions)) == (maps, 1)


async def test_a_token_is_nobody_elses_and_ends_with_the_visible_set(
    place: Place, unique: Callable[[str], str]
) -> None:
    """Invariant 12."""
    await filled(place, 2, 1, 0)
    page = await place.door.list(place.user, MAPS + "&limit=1")
    going_on = f"{MAPS}&limit=1&continue={page['metadata']['continue']}"
    other = unique("other")
    place.knowledge.shows(other, *place.namespaces)
    assert (await place.door.get(other, going_on))[0] == 410
    assert (await place.door.get(place.user, going_on.replace("configmaps", "secrets")))[0] == 410
    assert (await place.door.get(place.user, going_on.replace("x%3D1", "x")))[0] == 410
    assert (await place.door.get(place.user, going_on + "&resourceVersion=5"))[0] == 400
    assert (await place.door.get(place.user, MAPS + "&continue=abc"))[0] == 400
    place.knowledge.shows(place.user, *place.namespaces[1:])
    status, body = await place.door.get(place.user, going_on)
    assert (status, body["reason"]) == (410, "Expired")
    place.knowledge.shows(place.user, *place.namespaces)
    assert names(await place.door.list(place.user, going_on)) == [(place.namespaces[0], "m1")]


async def test_the_version_is_one_to_watch_from(place: Place) -> None:
    await filled(place, 1, 0, 0)
    version = (await place.door.list(place.user, MAPS))["metadata"]["resourceVersion"]
    made = await place.add_map(place.namespaces[2], "later")
    assert made > int(version) > 0
    assert max(given() for given in place.knowledge.given) == int(version)
    async with place.door.watch(place.user, f"{MAPS}&watch=1&resourceVersion={version}") as watch:
        assert await watch.told(1) == [("ADDED", "later")]


async def test_versions_are_passed_on(place: Place) -> None:
    version = await place.add_map(place.namespaces[0], "a")
    await place.add_map(place.namespaces[1], "b")
    exact = f"{MAPS}&resourceVersion={version}&resourceVersionMatch=Exact"
    assert names(await place.door.list(place.user, exact)) == [(place.namespaces[0], "a")]
    status, body = await place.door.get(place.user, f"{MAPS}&resourceVersion={10**12}")
    assert (status, body["details"]["causes"][0]["reason"]) == (504, "ResourceVersionTooLarge")
    assert (await place.door.get(place.user, f"{MAPS}&resourceVersion=x"))[0] == 400
    assert (await place.door.get(place.user, f"{MAPS}&resourceVersionMatch=Exact"))[0] == 422


async def test_no_answer_from_the_api_server_is_never_a_short_list(place: Place, link: Link) -> None:
    await filled(place, 1, 1, 1)
    await link.cut()
    status, body = await place.door.get(place.user, MAPS)
    assert (status, body["reason"]) == (503, "ServiceUnavailable")
    assert "https" not in body["message"]
    link.mend()
    assert len((await place.door.list(place.user, MAPS))["items"]) == 3


async def test_a_long_list_that_breaks_in_the_middle_does_not_look_whole(place: Place, link: Link) -> None:
    big = {"metadata": {"name": "big", "labels": {"x": "1"}}, "data": {"x": "y" * 900_000}}
    for namespace in place.namespaces:
        await place.admin.create(CONFIG_MAPS, big, namespace)
    assert len((await place.door.list(place.user, MAPS))["items"]) == 3
    link.delay_seconds = 0.05
    broken: list[Exception] = []
    async with place.door.session.get(place.door.url(MAPS), headers={"x-user": place.user}) as response:
        assert response.status == 200
        await response.content.read(1000)
        await link.cut()
        try:
            await response.read()
        except Exception as error:  # noqa: BLE001 - whichever way it shows
            broken.append(error)
    assert len(broken) == 1


async def test_ended_lists_break_and_others_go_on(place: Place, link: Link) -> None:
    for number in range(4):
        body = {"metadata": {"name": f"big{number}", "labels": {"x": "1"}}, "data": {"x": "y" * 900_000}}
        await place.admin.create(CONFIG_MAPS, body, place.namespaces[0])
    link.delay_seconds = 0.05
    async with place.door.session.get(place.door.url(MAPS), headers={"x-user": place.user}) as response:
        await response.content.read(1000)
        assert place.fanout.end_streams(lambda who: who.user == "somebody else") == 0
        assert place.fanout.end_streams(lambda who: who.user == place.user) == 1
        with pytest.raises(Exception, match=r"."):
            await response.read()


async def test_whoever_is_not_filtered_any_more_is_told_to_try_again(place: Place) -> None:
    place.knowledge.forgets(place.user)
    status, body = await place.door.get(place.user, MAPS)
    assert (status, body["reason"]) == (503, "ServiceUnavailable")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH", "HEAD"])
async def test_only_get_is_answered(place: Place, method: str) -> None:
    place.calls.clear()
    async with place.door.session.request(method, place.door.url(MAPS), headers={"x-user": place.user}) as response:
        assert response.status == 405
    assert place.calls == []


async def test_an_identity_without_user_reads_nothing(place: Place) -> None:
    """Invariant 3."""
    place.knowledge.shows("", *place.namespaces)
    place.calls.clear()
    assert (await place.door.get("", MAPS))[0] == 500
    assert place.calls == []


async def test_our_own_credential_failing_does_not_look_like_the_users(
    place: Place, admin_config: ClusterConfig
) -> None:
    """8.7.1: clients throw their token away on 401."""
    config = replace(admin_config, tls=TlsSettings(ca=admin_config.tls.ca), credentials=StaticToken("expired"))
    async with Transport(config, user_agent="tenantry-test", timeout_seconds=10) as transport:
        fanout = FanOut(transport, place.knowledge, cluster="test")
        request, info = make_mocked_request("GET", MAPS), request_info("GET", MAPS)
        assert list(fanout.problems()) == []
        response = await fanout.handle(request, Identity(user=place.user), info)
        assert (response.status, response.headers["retry-after"]) == (503, "1")
        assert len(list(fanout.problems())) == 1

"""What principals are told about their own rights is what the gateway and the API server really do."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from tenantry.access.identity import Identity
from tenantry.access.requests import request_info
from tenantry.access.reviews import (
    AccessReviewSpec,
    AccessReviewStatus,
    NonResourceAttributes,
    ResourceAttributes,
    SelectorAttributes,
    SelectorRequirement,
)
from tenantry.foundation.codec import decode_any, encode, from_plain, to_plain
from tenantry.gateway.protocol import Answer
from tenantry.gateway.verdicts.bodies import access_answer, access_review
from tenantry.gateway.verdicts.self_reviews import SelfReviews, impersonation
from tenantry.gateway.verdicts.wire import bytes_field, enveloped, every, fields, last, opened, text, text_field, texts
from tenantry.kube.client import Client
from tenantry.kube.errors import ApiError

BASE = "/apis/authorization.k8s.io/v1/"
ACCESS, RULES = f"{BASE}selfsubjectaccessreviews", f"{BASE}selfsubjectrulesreviews"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SHOWN = AccessReviewStatus(allowed=True, reason="shown by the gateway")


class Scene(Protocol):
    owner: Identity
    namespace: str
    node: str
    foreign_namespace: str
    foreign_node: str


class Room(Protocol):
    admin: Client
    self_reviews: SelfReviews


async def posted(room: Room, who: Identity, path: str, body: bytes, **headers: str) -> Answer:
    names = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return await room.self_reviews.answer(who, request_info("POST", path), names, body)


async def told(room: Room, who: Identity, **attributes: str) -> AccessReviewStatus:
    """Return the status of a review in JSON, once its other parts are seen to be right."""
    spec = {"resourceAttributes": attributes}
    body = encode({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": spec})
    answer = await posted(room, who, ACCESS, body)
    assert (answer.status, answer.headers) == (201, (("content-type", "application/json"),))
    found = decode_any(answer.body)
    status = found.pop("status")
    assert found == {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": spec,
    }
    assert "allowed" in status
    return from_plain(status, AccessReviewStatus)


async def upstream(room: Room, who: Identity, **attributes: str) -> AccessReviewStatus:
    """Return what the API server tells *who* itself."""
    as_they = room.admin.impersonating(impersonation(who))
    found = decode_any(await as_they.request("POST", ACCESS, body={"spec": {"resourceAttributes": attributes}}))
    return from_plain(found["status"], AccessReviewStatus)


async def test_r_037_reads_that_the_gateway_answers_are_allowed(room: Room, scene: Scene) -> None:
    assert [
        await told(room, scene.owner, verb="list", resource="namespaces"),
        await told(room, scene.owner, verb="watch", resource="namespaces", version="v1"),
        await told(room, scene.owner, verb="list", resource="nodes", version="*"),
        await told(room, scene.owner, verb="get", resource="nodes", name=scene.node),
        await told(room, scene.owner, verb="get", resource="namespaces", name=scene.namespace),
        await told(room, scene.owner, verb="list", resource="storageclasses", group="storage.k8s.io"),
        await told(room, scene.owner, verb="list", resource="pods"),
        await told(room, scene.owner, verb="watch", resource="deployments", group="apps", version="v1"),
    ] == [SHOWN] * 8


@pytest.mark.parametrize(
    "attributes",
    [
        {"verb": "create", "resource": "namespaces"},
        {"verb": "deletecollection", "resource": "nodes"},
        {"verb": "delete", "resource": "nodes", "name": "NODE"},
        {"verb": "update", "resource": "nodes"},
        {"verb": "update", "resource": "nodes", "name": "FOREIGN_NODE"},
        {"verb": "update", "resource": "nodes", "name": "NODE", "subresource": "status"},
        {"verb": "update", "resource": "nodes", "name": "NODE/status"},
        {"verb": "get", "resource": "nodes", "name": "FOREIGN_NODE"},
        {"verb": "get", "resource": "nodes", "name": "../namespaces/default"},
        {"verb": "get", "resource": "nodes"},
        {"verb": "get", "resource": "namespaces", "name": "FOREIGN_NS"},
        {"verb": "list", "resource": "secrets"},
        {"verb": "list", "resource": "*"},
        {"verb": "*", "resource": "namespaces"},
        {"verb": "list", "resource": "namespaces", "group": "*"},
        {"verb": "list", "resource": "csidrivers", "group": "storage.k8s.io"},
        {"verb": "list", "resource": "pods", "namespace": "OWN_NS"},
        {"verb": "list", "resource": "pods", "namespace": "FOREIGN_NS"},
        {"verb": "create", "resource": "pods", "subresource": "exec", "namespace": "OWN_NS"},
        {"verb": "list", "resource": "no-such-things"},
    ],
)
async def test_invariant_31_everything_else_is_what_upstream_says(
    room: Room, scene: Scene, attributes: dict[str, str]
) -> None:
    names = {
        "FOREIGN_NODE": scene.foreign_node,
        "FOREIGN_NS": scene.foreign_namespace,
        "OWN_NS": scene.namespace,
        "NODE": scene.node,
    }
    asked = attributes.copy()
    for key, value in asked.items():
        for mark, name in names.items():
            asked[key] = asked[key].replace(mark, name) if mark in value else asked[key]
    assert await told(room, scene.owner, **asked) == await upstream(room, scene.owner, **asked)


async def test_r_035_changes_of_a_visible_node_are_told(room: Room, scene: Scene) -> None:
    for verb in ("update", "patch"):
        assert await told(room, scene.owner, verb=verb, resource="nodes", name=scene.node) == SHOWN


async def test_the_unfiltered_are_told_what_upstream_says(room: Room) -> None:
    """Also with 300 groups, of which one gives the right."""
    groups = (*(f"team-{number}" for number in range(299)), "system:masters")
    asked = {"verb": "delete", "resource": "nodes"}
    for who in (Identity(user="somebody"), Identity(user="root", groups=groups)):
        assert await told(room, who, **asked) == await upstream(room, who, **asked)
    assert (await told(room, Identity(user="root", groups=groups), **asked)).allowed


async def test_paths_are_asked_about_too(room: Room, scene: Scene) -> None:
    body = encode({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/version"}}})
    answer = await posted(room, scene.owner, ACCESS, body)
    assert decode_any(answer.body)["status"]["allowed"] is True


def status_of(body: bytes) -> tuple[bool, str]:
    status = last(opened(body)[1], 3) or b""
    return dict(fields(status)).get(1) == 1, text(status, 2)[:16]  # By which of several bindings is chance.


async def test_protobuf_is_read_and_written_as_the_api_server_does(room: Room, scene: Scene) -> None:
    """Our bytes mean the same to it, and its bytes to us."""
    requirement = SelectorRequirement(key="app", operator="In", values=("a", "b"))
    specs = [
        AccessReviewSpec(resource_attributes=ResourceAttributes(verb="list", resource="namespaces")),
        AccessReviewSpec(
            resource_attributes=ResourceAttributes(
                verb="list",
                group="apps",
                version="v1",
                resource="deployments",
                namespace=scene.namespace,
                label_selector=SelectorAttributes(requirements=(requirement,)),
                field_selector=SelectorAttributes(raw_selector="metadata.name=a"),
            )
        ),
        AccessReviewSpec(non_resource_attributes=NonResourceAttributes(verb="get", path="/version")),
    ]
    as_they = room.admin.impersonating(impersonation(scene.owner))
    headers = {"Content-Type": PROTOBUF, "Accept": PROTOBUF}
    for spec in specs:
        body = access_answer(spec, AccessReviewStatus(), "protobuf")
        theirs = await as_they.request("POST", ACCESS, body=body, headers=headers)
        ours = await posted(room, scene.owner, ACCESS, body, content_type=PROTOBUF, accept=PROTOBUF)
        assert ours.headers == (("content-type", PROTOBUF),)
        assert access_review(ours.body, "protobuf") == access_review(theirs, "protobuf") == spec
        if spec is specs[-1]:
            assert status_of(ours.body) == status_of(theirs) == (True, "RBAC: allowed by")


async def test_bodies_in_one_type_are_answered_in_the_other(room: Room, scene: Scene) -> None:
    spec = AccessReviewSpec(resource_attributes=ResourceAttributes(verb="list", resource="namespaces"))
    body = access_answer(spec, AccessReviewStatus(), "protobuf")
    answer = await posted(room, scene.owner, ACCESS, body, content_type=PROTOBUF, accept="application/json")
    assert decode_any(answer.body)["status"] == to_plain(SHOWN)
    answer = await posted(room, scene.owner, ACCESS, encode({"spec": to_plain(spec)}), accept=f"{PROTOBUF},*/*")
    assert access_review(answer.body, "protobuf") == spec


async def rules(room: Room, who: Identity, namespace: str) -> dict[str, Any]:
    answer = await posted(room, who, RULES, encode({"spec": {"namespace": namespace}}))
    assert answer.status == 201
    found = decode_any(answer.body)
    return in_order(found["status"])


def in_order(status: dict[str, Any]) -> dict[str, Any]:
    """Return a status with its rules sorted: the API server's order is a matter of chance."""
    return {key: sorted(value, key=str) if isinstance(value, list) else value for key, value in status.items()}


async def test_r_037_rules_gain_what_the_gateway_shows(room: Room, scene: Scene) -> None:
    as_they = room.admin.impersonating(impersonation(scene.owner))
    body = {"spec": {"namespace": scene.namespace}}
    before = in_order(decode_any(await as_they.request("POST", RULES, body=body))["status"])
    after = await rules(room, scene.owner, scene.namespace)

    def rule(*verbs: str, group: str, resource: str, names: list[str] | None = None) -> dict[str, Any]:
        return {"verbs": list(verbs), "apiGroups": [group], "resources": [resource]} | (
            {"resourceNames": names} if names else {}
        )

    gained = [one for one in after["resourceRules"] if one not in before["resourceRules"]]
    kept = [one for one in after["resourceRules"] if one in before["resourceRules"]]
    assert after | {"resourceRules": kept} == before
    assert [one for one in gained if one["resources"] in (["namespaces"], ["nodes"]) and one["apiGroups"] == [""]] == [
        rule("get", group="", resource="namespaces", names=[scene.namespace]),
        rule("list", "watch", group="", resource="namespaces"),
        rule("list", "watch", group="", resource="nodes"),
    ]
    assert not any({"create", "update", "patch", "delete", "*"}.intersection(one["verbs"]) for one in gained)


async def test_rules_of_the_unfiltered_are_the_api_servers(room: Room, scene: Scene) -> None:
    who = Identity(user=f"not-{scene.owner.user}")
    as_they = room.admin.impersonating(impersonation(who))
    theirs = decode_any(await as_they.request("POST", RULES, body={"spec": {"namespace": scene.namespace}}))
    assert await rules(room, who, scene.namespace) == in_order(theirs["status"])


async def test_rules_in_protobuf_say_the_same(room: Room, scene: Scene) -> None:
    body = enveloped("authorization.k8s.io/v1", "SelfSubjectRulesReview", bytes_field(2, text_field(1, "default")))
    answer = await posted(room, scene.owner, RULES, body, content_type=PROTOBUF, accept=PROTOBUF)
    kind, message = opened(answer.body)
    status = last(message, 3) or b""
    expected = await rules(room, scene.owner, "default")

    def read(field: int, *names: str) -> list[dict[str, Any]]:
        found = [{name: list(texts(one, at)) for at, name in enumerate(names, start=1)} for one in every(status, field)]
        return sorted(({key: value for key, value in one.items() if value} for one in found), key=str)

    assert (kind, text(status, 4)) == ("SelfSubjectRulesReview", expected.get("evaluationError", ""))
    assert {
        "resourceRules": read(1, "verbs", "apiGroups", "resources", "resourceNames"),
        "nonResourceRules": read(2, "verbs", "nonResourceURLs"),
        "incomplete": dict(fields(status)).get(3) == 1,
    } == expected


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b'{"kind":"Pod"}', {}, 400),
        (b"{}", {}, 400),
        (b'{"spec":{"resourceAttributes":{},"nonResourceAttributes":{}}}', {}, 400),
        (b'{"spec":{"resourceAttributes":{"verb":1}}}', {}, 400),
        (b"k8s\0\xff", {"content_type": PROTOBUF}, 400),
        (b"{}", {"content_type": PROTOBUF}, 400),
        (b"{}", {"content_type": "application/yaml"}, 415),
        (b"{}", {"accept": "application/cbor"}, 406),
        (b"{}", {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}, 406),
    ],
)
async def test_invariant_14_bad_bodies_and_types_are_refused(
    room: Room, scene: Scene, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await posted(room, scene.owner, ACCESS, body, **headers)
    assert (answer.status, decode_any(answer.body)["code"]) == (status, status)


async def test_questions_that_upstream_refuses_are_refused_in_its_words(room: Room, scene: Scene) -> None:
    spec = {
        "resourceAttributes": {
            "verb": "list",
            "resource": "x",
            "labelSelector": {"rawSelector": "a", "requirements": [{"key": "a", "operator": "In"}]},
        }
    }
    answer = await posted(room, scene.owner, ACCESS, encode({"spec": spec}))
    found = decode_any(answer.body)
    assert (answer.status, found["reason"]) == (422, "Invalid")
    with pytest.raises(ApiError) as refused:
        await room.admin.impersonating(impersonation(scene.owner)).request("POST", ACCESS, body={"spec": spec})
    assert found["message"] == refused.value.message

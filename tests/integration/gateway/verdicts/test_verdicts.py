"""Routes and replaced refusals, decided in front of the real API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pytest

from tenantry.access.identity import Identity
from tenantry.access.identity_headers import identity_lines
from tenantry.access.requests import RefusedRequestError, request_info
from tenantry.foundation.codec import decode_any
from tenantry.gateway.protocol import Answer, Lines
from tenantry.gateway.verdicts.leases import NodeLeases
from tenantry.gateway.verdicts.self_reviews import impersonation
from tenantry.gateway.verdicts.verdicts import Verdicts
from tenantry.kube.client import Client
from tenantry.kube.errors import ApiError

RBAC = "/apis/rbac.authorization.k8s.io/v1"


class Scene(Protocol):
    owner: Identity
    namespace: str
    node: str
    foreign_namespace: str
    foreign_node: str


class Views(Protocol):
    def owner(
        self, identity: Identity, *, selects: dict[str, str], operations: frozenset[str], namespaces: frozenset[str]
    ) -> None: ...


class Room(Protocol):
    admin: Client
    views: Views
    verdicts: Verdicts
    leases: NodeLeases


def asked(identity: Identity, method: str, path: str, *more: tuple[str, str]) -> Lines:
    return ((":id", "0" * 16), (":method", method), (":path", path), *more, *identity_lines(identity))


def route(name: str, *headers: tuple[str, str], fresh: float = 0.5) -> Answer:
    return Answer(lines=((":route", name), (":fresh", str(fresh)), *headers))


async def allow(admin: Client, user: str, name: str, rule: dict[str, Any]) -> None:
    """Give *user* a ClusterRole of its own."""
    await admin.request("POST", f"{RBAC}/clusterroles", body={"metadata": {"name": name}, "rules": [rule]})
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    body = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
    await admin.request("POST", f"{RBAC}/clusterrolebindings", body=body)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v1/namespaces", "python"),
        ("/api/v1/namespaces?watch=1", "python"),
        ("/api/v1/namespaces/", "python"),
        ("/api/v1/pods", "python"),
        ("/apis/apps/v1/deployments?limit=5", "python"),
        ("/api/v1/nodes", "python"),
        ("/apis/storage.k8s.io/v1/storageclasses", "python"),
        ("/apis/storage.k8s.io/v1/storageclasses/none", "python"),
        ("/apis/storage.k8s.io/v1/csidrivers", "upstream"),
        ("/apis/no.such/v1/things", "upstream"),
        ("/apis/gateway.networking.k8s.io/v9/gatewayclasses", "upstream"),
        ("/api/v2/namespaces", "upstream"),
        ("/api/v1/namespaces/NS/pods", "upstream"),
        ("/api/v1/namespaces/NS/status", "upstream"),
        ("/api/v1/watch/namespaces", "upstream"),
        ("/api/v1/nodes/NODE/proxy/", "upstream"),
        ("/version", "upstream"),
    ],
)
async def test_reads_over_everything_are_pythons(room: Room, scene: Scene, path: str, name: str) -> None:
    path = path.replace("NS", scene.namespace).replace("NODE", scene.node)
    assert await room.verdicts.verdict(asked(scene.owner, "GET", path)) == route(name)
    assert await room.verdicts.verdict(asked(Identity(user="somebody"), "GET", path)) == route("upstream")


async def test_a_write_on_a_list_path_never_is_pythons(room: Room, scene: Scene) -> None:
    for method in ("POST", "DELETE", "PUT", "PATCH"):
        assert await room.verdicts.verdict(asked(scene.owner, method, "/api/v1/namespaces")) == route("upstream")


async def test_who_may_read_the_cluster_anyway_sees_all_of_it(
    room: Room, scene: Scene, unique: Callable[[str], str]
) -> None:
    """The union of 8.1: a Capsule user keeps what its own roles give, also by an object's name."""
    rule = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}
    await allow(room.admin, scene.owner.user, unique("lists"), rule)
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"], "resourceNames": [scene.foreign_node]}
    await allow(room.admin, scene.owner.user, unique("gets"), rule)
    answers = {
        path: await room.verdicts.verdict(asked(scene.owner, "GET", path))
        for path in (
            "/api/v1/namespaces",
            "/api/v1/namespaces?watch=1",
            "/api/v1/nodes",
            f"/api/v1/nodes/{scene.node}",
            f"/api/v1/nodes/{scene.foreign_node}",
        )
    }
    assert list(answers.values()) == [
        route("upstream"),
        route("python"),
        route("python"),
        route("python"),
        route("upstream"),
    ]


async def test_r_035_a_visible_node_may_be_changed_with_one_group(room: Room, scene: Scene) -> None:
    own, foreign = f"/api/v1/nodes/{scene.node}", f"/api/v1/nodes/{scene.foreign_node}"
    group = ("impersonate-group", "tenantry:gateway:nodes:update")
    verdict = room.verdicts.verdict
    assert await verdict(asked(scene.owner, "PATCH", own)) == route("upstream", group, fresh=0)
    assert await verdict(asked(scene.owner, "PUT", f"{own}?dryRun=All")) == route("upstream", group, fresh=0)
    assert await verdict(asked(scene.owner, "PATCH", f"{own}/status")) == route("upstream", fresh=0)
    assert await verdict(asked(scene.owner, "DELETE", own)) == route("upstream", fresh=0)
    assert await verdict(asked(Identity(user="somebody"), "PATCH", own)) == route("upstream")
    for method in ("PATCH", "PUT", "DELETE"):
        assert (await verdict(asked(scene.owner, method, foreign))).status == 404


async def test_r_035_deleting_needs_its_own_operation(room: Room, scene: Scene) -> None:
    room.views.owner(
        scene.owner,
        selects={"pool": scene.node},
        operations=frozenset({"List", "Delete"}),
        namespaces=frozenset(),
    )
    own = f"/api/v1/nodes/{scene.node}"
    group = ("impersonate-group", "tenantry:gateway:nodes:delete")
    assert await room.verdicts.verdict(asked(scene.owner, "DELETE", own)) == route("upstream", group, fresh=0)
    assert await room.verdicts.verdict(asked(scene.owner, "PATCH", own)) == route("upstream", fresh=0)


async def test_invariant_32_what_is_not_visible_reads_as_what_is_not_there(room: Room, scene: Scene) -> None:
    """The text is the API server's own, for a foreign node as for none at all."""
    for name in (scene.foreign_node, "no-such-node"):
        answer = await room.verdicts.verdict(asked(scene.owner, "DELETE", f"/api/v1/nodes/{name}"))
        assert (answer.status, decode_any(answer.body)) == (404, await upstream_says(room.admin, "nodes", name))


async def test_own_rights_to_change_hold_for_what_is_not_visible(
    room: Room, scene: Scene, unique: Callable[[str], str]
) -> None:
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["patch"]}
    await allow(room.admin, scene.owner.user, unique("patches"), rule)
    path = f"/api/v1/nodes/{scene.foreign_node}"
    assert await room.verdicts.verdict(asked(scene.owner, "PATCH", path)) == route("upstream", fresh=0)


async def upstream_says(admin: Client, resource: str, name: str, *, where: str = "") -> Any:
    """Return the Status of the API server for an object that does not exist; the name is put in."""
    with pytest.raises(ApiError) as missing:
        await admin.request("GET", f"/api/v1/{where}{resource}/no-such-thing")
    assert missing.value.status == 404
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": missing.value.message.replace("no-such-thing", name),
        "reason": missing.value.api_reason,
        "details": {"name": name, "kind": missing.value.details.kind},
        "code": 404,
    }


async def test_r_038_a_missing_namespace_is_not_found(room: Room, scene: Scene, unique: Callable[[str], str]) -> None:
    path = f"/api/v1/namespaces/{unique('absent')}/secrets/sh.helm.v1"
    for who in (scene.owner, Identity(user="somebody")):
        answer = await room.verdicts.masked(asked(who, "GET", path))
        assert answer.headers == (("content-type", "application/json"), ("x-tenantry-status", "404"))
        where = f"namespaces/{scene.namespace}/"
        assert decode_any(answer.body) == await upstream_says(room.admin, "secrets", "sh.helm.v1", where=where)


async def test_r_038_helm_gets_an_empty_list(room: Room, scene: Scene, unique: Callable[[str], str]) -> None:
    absent = unique("absent")
    path = f"/api/v1/namespaces/{absent}/secrets?labelSelector=owner%3Dhelm"
    answer = await room.verdicts.masked(asked(scene.owner, "GET", path))
    assert (answer.headers[1], decode_any(answer.body)) == (
        ("x-tenantry-status", "200"),
        {"kind": "SecretList", "apiVersion": "v1", "metadata": {"resourceVersion": ""}, "items": []},
    )
    path = f"/apis/apps/v1/namespaces/{absent}/deployments"
    answer = await room.verdicts.masked(asked(scene.owner, "GET", path))
    assert decode_any(answer.body) == {
        "kind": "DeploymentList",
        "apiVersion": "apps/v1",
        "metadata": {"resourceVersion": ""},
        "items": [],
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/namespaces/FOREIGN/secrets/a"),
        ("GET", "/api/v1/namespaces/FOREIGN/secrets"),
        ("GET", "/api/v1/namespaces/ABSENT/secrets?watch=1"),
        ("GET", "/api/v1/watch/namespaces/ABSENT/secrets"),
        ("GET", "/api/v1/namespaces/ABSENT/pods/a/log"),
        ("GET", "/api/v1/namespaces/ABSENT"),
        ("GET", "/api/v1/namespaces/ABSENT/status"),
        ("GET", "/api/v1/namespaces/ABSENT/no-such-kind/a"),
        ("GET", "/apis/no.such/v1/namespaces/ABSENT/things/a"),
        ("GET", "/api/v1/namespaces/A_B/secrets/a"),
        ("HEAD", "/api/v1/namespaces/ABSENT/secrets/a"),
        ("DELETE", "/api/v1/namespaces/ABSENT/secrets/a"),
        ("PUT", "/api/v1/namespaces/ABSENT/secrets/a"),
        ("GET", "/api/v1/nodes/a"),
    ],
)
async def test_r_038_every_other_refusal_stays(room: Room, scene: Scene, method: str, path: str) -> None:
    path = path.replace("FOREIGN", scene.foreign_namespace).replace("ABSENT", "surely-absent")
    assert await room.verdicts.masked(asked(scene.owner, method, path)) == Answer(status=204)


async def test_r_038_lists_stay_refused_for_who_is_not_filtered(room: Room) -> None:
    path = "/api/v1/namespaces/surely-absent/secrets"
    assert await room.verdicts.masked(asked(Identity(user="somebody"), "GET", path)) == Answer(status=204)


async def test_r_043_the_lease_of_a_visible_node_is_read(room: Room, scene: Scene) -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    for name in (scene.node, scene.foreign_node):
        body = {"metadata": {"name": name}, "spec": {"holderIdentity": name}}
        await room.admin.request("POST", leases, body=body)
    own, foreign = (f"{leases}/{name}" for name in (scene.node, scene.foreign_node))
    assert await room.verdicts.verdict(asked(scene.owner, "GET", own)) == route("python")
    assert await room.verdicts.verdict(asked(scene.owner, "GET", foreign)) == route("upstream")
    assert await room.verdicts.verdict(asked(scene.owner, "DELETE", own)) == route("upstream")
    assert await room.verdicts.verdict(asked(scene.owner, "GET", leases)) == route("upstream")

    found = await room.leases.answer(scene.owner, request_info("GET", own), "")
    assert decode_any(found.body)["spec"] == {"holderIdentity": scene.node}
    found = await room.leases.answer(scene.owner, request_info("GET", own), "application/vnd.kubernetes.protobuf")
    assert found.body.startswith(b"k8s\0")
    for who, path in ((scene.owner, foreign), (Identity(user="somebody"), own)):
        assert (await room.leases.answer(who, request_info("GET", path), "*/*")).status == 404
    assert (await room.leases.answer(scene.owner, request_info("GET", own), "text/html")).status == 406


async def test_self_reviews_of_the_unfiltered_go_up_with_their_own_token(room: Room, scene: Scene) -> None:
    base, stranger = "/apis/authorization.k8s.io/v1/selfsubject", Identity(user="somebody")
    verdict = room.verdicts.verdict
    for review in ("accessreviews", "rulesreviews"):
        assert await verdict(asked(scene.owner, "POST", base + review, (":own", "1"))) == route("python")
        assert await verdict(asked(stranger, "POST", base + review, (":own", "1"))) == route("own")
    assert await verdict(asked(stranger, "POST", f"{base}accessreviews")) == route("python")
    assert await verdict(asked(stranger, "POST", f"{base}rulesreviews")) == route("upstream")


async def test_invariant_13_a_watch_parameter_on_a_named_get_changes_nothing(room: Room) -> None:
    """As we classify it, so the API server answers it: one object."""
    assert request_info("GET", "/api/v1/namespaces/default?watch=1").verb == "get"
    found = decode_any(await room.admin.request("GET", "/api/v1/namespaces/default", query={"watch": "1"}))
    assert (found["kind"], found["metadata"]["name"]) == ("Namespace", "default")


async def test_requests_that_make_no_sense_have_no_verdict(room: Room, scene: Scene) -> None:
    with pytest.raises(RefusedRequestError):
        await room.verdicts.verdict(asked(scene.owner, "GET", "/api/v1/namespaces/../secrets"))
    with pytest.raises(ValueError, match="an identity has one user"):
        await room.verdicts.verdict(((":method", "GET"), (":path", "/api/v1/namespaces")))


async def test_identities_go_up_as_they_are(room: Room) -> None:
    """What a review is asked about is what impersonation makes of the same identity."""
    who = Identity(user="system:serviceaccount:n:a", uid="7", extra=(("acme.io/team", ("x",)),))
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    found = decode_any(await room.admin.impersonating(impersonation(who)).request("POST", path, body=body))
    assert found["status"]["userInfo"] == {
        "username": "system:serviceaccount:n:a",
        "uid": "7",
        "groups": ["system:authenticated"],
        "extra": {"acme.io/team": ["x"]},
    }

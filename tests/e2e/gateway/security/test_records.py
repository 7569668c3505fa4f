"""What is said, and what is not: refusals, oracles, records; invariants 15, 28 and 32."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from door import Asked, Door
from recording_upstream import response

from tenantry.testing.world import World

PODS: Final = "/api/v1/namespaces/default/pods"
CAPSULE: Final = ("projectcapsule.dev",)


async def test_invariant_15_a_refusal_ends_the_request(door: Door) -> None:
    """One answer, and nothing upstream, whatever was sent along."""
    body = json.dumps({"kind": "Pod"}).encode()
    refused = [
        await door.ask(target, token=token, method=method, body=body if method == "POST" else None)
        for target in (PODS, "/api/v1/namespaces", "/api/v1/pods?watch=1", f"{PODS}/p/exec", "/version")
        for token in (None, "", door.issuer.token("system:admin"), door.issuer.token(exp=1))
        for method in ("GET", "POST")
    ]

    assert {each.refusal for each in refused} == {(401, "Unauthorized"), (403, "Forbidden")}


async def test_invariant_15_so_does_a_failure_behind_the_gateway(door: Door, unique: Callable[[str], str]) -> None:
    """The review fails: 503, and the request goes on under nobody's name."""
    failing = response(500, {"kind": "Status"})
    with door.upstream.answering(lambda each: failing if each.path.endswith("/tokenreviews") else None):
        asked = await door.ask("/api/v1/namespaces", token=unique("token"))

    assert asked.refusal == (503, "ServiceUnavailable")


async def test_invariant_32_401_is_about_credentials_and_names_the_scheme(door: Door) -> None:
    for token in (None, "", door.issuer.token(exp=1)):
        asked = await door.ask(PODS, token=token)
        assert asked.refusal == (401, "Unauthorized")
        assert asked.reply.header("www-authenticate") == 'Bearer realm="kubernetes"'


async def test_invariant_32_403_is_about_policy_and_asks_for_no_login(door: Door) -> None:
    """A client that got 401 would throw a good token away."""
    for asked in (
        await door.ask(PODS, token=door.issuer.token("system:admin")),
        await door.ask(PODS, ("Impersonate-User", "a"), token=door.issuer.token(), host="other.test"),
        await door.ask("/api/v1/nodes", token=door.issuer.token()),
    ):
        assert (asked.status, asked.json["reason"]) == (403, "Forbidden")
        assert asked.reply.header("www-authenticate") is None


async def test_invariant_32_our_own_failing_credential_is_no_401(door: Door) -> None:
    """8.7.1: clients purge their tokens on 401."""
    unauthorized = response(401, {"kind": "Status", "reason": "Unauthorized"}, ("WWW-Authenticate", "Bearer"))
    with door.upstream.answering(lambda each: unauthorized if each.path == PODS else None):
        asked = await door.ask(PODS, token=door.issuer.token())

    assert (asked.status, asked.json["reason"]) == (503, "ServiceUnavailable")
    assert asked.reply.header("www-authenticate") is None
    assert asked.reply.header("retry-after") is not None


def normal(asked: Asked, name: str) -> tuple[int, str, list[str]]:
    """Return all that a client could tell two answers apart by, the name itself left out."""
    apart = {"date", "x-request-id", "audit-id", "content-length", "x-kubernetes-pf-flowschema-uid"}
    shown = sorted(f"{key}: {value}" for key, value in asked.reply.headers if key not in apart)
    return asked.status, asked.reply.body.decode().replace(name, "NAME"), shown


KINDS: Final = (
    ("/api/v1/namespaces", "kube-system"),
    ("/api/v1/nodes", "hidden"),
    ("/apis/storage.k8s.io/v1/storageclasses", "hidden"),
    ("/apis/scheduling.k8s.io/v1/priorityclasses", "system-node-critical"),
    ("/apis/capsule.clastix.io/v1beta2/tenants", "hidden"),
)


@pytest.mark.parametrize(("path", "existing"), KINDS, ids=[path.rpartition("/")[2] for path, _ in KINDS])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_invariant_32_what_is_hidden_looks_like_what_is_not_there(
    door: Door, world: World, unique: Callable[[str], str], path: str, existing: str, method: str
) -> None:
    """Byte for byte, headers too: nobody learns which names exist."""
    name = existing
    if existing == "hidden":
        name = await hidden_object(world, path)
    user = unique("alice")
    await world.tenant({"owners": [{"kind": "User", "name": user}]})
    tls, missing = door.certificate(user, CAPSULE), unique("missing")

    there = await door.ask(f"{path}/{name}", ("Accept", "application/json"), tls=tls, method=method)
    gone = await door.ask(f"{path}/{missing}", ("Accept", "application/json"), tls=tls, method=method)

    assert normal(there, name) == normal(gone, missing)


async def hidden_object(world: World, path: str) -> str:
    """Return the name of an object that the administrator made."""
    if path.endswith("tenants"):
        return str((await world.tenant({"owners": [{"kind": "User", "name": "somebody"}]})).metadata.name)
    name = world.unique("hidden")
    more: dict[str, Any] = {"provisioner": "none.test/none"} if path.endswith("classes") else {}
    version = path.removeprefix("/apis/").removeprefix("/api/").rpartition("/")[0]
    kind = {"nodes": "Node", "storageclasses": "StorageClass"}[path.rpartition("/")[2]]
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}
    await world.admin.request("POST", path, body=body)
    return name


SECRETS: Final = {
    "header": "s3cret-authorization",
    "cookie": "s3cret-cookie",
    "query": "s3cret-query",
    "body": "s3cret-body",
    "extra": "s3cret-extra",
    "subprotocol": "s3cret-subprotocol",
}


async def test_invariant_28_nothing_secret_is_in_logs_or_records(door: Door, world: World) -> None:
    """Neither of a request nor of an answer; a digest tells tokens apart."""
    user = world.unique("alice")
    tenant = await world.tenant({"owners": [{"kind": "User", "name": user}]})
    namespace = await world.namespace(await world.user(user), tenant.metadata.name)
    encoded = base64.urlsafe_b64encode(SECRETS["subprotocol"].encode()).rstrip(b"=").decode()
    token, tls = door.issuer.token(user, groups=list(CAPSULE)), door.certificate(user, CAPSULE)
    query = "&".join(
        f"{name}={SECRETS['query']}"
        for name in ("token", "code", "access_token", "id_token", "TOKEN", "Code", "%74oken", "refresh_token")
    )
    asked = [
        await door.ask(PODS, token=SECRETS["header"]),
        await door.ask(PODS, ("Authorization", f"Basic {SECRETS['header']}")),
        await door.ask(f"{PODS}?{query}", ("Cookie", f"session={SECRETS['cookie']}"), token=token),
        await door.ask(f"/nowhere?{query}", token=token),
        await door.ask(f"/api/v1/namespaces?{query}", tls=tls),
        await door.ask(
            f"{PODS}/p/exec",
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Protocol", f"base64url.bearer.authorization.k8s.io.{encoded}"),
        ),
        await door.ask(
            PODS,
            ("Impersonate-User", "alice"),
            ("Impersonate-Extra-Authentication.Kubernetes.Io%2Fpod-Name", SECRETS["extra"]),
            token=token,
        ),
        await written(door, namespace, token, "secrets", {"stringData": {"password": SECRETS["body"]}}),
        await written(door, namespace, token, "secrets", {"data": SECRETS["body"]}),
        await written(door, namespace, token, "serviceaccounts/default/token", {"spec": {}}),
    ]
    issued = asked[-1].json["status"]["token"]
    for each in asked:
        await door.record(each)

    output = door.output()
    hidden = {**SECRETS, "token": token, "issued": issued, "encoded": encoded, "own": door.own_authorization[7:]}
    assert [what for what, text in hidden.items() if text in output or text.rpartition(".")[2] in output] == []
    assert "REDACTED" in output


async def written(door: Door, namespace: str, token: str, what: str, body: dict[str, Any]) -> Asked:
    whole = {"metadata": {"generateName": "s-"}, **body}
    target = f"/api/v1/namespaces/{namespace}/{what}"
    json_header = ("Content-Type", "application/json")
    return await door.ask(target, json_header, token=token, method="POST", body=json.dumps(whole).encode())


async def test_invariant_28_records_are_one_json_object_a_line(door: Door) -> None:
    """Whatever a client writes into what is recorded."""
    token = door.issuer.token('li"ne\\', groups=["a\u2028b"])
    target = '/api/v1/namespaces/%22%7D%7B/pods?labelSelector=%0a{"decision":"allow"}'

    asked = await door.ask(target, token=token)
    record = await door.record(asked)

    assert record["user"]["name"] == 'li"ne\\'
    assert (record["namespace"], record["decision"], record["code"]) == ('"}{', "allow", asked.status)


async def test_refusals_are_recorded_with_their_reason(door: Door) -> None:
    """Each with a stable token, who it was where that is known, and no token of a credential."""
    asked = {
        "NoCredential": await door.ask(PODS),
        "Expired": await door.ask(PODS, token=door.issuer.token(exp=1)),
        "SystemName": await door.ask(PODS, token=door.issuer.token("system:admin")),
        "PathUnknown": await door.ask("/unknown", token=door.issuer.token()),
        "PathMalformed": await door.ask("/api/../x", token=door.issuer.token()),
        "MethodUnknown": await door.ask(PODS, method="TRACE", token=door.issuer.token()),
        "ImpersonationDisabled": await door.ask(
            PODS, ("Impersonate-User", "a"), token=door.issuer.token(), host="other.test"
        ),
    }

    records = {token: await door.record(each) for token, each in asked.items()}

    assert {token: record["reason"] for token, record in records.items()} == {token: token for token in asked}
    assert {record["decision"] for record in records.values()} == {"deny"}
    assert {record["code"] for record in records.values()} == {400, 401, 403, 404, 405}

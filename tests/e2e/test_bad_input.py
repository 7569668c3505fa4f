"""What nobody should send, and what should not be stored: every answer is an answer, and nothing stops (Bad input)."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from tenantry.kube.errors import ApiError
from tenantry.kube.resources import RULE_STATUSES, TENANTS
from tenantry.testing.breakable import readiness
from tenantry.testing.plain import Json, Plain, any_object, pod, refused, service, team
from tenantry.testing.world import World

REVIEW: Json = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "1f3a",
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "namespace": "default",
        "name": "one",
        "operation": "CREATE",
        "userInfo": {"username": "alice", "groups": ["projectcapsule.dev"]},
        "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "default"}},
    },
}
PATH = "/admission/validating"
ALLOWED = {"uid": "1f3a", "allowed": True}


@pytest.fixture
def insecure() -> ssl.SSLContext:
    """Trust whoever answers: this is about what is answered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@asynccontextmanager
async def hooks(world: World, insecure: ssl.SSLContext) -> AsyncIterator[aiohttp.ClientSession]:
    """Talk to admission as the API server does."""
    connector = aiohttp.TCPConnector(limit=0, ssl=insecure)
    async with aiohttp.ClientSession(world.platform.settings.webhook_url, connector=connector) as session:
        yield session


def with_request(**parts: Any) -> bytes:
    """Return a review whose request has other *parts*."""
    return json.dumps({**REVIEW, "request": {**REVIEW["request"], **parts}}).encode()


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        (PATH, b"", 400, "no AdmissionReview"),
        (PATH, b"{", 400, "no AdmissionReview"),
        (PATH, b"[1]", 400, "no AdmissionReview"),
        (PATH, b"\xff\xfe", 400, "no AdmissionReview"),
        (PATH, b'{"apiVersion":"v1","kind":"Pod"}', 400, "Pod of v1, not an AdmissionReview"),
        (PATH, json.dumps({**REVIEW, "apiVersion": "admission.k8s.io/v2"}).encode(), 400, "admission.k8s.io/v2"),
        (PATH, json.dumps({**REVIEW, "request": None}).encode(), 400, "has no request"),
        (PATH, with_request(operation="EXPLODE"), 400, "'EXPLODE' is none of"),
        (PATH, with_request(uid=""), 400, "request.uid is empty"),
        (PATH, with_request(kind={}), 400, "request.kind.kind is empty"),
        (PATH, with_request(userInfo="alice"), 400, "userInfo"),
        (PATH, b" " * (8 * 1024 * 1024 + 1), 413, "larger than"),
        ("/no/such/hook", json.dumps(REVIEW).encode(), 404, "no webhook is served at /no/such/hook"),
    ],
)
async def test_what_is_no_review_gets_an_error_in_words(  # one parameter a column
    world: World, insecure: ssl.SSLContext, path: str, body: bytes, status: int, text: str
) -> None:
    async with hooks(world, insecure) as session, session.post(path, data=BytesIO(body)) as answer:
        told = await answer.text()
        assert (answer.status, text in told) == (status, True), told


async def test_a_review_is_answered_whatever_its_content_type_and_method_is_post(
    world: World, insecure: ssl.SSLContext
) -> None:
    """The body says what it is; only POST carries one."""
    body = json.dumps(REVIEW).encode()
    async with hooks(world, insecure) as session:
        for content_type in ("application/json", "text/plain", "application/x-protobuf"):
            async with session.post(PATH, data=body, headers={"Content-Type": content_type}) as answer:
                assert (answer.status, (await answer.json())["response"]) == (200, ALLOWED)
        async with session.get(PATH) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("parts", [{"object": 7}, {"object": {"metadata": 7}}, {"object": {"spec": "x"}, "name": 7}])
async def test_an_object_that_is_none_is_refused_or_malformed_never_a_crash(
    world: World, insecure: ssl.SSLContext, parts: Json
) -> None:
    """An answer with a reason, for a kind that is looked into."""
    pods = {
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": (await team(world, {"imagePullPolicies": ["Never"]})).namespace,
    }
    async with hooks(world, insecure) as session, session.post(PATH, data=with_request(**{**pods, **parts})) as answer:
        told = await answer.text()
        assert answer.status in {200, 400}, told
        if answer.status == 200:
            status = json.loads(told)["response"]["status"]
            assert (status["code"], "is not what its kind declares" in status["message"]) == (422, True), told


async def test_a_thousand_connections_and_those_that_trickle_hold_nobody_up(
    world: World, insecure: ssl.SSLContext
) -> None:
    """1,000 requests at once are all answered, beside 50 clients that never finish theirs."""
    host, port = "127.0.0.1", int((world.platform.settings.webhook_url or "").rpartition(":")[2])
    body = json.dumps(REVIEW).encode()
    slow = [await asyncio.open_connection(host, port, ssl=insecure) for _ in range(25)]
    slow += [await asyncio.open_connection(host, port) for _ in range(25)]
    for _, writer in slow:
        writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    try:
        async with hooks(world, insecure) as session:

            async def one() -> Any:
                async with session.post(PATH, data=body) as answer:
                    return (await answer.json())["response"]

            answers = await asyncio.gather(*(one() for _ in range(1000)))
        assert answers == [ALLOWED] * 1000
        # Those that trickle are told so, and let go of.
        reader, _ = slow[0]
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 15)
    finally:
        for _, writer in slow:
            writer.transport.abort()
    assert (await readiness(world.platform.admission))[0] == 200


async def test_a_tenant_with_broken_expressions_harms_itself_alone(world: World) -> None:
    """D-13, D-16: stored while admission was off; what it forbids cannot be told, so nothing of that kind passes."""
    healthy = await team(world, {"imagePullPolicies": ["Never"]})
    broken = await team(world, {})
    spec = {
        "containerRegistries": {"allowedRegex": "("},
        "ingressOptions": {"allowedHostnames": {"allowedRegex": "[z-a]"}},
        "namespaceOptions": {"forbiddenLabels": {"deniedRegex": "*"}},
        "rules": [{"enforce": {"services": {"externalNames": {"hostnames": [{"exp": "("}]}}}}],
    }
    async with disarmed(world):
        await world.admin.patch(TENANTS, broken.tenant, patch={"spec": spec}, kind="merge")
    await world.eventually(lambda: says_why(world, broken.tenant))

    await judged(world, healthy.owner.create, pod(healthy.namespace, "wrong", container={"imagePullPolicy": "Always"}))
    await refused(broken.owner.create(pod(broken.namespace, "any")), "regular expression")
    name = service(broken.namespace, "any", type="ExternalName", externalName="web.example.com")
    await refused(broken.owner.create(name), "regular expression")
    assert [(await readiness(part))[0] for part in (world.platform.admission, world.platform.operator)] == [200, 200]

    # Whoever owns the platform can put it right.
    nothing: Json = dict.fromkeys(spec)
    await world.edit_tenant(broken.tenant, nothing)
    await broken.owner.create(pod(broken.namespace, "fine"))


async def says_why(world: World, tenant: str) -> bool:
    """Return whether the Tenant's Ready condition tells of the expression."""
    stored = await world.stored(TENANTS, tenant)
    ready = next(each for each in stored["status"]["conditions"] if each["type"] == "Ready")
    assert (ready["status"], "(" in ready["message"]) == ("False", True), ready
    return True


async def judged(world: World, create: Any, obj: Json) -> None:
    """Wait until *obj* is refused by admission's own word."""

    async def attempt() -> bool:
        await refused(create(obj), "Never")
        return True

    await world.eventually(attempt)


@asynccontextmanager
async def disarmed(world: World) -> AsyncIterator[None]:
    """Have the webhooks off in the body, by the break-glass switch."""
    switch = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "tenantry-admission", "namespace": "capsule-system"},
    }
    admin = Plain(world.admin)

    async def throw(value: str) -> None:
        body = {**switch, "data": {"disarmed": value}}
        await admin.patch(switch, body, "apply", manager="tests")

    async def is_off() -> bool:
        found = await world.platform.kubectl("get", "validatingwebhookconfigurations", "-o=name")
        return "capsule-dynamic-webhook" not in found.stdout

    await throw("true")
    try:
        await world.eventually(is_off)
        yield
    finally:
        await throw("false")
        await world.platform.wait_ready()


@pytest.mark.parametrize(
    "spec",
    [
        {"owners": [{"kind": "User", "name": "x" * 5000}]},
        {"owners": [{"kind": "User", "name": f"user-{number}"} for number in range(300)]},
        {"nodeSelector": {"a" * 63: "b" * 63}, "data": {"deep": [[[[[[[[[[1]]]]]]]]]]}},
        {"namespaceOptions": {"quota": 2147483647}},
        {"resourceQuotas": {"scope": "Tenant", "items": [{"hard": {"pods": "9223372036854775807"}}]}},
        {"limitRanges": {"items": [{"limits": [{"type": "Container", "max": {"cpu": "1e18"}}]}]}},
    ],
    ids=["long", "many", "deep", "largest", "overflow", "exponent"],
)
async def test_a_tenant_with_absurd_values_is_refused_in_words_or_settles(world: World, spec: Json) -> None:
    """Whatever is stored comes to a status, and the processes stay well."""
    name = world.unique("absurd")
    world.remember_tenant(name)
    body = {"apiVersion": "capsule.clastix.io/v1beta2", "kind": "Tenant", "metadata": {"name": name}, "spec": spec}
    try:
        await world.admin.create(TENANTS, body)
    except ApiError as error:
        assert error.status in {403, 422}  # noqa: PT017
        return
    await world.in_force(name)
    assert [(await readiness(part))[0] for part in (world.platform.admission, world.platform.operator)] == [200, 200]


async def test_a_rule_status_edited_by_hand_changes_nothing(world: World) -> None:
    """D-15: the rules in force come from the Tenant; the object that shows them is put right again."""
    rule = {"enforce": {"action": "deny", "services": {"types": ["NodePort"]}}}
    team_ = await team(world, {"rules": [rule]})
    status = any_object("capsule.clastix.io/v1beta2", "RuleStatus", "capsule-managed-rules", team_.namespace)
    wrong = service(team_.namespace, "wrong", type="NodePort")

    async def shown() -> Json | None:
        stored = await world.stored(RULE_STATUSES, "capsule-managed-rules", team_.namespace)
        rules = stored.get("status", {}).get("rules")
        return {"spec": stored.get("spec"), "rules": rules} if rules else None

    before = await world.eventually(shown)
    await team_.admin.patch(status, {"status": {"rules": []}}, "merge", "status")
    await refused(team_.owner.create(wrong), "NodePort")
    await refused(team_.admin.patch(status, {"spec": []}), "managed")

    async def is_back() -> bool:
        return await shown() == before

    await world.eventually(is_back)

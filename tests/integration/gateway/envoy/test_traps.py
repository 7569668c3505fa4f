"""What goes wrong on purpose: script, guard, credential, Python, upstream; nothing is let through."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenantry.foundation.errors import ConfigurationError, UnavailableError
from tenantry.gateway.envoy.names import script_file
from tenantry.gateway.envoy.script import script_resource
from tenantry.gateway.protocol import IDENTIFY, VERDICT, Answer
from tenantry.kube.credentials import TokenFile

PODS = "/api/v1/namespaces/team/pods"


def with_script(body: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    source = f"function envoy_on_request(h) {body} end"
    return lambda files: files | {script_file("default"): script_resource("default", source)}


def status_of(reply: Any) -> tuple[int, str]:
    body = json.loads(reply.body)
    assert (body["kind"], body["code"]) == ("Status", reply.status)
    return reply.status, body["reason"]


async def until(condition: Callable[[], Any]) -> None:
    """Poll; what is waited for happens in another process."""
    async with asyncio.timeout(15):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.05)


ROUTED = "h:headers():replace('x-tenantry-route', 'upstream'); h:clearRouteCache();"
ALICE = "h:headers():replace('impersonate-user', 'alice');"
MARKED = "h:streamInfo():dynamicMetadata():set('tenantry', 'ok', 'yes');"
OWN = "h:streamInfo():dynamicMetadata():set('tenantry', 'own', 'yes');"
EMPTY = "h:headers():replace('impersonate-user', '');"


@pytest.mark.parametrize(
    "body",
    [
        "error('broken')",
        ROUTED,
        f"{ROUTED} {ALICE} error('late')",
        f"{ROUTED} {EMPTY} {MARKED}",
        f"{ROUTED} {OWN} {MARKED}",
        f"{ALICE} {MARKED}",
    ],
    ids=["raises", "no user", "raises late", "empty user", "own on the wrong route", "no route"],
)
async def test_a_broken_script_lets_nothing_through(make_gateway: Any, body: str) -> None:
    """The script's filter fails open; the guard behind it does not, and neither does the default route."""
    async with make_gateway(change=with_script(body)) as gateway:
        reply = await gateway.get(PODS)

        assert status_of(reply) == (403, "Forbidden")
        assert gateway.api.seen == []


async def test_our_credential_needs_a_user_even_without_a_guard(make_gateway: Any) -> None:
    """The last door stands at the upstream cluster, whatever the listener lets through."""

    def unguarded(files: dict[str, bytes]) -> dict[str, bytes]:
        return with_script(ROUTED)(files) | {"lds.json": files["lds.json"].replace(b'"ALLOW"', b'"LOG"')}

    async with make_gateway(change=unguarded) as gateway:
        assert (await gateway.get(PODS)).status == 403
        assert gateway.api.seen == []


async def test_a_missing_credential_is_not_the_clients_fault(make_gateway: Any) -> None:
    async with make_gateway(token=None) as gateway:
        reply = await gateway.get(PODS)

        assert status_of(reply) == (503, "ServiceUnavailable")
        assert reply.header("retry-after") == "5"
        assert gateway.api.seen == []
        assert gateway.envoy.credential_problems("default") == ("cluster default: the gateway has no credential",)

        gateway.envoy.set_token("default", "Bearer late")
        await until(lambda: _answers(gateway, 200))
        assert gateway.api.last.values("authorization") == ["Bearer late"]
        assert gateway.envoy.credential_problems("default") == ()


async def _answers(gateway: Any, status: int) -> bool:
    return bool((await gateway.get(PODS)).status == status)


async def test_a_refused_credential_is_not_the_clients_fault(gateway: Any) -> None:
    gateway.api.status, gateway.api.body = 401, {"kind": "Status", "reason": "Unauthorized", "code": 401}
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(gateway.envoy.run())

        reply = await gateway.get(PODS)

        assert status_of(reply) == (503, "ServiceUnavailable")
        assert (reply.header("retry-after"), reply.header("www-authenticate")) == ("5", None)
        problem = ("cluster default: the API server refuses the gateway's own credential",)
        await until(lambda: gateway.envoy.credential_problems("default") == problem)
        running.cancel()
    (record,) = await gateway.records(lambda found: len(found) == 1)
    assert (record["code"], record["alarm"], record["user"]["name"]) == (503, "credential", "alice")


async def test_a_401_of_what_is_proxied_stays(gateway: Any) -> None:
    gateway.api.status, gateway.api.body = 401, {"error": "log in"}

    reply = await gateway.get("/api/v1/namespaces/team/services/web/proxy/private")

    assert (reply.status, reply.body) == (401, b'{"error": "log in"}')


async def test_a_renewed_token_file_is_picked_up(make_gateway: Any, tmp_path: Path) -> None:
    """8.7.1: kubelet writes a new folder and swaps one symbolic link; trailing newlines do no harm."""
    folder = tmp_path / "serviceaccount"
    for name, token in (("..first", "first"), ("..second", "second\n")):
        (folder / name).mkdir(parents=True)
        (folder / name / "token").write_text(token)
    (folder / "..data").symlink_to("..first")
    (folder / "token").symlink_to("..data/token")

    async with make_gateway(credential=TokenFile(folder / "token")) as gateway:
        await gateway.get(PODS)
        assert gateway.api.last.values("authorization") == ["Bearer first"]

        (folder / "..data_tmp").symlink_to("..second")
        (folder / "..data_tmp").rename(folder / "..data")

        async def renewed() -> bool:
            assert (await gateway.get(PODS)).status == 200
            return bool(gateway.api.last.values("authorization") == ["Bearer second"])

        await until(renewed)


async def test_known_identities_outlast_python(gateway: Any) -> None:
    """Python away: who is known goes on, who is not gets a 503, and a verdict holds if it was to go upstream."""
    gateway.python.identify = Answer(lines=((":fresh", "0"), *gateway.python.identify.lines[1:]))
    gateway.python.verdict = Answer(lines=((":route", "upstream"), (":fresh", "0.1")))
    assert (await gateway.get("/api/v1/nodes")).status == 200
    gateway.python.verdict = Answer(lines=((":route", "python"), (":fresh", "0.1")))
    assert (await gateway.get("/api/v1/namespaces")).status == 200
    await gateway.python.stop()

    replies = {
        "known": await gateway.get(PODS),
        "known, verdict upstream": await gateway.get("/api/v1/nodes"),
        "known, verdict python": await gateway.get("/api/v1/namespaces"),
        "known, no verdict": await gateway.get("/api/v1/persistentvolumes"),
        "unknown": await gateway.get(PODS, ("Authorization", "Bearer of-bob")),
        "nobody": await gateway.send(b"GET /version HTTP/1.1\r\nHost: gateway.test\r\n\r\n"),
    }

    assert {name: reply.status for name, reply in replies.items()} == {
        "known": 200,
        "known, verdict upstream": 200,
        "known, verdict python": 503,
        "known, no verdict": 503,
        "unknown": 503,
        "nobody": 503,
    }
    assert {replies[name].header("retry-after") for name in ("known, verdict python", "unknown", "nobody")} == {"1"}
    await gateway.python.start()
    assert (await gateway.get(PODS, ("Authorization", "Bearer of-bob"))).status == 200


async def test_a_stale_identity_ends_with_its_expiry(gateway: Any) -> None:
    lines = ((":fresh", "0"), (":stale", "300"), (":expires", "1"), *gateway.python.identify.lines[2:])
    gateway.python.identify = Answer(lines=lines)
    assert (await gateway.get(PODS)).status == 200
    await gateway.python.stop()

    assert (await gateway.get(PODS)).status == 503


async def test_a_refused_refresh_ends_an_identity_at_once(gateway: Any) -> None:
    gateway.python.identify = Answer(lines=((":fresh", "0"), *gateway.python.identify.lines[1:]))
    assert (await gateway.get(PODS)).status == 200
    gateway.python.identify = Answer(status=403, body=b"locked", headers=(("x-tenantry-reason", "Locked"),))
    assert (await gateway.get(PODS)).status == 403
    await gateway.python.stop()

    assert (await gateway.get(PODS)).status == 503


async def test_a_failing_key_server_ends_no_known_identity(gateway: Any) -> None:
    gateway.python.identify = Answer(lines=((":fresh", "0"), *gateway.python.identify.lines[1:]))
    assert (await gateway.get(PODS)).status == 200
    gateway.python.identify = Answer(status=503, body=b"no keys")

    assert (await gateway.get(PODS)).status == 200
    assert (await gateway.get(PODS, ("Authorization", "Bearer of-bob"))).status == 503


async def test_a_pushed_script_forgets_everybody(gateway: Any, raw: Any) -> None:
    """Within a second, and without ending the connections and streams that there are."""
    async with await raw.Connection.open(gateway.port, tls=gateway.tls(), server_name="gateway.test") as connection:
        headers = (("Authorization", "Bearer of-alice"),)
        await connection.send(raw.request(f"{PODS}?watch=1", headers=headers))
        await connection.head()
        gateway.python.identify = Answer(status=403, body=b"locked")
        assert (await gateway.get(PODS)).status == 200

        await gateway.envoy.push_script()

        async with asyncio.timeout(1):
            await until(lambda: _answers(gateway, 403))
        for _ in range(4):
            assert b"type" in await connection.chunk()


async def test_an_update_that_envoy_refuses_changes_nothing(gateway: Any) -> None:
    files = gateway.render()
    broken = files | {"lds.json": files["lds.json"].replace(b'"stat_prefix":"clients"', b'"stat_prefix":7')}
    syntax = files | {script_file("default"): script_resource("default", "function envoy_on_request(")}

    for wrong, words in ((broken, "stat_prefix"), (syntax, "script load error")):
        with pytest.raises(ConfigurationError, match=words):
            await gateway.envoy.apply(wrong)
        assert (await gateway.get(PODS)).status == 200


async def test_an_update_takes_effect(gateway: Any) -> None:
    files = gateway.render(limits=replace(gateway.settings.limits, request_body_bytes=10))

    assert await gateway.envoy.apply(files) is False
    assert (await gateway.get(PODS, method="POST", body=b"x" * 11)).status == 413


@pytest.mark.parametrize("address", ["127.0.0.1", "198.51.100.200"], ids=["taken", "not ours"])
async def test_a_port_that_can_not_be_had_is_said(gateway: Any, make_gateway: Any, address: str) -> None:
    with pytest.raises(UnavailableError, match=f"can not listen on {address}:{gateway.port}: "):
        async with make_gateway(listening={"port": gateway.port, "address": address}):
            pass


async def test_envoy_is_started_again(gateway: Any) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(gateway.envoy.run())
        before = gateway.envoy.pid
        os.kill(before, 9)
        await until(lambda: gateway.envoy.pid not in {before, None})
        await until(gateway.envoy._admin.is_ready)

        assert (await gateway.get(PODS)).status == 200
        running.cancel()


async def test_draining_lets_requests_end(gateway: Any, raw: Any) -> None:
    async with await raw.Connection.open(gateway.port, tls=gateway.tls(), server_name="gateway.test") as connection:
        await connection.send(raw.request(f"{PODS}?watch=1", headers=(("Authorization", "Bearer of-alice"),)))
        await connection.head()
        async with asyncio.TaskGroup() as tasks:
            draining = tasks.create_task(gateway.envoy.drain())
            for _ in range(3):
                assert b"type" in await connection.chunk()
            assert not draining.done()
    assert gateway.envoy.pid is None


async def test_identities_and_verdicts_are_asked_for_again_when_no_longer_fresh(gateway: Any) -> None:
    gateway.python.identify = Answer(lines=((":fresh", "0"), *gateway.python.identify.lines[1:]))
    gateway.python.verdict = Answer(lines=((":route", "upstream"), (":fresh", "0")))
    for _ in range(3):
        await gateway.get("/api/v1/nodes")

    assert (gateway.python.count(IDENTIFY), gateway.python.count(VERDICT)) == (3, 3)

"""The audit trail and the metrics that Envoy writes by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tenantry.gateway.protocol import Answer, refusal

TIMES = ("time", "durationMilliseconds", "upstreamMilliseconds", "auditID")


def fixed(record: dict[str, Any]) -> dict[str, Any]:
    """The record without what differs from run to run."""
    return {name: value for name, value in record.items() if name not in TIMES}


async def test_a_record_says_who_did_what(gateway: Any) -> None:
    """R-090; the id is the one that the API server's own audit log has."""
    gateway.python.identify = Answer(
        lines=tuple((name, "admin" if name == ":real" else value) for name, value in gateway.python.identify.lines)
    )

    await gateway.get(
        "/apis/apps/v1/namespaces/team/deployments/web/scale?dryRun=All&access_token=s3cret",
        ("User-Agent", 'kubectl/v1.36 "quoted"'),
        method="PATCH",
        body=b"{}",
    )

    (record,) = await gateway.records(lambda found: len(found) == 1)
    assert fixed(record) == {
        "stage": "Complete",
        "cluster": "default",
        "user": {"name": "alice", "realName": "admin", "groups": 2, "how": "oidc", "id": "00000000000000aa"},
        "verb": "patch",
        "apiGroup": "apps",
        "apiVersion": "v1",
        "resource": "deployments",
        "subresource": "scale",
        "namespace": "team",
        "name": "web",
        "method": "PATCH",
        "path": "/apis/apps/v1/namespaces/team/deployments/web/scale",
        "query": "dryRun=All&access_token=REDACTED",
        "host": "gateway.test",
        "code": 200,
        "flags": "-",
        "details": "via_upstream",
        "bytesReceived": 2,
        "bytesSent": 16,
        "decision": "allow",
        "route": "upstream",
        "longRunning": False,
        "peer": "127.0.0.1",
        "userAgent": 'kubectl/v1.36 "quoted"',
        "protocol": "HTTP/1.1",
    }
    assert [record["auditID"]] == gateway.api.last.values("audit-id")


async def test_a_refusal_says_why(gateway: Any) -> None:
    told = refusal(403, "Forbidden", "locked", token="Locked")
    gateway.python.identify = replace(told, headers=(*told.headers, ("x-tenantry-user", "alice")))
    await gateway.get("/api/v1/namespaces/team/secrets/s")

    (record,) = await gateway.records(lambda found: len(found) == 1)
    kept = ("code", "decision", "reason", "verb", "path", "details")
    assert {name: record[name] for name in kept} == {
        "code": 403,
        "decision": "deny",
        "reason": "Locked",
        "verb": "get",
        "path": "/api/v1/namespaces/team/secrets/s",
        "details": "lua_response",
    }
    assert record["user"] == {"name": "alice"}


async def test_a_refusal_of_somebody_known_names_them(gateway: Any) -> None:
    headers = (("x-tenantry-reason", "Locked"), ("x-tenantry-user", "alice"))
    gateway.python.identify = Answer(status=403, body=b"{}", headers=headers)
    await gateway.get("/api/v1/namespaces/team/pods")

    (record,) = await gateway.records(lambda found: len(found) == 1)
    assert (record["code"], record["reason"], record["user"]) == (403, "Locked", {"name": "alice"})


async def test_what_never_was_a_request_is_recorded(gateway: Any, raw: Any) -> None:
    """8.7.10: TLS, framing, host name, size."""
    tricks = (
        b"GET /api HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /api HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    )
    for trick in tricks:
        await gateway.send(trick)
    async with await raw.Connection.open(gateway.port) as plain:
        await plain.send(b"GET / HTTP/1.1\r\n\r\n")
        await plain.reader.read()

    records = await gateway.records(lambda found: len(found) == 3)
    assert [(record["stage"], record.get("code"), record["peer"]) for record in records] == [
        ("Complete", 400, "127.0.0.1"),
        ("Complete", 431, "127.0.0.1"),
        ("Refused", None, "127.0.0.1"),
    ]
    assert "HTTP_REQUEST" in records[2]["reason"]


async def test_no_record_holds_a_credential(gateway: Any, raw: Any) -> None:
    """Invariant 28."""
    bearer = "base64url.bearer.authorization.k8s.io.c2VjcmV0"
    for headers in (
        (("Cookie", "a=secret"),),
        (("Sec-WebSocket-Protocol", bearer),),
        (("Impersonate-Extra-K", "secret"),),
    ):
        await gateway.get("/api/v1/namespaces/t/pods?token=secret&%74oken=secret&code=secret", *headers)
    await gateway.get("/nowhere?token=secret")
    await gateway.send(raw.request("/version?token=secret", headers=(("Authorization", "Bearer secret"), ("x_y", "1"))))

    await gateway.records(lambda found: len(found) == 5)
    text = gateway.audit.read_text()
    assert ("secret" in text, "c2VjcmV0" in text, "of-alice" in text, "of-the-gateway" in text) == (False,) * 4


async def test_requests_are_counted(gateway: Any) -> None:
    """R-093, without Python."""
    await gateway.get("/api/v1/namespaces/team/pods")
    await gateway.get("/api/v1/namespaces/team/pods/p", method="DELETE")
    await gateway.get("/nowhere")

    lines = [line for line in (await gateway.envoy.stats()).splitlines() if line.startswith("tenantry_gateway_re")]
    assert sorted(line for line in lines if "_duration" not in line) == [
        'tenantry_gateway_refusals{cluster="default",reason="PathUnknown"} 1',
        'tenantry_gateway_requests{cluster="default",verb="",resource="",code="404"} 1',
        'tenantry_gateway_requests{cluster="default",verb="delete",resource="pods",code="200"} 1',
        'tenantry_gateway_requests{cluster="default",verb="list",resource="pods",code="200"} 1',
    ]


async def test_the_log_is_rotated(make_gateway: Any) -> None:
    async with make_gateway(audit_bytes=1) as gateway, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(gateway.envoy.run())
        rotated = gateway.audit.with_name("audit.log.1")
        for _ in range(2):
            await gateway.get("/api/v1/namespaces/team/pods")
            async with asyncio.timeout(10):
                while not rotated.exists() or (gateway.audit.exists() and gateway.audit.stat().st_size):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        await gateway.get("/api/v1/namespaces/team/services")
        files = (gateway.audit, rotated, gateway.audit.with_name("audit.log.2"))
        async with asyncio.timeout(10):
            while sum(file.read_text().count("\n") for file in files if file.exists()) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        running.cancel()


PARENT = """
import asyncio, sys
from pathlib import Path
from tenantry.gateway.envoy.supervisor import Envoy
from tenantry.gateway.runtime import RuntimeFolder
from tenantry.gateway.settings import GatewaySettings

async def main():
    root = Path(sys.argv[1])
    envoy = Envoy(GatewaySettings(envoy_workers=1), RuntimeFolder(root))
    files = {file.name: file.read_bytes() for file in (root / "files").iterdir()}
    await envoy.start(files, pushed={"default": None})
    print(envoy.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_envoy_does_not_outlive_a_killed_python(gateway: Any) -> None:
    files = gateway.render()
    await gateway.envoy.stop()
    (gateway.runtime.root / "files").mkdir()
    for name, content in files.items():
        (gateway.runtime.root / "files" / name).write_bytes(content)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(  # noqa: ASYNC220 - it must have a main thread of its own
        [sys.executable, "-c", PARENT, str(gateway.runtime.root)], env=environment, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await asyncio.to_thread(parent.stdout.readline))

    parent.send_signal(signal.SIGKILL)
    await asyncio.to_thread(parent.wait)
    parent.stdout.close()

    async with asyncio.timeout(5):
        while is_running(pid):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"

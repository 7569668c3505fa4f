"""The process as it is installed: two workers, the rights that the installer gives, a certificate that comes late."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
import yaml

from tenantry.admission.permissions import CLUSTER_RULES, NAMESPACE_RULES, certificate_rule
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig, load_config
from tenantry.kube.errors import ForbiddenError, NotFoundError
from tenantry.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    LEASES,
    NODES,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    TENANTS,
)

SYSTEM = "capsule-system"
ACCOUNT = "capsule-admission"
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture
async def restricted(cluster: Any, admin: Client, tmp_path: Path) -> Path:
    """A kubeconfig with exactly the rights that admission is installed with."""

    def to(kind: str) -> dict[str, Any]:
        subjects = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SYSTEM}]
        return {"roleRef": {"apiGroup": RBAC, "kind": kind, "name": ACCOUNT}, "subjects": subjects}

    await admin.apply(SERVICE_ACCOUNTS, {"metadata": {"name": ACCOUNT, "namespace": SYSTEM}}, field_manager="test")
    await admin.apply(CLUSTER_ROLES, {"metadata": {"name": ACCOUNT}, "rules": [*CLUSTER_RULES]}, field_manager="test")
    rules = [*NAMESPACE_RULES, certificate_rule("capsule-tls")]
    role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": ACCOUNT}, "rules": rules}
    await admin.request(
        "PATCH",
        f"/apis/{RBAC}/v1/namespaces/{SYSTEM}/roles/{ACCOUNT}",
        query={"fieldManager": "test"},
        body=role,
        headers={"Content-Type": "application/apply-patch+yaml"},
    )
    await admin.apply(CLUSTER_ROLE_BINDINGS, {"metadata": {"name": ACCOUNT}, **to("ClusterRole")}, field_manager="test")
    own = {"metadata": {"name": ACCOUNT, "namespace": SYSTEM}, **to("Role")}
    await admin.apply(ROLE_BINDINGS, own, field_manager="test")
    answer = await admin.request(
        "POST",
        f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{ACCOUNT}/token",
        body={"spec": {"expirationSeconds": 3600}},
    )
    kubeconfig = yaml.safe_load(cluster.plane.kubeconfig.read_text())
    kubeconfig["users"][0]["user"] = {"token": json.loads(answer)["status"]["token"]}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig))
    return path


class Ports:
    """Free ports of one process."""

    def __init__(self, find: Callable[[], int]) -> None:
        self.webhook, self.health, self.metrics = find(), find(), find()


@asynccontextmanager
async def running(
    kubeconfig: Path, ports: Ports, log: Path, *options: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from tenantry.cli.main import main; main()",
            "admission",
            "serve",
            f"--kubeconfig={kubeconfig}",
            "--webhook-host=127.0.0.1",
            f"--webhook-port={ports.webhook}",
            f"--health-addr=127.0.0.1:{ports.health}",
            f"--metrics-addr=127.0.0.1:{ports.metrics}",
            *options,
            stdout=output,
            stderr=output,
            env={**os.environ, "POD_NAME": f"pod-{ports.webhook}", "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(30):
            await process.wait()


async def fetched(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return 0, ""


async def reviewed(port: int, review: dict[str, Any]) -> tuple[int, Any]:
    connector = aiohttp.TCPConnector(ssl=False)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(f"https://127.0.0.1:{port}/admission/validating", json=review) as answer,
    ):
        return answer.status, await answer.json()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def review_of(tenant: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u",
            "operation": "CREATE",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "web",
            "namespace": namespace,
            "userInfo": {"username": f"{tenant}-owner", "groups": ["projectcapsule.dev"]},
            "object": {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "m", "image": "bad/app"}]}},
        },
    }


async def test_two_workers_serve_with_the_rights_they_are_given(
    admin: Client,
    restricted: Path,
    tmp_path: Path,
    tenant: Any,
    space: Any,
    eventually: Any,
    find_port: Any,
) -> None:
    """From a Secret that comes late, through the death of a worker, to a clean end."""
    owned = await tenant(rules=[{"enforce": {"action": "deny", "workloads": {"registries": [{"exp": "^bad/"}]}}}])
    namespace = await space(owned)
    with suppress(NotFoundError):
        await admin.delete(SECRETS, "capsule-tls", SYSTEM)
    ports, log = Ports(find_port), tmp_path / "log"
    async with running(restricted, ports, log, "--workers=2") as process:

        async def says(code: int, words: str) -> bool:
            found = await fetched(ports.health, "/readyz")
            return found[0] == code and words in found[1]

        await eventually(lambda: says(503, "worker 1: Secret capsule-tls does not exist"))
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        pem = {
            "tls.crt": b"".join(one.bytes() for one in issued.cert_chain_pems),
            "tls.key": issued.private_key_pem.bytes(),
            "ca.crt": authority.cert_pem.bytes(),
        }
        data = {key: base64.b64encode(value).decode() for key, value in pem.items()}
        body = {"metadata": {"name": "capsule-tls"}, "type": "kubernetes.io/tls", "data": data}
        await admin.create(SECRETS, body, SYSTEM)
        await eventually(lambda: says(200, "ok"))

        review = review_of(owned, namespace)
        answers = [await reviewed(ports.webhook, review) for _ in range(10)]
        assert {(code, body["response"]["allowed"]) for code, body in answers} == {(200, False)}
        assert {body["response"]["status"]["code"] for _, body in answers} == {403}

        async def has_leases(count: int) -> bool:
            leases = (await admin.list(LEASES, SYSTEM)).items
            return sum(f"pod-{ports.webhook}-" in one.metadata.name for one in leases) == count

        await eventually(lambda: has_leases(2))
        metrics = (await fetched(ports.metrics, "/metrics"))[1]
        denied = 'tenantry_admission_seconds_count{path="/admission/validating",verdict="denied"} 10.0'
        assert denied in metrics

        # One dies: the other answers, and it comes back.
        os.kill(children_of(process.pid)[0], signal.SIGKILL)
        for _ in range(20):
            with suppress(aiohttp.ClientError):
                await reviewed(ports.webhook, review)
        await eventually(lambda: len(children_of(process.pid)) == 2)
        await eventually(lambda: log.read_text().count("admission.serving") == 3)
        process.terminate()
        async with asyncio.timeout(20):
            assert await process.wait() == 0
        await eventually(lambda: has_leases(0))
    text = log.read_text()
    assert "forbidden" not in text.lower(), text
    assert "Traceback" not in text, text


async def test_admission_may_not_write_what_it_judges(restricted: Path, tenant: Any) -> None:
    """Its rights end at reading, its own Leases, and events."""
    owned = await tenant()
    config: ClusterConfig = load_config(kubeconfig=str(restricted))
    async with Client(config) as client:
        assert (await client.get(TENANTS, owned)).metadata.name == owned
        for work in (
            client.patch(TENANTS, owned, patch={"spec": {"cordoned": True}}, kind="merge"),
            client.list(SECRETS),
            client.list(NODES),
            client.create(CONFIG_MAPS, {"metadata": {"name": "x"}}, SYSTEM),
            client.create(LEASES, {"metadata": {"name": "x"}}, "default"),
        ):
            with pytest.raises(ForbiddenError):
                await work

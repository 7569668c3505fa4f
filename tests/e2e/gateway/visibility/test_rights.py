"""Rules about kinds that the gateway may not read: told to all, mended by one command, without a restart."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, NamedTuple

import pytest_asyncio
from caller import JSON, Caller, within
from stage import Stage, resource, user

from tenantry.install.rule_rights import RULES_ROLE

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
PLURAL = "sprockets"
PICKED_UP_SECONDS = 5.0
"""Three by design; the rest is for a busy machine."""
FOLLOWED_SECONDS = 20.0


class Scene(NamedTuple):
    """A rule about a custom resource of its own, and whom it is for."""

    group: str
    path: str
    settings: str
    caller: Caller

    @property
    def kind(self) -> str:
        """As RBAC and messages name it."""
        return f"{PLURAL}.{self.group}"


@pytest_asyncio.fixture(loop_scope="session")
async def scene(stage: Stage) -> Scene:
    name = stage.unique("user")
    group = f"{stage.unique('group')}.example.org"
    path = f"/apis/{group}/v1/{PLURAL}"
    names = {"plural": PLURAL, "singular": "sprocket", "kind": "Sprocket", "listKind": "SprocketList"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": group, "scope": "Cluster", "names": names, "versions": [version]}
    await stage.make(DEFINITIONS, {"spec": spec}, name=f"{PLURAL}.{group}")

    async def is_served() -> bool:
        return (await stage.admin.ask(path)).status == 200

    await stage.world.eventually(is_served)
    for each, mark in (("one", "yes"), ("two", "no")):
        body = {"apiVersion": f"{group}/v1", "kind": "Sprocket", "metadata": {"name": each, "labels": {"shown": mark}}}
        assert (await stage.admin.create(path, body)).status == 201
    settings = await stage.global_rule([user(name)], resource([f"{group}/*"], ["*"], shown="yes"))
    return Scene(group, path, settings, stage.user(name))


async def readable(stage: Stage, scene: Scene) -> tuple[str, str, str]:
    """Return status, reason and message of the condition."""
    conditions = (await stage.admin.ask(scene.settings)).body["status"]["conditions"]
    found = [each for each in conditions if each["type"] == "Readable"]
    return (found[0]["status"], found[0]["reason"], found[0]["message"]) if found else ("", "", "")


async def rights(stage: Stage) -> tuple[str, str]:
    """Return what the command prints to stdout and to stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tenantry",
        "gateway",
        "rights",
        f"--kubeconfig={stage.world.platform.plane.kubeconfig}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr
    return stdout.decode(), stderr.decode()


def audited(stage: Stage, path: str) -> set[str]:
    """Return the reasons of the audit records of *path*."""
    records = [json.loads(line) for line in stage.gateway.audit_file.read_text().splitlines()]
    return {str(each.get("reason")) for each in records if path in str(each)}


def forbidden(scene: Scene) -> tuple[str, str, str]:
    """The condition before anything is granted."""
    message = (
        f"the gateway may not read {scene.kind}: users are told to try again until a platform operator grants it, "
        "by `tenantry gateway rights | kubectl apply -f -`"
    )
    return "False", "Forbidden", message


async def test_one_command_grants_what_a_rule_needs(stage: Stage, scene: Scene) -> None:
    """503 with the next step, condition, audit; then the command's output applied, and the list works."""
    message = (
        f"the platform operator has to grant the gateway the right to read {scene.kind}: "
        "tenantry gateway rights | kubectl apply -f -"
    )
    for path in (scene.path, f"{scene.path}/one"):
        assert await scene.caller.refused(path) == (503, "ServiceUnavailable", message)
    await within(FOLLOWED_SECONDS, lambda: readable(stage, scene), forbidden(scene))

    async def reasons() -> set[str]:
        return audited(stage, scene.path)

    await within(FOLLOWED_SECONDS, reasons, {"KindNotReadable"})
    stdout, stderr = await rights(stage)
    settings = f"GlobalProxySettings/{scene.settings.rsplit('/', 1)[1]}"
    assert f"{scene.kind} (get, list, watch): for {settings}" in stderr.splitlines()
    try:
        await stage.world.platform.kubectl("apply", "-f", "-", stdin=stdout)
        await within(PICKED_UP_SECONDS, lambda: _listed(scene), ["one"])
        assert (await scene.caller.ask(f"{scene.path}/one")).status == 200
        assert (await scene.caller.refused(f"{scene.path}/two"))[:2] == (404, "NotFound")
        allowed = ("True", "Allowed", "the gateway may read what the rules name")
        await within(FOLLOWED_SECONDS, lambda: readable(stage, scene), allowed)
        version = (await stage.admin.ask(scene.settings)).body["metadata"]["resourceVersion"]
        assert await rights(stage) == (stdout, stderr)
    finally:
        await stage.remove(f"{ROLES}/{RULES_ROLE}")
    await within(2 * FOLLOWED_SECONDS, lambda: readable(stage, scene), forbidden(scene))
    stored = (await stage.admin.ask(scene.settings)).body["metadata"]
    assert int(stored["resourceVersion"]) > int(version)
    assert stored["generation"] == 1


async def _listed(scene: Scene) -> Any:
    reply = await scene.caller.ask(scene.path)
    return reply.names if reply.status == 200 else reply.refusal


async def test_rules_about_what_is_granted_need_nothing(stage: Stage) -> None:
    """Neither Kubernetes's own kinds nor namespaced ones are named by the command."""
    entries: list[JSON] = [
        resource(["rbac.authorization.k8s.io"], ["clusterroles"], a="b"),
        resource(["apps"], ["deployments"], a="b"),
    ]
    path = await stage.global_rule([user(stage.unique("user"))], *entries)

    stdout, stderr = await rights(stage)

    assert path.rsplit("/", 1)[1] not in stderr
    assert "clusterroles" not in stdout
    assert "deployments" not in stdout

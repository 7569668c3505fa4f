"""The user's commands against a whole installation: doctor, tenants, tenant show, tenant preview, adopt."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from tenantry.api import labels
from tenantry.api.meta import CAPSULE_API_VERSION
from tenantry.kube.errors import ForbiddenError
from tenantry.kube.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, NAMESPACES, PODS, ROLE_BINDINGS, TENANTS
from tenantry.testing.platform import Completed, Platform
from tenantry.testing.world import World

OWNER = {"owners": [{"kind": "User", "name": "alice"}]}
READER = [
    {"apiGroups": ["capsule.clastix.io"], "resources": ["tenants"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "patch"]},
]


async def tenantry(platform: Platform, *arguments: str, user: Path | None = None, stdin: str = "") -> Completed:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tenantry",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "KUBECONFIG": str(user or platform.plane.kubeconfig)},
    )
    stdout, stderr = await process.communicate(stdin.encode())
    return Completed(code=process.returncode or 0, stdout=stdout.decode(), stderr=stderr.decode())


def pod(image: str) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "main", "image": image}]}}


def manifest(name: str, spec: Mapping[str, Any]) -> str:
    return yaml.safe_dump(
        {"apiVersion": CAPSULE_API_VERSION, "kind": "Tenant", "metadata": {"name": name}, "spec": dict(spec)}
    )


async def test_the_doctor_finds_nothing_wrong_and_then_what_is_wrong(platform: Platform, world: World) -> None:
    async def is_well() -> bool:
        found = await tenantry(platform, "doctor", "-o", "json")
        assert [each for each in json.loads(found.stdout) if each["level"] == "problem"] == []
        return found.code == 0

    await world.eventually(is_well)
    missing = world.unique("role")
    await world.tenant({"owners": [{"kind": "User", "name": "alice", "clusterRoles": [missing]}]})

    sick = await tenantry(platform, "doctor")

    assert sick.code == 1
    assert f"ClusterRole {missing} does not exist" in sick.stdout
    assert sick.stdout.endswith(" problem\n") or sick.stdout.endswith(" problems\n")


async def test_whoever_lacks_rights_is_told_what_was_not_checked(platform: Platform) -> None:
    found = await tenantry(platform, "doctor", "-o", "json", user=platform.user("nobody", ()))

    levels = {each["level"] for each in json.loads(found.stdout)}
    assert (found.code, levels) == (0, {"note", "ok"})


async def test_tenants_are_listed_and_one_is_shown_with_what_was_refused(platform: Platform, world: World) -> None:
    tenant = await world.tenant(
        {
            **OWNER,
            "namespaceOptions": {"quota": 2},
            "containerRegistries": {"allowed": ["ghcr.io"]},
            "resourceQuotas": {"scope": "Tenant", "items": [{"hard": {"pods": "5"}}]},
        }
    )
    name = tenant.metadata.name
    alice = await world.user("alice")
    namespace = await world.namespace(alice, name)

    async def shown() -> dict[str, Any]:
        with suppress(ForbiddenError):
            await alice.create(PODS, pod("docker.io/nginx:1"), namespace)
        found = json.loads((await tenantry(platform, "tenant", "show", name, "-o", "json")).stdout)
        assert found["refusals"]
        assert found["quotas"]
        assert [each["ready"] for each in found["namespaces"]] == ["True"]
        result: dict[str, Any] = found
        return result

    found = await world.eventually(shown)

    assert found["namespaces"] == [{"name": namespace, "phase": "Active", "cordoned": False, "ready": "True"}]
    assert found["owners"] == [
        {"kind": "User", "name": "alice", "clusterRoles": ["admin", "capsule-namespace-deleter"]}
    ]
    assert found["quotas"] == [{"index": 0, "namespace": "", "resource": "pods", "used": "0", "hard": "5"}]
    refusal = found["refusals"][0]
    assert (refusal["namespace"], refusal["object"], refusal["user"], refusal["reason"]) == (
        namespace,
        "Pod/web",
        "alice",
        "ForbiddenContainerRegistry",
    )
    listed = json.loads((await tenantry(platform, "tenants", "-o", "json")).stdout)
    line = next(each for each in listed if each["name"] == name)
    assert (line["namespaces"], line["quota"], line["owners"], line["ready"]) == (1, 2, ["User/alice"], "True")
    assert (await tenantry(platform, "tenant", "show", name)).code == 0
    assert f"{name} " in (await tenantry(platform, "tenants")).stdout


async def test_a_preview_says_what_then_happens(platform: Platform, world: World) -> None:
    name = (await world.tenant({**OWNER, "limitRanges": {"items": [{"limits": []}]}})).metadata.name
    alice = await world.user("alice")
    namespace = await world.namespace(alice, name)
    await world.eventually(lambda: _has_bindings(world, namespace))
    await alice.create(PODS, pod("docker.io/nginx:1"), namespace)
    view = {"clusterRoleName": "view", "subjects": [{"kind": "User", "name": "bob"}]}
    spec = {**OWNER, "additionalRoleBindings": [view], "containerRegistries": {"allowed": ["ghcr.io"]}}
    before = await world.admin.get(TENANTS, name)

    done = await tenantry(platform, "tenant", "preview", "-", "-o", "json", stdin=manifest(name, spec))

    assert done.code == 0, done.output
    (found,) = json.loads(done.stdout)
    assert [(each["kind"], each["name"], each["isNew"]) for each in found["refused"]] == [("Pod", "web", True)]
    assert [(each["act"], each["kind"]) for each in found["changes"]] == [
        ("change", "Namespace"),
        ("create", "RoleBinding"),
        ("delete", "LimitRange"),
    ]
    assert (await world.admin.get(TENANTS, name)).spec == before.spec
    await platform.kubectl("replace", "-f", "-", stdin=manifest(name, spec))
    binding = found["changes"][1]
    await world.eventually(lambda: world.admin.get(ROLE_BINDINGS, binding["name"], namespace))


async def _has_bindings(world: World, namespace: str) -> bool:
    return bool((await world.admin.list(ROLE_BINDINGS, namespace)).items)


async def test_a_preview_of_nonsense_is_refused_as_by_kubectl_and_changes_nothing(
    platform: Platform, world: World
) -> None:
    name = (await world.tenant(OWNER)).metadata.name
    before = (await world.stored(TENANTS, name))["spec"]
    nonsense = [
        {**OWNER, "containerRegistries": {"allowedRegex": "("}},
        {**OWNER, "namespaceOptions": {"quota": "many"}},
    ]

    done = [await tenantry(platform, "tenant", "preview", "-", stdin=manifest(name, spec)) for spec in nonsense]

    assert [each.code for each in done] == [4, 4]
    assert "unable to compile regex" in done[0].stderr
    assert "quota" in done[1].stderr
    assert (await world.stored(TENANTS, name))["spec"] == before


async def test_a_tenant_that_is_not_there_yet_can_be_previewed(platform: Platform, world: World) -> None:
    done = await tenantry(platform, "tenant", "preview", "-", stdin=manifest(world.unique("new"), OWNER))

    assert done.code == 0, done.output
    assert "does not exist yet" in done.stdout


async def test_an_administrator_adopts_with_the_rights_of_one(platform: Platform, world: World) -> None:
    """Existing, restored and other tenants' namespaces: owned by label and uid, and served by the controllers."""
    oil, gas = [(await world.tenant(OWNER)).metadata for _ in range(2)]
    alice = await world.user("alice")
    theirs = await world.namespace(alice, gas.name)
    plain, restored = world.unique("plain"), world.unique("restored")
    await world.admin.create(NAMESPACES, {"metadata": {"name": plain}})
    await world.admin.create(NAMESPACES, {"metadata": {"name": restored, "labels": {labels.TENANT: oil.name}}})
    boss = world.unique("boss")
    await world.admin.create(CLUSTER_ROLES, {"metadata": {"name": boss}, "rules": READER})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": boss}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": boss}
    await world.admin.create(
        CLUSTER_ROLE_BINDINGS, {"metadata": {"name": boss}, "roleRef": role, "subjects": [subject]}
    )
    user = platform.user(boss, ())

    refused = await tenantry(platform, "adopt", oil.name, plain, "--yes", user=user)
    async with world.configured(administrators=[{"kind": "User", "name": boss}]):
        tried = await tenantry(platform, "adopt", oil.name, plain, "--dry-run", user=user)
        untouched = await world.admin.get(NAMESPACES, plain)
        taken = await tenantry(platform, "adopt", oil.name, plain, "--all-labelled", "--yes", user=user)
        held = await tenantry(platform, "adopt", oil.name, theirs, "--yes", user=user)
        migrated = await tenantry(platform, "adopt", oil.name, theirs, "--yes", "--migrate", user=user)
        again = await tenantry(platform, "adopt", oil.name, plain, theirs, "--yes", "--all-labelled", user=user)

    assert refused.code == 1, refused.output
    assert (tried.code, untouched.metadata.owner_references) == (0, ()), tried.output
    assert [each.code for each in (taken, held, migrated, again)] == [0, 1, 0, 0], taken.output + migrated.output
    for name in (plain, restored, theirs):
        metadata = (await world.admin.get(NAMESPACES, name)).metadata
        assert [(each.name, each.uid) for each in metadata.owner_references] == [(oil.name, oil.uid)]
        assert (metadata.labels or {})[labels.TENANT] == oil.name
    await world.eventually(lambda: _has_bindings(world, restored))

"""What users are told about their own rights is what happens: invariant 31."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest_asyncio
from door import Asked, Door

from tenantry.testing.platform import Platform
from tenantry.testing.world import World

REVIEWS: Final = "/apis/authorization.k8s.io/v1"
METHODS: Final = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
MERGE: Final = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that somebody may do, as a review asks for it and as a request does it."""

    verb: str
    resource: str
    name: str = ""
    namespace: str = ""
    group: str = ""
    version: str = "v1"
    body: str = "{}"

    @property
    def attributes(self) -> dict[str, str]:
        given = {
            "verb": self.verb,
            "group": self.group,
            "version": self.version,
            "resource": self.resource,
            "name": self.name,
            "namespace": self.name if self.resource == "namespaces" else self.namespace,
        }
        return {key: value for key, value in given.items() if value}

    @property
    def target(self) -> str:
        """The request, which changes nothing: writes are tried alone."""
        prefix = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{self.namespace}" if self.namespace else ""
        query = {"watch": "?watch=1&timeoutSeconds=1", "get": "", "list": ""}.get(self.verb, "?dryRun=All")
        return prefix + where + f"/{self.resource}" + (f"/{self.name}" if self.name else "") + query


@dataclass(frozen=True, slots=True)
class Scene:
    """Who there is, and what."""

    users: dict[str, tuple[str, tuple[str, ...]]]
    """By role: name and groups."""
    own: str
    foreign: str
    shown: str
    """A StorageClass that the owner's tenant shows, with leave to update and delete."""
    hidden: str


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def scene(door: Door, platform: Platform, unique: Callable[[str], str]) -> AsyncIterator[Scene]:
    """An owner with classes of its own, another owner, a Capsule user without a tenant, and a stranger."""
    async with World(platform, unique) as world:
        shown, hidden = unique("shown"), unique("hidden")
        for name in (shown, hidden):
            body = {"metadata": {"name": name}, "provisioner": "none.test/none"}
            await world.admin.request("POST", "/apis/storage.k8s.io/v1/storageclasses", body=body)
        capsule: tuple[str, ...] = ("projectcapsule.dev",)
        users = {role: (unique(role), capsule if role != "stranger" else ("other",)) for role in ROLES}
        operations = {"kind": "StorageClasses", "operations": ["List", "Update", "Delete"]}
        owner = {"kind": "User", "name": users["owner"][0], "proxySettings": [operations]}
        made = await world.tenant({"owners": [owner], "storageClasses": {"allowed": [shown]}})
        own = await world.namespace(await world.user(*users["owner"]), made.metadata.name)
        made = await world.tenant({"owners": [{"kind": "User", "name": users["other"][0]}]})
        foreign = await world.namespace(await world.user(*users["other"]), made.metadata.name)
        found = Scene(users, own, foreign, shown, hidden)

        async def is_known() -> bool:
            act = Act("get", "storageclasses", shown, group="storage.k8s.io")
            namespace = Act("get", "namespaces", own)
            return [(await done(door, found, "owner", each)).status for each in (act, namespace)] == [200, 200]

        await world.eventually(is_known)
        yield found
        for name in (shown, hidden):
            await world.admin.request("DELETE", f"/apis/storage.k8s.io/v1/storageclasses/{name}")


ROLES: Final = ("owner", "other", "member", "stranger")


async def done(door: Door, scene: Scene, role: str, act: Act) -> Asked:
    """Do it."""
    content = MERGE if act.verb == "patch" else "application/json"
    method = METHODS[act.verb]
    return await door.ask(
        act.target,
        ("Accept", "application/json"),
        ("Content-Type", content),
        method=method,
        body=act.body.encode() if method in {"POST", "PUT", "PATCH"} else None,
        tls=door.certificate(*scene.users[role]),
    )


async def reviewed(door: Door, scene: Scene, role: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the status of a self review."""
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    asked = await door.ask(
        f"{REVIEWS}/{kind.lower()}s",
        ("Accept", "application/json"),
        ("Content-Type", "application/json"),
        method="POST",
        body=json.dumps(body).encode(),
        tls=door.certificate(*scene.users[role]),
    )
    assert asked.status == 201, asked.reply.body
    status: dict[str, Any] = asked.json["status"]
    return status


def acts(scene: Scene) -> list[Act]:
    """Return the table: reads and writes of own, foreign, visible and hidden things."""
    config = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a-new-one"}})
    reads = [
        Act(verb, resource, group=group)
        for verb in ("list", "watch")
        for group, resource in (
            ("", "namespaces"),
            ("", "pods"),
            ("", "secrets"),
            ("apps", "deployments"),
            ("", "nodes"),
            ("storage.k8s.io", "storageclasses"),
            ("scheduling.k8s.io", "priorityclasses"),
            ("rbac.authorization.k8s.io", "clusterroles"),
            ("apiextensions.k8s.io", "customresourcedefinitions"),
        )
    ]
    tenants = [Act(verb, "tenants", group="capsule.clastix.io", version="v1beta2") for verb in ("list", "watch")]
    named = [
        Act(verb, "namespaces", name)
        for verb in ("get", "patch", "delete")
        for name in (scene.own, scene.foreign, "kube-system")
    ]
    within = [
        Act(verb, "configmaps", name, namespace, body=config if verb == "create" else "{}")
        for namespace in (scene.own, scene.foreign)
        for verb, name in (
            ("list", ""),
            ("watch", ""),
            ("create", ""),
            ("get", "kube-root-ca.crt"),
            ("patch", "kube-root-ca.crt"),
            ("delete", "kube-root-ca.crt"),
            ("deletecollection", ""),
        )
    ]
    classes = [
        Act(verb, "storageclasses", name, group="storage.k8s.io")
        for verb in ("get", "patch", "delete")
        for name in (scene.shown, scene.hidden)
    ]
    wide = [
        Act("deletecollection", "storageclasses", group="storage.k8s.io"),
        Act("deletecollection", "namespaces"),
        Act("create", "nodes", body=json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a-node"}})),
    ]
    return [*reads, *tenants, *named, *within, *classes, *wide]


def shows_nothing(role: str, act: Act, asked: Asked) -> bool:
    """Return whether a list over all namespaces is of none, since its user sees none: empty, and said to be a no."""
    if role != "member" or act.namespace or (act.group, act.resource) not in NAMESPACED:
        return False
    assert asked.status == 200
    assert act.verb == "watch" or asked.json["items"] == []
    assert act.verb == "list" or b"ADDED" not in asked.reply.body
    return True


NAMESPACED: Final = {("", "pods"), ("", "secrets"), ("apps", "deployments")}


async def attempted(door: Door, scene: Scene, role: str, table: list[Act]) -> dict[str, tuple[bool, bool]]:
    """Return of each act what was said of it, and whether it happened."""
    found = {}
    for act in table:
        status = await reviewed(door, scene, role, "SelfSubjectAccessReview", {"resourceAttributes": act.attributes})
        asked = await done(door, scene, role, act)
        assert asked.status < 500, (role, act)
        # Admission is another judge than the one that reviews are about: it says who it is.
        by_admission = asked.status == 403 and "admission webhook" in asked.json["message"]
        happened = (asked.status not in {401, 403, 404} or by_admission) and not shows_nothing(role, act, asked)
        found[f"{role}: {act.verb} {act.resource} {act.name} {act.namespace}"] = (status["allowed"], happened)
    return found


async def test_invariant_31_what_is_said_is_what_happens(door: Door, scene: Scene) -> None:
    """Each act of the table, for each user: a yes is done, a no is refused."""
    tried = await asyncio.gather(*(attempted(door, scene, role, acts(scene)) for role in ROLES))
    said = {key: yes for found in tried for key, (yes, _) in found.items()}
    happened = {key: yes for found in tried for key, (_, yes) in found.items()}

    differing = {key: (said[key], happened[key]) for key in said if said[key] != happened[key]}
    assert differing == {}
    assert {True, False} == set(said.values())


async def test_invariant_31_rules_tell_of_nothing_that_is_refused(door: Door, scene: Scene) -> None:
    """Each rule without wildcards that a SelfSubjectRulesReview lists for lists of cluster-wide kinds holds."""
    for role in ROLES:
        status = await reviewed(door, scene, role, "SelfSubjectRulesReview", {"namespace": scene.own})
        told = {
            (group, resource)
            for rule in status["resourceRules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            if "list" in rule["verbs"] and not rule.get("resourceNames")
        }
        assert (("", "namespaces") in told) == (role != "stranger")
        for group, resource in told & {("", "namespaces"), ("storage.k8s.io", "storageclasses"), ("", "nodes")}:
            assert (await done(door, scene, role, Act("list", resource, group=group))).status == 200


async def test_invariant_31_nonsense_is_refused_as_upstream(door: Door, scene: Scene) -> None:
    for spec in ({}, {"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"path": "/", "verb": "get"}}):
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
        asked = await door.ask(
            f"{REVIEWS}/selfsubjectaccessreviews",
            ("Content-Type", "application/json"),
            method="POST",
            body=json.dumps(body).encode(),
            tls=door.certificate(*scene.users["owner"]),
        )
        assert asked.status in {400, 422}

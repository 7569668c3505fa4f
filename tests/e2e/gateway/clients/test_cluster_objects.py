"""Writes on visible nodes and classes (8.4), and what the API server's own audit log says of whoever wrote."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from teams import Team, made, manifest

from tenantry.controlplane.cluster import ControlPlane
from tenantry.kube.resources import TENANTS
from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata"}],
}
GATEWAY = "system:serviceaccount:capsule-system:capsule-proxy"
EVERYTHING = ["List", "Update", "Delete"]


@dataclass(frozen=True, slots=True)
class Audited:
    """A cluster whose API server keeps an audit log, and a gateway before it."""

    platform: Platform
    gateway: Gateway
    world: World
    log: Path

    def events(self) -> list[dict[str, Any]]:
        """Return what the API server recorded so far of requests for objects."""
        recorded = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [each for each in recorded if "objectRef" in each]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def audited(tmp_path_factory: pytest.TempPathFactory, unique: Any) -> AsyncIterator[Audited]:
    """A control plane of its own: only there the API server's arguments are ours."""
    folder = tmp_path_factory.mktemp("audited")
    (folder / "policy.yaml").write_text(yaml.safe_dump(POLICY))
    arguments = (
        f"--audit-policy-file={folder / 'policy.yaml'}",
        f"--audit-log-path={folder / 'audit.log'}",
        "--audit-log-mode=blocking-strict",
    )
    plane = await ControlPlane.start(folder / "control-plane", nodes=("node-1",), api_server_arguments=arguments)
    platform = await Platform.start(plane, folder / "platform")
    impersonation = {"identity": {"impersonation": {"enabled": True}}}
    gateway = await Gateway.start(platform, folder / "gw", configuration=impersonation)
    async with World(platform, unique) as world:
        yield Audited(platform, gateway, world, folder / "audit.log")
    await gateway.stop()
    await platform.stop()
    await plane.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def team(audited: Audited) -> Team:
    """A team whose tenant selects nodes and classes by a label of its own."""
    name = audited.world.unique("team")
    selected = {"matchLabels": {"for": name}}
    return await made(
        audited.world,
        audited.gateway,
        nodeSelector={"for": name},
        storageClasses=selected,
        priorityClasses=selected,
        runtimeClasses=selected,
        ingressOptions={"allowedClasses": selected},
    )


KINDS = {
    "Nodes": ("node", manifest("Node", "NAME")),
    "StorageClasses": (
        "storageclass",
        manifest("StorageClass", "NAME", version="storage.k8s.io/v1", provisioner="example.org/disk"),
    ),
    "PriorityClasses": ("priorityclass", manifest("PriorityClass", "NAME", version="scheduling.k8s.io/v1", value=1)),
    "RuntimeClasses": ("runtimeclass", manifest("RuntimeClass", "NAME", version="node.k8s.io/v1", handler="runc")),
    "IngressClasses": (
        "ingressclass",
        manifest("IngressClass", "NAME", version="networking.k8s.io/v1", spec={"controller": "example.org/it"}),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_each_operation_opens_its_writes(audited: Audited, team: Team, kind: str) -> None:
    """R-035: List shows, Update labels, Delete deletes; each alone does not open the next, and others stay closed."""
    resource, mine, foreign = await _objects(audited, team, kind)
    label, delete = ("label", resource, mine, "seen=yes"), ("delete", resource, mine, "--dry-run=server")
    said = []
    for operations in (["List"], ["List", "Update"], EVERYTHING):
        await _open(audited, team, kind, mine, operations)
        said.append([(await team.kubectl(*each, check=False)).code for each in (label, delete)])
    others = [await team.kubectl("label", resource, foreign, "x=y", check=False)]
    others.append(await team.kubectl("delete", resource, foreign, check=False))
    await team.kubectl("delete", resource, mine)
    left = await audited.platform.kubectl("get", resource, mine, "--ignore-not-found")

    assert said == [[1, 1], [0, 1], [0, 0]]
    assert ["(NotFound)" in each.stderr for each in others] == [True, True]
    assert left.stdout == ""


async def test_a_visible_node_is_labelled_tainted_and_cordoned(audited: Audited, team: Team) -> None:
    """8.4: under the user's own name; the right to update a node is no right to delete it."""
    _, node, _ = await _objects(audited, team, "Nodes")
    await _open(audited, team, "Nodes", node, ["List", "Update"])
    for command in (
        ("label", "node", node, "seen=yes"),
        ("annotate", "node", node, "note=read"),
        ("taint", "node", node, "a=b:NoSchedule"),
        ("cordon", node),
        ("uncordon", node),
        ("drain", node, "--dry-run=client"),
        ("taint", "node", node, "a=b:NoSchedule-"),
    ):
        await team.kubectl(*command)
    refused = await team.kubectl("delete", "node", node, check=False)
    patches = [each for each in audited.events() if each["objectRef"].get("name") == node and each["verb"] == "patch"]
    events = [each for each in patches if each["user"]["username"] == GATEWAY]

    assert "Error from server (Forbidden)" in refused.stderr
    assert f'User "{team.owner}" cannot delete resource "nodes"' in refused.stderr
    assert len(events) >= 6
    assert {each["impersonatedUser"]["username"] for each in events} == {team.owner}
    assert {"tenantry:gateway:nodes:update" in each["impersonatedUser"]["groups"] for each in events} == {True}


async def test_the_api_servers_audit_names_the_user(audited: Audited, team: Team) -> None:
    """Every write is the user's, and the gateway writes nothing but its own kinds' status under its own name."""
    space = ("-n", team.namespace)
    await team.kubectl("create", "configmap", "one", *space)
    await team.kubectl("label", "configmap", "one", "seen=yes", *space)
    await team.kubectl("get", "configmaps", "-A")
    await team.kubectl("auth", "can-i", "create", "pods", *space)
    await team.kubectl("delete", "configmap", "one", *space)
    writes = {"create", "update", "patch", "delete", "deletecollection"}
    events = [each for each in audited.events() if each["user"]["username"] == GATEWAY and each["verb"] in writes]
    own = {
        (each["verb"], each["objectRef"]["resource"], each["objectRef"].get("subresource", ""))
        for each in events
        if "impersonatedUser" not in each
    }
    mine = [
        (each["verb"], each["impersonatedUser"]["username"])
        for each in events
        if each["objectRef"].get("name") == "one" and each["objectRef"].get("namespace") == team.namespace
    ]

    assert mine == [(verb, team.owner) for verb in ("create", "patch", "delete")]
    assert own <= {
        ("create", "subjectaccessreviews", ""),
        ("create", "tokenreviews", ""),
        ("patch", "proxysettings", "status"),
        ("patch", "globalproxysettings", "status"),
    }


async def test_reads_over_all_namespaces_are_the_users(audited: Audited, team: Team) -> None:
    """8.3.5: the gateway's own account reads nothing that is in namespaces but who is bound where."""
    await team.kubectl("get", "secrets,pods,configmaps", "-A")
    own = {
        each["objectRef"]["resource"]
        for each in audited.events()
        if each["user"]["username"] == GATEWAY and "impersonatedUser" not in each and "namespace" in each["objectRef"]
    }
    theirs = [
        each["objectRef"]["resource"]
        for each in audited.events()
        if each.get("impersonatedUser", {}).get("username") == team.owner and each["verb"] == "list"
    ]

    # In single namespaces: the CA of client certificates, and the bindings of namespaces that were just made.
    assert own <= {"configmaps", "rolebindings", "namespaces"}
    assert {"secrets", "pods", "configmaps"} <= set(theirs)


async def test_who_acts_as_somebody_is_told(audited: Audited, team: Team) -> None:
    """R-025: with ``--as`` the API server's audit has both, the one who acted in an extra."""
    helper = audited.world.unique("helper")
    rules = [{"apiGroups": [""], "resources": ["users", "groups"], "verbs": ["impersonate"]}]
    group = "rbac.authorization.k8s.io"
    for each in (
        manifest("ClusterRole", helper, version=f"{group}/v1", rules=rules),
        manifest(
            "ClusterRoleBinding",
            helper,
            version=f"{group}/v1",
            roleRef={"apiGroup": group, "kind": "ClusterRole", "name": helper},
            subjects=[{"apiGroup": group, "kind": "User", "name": helper}],
        ),
    ):
        await audited.platform.kubectl("apply", "-f", "-", stdin=json.dumps(each))
    kubeconfig = audited.gateway.user(helper, ("support",))
    acting = ("--as", team.owner, "--as-group", "projectcapsule.dev")
    await audited.gateway.kubectl("create", "configmap", "helped", "-n", team.namespace, *acting, user=kubeconfig)
    (event,) = [
        each
        for each in audited.events()
        if each["objectRef"].get("name") == "helped" and each["objectRef"].get("namespace") == team.namespace
    ]

    assert event["user"]["username"] == GATEWAY
    assert event["impersonatedUser"]["username"] == team.owner
    assert event["impersonatedUser"]["extra"]["tenantry.dev/original-user"] == [helper]


async def _objects(audited: Audited, team: Team, kind: str) -> tuple[str, str, str]:
    """Make an object that the team's tenant selects and one that it does not; return the kind and both names."""
    resource, template = KINDS[kind]
    names = audited.world.unique("mine"), audited.world.unique("foreign")
    selected = (await audited.world.admin.get(TENANTS, team.tenant)).spec.node_selector
    for name, labels in zip(names, (selected, {}), strict=True):
        body = {**template, "metadata": {"name": name, "labels": labels}}
        await audited.platform.kubectl("apply", "-f", "-", stdin=json.dumps(body))
    return resource, *names


async def _open(audited: Audited, team: Team, kind: str, name: str, operations: list[str]) -> None:
    """Have the team's owner allowed *operations*; return when the last of them works on *name*."""
    resource = KINDS[kind][0]
    await audited.world.edit_tenant(
        team.tenant,
        {"owners": [{"kind": "User", "name": team.owner, "proxySettings": [{"kind": kind, "operations": operations}]}]},
    )
    question = {
        "List": ("get", resource, name),
        "Update": ("label", resource, name, "x=y", "--dry-run=server"),
        "Delete": ("delete", resource, name, "--dry-run=server"),
    }[operations[-1]]

    async def in_force() -> bool:
        return (await team.kubectl(*question, check=False)).code == 0

    await audited.world.eventually(in_force)

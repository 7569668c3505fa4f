"""Writes with kubectl: whatever is not a read of all is decided by the cluster's own RBAC, under the user's name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest_asyncio
from teams import Team, made, manifest

from tenantry.api.labels import TENANT
from tenantry.gateway.verdicts.wire import bytes_field, enveloped, text_field
from tenantry.kube.client import Client
from tenantry.kube.config import load_config
from tenantry.kube.resources import CONFIG_MAPS
from tenantry.testing.gateway import Gateway
from tenantry.testing.world import World

SHOP = "registry.example.org/shop"


@pytest_asyncio.fixture(loop_scope="session")
async def team(world: World, gateway: Gateway) -> AsyncIterator[Team]:
    """A team with one namespace."""
    yield await made(world, gateway)


async def test_apply_creates_changes_and_takes_away(team: Team) -> None:
    """``apply`` and ``diff``, by the client and by the server, as directly."""
    space = ("-n", team.namespace, "-f", "-")
    first, second = (
        json.dumps(manifest("ConfigMap", "settings", data=data)) for data in ({"a": "1", "b": "1"}, {"a": "2"})
    )
    said = [
        (await team.kubectl("apply", *space, stdin=first)).stdout.strip(),
        (await team.kubectl("apply", *space, stdin=first)).stdout.strip(),
        (await team.kubectl("apply", *space, stdin=second)).stdout.strip(),
        (await team.kubectl("apply", "--dry-run=server", *space, stdin=first)).stdout.strip(),
    ]
    differs = await team.kubectl("diff", *space, stdin=first, check=False)
    stored = json.loads((await team.kubectl("get", "cm", "settings", "-n", team.namespace, "-o", "json")).stdout)

    assert said == [
        "configmap/settings created",
        "configmap/settings unchanged",
        "configmap/settings configured",
        "configmap/settings configured (server dry run)",
    ]
    assert (differs.code, stored["data"]) == (1, {"a": "2"})
    assert "+  b: " in differs.stdout


async def test_server_side_apply_keeps_managers_apart(team: Team) -> None:
    """Field managers and conflicts are the API server's, ``--force-conflicts`` too."""
    space = ("--server-side", "-n", team.namespace, "-f", "-")
    mine, theirs = (json.dumps(manifest("ConfigMap", "shared", data={"key": value})) for value in ("mine", "theirs"))
    await team.kubectl("apply", "--field-manager=one", *space, stdin=mine)
    conflict = await team.kubectl("apply", "--field-manager=two", *space, stdin=theirs, check=False)
    forced = await team.kubectl("apply", "--field-manager=two", "--force-conflicts", *space, stdin=theirs)

    assert 'conflict with "one": .data.key' in conflict.stderr
    assert forced.stdout == "configmap/shared serverside-applied\n"


async def test_create_edit_patch_replace_delete(team: Team) -> None:
    """One object's life, through each verb that kubectl has for it."""
    space = ("-n", team.namespace)
    await team.kubectl("create", "configmap", "life", "--from-literal=stage=born", *space)
    again = await team.kubectl("create", "configmap", "life", *space, check=False)
    async with team.running("edit", "configmap", "life", *space, KUBE_EDITOR="sed -i s/born/edited/") as edit:
        assert (await edit.ended(), edit.lines) == (0, ["configmap/life edited"])
    for kind, patch in (
        ("merge", '{"data":{"merged":"1"}}'),
        ("json", '[{"op":"add","path":"/data/json","value":"1"}]'),
        ("strategic", '{"metadata":{"annotations":{"strategic":"1"}}}'),
    ):
        await team.kubectl("patch", "configmap", "life", *space, f"--type={kind}", "-p", patch)
    await team.kubectl("label", "configmap", "life", "tier=gold", *space)
    before = json.loads((await team.kubectl("get", "configmap", "life", *space, "-o", "json")).stdout)
    replaced = {**before, "data": {"stage": "replaced"}}
    await team.kubectl("replace", *space, "-f", "-", stdin=json.dumps(replaced))
    after = json.loads((await team.kubectl("get", "configmap", "life", *space, "-o", "json")).stdout)
    stale = await team.kubectl("replace", *space, "-f", "-", stdin=json.dumps(before), check=False)
    await team.kubectl("delete", "configmap", "life", *space)
    gone = await team.kubectl("get", "configmap", "life", *space, check=False)

    assert again.stderr == 'error: failed to create configmap: configmaps "life" already exists\n'
    assert before["data"] == {"stage": "edited", "merged": "1", "json": "1"}
    assert (before["metadata"]["annotations"]["strategic"], before["metadata"]["labels"]["tier"]) == ("1", "gold")
    assert after["data"] == {"stage": "replaced"}
    assert "Error from server (Conflict)" in stale.stderr
    assert gone.stderr == 'Error from server (NotFound): configmaps "life" not found\n'


async def test_a_deployment_rolls_out_scales_and_goes(team: Team) -> None:
    """``rollout``, ``wait``, ``scale``, ``set image``, ``expose`` and ``delete --wait`` follow the real controllers."""
    space = ("-n", team.namespace)
    await team.kubectl("create", "deployment", "shop", f"--image={SHOP}:1", "--replicas=2", *space)
    rolled = await team.kubectl("rollout", "status", "deployment/shop", "--timeout=60s", *space)
    await team.kubectl("wait", "deployment/shop", "--for=condition=Available", "--timeout=60s", *space)
    await team.kubectl("set", "image", "deployment/shop", f"shop={SHOP}:2", *space)
    await team.kubectl("rollout", "status", "deployment/shop", "--timeout=60s", *space)
    history = await team.kubectl("rollout", "history", "deployment/shop", *space)
    await team.kubectl("rollout", "undo", "deployment/shop", *space)
    await team.kubectl("scale", "deployment/shop", "--replicas=1", *space)
    await team.kubectl("wait", "deployment/shop", "--for=jsonpath={.status.replicas}=1", "--timeout=60s", *space)
    await team.kubectl("expose", "deployment/shop", "--port=80", *space)
    everywhere = await team.kubectl("get", "deployments,services", "-A", "-o", "name")
    await team.kubectl("delete", "deployment", "shop", "--cascade=foreground", "--timeout=60s", *space)
    left = await team.kubectl("get", "pods,replicasets", "-n", team.namespace, "-l", "app=shop", "-o", "name")

    assert 'deployment "shop" successfully rolled out' in rolled.stdout
    assert [row.split()[0] for row in history.stdout.splitlines()[2:] if row] == ["1", "2"]
    assert everywhere.stdout.split() == ["deployment.apps/shop", "service/shop"]
    assert left.stdout == ""


async def test_many_deletions_at_once(team: Team) -> None:
    """``delete --all`` and a collection's deletion spare what is elsewhere."""
    await asyncio.gather(
        *(team.kubectl("create", "configmap", f"one-of-{number}", "-n", team.namespace) for number in range(3))
    )
    await team.kubectl("label", "configmap", "one-of-0", "keep=yes", "-n", team.namespace)
    await team.kubectl(
        "delete",
        "configmap",
        "-l",
        "keep!=yes",
        "-n",
        team.namespace,
        "--field-selector=metadata.name!=kube-root-ca.crt",
    )
    left = await team.kubectl("get", "configmap", "-n", team.namespace, "-o", "name")
    everywhere = await team.kubectl("delete", "configmap", "--all", "-A", check=False)

    assert left.stdout.split() == ["configmap/kube-root-ca.crt", "configmap/one-of-0"]
    assert (everywhere.code, "one-of-0" in everywhere.stdout) == (0, True)


async def test_the_owners_namespaces_come_and_go(team: Team) -> None:
    """``create ns``, then ``get ns`` at once (8.3.4), then ``delete ns --wait``."""
    name = f"{team.namespace}-more"
    created = json.dumps(manifest("Namespace", name))
    await team.kubectl("create", "-f", "-", stdin=created)
    seen = await team.kubectl("get", "namespace", name, "-o", "name")
    await team.kubectl("label", "namespace", name, "stage=test")
    await team.kubectl("delete", "namespace", name, "--timeout=60s")
    gone = await team.kubectl("get", "namespace", name, check=False)

    assert seen.stdout == f"namespace/{name}\n"
    assert gone.stderr == f'Error from server (NotFound): namespaces "{name}" not found\n'


async def test_what_rbac_refuses_is_refused_under_the_users_own_name(team: Team) -> None:
    """Writes outside: the API server's own 403, with the user's name and not the gateway's."""
    attempts = (
        ("create", "configmap", "x", "-n", "default"),
        ("delete", "namespace", "default"),
        ("create", "clusterrole", "x", "--verb=get", "--resource=pods"),
        ("delete", "pod", "x", "-n", "kube-system"),
    )
    refused = [(await team.kubectl(*each, check=False)).stderr for each in attempts]

    assert [f'User "{team.owner}" cannot' in each or "not found" in each for each in refused] == [True] * len(attempts)
    assert "capsule-proxy" not in "".join(refused)


async def test_create_before_the_namespace_is_there(team: Team) -> None:
    """8.5: a read in a namespace that does not exist is NotFound, so ``apply`` says that, and not Forbidden."""
    missing = f"{team.namespace}-missing"
    got = await team.kubectl("get", "configmap", "settings", "-n", missing, check=False)
    listed = await team.kubectl("get", "configmaps", "-n", missing)
    applied = await team.kubectl(
        "apply", "-n", missing, "-f", "-", stdin=json.dumps(manifest("ConfigMap", "settings")), check=False
    )

    assert got.stderr == f'Error from server (NotFound): namespaces "{missing}" not found\n'
    assert (listed.code, listed.stdout) == (0, "")
    assert "Forbidden" in applied.stderr
    assert "cannot create resource" in applied.stderr


async def test_a_namespace_and_what_is_in_it_in_one_manifest(team: Team) -> None:
    """The owner's rights in a new namespace are there when its creation is told of, however it is made."""
    applied = []
    for number, way in enumerate(((), ("--server-side",))):
        name = f"{team.namespace}-whole-{number}"
        inside = manifest("ConfigMap", "settings", data={"a": "1"})
        inside["metadata"]["namespace"] = name
        whole = json.dumps({"apiVersion": "v1", "kind": "List", "items": [manifest("Namespace", name), inside]})
        applied.append((await team.kubectl("apply", *way, "-f", "-", stdin=whole)).stdout.splitlines())

    assert applied == [
        [f"namespace/{team.namespace}-whole-0 created", "configmap/settings created"],
        [f"namespace/{team.namespace}-whole-1 serverside-applied", "configmap/settings serverside-applied"],
    ]


async def test_a_namespace_made_by_protobuf(team: Team) -> None:
    """The same for clients that speak protobuf, as Go's typed ones do."""
    name = f"{team.namespace}-protobuf"
    meta = text_field(1, name) + bytes_field(11, text_field(1, TENANT) + text_field(2, team.tenant))
    body, form = enveloped("v1", "Namespace", bytes_field(1, meta)), "application/vnd.kubernetes.protobuf"
    async with Client(load_config(kubeconfig=str(team.kubeconfig))) as client:
        headers = {"Content-Type": form, "Accept": form}
        await client.request("POST", "/api/v1/namespaces", body=body, headers=headers)
        made_at_once = await client.create(CONFIG_MAPS, manifest("ConfigMap", "settings"), namespace=name)

    assert made_at_once.metadata.name == "settings"

"""R-034, R-035, 8.4, 8.5: nodes, classes and volumes that tenants select, by the operations of ``proxySettings``."""

from __future__ import annotations

from typing import Any

import pytest
from caller import Caller, within
from stage import Stage, user

NODES, VOLUMES = "/api/v1/nodes", "/api/v1/persistentvolumes"
STORAGE = "/apis/storage.k8s.io/v1/storageclasses"
INGRESS = "/apis/networking.k8s.io/v1/ingressclasses"
PRIORITY = "/apis/scheduling.k8s.io/v1/priorityclasses"
RUNTIME = "/apis/node.k8s.io/v1/runtimeclasses"
BODIES: dict[str, dict[str, Any]] = {
    STORAGE: {"provisioner": "example.org/none"},
    INGRESS: {"spec": {"controller": "example.org/none"}},
    PRIORITY: {"value": 1},
    RUNTIME: {"handler": "none"},
    NODES: {},
    VOLUMES: {
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/nowhere"},
        }
    },
}
KINDS = {
    STORAGE: "StorageClasses",
    INGRESS: "IngressClasses",
    PRIORITY: "PriorityClasses",
    RUNTIME: "RuntimeClasses",
    NODES: "Nodes",
    VOLUMES: "PersistentVolumes",
}
TEXTS = {
    STORAGE: "storageclasses.storage.k8s.io",
    INGRESS: "ingressclasses.networking.k8s.io",
    PRIORITY: "priorityclasses.scheduling.k8s.io",
    RUNTIME: "runtimeclasses.node.k8s.io",
    NODES: "nodes",
    VOLUMES: "persistentvolumes",
}
EVERY = list(KINDS)


def spec_for(path: str, allowed: dict[str, Any]) -> dict[str, Any]:
    """The part of a tenant's spec that limits a kind of class."""
    return {
        STORAGE: {"storageClasses": allowed},
        INGRESS: {"ingressOptions": {"allowedClasses": allowed}},
        PRIORITY: {"priorityClasses": allowed},
        RUNTIME: {"runtimeClasses": allowed},
    }[path]


def owner(name: str, path: str, *operations: str) -> dict[str, Any]:
    """An owner with operations on a kind."""
    return {**user(name), "proxySettings": [{"kind": KINDS[path], "operations": list(operations)}]}


def missing(path: str, name: str) -> tuple[int, str, str]:
    """The API server's refusal of what is not there."""
    return 404, "NotFound", f'{TEXTS[path]} "{name}" not found'


async def object_of(stage: Stage, path: str, *, name: str | None = None, **match_labels: str) -> str:
    """Make a class, node or volume, without any label unless told; return its name."""
    body = {**BODIES[path], "metadata": {"labels": match_labels} if match_labels else {}}
    return str((await stage.make(path, body, name=name))["metadata"]["name"])


async def selected(stage: Stage, path: str, *operations: str) -> tuple[Caller, str, str]:
    """An owner with operations, an object of the kind that the tenant selects, and one that it does not."""
    name, mark = stage.unique("user"), stage.unique("mark")
    other = await object_of(stage, path, name=stage.unique("other"))
    if path == VOLUMES:
        tenant = await stage.tenant(owner(name, path, *operations))
        return stage.user(name), await object_of(stage, path, **{"capsule.clastix.io/tenant": tenant}), other
    if path == NODES:
        await stage.tenant(owner(name, path, *operations), nodeSelector={"pool": mark})
    else:
        await stage.tenant(owner(name, path, *operations), **spec_for(path, {"matchLabels": {"pool": mark}}))
    return stage.user(name), await object_of(stage, path, pool=mark), other


@pytest.mark.parametrize("path", EVERY, ids=KINDS.get)
async def test_list_shows_what_the_tenant_selects_and_changes_nothing(stage: Stage, path: str) -> None:
    """List: the list and named reads; the rest is not there, changes are RBAC's to refuse."""
    caller, own, other = await selected(stage, path, "List")

    await stage.shows(lambda: caller.names(path), [own])
    assert (await caller.ask(f"{path}/{own}")).body["metadata"]["name"] == own
    assert await caller.refused(f"{path}/{other}") == missing(path, other)
    assert await caller.refused(f"{path}/nowhere") == missing(path, "nowhere")
    labelled = {"metadata": {"labels": {"changed": "yes"}}}
    assert (await caller.patch(f"{path}/{own}", labelled)).refusal[:2] == (403, "Forbidden")
    assert (await caller.delete(f"{path}/{own}")).refusal[:2] == (403, "Forbidden")
    assert (await caller.patch(f"{path}/{other}", labelled)).refusal == missing(path, other)
    assert (await caller.delete(f"{path}/{other}")).refusal == missing(path, other)
    assert (await caller.delete(path)).refusal[:2] == (403, "Forbidden")
    assert (await caller.create(path, {**BODIES[path], "metadata": {"name": "new"}})).refusal[:2] == (403, "Forbidden")


@pytest.mark.parametrize("path", EVERY, ids=KINDS.get)
async def test_without_an_operation_nothing_is_there(stage: Stage, path: str) -> None:
    """An empty list for owners whose kind is another, or whose operations lack List."""
    caller, own, _ = await selected(stage, path, "Update", "Delete")

    assert await caller.names(path) == []
    assert await caller.refused(f"{path}/{own}") == missing(path, own)
    assert (await caller.delete(f"{path}/{own}")).refusal == missing(path, own)
    assert await stage.user().names(path) == []
    stranger = stage.user(groups=("visitors",))
    assert (await stranger.refused(path))[:2] == (403, "Forbidden")


@pytest.mark.parametrize("path", EVERY, ids=KINDS.get)
async def test_update_and_delete_act_on_what_is_selected(stage: Stage, path: str) -> None:
    """PATCH and PUT need Update, DELETE needs Delete; the stranger's object stays out of reach."""
    caller, own, other = await selected(stage, path, "List", "Update")
    labelled = {"metadata": {"labels": {"changed": "yes"}}}

    reply = await caller.patch(f"{path}/{own}", labelled)
    assert (reply.status, reply.body["metadata"]["labels"]["changed"]) == (200, "yes")
    body = {**reply.body, "metadata": {**reply.body["metadata"], "annotations": {"put": "yes"}}}
    replaced = await caller.ask(f"{path}/{own}", method="PUT", body=body)
    assert (replaced.status, replaced.body["metadata"]["annotations"]["put"]) == (200, "yes")
    assert (await caller.delete(f"{path}/{own}")).refusal[:2] == (403, "Forbidden")
    assert (await caller.patch(f"{path}/{other}", labelled)).refusal == missing(path, other)

    caller, own, other = await selected(stage, path, "List", "Delete")
    assert (await caller.patch(f"{path}/{own}", labelled)).refusal[:2] == (403, "Forbidden")
    assert (await caller.delete(f"{path}/{other}")).refusal == missing(path, other)
    dry = await caller.delete(f"{path}/{own}", dryRun="All")
    assert (dry.status, (await caller.ask(f"{path}/{own}")).status) == (200, 200)
    assert (await caller.delete(f"{path}/{own}")).status == 200
    # A volume goes when its protection is taken off it.
    await within(20, lambda: caller.refused(f"{path}/{own}"), missing(path, own))
    await stage.shows(lambda: caller.names(path), [])


@pytest.mark.parametrize("path", [STORAGE, INGRESS, PRIORITY, RUNTIME], ids=KINDS.get)
async def test_classes_are_chosen_by_name_expression_label_and_default(stage: Stage, path: str) -> None:
    """By their real names: none of them carries a label that tells it (the label trap)."""
    mark, name = stage.unique("mark"), stage.unique("user")
    exact = await object_of(stage, path, name=f"{mark}-exact")
    ones = sorted([await object_of(stage, path, name=f"{mark}-re-{each}") for each in ("a", "b")])
    labelled = await object_of(stage, path, name=f"{mark}-labelled", **{mark: "yes"})
    default = await object_of(stage, path, name=f"{mark}-default")
    foreign = await object_of(stage, path, name=f"{mark}-foreign")
    allowed: dict[str, Any] = {
        "allowed": [exact, f"{mark}-missing"],
        "allowedRegex": f"^{mark}-re-.*$",
        "matchLabels": {mark: "yes"},
    }
    wanted = {exact, *ones, labelled}
    if path != RUNTIME:
        allowed["default"] = default
        wanted.add(default)
    else:
        allowed["matchExpressions"] = []
    await stage.tenant(owner(name, path, "List"), **spec_for(path, allowed))
    caller = stage.user(name)

    assert await caller.names(path) == sorted(wanted)
    assert [(await caller.ask(f"{path}/{each}")).status for each in sorted(wanted)] == [200] * len(wanted)
    assert await caller.refused(f"{path}/{foreign}") == missing(path, foreign)
    assert await caller.names(path, labelSelector=f"{mark}=yes") == [labelled]
    late = await object_of(stage, path, name=f"{mark}-re-late")
    await stage.shows(lambda: caller.names(path), sorted({*wanted, late}))


@pytest.mark.parametrize("path", [STORAGE, INGRESS, PRIORITY, RUNTIME], ids=KINDS.get)
async def test_a_tenant_that_is_not_limited_sees_every_class(stage: Stage, path: str) -> None:
    """What its objects may name, its owners may see."""
    name = stage.unique("user")
    own = await object_of(stage, path)
    await stage.tenant(owner(name, path, "List"))
    caller = stage.user(name)

    async def everything() -> bool:
        seen = await caller.names(path)
        return own in seen and seen == sorted(await stage.admin.names(path))

    await stage.world.eventually(everything)


async def test_without_a_node_selector_all_nodes_are_the_tenants(stage: Stage) -> None:
    """1.8: an empty selector is every node."""
    name = stage.unique("user")
    node = await object_of(stage, NODES)
    await stage.tenant(owner(name, NODES, "List"))
    caller = stage.user(name)

    async def everything() -> bool:
        seen = await caller.names(NODES)
        return node in seen and seen == sorted(await stage.admin.names(NODES))

    await stage.world.eventually(everything)


async def test_selectors_of_several_tenants_do_not_combine(stage: Stage) -> None:
    """1.18 p: a node of one tenant's pool and the other's zone is neither's."""
    name, mark = stage.unique("user"), stage.unique("mark")
    for pool in ("a", "b"):
        await stage.tenant(
            owner(name, NODES, "List"), nodeSelector={"pool": f"{mark}-{pool}", "zone": f"{mark}-{pool}"}
        )
    made = {
        (pool, zone): await object_of(stage, NODES, pool=f"{mark}-{pool}", zone=f"{mark}-{zone}")
        for pool in ("a", "b")
        for zone in ("a", "b")
    }
    caller = stage.user(name)

    assert await caller.names(NODES) == sorted([made["a", "a"], made["b", "b"]])
    assert await caller.refused(f"{NODES}/{made['a', 'b']}") == missing(NODES, made["a", "b"])


async def test_nodes_are_labelled_tainted_cordoned_with_kubectl(stage: Stage) -> None:
    """8.4 with the commands that people use; the API server is told who it was."""
    caller, node, other = await selected(stage, NODES, "List", "Update", "Delete")
    kubectl, who = stage.gateway.kubectl, caller.kubeconfig
    await stage.shows(lambda: caller.names(NODES), [node])
    for command in (
        ("label", "node", node, "tier=gold"),
        ("taint", "node", node, "only=us:NoSchedule"),
        ("cordon", node),
        ("uncordon", node),
        ("annotate", "node", node, "a=b"),
        ("delete", "node", node, "--dry-run=server"),
    ):
        await kubectl(*command, user=who)
    refused = await kubectl("label", "node", other, "tier=gold", user=who, check=False)
    assert (refused.code, refused.stderr) == (1, f'Error from server (NotFound): nodes "{other}" not found\n')
    stored = (await stage.admin.ask(f"{NODES}/{node}")).body
    assert (stored["metadata"]["labels"]["tier"], stored["metadata"]["annotations"]["a"]) == ("gold", "b")
    assert [(each["key"], each["value"]) for each in stored["spec"]["taints"] if each["key"] == "only"] == [
        ("only", "us")
    ]


async def test_nodes_are_shown_and_described_with_kubectl(stage: Stage) -> None:
    """R-043: the table, and describe with the node's pods and lease."""
    caller, node, other = await selected(stage, NODES, "List")
    kubectl, who = stage.gateway.kubectl, caller.kubeconfig
    await stage.shows(lambda: caller.names(NODES), [node])

    table = (await kubectl("get", "nodes", user=who)).stdout.splitlines()
    assert [line.split()[0] for line in table] == ["NAME", node]
    assert (await kubectl("describe", "node", node, user=who)).stdout.splitlines()[0].split() == ["Name:", node]
    for command in (("get", "node", other), ("describe", "node", other)):
        refused = await kubectl(*command, user=who, check=False)
        assert (refused.code, refused.stderr) == (1, f'Error from server (NotFound): nodes "{other}" not found\n')


async def test_what_a_tenant_selects_changes_with_it(stage: Stage) -> None:
    """A class that is no longer allowed goes, from the list and by name; an operation that is taken, too."""
    name = stage.unique("user")
    one, two = sorted([await object_of(stage, STORAGE) for _ in range(2)])
    tenant = await stage.tenant(owner(name, STORAGE, "List"), storageClasses={"allowed": [one]})
    caller = stage.user(name)
    assert await caller.names(STORAGE) == [one]

    await stage.world.edit_tenant(tenant, {"storageClasses": {"allowed": [two]}})

    await stage.shows(lambda: caller.names(STORAGE), [two])
    await stage.shows(lambda: caller.refused(f"{STORAGE}/{one}"), missing(STORAGE, one))
    await stage.world.edit_tenant(tenant, {"owners": [user(name)]})
    await stage.shows(lambda: caller.names(STORAGE), [])
    await stage.shows(lambda: caller.refused(f"{STORAGE}/{two}"), missing(STORAGE, two))


async def test_persistent_volumes_of_several_tenants(stage: Stage) -> None:
    """Each volume by the label of its tenant, in name order."""
    name = stage.unique("user")
    tenants = [await stage.tenant(owner(name, VOLUMES, "List")) for _ in range(2)]
    foreign = await stage.tenant(user(stage.unique("other")))
    label = "capsule.clastix.io/tenant"
    own = [await object_of(stage, VOLUMES, **{label: each}) for each in tenants]
    theirs = await object_of(stage, VOLUMES, **{label: foreign})
    caller = stage.user(name)

    assert await caller.names(VOLUMES) == sorted(own)
    assert await caller.refused(f"{VOLUMES}/{theirs}") == missing(VOLUMES, theirs)
    await stage.change(f"{VOLUMES}/{own[0]}", {"metadata": {"labels": {label: foreign}}})
    await stage.shows(lambda: caller.names(VOLUMES), [own[1]])

"""Kinds, operations and users, on objects of a real API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.access.identity import Identity
from tenantry.gateway.knowledge.knowledge import Knowledge
from tenantry.kube import resources as kinds
from tenantry.kube.client import Client
from tenantry.kube.resources import Resource

RESOURCES: dict[str, Resource[Any]] = {
    "Nodes": kinds.NODES,
    "StorageClasses": kinds.STORAGE_CLASSES,
    "IngressClasses": kinds.INGRESS_CLASSES,
    "PriorityClasses": kinds.PRIORITY_CLASSES,
    "RuntimeClasses": kinds.RUNTIME_CLASSES,
    "PersistentVolumes": kinds.PERSISTENT_VOLUMES,
}
Objects = dict[str, dict[str, str]]
"""By kind: what stands for each object -> its name."""


async def objects(client: Client, name: str, tenant: str) -> Objects:
    """Create three objects of each kind: one to be selected by name, one by labels, and one not at all."""
    made: Objects = {}
    for kind, resource in RESOURCES.items():
        by_name, by_labels, other = (f"{name}-{each}" for each in ("named", "labelled", "other"))
        labels = {"tenant-of": name, "capsule.clastix.io/tenant": tenant}
        for each, given in ((by_name, {}), (by_labels, labels), (other, {"tenant-of": "nobody"})):
            await client.create(resource, {**BODIES[kind], "metadata": {"name": each, "labels": given}})
        made[kind] = {"named": by_name, "labelled": by_labels, "other": other}
    return made


BODIES: dict[str, dict[str, Any]] = {
    "Nodes": {},
    "StorageClasses": {"provisioner": "example.org/none"},
    "IngressClasses": {"spec": {"controller": "example.org/none"}},
    "PriorityClasses": {"value": 5},
    "RuntimeClasses": {"handler": "none"},
    "PersistentVolumes": {
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/nowhere"},
        }
    },
}
SELECTED = {
    "Nodes": ["labelled"],
    "StorageClasses": ["labelled", "named"],
    "IngressClasses": ["labelled", "named"],
    "PriorityClasses": ["labelled", "named"],
    "RuntimeClasses": ["labelled", "named"],
    "PersistentVolumes": ["labelled"],
}
NOTHING: dict[str, list[str]] = {kind: [] for kind in RESOURCES}


def spec_of(name: str, *owners: dict[str, Any]) -> dict[str, Any]:
    allowed = {"allowed": [f"{name}-named"], "matchLabels": {"tenant-of": name}}
    return {
        "owners": list(owners),
        "nodeSelector": {"tenant-of": name},
        "storageClasses": allowed,
        "priorityClasses": allowed,
        "runtimeClasses": allowed,
        "ingressOptions": {"allowedClasses": allowed},
    }


async def shown(
    knowledge: Knowledge, client: Client, made: Objects, identity: Identity
) -> dict[str, dict[str, list[str]]]:
    """Return which of the objects each operation is allowed on, by kind."""
    view = knowledge.view(identity)
    assert view is not None
    result: dict[str, dict[str, list[str]]] = {each: {} for each in ("list", "get", "update", "delete")}
    for kind, resource in RESOURCES.items():
        stored = {each.metadata.name: each.metadata.labels or {} for each in (await client.list(resource)).items}
        for operation, found in result.items():
            sight = (
                view.sight(resource.group, resource.version, resource.plural, operation)  # type: ignore[arg-type]
                if operation in {"list", "get"}
                else view.writes(resource.plural, operation)  # type: ignore[arg-type]
            )
            found[kind] = [each for each, name in sorted(made[kind].items()) if sight.shows(name, stored[name])]
    return result


def settings(*operations: str, kinds: Any = tuple(RESOURCES)) -> list[dict[str, Any]]:
    return [{"kind": kind, "operations": list(operations)} for kind in kinds]


async def test_each_kind_and_operation_for_each_user(
    admin: Any, client: Client, running: Any, unique: Callable[[str], str]
) -> None:
    name = unique("m")
    lister, writer, plain, group_user, subject, stranger = (
        f"{name}-{each}" for each in ("lister", "writer", "plain", "grouped", "subject", "stranger")
    )
    group, service_account = f"{name}-group", f"system:serviceaccount:{name}:robot"
    owners: list[dict[str, Any]] = [
        {"kind": "User", "name": lister, "proxySettings": settings("List")},
        {"kind": "User", "name": writer, "proxySettings": settings("List", "Update", "Delete")},
        {"kind": "User", "name": plain},
        {"kind": "Group", "name": group, "proxySettings": settings("List", "Delete", kinds=["Nodes"])},
        {"kind": "ServiceAccount", "name": service_account, "proxySettings": settings("Update", kinds=["Nodes"])},
    ]
    tenant = await admin.tenant(*((each["kind"], each["name"]) for each in owners), **spec_of(name, *owners))
    home = await admin.namespace(tenant)
    made = await objects(client, name, tenant)
    await admin.users(
        *(("User", each) for each in (lister, writer, plain, subject, stranger)),
        ("Group", group),
        ("ServiceAccount", service_account),
    )
    await client.create(
        kinds.PROXY_SETTINGS,
        {
            "metadata": {"name": "s", "namespace": home},
            "spec": {
                "subjects": [
                    {"kind": "User", "name": subject, "proxySettings": settings("List", kinds=["StorageClasses"])}
                ]
            },
        },
    )
    nodes, classes = NOTHING | {"Nodes": ["labelled"]}, NOTHING | {"StorageClasses": ["labelled", "named"]}
    expected = {
        Identity(user=lister): (SELECTED, SELECTED, NOTHING, NOTHING),
        Identity(user=writer): (SELECTED, SELECTED, SELECTED, SELECTED),
        Identity(user=plain): (NOTHING, NOTHING, NOTHING, NOTHING),
        Identity(user=group_user, groups=(group,)): (nodes, nodes, NOTHING, nodes),
        # Update alone is of no use: each operation needs List.
        Identity(user=service_account): (NOTHING, NOTHING, NOTHING, NOTHING),
        Identity(user=subject): (classes, classes, NOTHING, NOTHING),
        Identity(user=stranger): (NOTHING, NOTHING, NOTHING, NOTHING),
    }
    async with running() as knowledge:
        found = {each: tuple((await shown(knowledge, client, made, each)).values()) for each in expected}
        namespaces = {each: knowledge.view(each).sight("", "v1", "namespaces", "list").names for each in expected}
        tenants = {
            each: knowledge.view(each).sight("capsule.clastix.io", "v1beta2", "tenants", "list").names
            for each in expected
        }

    assert found == expected
    members = set(expected) - {Identity(user=stranger)}
    assert namespaces == {each: ({home} if each in members else frozenset()) for each in expected}
    assert tenants == {each: ({tenant} if each in members else frozenset()) for each in expected}


@pytest.mark.parametrize(
    ("rule", "listed", "got"),
    [
        ({"apiGroups": ["scheduling.k8s.io"], "resources": ["priorityclasses"]}, ["gold"], ["gold"]),
        ({"apiGroups": ["*.k8s.io"], "resources": ["*"], "operations": ["List"]}, ["gold"], ["gold"]),
        ({"apiGroups": ["scheduling.k8s.io/*"], "resources": ["*"], "operations": ["Get"]}, [], ["gold"]),
        ({"apiGroups": ["scheduling.k8s.io/v1alpha1"], "resources": ["*"]}, [], []),
        ({"apiGroups": [""], "resources": ["*"]}, [], []),
    ],
)
async def test_rules_on_real_objects(
    admin: Any, client: Client, running: Any, eventually: Any, rule: dict[str, Any], listed: list[str], got: list[str]
) -> None:
    name = admin.unique("rules")
    for each in ("gold", "tin"):
        labels = {"tier": each, "of": name}
        await client.create(
            kinds.PRIORITY_CLASSES, {"metadata": {"name": f"{name}-{each}", "labels": labels}, "value": 1}
        )
    await admin.users(("User", name))
    selector = {
        "matchLabels": {"tier": "gold"},
        "matchExpressions": [{"key": "of", "operator": "In", "values": [name]}],
    }
    spec = {
        "rules": [
            {
                "subjects": [{"kind": "User", "name": name}],
                "clusterResources": [{**rule, "selector": selector}],
            }
        ]
    }
    async with running() as knowledge:
        await client.create(kinds.GLOBAL_PROXY_SETTINGS, {"metadata": {"name": name}, "spec": spec})

        async def is_ready() -> bool:
            stored = await client.get(kinds.GLOBAL_PROXY_SETTINGS, name)
            return [(each.type, each.status) for each in stored.status.conditions] == [
                ("Ready", "True"),
                ("Readable", "True"),
            ]

        await eventually(is_ready)
        view = knowledge.view(Identity(user=name))
        assert view is not None
        stored = [each.metadata for each in (await client.list(kinds.PRIORITY_CLASSES)).items]
        seen = [
            [
                each.name.removeprefix(f"{name}-")
                for each in stored
                if view.sight("scheduling.k8s.io", "v1", "priorityclasses", operation).shows(
                    each.name, each.labels or {}
                )
            ]
            for operation in ("list", "get")
        ]

    assert seen == [listed, got]

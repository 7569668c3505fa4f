"""Reads with kubectl: what comes through the gateway is what the API server says, less what is foreign."""

from __future__ import annotations

import json
from typing import Any

import pytest
from teams import rows, rows_of

ALL_NAMESPACES = [
    ("get", "pods", "-A"),
    ("get", "pods", "-A", "-o", "wide"),
    ("get", "pods", "-A", "--show-labels"),
    ("get", "pods", "-A", "-l", "app=shop"),
    ("get", "pods", "-A", "-l", "app!=shop,app notin (x)"),
    ("get", "pods", "-A", "--field-selector", "metadata.name=two"),
    ("get", "pods", "-A", "--field-selector", "status.phase=Running", "-l", "app"),
    ("get", "pods", "-A", "--chunk-size=2"),
    ("get", "pods", "-A", "--chunk-size=1", "-o", "wide"),
    ("get", "pods", "-A", "-o", "custom-columns=NAMESPACE:.metadata.namespace,IP:.status.podIP"),
    ("get", "pods", "-A", "-L", "app"),
    ("get", "configmaps", "-A"),
    ("get", "serviceaccounts,configmaps", "-A"),
    ("get", "rolebindings", "-A", "-o", "wide"),
]


@pytest.mark.parametrize("command", ALL_NAMESPACES, ids=" ".join)
async def test_all_namespaces_are_the_owners_own(neighbours: Any, command: tuple[str, ...]) -> None:
    """R-034: ``-A`` is the API server's own answer, less the rows of other namespaces."""
    oil = neighbours.oil
    mine = await oil.kubectl(*command)
    whole = await oil.gateway.platform.kubectl(*command)

    assert rows(mine.stdout) == rows_of(whole.stdout, oil.namespaces)


NAMESPACES = [
    ("get", "namespaces"),
    ("get", "namespaces", "-o", "wide", "--show-labels"),
    ("get", "namespaces", "--chunk-size=1"),
    ("get", "namespaces", "-L", "capsule.clastix.io/tenant"),
    ("get", "namespaces", "-l", "capsule.clastix.io/tenant"),
    ("get", "namespaces", "--field-selector", "status.phase=Active"),
    ("get", "namespaces", "-o", "custom-columns=NAME:.metadata.name,PHASE:.status.phase"),
    ("get", "tenants"),
    ("get", "tenants", "-o", "wide", "--show-labels"),
]


@pytest.mark.parametrize("command", NAMESPACES, ids=" ".join)
async def test_namespaces_and_tenants_are_the_owners_own(neighbours: Any, command: tuple[str, ...]) -> None:
    """R-030, R-031: the API server's own table, less the rows of others."""
    oil = neighbours.oil
    mine = await oil.kubectl(*command)
    whole = await oil.gateway.platform.kubectl(*command)

    assert rows(mine.stdout) == rows_of(whole.stdout, (*oil.namespaces, oil.tenant))


async def test_lists_in_json_and_yaml_are_whole_objects(neighbours: Any) -> None:
    """Nothing of an object is lost on its way through a filtered list."""
    oil = neighbours.oil
    for kind in ("namespaces", "pods", "configmaps"):
        scope = () if kind == "namespaces" else ("-A",)
        mine = json.loads((await oil.kubectl("get", kind, *scope, "-o", "json")).stdout)
        whole = json.loads((await oil.gateway.platform.kubectl("get", kind, *scope, "-o", "json")).stdout)
        own = [each for each in whole["items"] if _namespace(each) in oil.namespaces]
        assert mine == {**whole, "items": own}
        printed = await oil.kubectl("get", kind, *scope, "-o", "yaml")
        assert printed.stdout.count("\n- apiVersion: ") == len(own)


@pytest.mark.parametrize("form", ["json", "yaml"])
async def test_named_objects_are_whole_objects(neighbours: Any, form: str) -> None:
    """A named read, of a namespace as of what is in it, is the API server's answer to the byte."""
    oil = neighbours.oil
    for named in (
        ("namespace", oil.namespace),
        ("tenant", oil.tenant),
        ("pod", "one", "-n", oil.namespace),
        ("configmap", "settings", "-n", oil.namespaces[1]),
    ):
        mine = await oil.kubectl("get", *named, "-o", form)
        assert mine.stdout == (await oil.gateway.platform.kubectl("get", *named, "-o", form)).stdout


async def test_what_is_foreign_looks_as_if_it_were_not_there(neighbours: Any, gateway: Any) -> None:
    """8.5: the same answer for a neighbour's namespace or tenant, and one that nobody has."""
    oil, gas = neighbours.oil, neighbours.gas
    asked = {
        ("namespace", gas.namespace): f'namespaces "{gas.namespace}" not found',
        ("namespace", "nobodys"): 'namespaces "nobodys" not found',
        ("namespace", "kube-system"): 'namespaces "kube-system" not found',
        ("tenant", gas.tenant): f'tenants.capsule.clastix.io "{gas.tenant}" not found',
        ("node", "node-1"): 'nodes "node-1" not found',
        ("storageclass", "fast"): 'storageclasses.storage.k8s.io "fast" not found',
    }
    answers = {each: (await oil.kubectl("get", *each, check=False)).stderr.strip() for each in asked}
    stranger = gateway.user("somebody", ("visitors",))
    refused = await gateway.kubectl("get", "namespace", gas.namespace, user=stranger, check=False)

    assert answers == {each: f"Error from server (NotFound): {text}" for each, text in asked.items()}
    assert "Error from server (Forbidden)" in refused.stderr  # Whoever is no tenant's user is answered by RBAC.


async def test_nothing_visible_is_an_empty_list(neighbours: Any) -> None:
    """Kinds that a Tenant or a rule may open are empty, not refused; all others are RBAC's to answer."""
    oil = neighbours.oil
    answers = [await oil.kubectl("get", kind) for kind in ("nodes", "storageclasses", "persistentvolumes")]
    other = await oil.kubectl("get", "clusterroles", check=False)

    assert [(each.code, each.stdout, each.stderr) for each in answers] == [(0, "", "No resources found\n")] * 3
    assert "Error from server (Forbidden): clusterroles.rbac.authorization.k8s.io is forbidden" in other.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("api-resources",),
        ("api-resources", "--namespaced=false", "-o", "wide"),
        ("api-versions",),
        ("explain", "tenant.spec.owners"),
        ("explain", "pod.spec.containers", "--recursive"),
        ("version", "-o", "json"),
        ("get", "--raw", "/openapi/v3"),
        ("get", "--raw", "/healthz"),
    ],
    ids=" ".join,
)
async def test_discovery_is_the_api_servers_own(neighbours: Any, command: tuple[str, ...]) -> None:
    """What a client learns about the API is the same as directly."""
    oil = neighbours.oil

    assert (await oil.kubectl(*command)).stdout == (await oil.gateway.platform.kubectl(*command)).stdout


async def test_events_of_all_namespaces(neighbours: Any) -> None:
    """``kubectl events -A`` tells of own pods alone."""
    oil = neighbours.oil
    await oil.kubectl("run", "told", "--image=registry.example.org/told:1", "-n", oil.namespace)

    async def told() -> bool:
        return "Pod/told" in (await oil.kubectl("events", "-A")).stdout

    assert await neighbours.world.eventually(told)
    namespaces = {row[0] for row in rows((await oil.kubectl("events", "-A", "--no-headers")).stdout)}
    assert namespaces <= set(oil.namespaces)


def _namespace(item: dict[str, Any]) -> str:
    metadata = item["metadata"]
    return str(metadata.get("namespace", metadata["name"]))

"""The order of docs/migration-from-capsule.md, on a cluster in the state in which Capsule leaves it."""

from __future__ import annotations

import asyncio
import copy
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tenantry.api.labels import CAPSULE_LEASE
from tenantry.controlplane.cluster import ControlPlane
from tenantry.testing.breakable import readiness
from tenantry.testing.platform import Completed, Platform

CRD: Final = "tenants.capsule.clastix.io"
CAPSULE: Final = "capsule-controller-manager-7d4b9"
NAMESPACE: Final = "capsule-system"
WEBHOOKS: Final = "capsule-dynamic-webhook"
Eventually = Callable[[Callable[[], Any]], Awaitable[None]]

TENANT: Final = {
    "apiVersion": "capsule.clastix.io/v1beta2",
    "kind": "Tenant",
    "metadata": {"name": "oil"},
    "spec": {
        "owners": [{"kind": "User", "name": "alice"}],
        "containerRegistries": {"allowed": ["registry.example.com"]},
    },
}


def entry(name: str, path: str, resource: str, operations: list[str], **more: Any) -> dict[str, Any]:
    """One of Capsule's 35, as its chart writes them into the configuration."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": operations, "resources": [resource], "scope": "*"}
    return {
        "name": f"{name}.projectcapsule.dev",
        "path": path,
        "rules": [rule],
        "admissionReviewVersions": ["v1", "v1beta1"],
        "failurePolicy": "Fail",
        "matchPolicy": "Exact",
        "sideEffects": "NoneOnDryRun",
        "timeoutSeconds": 30,
        **more,
    }


IN_TENANT: Final = {
    "namespaceSelector": {"matchExpressions": [{"key": "capsule.clastix.io/tenant", "operator": "Exists"}]}
}
MUTATING: Final = [entry("namespaces.mutating", "/namespaces/mutating", "namespaces", ["CREATE", "UPDATE"])]
VALIDATING: Final = [
    entry("namespaces.validating", "/namespaces/validating", "namespaces", ["CREATE", "UPDATE", "DELETE"]),
    entry("pods.validating", "/pods/validating", "pods", ["CREATE", "UPDATE"], **IN_TENANT),
]


@pytest.mark.timeout(400)
async def test_the_order_works_and_nothing_in_namespaces_is_made_anew(
    private_control_plane: ControlPlane, tmp_path: Path, eventually: Eventually
) -> None:
    platform = await Platform.start(private_control_plane, tmp_path / "platform")
    try:
        await _leave_as_capsule_does(platform, eventually)
        before = await _role_bindings(platform)

        # 1: what is stored as v1beta1 stops the operator, and our CRDs.
        await platform.run(platform.operator)
        await eventually(lambda: _says(platform, "may still be stored as v1beta1"))
        assert (await _apply_crds(platform)).code != 0
        stored = await platform.kubectl("get", f"tenants.v1beta2.{CRD.partition('.')[2]}", "-o", "json")
        await platform.kubectl("replace", "-f", "-", stdin=stored.stdout)
        only = '{"status":{"storedVersions":["v1beta2"]}}'
        await platform.kubectl("patch", "crd", CRD, "--subresource=status", "--type=merge", "-p", only)

        # 2: Capsule leads; ours answers at the paths that its entries call.
        await eventually(lambda: _says(platform, "stop Capsule's controller"))
        assert await _holder(platform) == CAPSULE
        alice = platform.user("alice")
        await platform.kubectl("create", "namespace", "oil-meanwhile", user=alice)
        assert await _tenant_of(platform, "oil-meanwhile") == "oil"

        # 3: Capsule stops.
        await _hold_lease(platform, "")
        await eventually(lambda: _is_led_by_us(platform))
        await platform.kubectl("wait", "--for=condition=Ready", "tenant/oil", "--timeout=30s")
        await eventually(lambda: _has_roles(platform, "oil-meanwhile"))
        assert {key: uid for key, uid in (await _role_bindings(platform)).items() if key in before} == before
        assert await _entries(platform) == [each["name"] for each in VALIDATING]
        foreign = ("run", "miner", "--image=docker.io/miner", "-n=oil-shop")
        refused = await platform.kubectl(*foreign, user=alice, check=False)
        assert "pods.validating.projectcapsule.dev" in refused.output

        # 4 and 5: our CRDs, our entries.
        assert (await _apply_crds(platform)).code == 0
        assert await _versions(platform) == ["v1beta2"]
        without = [{"op": "remove", "path": f"/spec/admission/{side}/webhooks"} for side in ("mutating", "validating")]
        await platform.kubectl("patch", "capsuleconfiguration", "default", "--type=json", "-p", json.dumps(without))
        await eventually(lambda: _is_ours(platform))
        refused = await platform.kubectl(*foreign, user=alice, check=False)
        assert "objects.validating.tenantry.io" in refused.output

        # The way back: the lease is free at once, and all is as Capsule knows it.
        await platform.stop_part(platform.operator)
        assert await _holder(platform) == ""
        tenant = json.loads((await platform.kubectl("get", "tenant", "oil", "-o=json")).stdout)
        assert tenant["metadata"]["finalizers"] == ["controller.projectcapsule.dev/finalize"]
    finally:
        await platform.stop()


async def _leave_as_capsule_does(platform: Platform, eventually: Eventually) -> None:
    """Names and contents of Capsule's are ours: what differs is who leads, the entries, and v1beta1."""
    await platform.kubectl("create", "-f", "-", stdin=json.dumps(TENANT))
    await platform.kubectl("wait", "--for=condition=Ready", "tenant/oil", "--timeout=30s")
    await platform.kubectl("create", "namespace", "oil-shop", user=platform.user("alice"))
    await eventually(lambda: _has_roles(platform, "oil-shop"))
    client = {"client": {"url": platform.settings.webhook_url}}
    admission = {"mutating": {**client, "webhooks": MUTATING}, "validating": {**client, "webhooks": VALIDATING}}
    patch = json.dumps({"spec": {"admission": admission}})
    await platform.kubectl("patch", "capsuleconfiguration", "default", "--type=merge", "-p", patch)
    await eventually(lambda: _calls_capsules(platform))
    await platform.stop_part(platform.operator)
    await _hold_lease(platform, CAPSULE)
    for kind in ("mutatingwebhookconfiguration", "validatingwebhookconfiguration"):
        await platform.kubectl("label", kind, WEBHOOKS, "projectcapsule.dev/managed-by-")
    definition = json.loads((await platform.kubectl("get", "crd", CRD, "-o=json")).stdout)
    for storage in ("v1beta1", "v1beta2"):
        definition["spec"]["versions"] = _both(definition["spec"]["versions"], storage)
        definition["metadata"].pop("resourceVersion", None)
        await platform.kubectl("replace", "-f", "-", stdin=json.dumps(definition))


def _both(versions: list[dict[str, Any]], storage: str) -> list[dict[str, Any]]:
    current = next(each for each in versions if each["name"] == "v1beta2")
    old = {**copy.deepcopy(current), "name": "v1beta1"}
    return [{**each, "storage": each["name"] == storage} for each in (old, current)]


async def _hold_lease(platform: Platform, holder: str) -> None:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 3600, "renewTime": "2100-01-01T00:00:00.000000Z"}
    patch = json.dumps({"spec": spec})
    await platform.kubectl("patch", "lease", CAPSULE_LEASE, f"-n={NAMESPACE}", "--type=merge", "-p", patch)


async def _apply_crds(platform: Platform) -> Completed:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tenantry", "crds", stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    return await platform.kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=printed.decode(), check=False
    )


async def _says(platform: Platform, text: str) -> bool:
    status, told = await readiness(platform.operator)
    return status == 503 and text in told


async def _holder(platform: Platform) -> str:
    path = "-o=jsonpath={.spec.holderIdentity}"
    return (await platform.kubectl("get", "lease", CAPSULE_LEASE, f"-n={NAMESPACE}", path)).stdout


async def _is_led_by_us(platform: Platform) -> bool:
    return (await _holder(platform)).startswith("operator-")


async def _entries(platform: Platform) -> list[str]:
    found = await platform.kubectl("get", "validatingwebhookconfiguration", WEBHOOKS, "-o=json")
    return [each["name"] for each in json.loads(found.stdout)["webhooks"]]


async def _calls_capsules(platform: Platform) -> bool:
    return await _entries(platform) == [each["name"] for each in VALIDATING]


async def _is_ours(platform: Platform) -> bool:
    return all(name.endswith(".tenantry.io") for name in await _entries(platform))


async def _versions(platform: Platform) -> list[str]:
    return (await platform.kubectl("get", "crd", CRD, "-o=jsonpath={.spec.versions[*].name}")).stdout.split()


async def _tenant_of(platform: Platform, namespace: str) -> str:
    path = r"-o=jsonpath={.metadata.labels.capsule\.clastix\.io/tenant}"
    return (await platform.kubectl("get", "namespace", namespace, path)).stdout


async def _role_bindings(platform: Platform) -> dict[str, str]:
    found = await platform.kubectl("get", "rolebindings", "-A", "-l", "projectcapsule.dev/tenant=oil", "-o=json")
    return {
        f"{each['metadata']['namespace']}/{each['metadata']['name']}": each["metadata"]["uid"]
        for each in json.loads(found.stdout)["items"]
    }


async def _has_roles(platform: Platform, namespace: str) -> bool:
    return sum(key.startswith(f"{namespace}/") for key in await _role_bindings(platform)) == 2

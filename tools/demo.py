"""``make demo``: the main job, end to end, on a real control plane, with kubectl as the client."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from demo_gateway import gateway_part
from tenantry.controlplane.cluster import ControlPlane
from tenantry.foundation.errors import TenantryError
from tenantry.testing.platform import Platform
from tour import StepFailedError, Tour, failed, say

ROOT: Final = Path(__file__).resolve().parent.parent
EXAMPLES: Final = Path("examples") / "demo"
NAMESPACES: Final = ("oil-production", "oil-development")


async def demo(folder: Path) -> None:
    """Run all steps; raise StepFailedError at the first that comes out wrong."""
    say("tenantry lets many teams share a cluster: each makes its own namespaces, inside limits that the platform set.")
    say("This demo starts a Kubernetes control plane of its own, installs tenantry, and plays both sides. Then it puts")
    say("the gateway in front, through which each user sees their own.")
    say()
    say("Starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler and three fake nodes (kwok) ...")
    started = time.monotonic()
    plane = await ControlPlane.start(folder / "cluster")
    try:
        say(f"   up after {time.monotonic() - started:.0f} s: {plane.server}")
        say("Installing tenantry: tenantry crds, tenantry manifests, kubectl apply --server-side ...")
        started = time.monotonic()
        platform = await Platform.start(plane, folder / "tenantry")
        try:
            say(
                f"   ready after {time.monotonic() - started:.0f} s, with the rights that those manifests give, no more"
            )
            users = {"alice": platform.user("alice"), "bob": platform.user("bob")}
            tour = Tour(platform, users)
            for part in (_tenants, _namespaces, _contents, _application, _refusals, _cordon, _edit):
                await part(tour)
            await gateway_part(tour, folder / "gateway", EXAMPLES / "classes.yaml")
        finally:
            await platform.stop()
    finally:
        await plane.stop()


async def _tenants(tour: Tour) -> None:
    tour.step("The platform engineer applies two tenants: oil, owned by alice, and gas, owned by bob.")
    say("   (The warnings are Capsule's own deprecations: such fields are enforced all the same.)")
    await tour.do("admin", "apply", "-f", str(EXAMPLES / "oil.yaml"), "-f", str(EXAMPLES / "gas.yaml"))
    await tour.shows(
        "get", "tenants", what="both tenants are ready", expect=lambda found: _ready_names(found) == ["gas", "oil"]
    )
    await tour.do("admin", "get", "tenants")


async def _namespaces(tour: Tour) -> None:
    tour.step("Their owners make namespaces, without asking anyone.")
    for name in NAMESPACES:
        await tour.do("alice", "create", "namespace", name)
    await tour.do("bob", "create", "namespace", "gas-production")
    await tour.shows(
        "get",
        "tenant",
        "oil",
        what="the tenant counts them",
        expect=lambda oil: oil["status"]["size"] == len(NAMESPACES),
    )


async def _contents(tour: Tour) -> None:
    tour.step("Each namespace received what its tenant says: rights, quota, limits, network policy, labels.")
    for kind, count in (("rolebindings", 2), ("resourcequotas", 1), ("limitranges", 1), ("networkpolicies", 1)):
        await tour.shows(
            "get",
            kind,
            "-n",
            "oil-production",
            what=f"{count} of {kind}",
            expect=_has_items(count),
        )
    await tour.do("admin", "get", "rolebindings,resourcequotas,limitranges,networkpolicies", "-n", "oil-production")
    await tour.shows(
        "get",
        "namespace",
        "oil-production",
        what="the label cost-centre=4711 is on it",
        expect=lambda found: found["metadata"]["labels"].get("cost-centre") == "4711",
    )
    await tour.do("alice", "auth", "can-i", "create", "deployments", "-n", "oil-production")


async def _application(tour: Tour) -> None:
    tour.step("alice deploys a real application.")
    await tour.do("alice", "apply", "-n", "oil-production", "-f", str(EXAMPLES / "application.yaml"))
    await tour.do("alice", "rollout", "status", "deployment/shop", "-n", "oil-production", "--timeout=60s")
    await tour.do("alice", "get", "pods", "-n", "oil-production")


async def _refusals(tour: Tour) -> None:
    tour.step("What the platform forbade is refused, with a reason: an image from a foreign registry,")
    await tour.refused(
        "alice", "run", "miner", "--image=docker.io/evil/miner", "-n", "oil-production", because="docker.io"
    )
    tour.step("one namespace too many,")
    await tour.do("alice", "create", "namespace", "oil-test")
    await tour.refused("alice", "create", "namespace", "oil-too-many", because="Cannot exceed Namespace quota")
    tour.step("an attempt to take over a namespace that is not hers (kube-system, then bob's),")
    for name in ("kube-system", "gas-production"):
        stolen = {"metadata": {"name": name, "labels": {"capsule.clastix.io/tenant": "oil"}}}
        manifest = json.dumps({"apiVersion": "v1", "kind": "Namespace", **stolen})
        # Not kubectl patch: it reads first, which Kubernetes itself refuses; the write is what must not work.
        await tour.refused(
            "alice", "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest, because="namespace"
        )
    tour.step("and a Service of a type that bob's tenant does not allow.")
    await tour.refused(
        "bob", "create", "service", "nodeport", "door", "--tcp=80", "-n", "gas-production", because="NodePort"
    )


async def _cordon(tour: Tour) -> None:
    tour.step("The platform engineer freezes the tenant gas for an investigation; bob can change nothing.")
    await tour.do("admin", "patch", "tenant", "gas", "--type=merge", "-p", '{"spec":{"cordoned":true}}')
    await tour.shows(
        "get", "tenant", "gas", what="its state is Cordoned", expect=lambda gas: gas["status"]["state"] == "Cordoned"
    )
    await tour.refused(
        "bob", "create", "configmap", "notes", "--from-literal=a=b", "-n", "gas-production", because="cordoned"
    )


async def _edit(tour: Tour) -> None:
    tour.step("One edit of the tenant oil reaches all its namespaces.")
    limit = {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "10Gi"}}]}
    patch = json.dumps([{"op": "add", "path": "/spec/limitRanges/items/-", "value": limit}])
    await tour.do("admin", "patch", "tenant", "oil", "--type=json", "-p", patch)
    for name in (*NAMESPACES, "oil-test"):
        await tour.shows(
            "get",
            "limitranges",
            "-n",
            name,
            what=f"{name} has the second LimitRange",
            expect=_has_items(2),
        )


def _has_items(count: int) -> Callable[[Any], bool]:
    return lambda found: len(found["items"]) == count


def _ready_names(found: dict[str, Any]) -> list[str]:
    return sorted(
        item["metadata"]["name"]
        for item in found["items"]
        for condition in item.get("status", {}).get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    )


def main() -> int:
    """Run the demo in a folder that goes afterwards."""
    started = time.monotonic()
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="tenantry-demo-") as folder:
        try:
            asyncio.run(demo(Path(folder)))
        except (StepFailedError, TenantryError) as error:
            failed(error)
            return 1
    say()
    say(f"All of it came out as it should, in {time.monotonic() - started:.0f} s. What to try next:")
    say("   make up      the same platform, left running, with kubeconfigs for the administrator, alice and bob")
    say("   make test    every check of this repository; make bench: how fast it is, here")
    say("   README.md    five minutes to the same on your own cluster; examples/: tenants to start from")
    return 0


if __name__ == "__main__":
    sys.exit(main())

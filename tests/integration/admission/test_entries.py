"""Which requests the API server really sends, and how often."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from tenantry.admission.switch import CONFIG_MAP, arm, disarm
from tenantry.kube.client import Client
from tenantry.kube.errors import ApiError, ForbiddenError, NotFoundError
from tenantry.kube.resources import (
    CONFIG_MAPS,
    LEASES,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    NODES,
    PODS,
    SERVICE_ACCOUNTS,
    TENANTS,
    VALIDATING_WEBHOOKS,
)
from tenantry.tenancy.table import STAGES

As = Callable[..., Client]
Make = Callable[..., Awaitable[str]]
METADATA_RULE = {"enforce": {"action": "allow", "metadata": [{"kinds": ["ConfigMap"], "labels": {"team": {}}}]}}
POD = {"metadata": {"name": "one"}, "spec": {"containers": [{"name": "main", "image": "example/app"}]}}


@pytest.fixture
def calls(cluster: Any) -> Callable[[Awaitable[object]], Awaitable[Counter[str]]]:
    """Do something, and return how often the API server asked at each of our endpoints."""

    async def count(work: Awaitable[object]) -> Counter[str]:
        cluster.calls.clear()
        with suppress(ApiError):
            await work
        return Counter(call.path.removeprefix("/admission/") for call in cluster.calls)

    return count


async def test_a_request_costs_two_calls_at_most(
    act_as: As, admin: Client, tenant: Make, space: Make, calls: Any, registered: Any, eventually: Any
) -> None:
    """One mutating, one validating; none where nothing is to do."""
    owned, idle = await tenant(rules=[METADATA_RULE]), await tenant()
    ruled_space, idle_space = await space(owned), await space(idle)
    owner = act_as("someone", "testers")
    await registered(idle=(idle,))

    async def is_registered() -> bool:
        count: Counter[str] = await calls(
            owner.create(CONFIG_MAPS, {"metadata": {"name": "x"}}, idle_space, dry_run=True)
        )
        return count == Counter({"mutating": 1})

    async def is_furnished() -> bool:
        """The control plane's own writes in new namespaces must not be counted along."""
        with suppress(NotFoundError):
            for name in (ruled_space, idle_space):
                await admin.get(SERVICE_ACCOUNTS, "default", name)
                await admin.get(CONFIG_MAPS, "kube-root-ca.crt", name)
            return True
        return False

    await eventually(is_furnished)
    await eventually(is_registered)
    both = Counter({"mutating": 1, "validating": 1})
    lease = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a"}}
    renewal: dict[str, Any] = {"patch": {"spec": {"holderIdentity": "b"}}, "kind": "merge"}
    # None of its own, so that no controller's writes are counted along.
    replica_set = {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD["spec"]},
        },
    }
    apps = f"/apis/apps/v1/namespaces/{ruled_space}/replicasets"
    counted = {
        "a Pod": await calls(owner.create(PODS, POD, ruled_space)),
        "a Pod of an idle tenant": await calls(owner.create(PODS, POD, idle_space)),
        "a Pod elsewhere": await calls(owner.create(PODS, POD, "default", dry_run=True)),
        "a ConfigMap": await calls(owner.create(CONFIG_MAPS, {"metadata": {"name": "c"}}, ruled_space)),
        "a ConfigMap of an idle tenant": await calls(
            owner.create(CONFIG_MAPS, {"metadata": {"name": "c"}}, idle_space)
        ),
        "a Lease": await calls(owner.create(LEASES, lease, ruled_space)),
        "its renewal": await calls(owner.patch(LEASES, "leader", ruled_space, **renewal)),
        "a ReplicaSet": await calls(owner.request("POST", apps, body=replica_set)),
        "its scale": await calls(
            owner.request(
                "PATCH",
                f"{apps}/web/scale",
                body={"spec": {"replicas": 0}},
                headers={"Content-Type": "application/merge-patch+json"},
            )
        ),
        "an eviction": await calls(
            owner.request(
                "POST",
                f"/api/v1/namespaces/{ruled_space}/pods/one/eviction",
                body={"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "one"}},
            )
        ),
        "a token": await calls(
            owner.request("POST", f"/api/v1/namespaces/{ruled_space}/serviceaccounts/default/token", body={})
        ),
        "a deletion": await calls(owner.delete(CONFIG_MAPS, "c", ruled_space)),
        "a Namespace by a superuser": await calls(
            admin.create(NAMESPACES, {"metadata": {"name": f"{owned}-x"}}, dry_run=True)
        ),
        "an annotated Namespace": await calls(
            owner.patch(NAMESPACES, ruled_space, patch={"metadata": {"annotations": {"a": "b"}}}, kind="merge")
        ),
        "a Tenant": await calls(admin.patch(TENANTS, owned, patch={"spec": {"data": {"a": 1}}}, kind="merge")),
    }

    nothing: Counter[str] = Counter()
    assert counted == {
        "a Pod": both,
        "a Pod of an idle tenant": both,
        "a Pod elsewhere": nothing,
        "a ConfigMap": both,
        "a ConfigMap of an idle tenant": Counter({"mutating": 1}),
        "a Lease": both,
        "its renewal": nothing,
        "a ReplicaSet": both,
        "its scale": nothing,
        "an eviction": nothing,
        "a token": nothing,
        "a deletion": nothing,
        "a Namespace by a superuser": nothing,
        "an annotated Namespace": both,
        "a Tenant": both,
    }


async def test_nodes_are_guarded_where_the_platform_asks_for_it(act_as: As, admin: Client) -> None:
    await admin.create(NODES, {"metadata": {"name": "guarded"}})
    relabel: dict[str, Any] = {"patch": {"metadata": {"labels": {"zone": "b"}}}, "kind": "merge"}

    with pytest.raises(ForbiddenError, match="some labels are marked as forbidden"):
        await act_as("someone").patch(NODES, "guarded", **relabel)
    await admin.patch(NODES, "guarded", **relabel)


def capsule_entries() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The 35 entries of a Capsule configuration, as its chart writes them (spec 2.2), in short."""
    in_tenant = {"matchExpressions": [{"key": "capsule.clastix.io/tenant", "operator": "Exists"}]}
    any_object = [
        {
            "apiGroups": ["*"],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["*"],
            "scope": "Namespaced",
        }
    ]
    not_events = [{"name": "no-events", "expression": "!(request.resource.resource == 'events')"}]

    def entry(name: str, path: str, **more: Any) -> dict[str, Any]:
        return {
            "name": f"{name}.projectcapsule.dev",
            "path": path,
            "sideEffects": "NoneOnDryRun",
            "admissionReviewVersions": ["v1", "v1beta1"],
            "failurePolicy": "Fail",
            "timeoutSeconds": 30,
            "rules": any_object,
            "namespaceSelector": in_tenant,
            "matchConditions": not_events,
            **more,
        }

    def rules(*resources: str, group: str = "") -> list[dict[str, Any]]:
        return [
            {
                "apiGroups": [group],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"],
                "resources": [*resources],
                "scope": "*",
            }
        ]

    cluster_wide: dict[str, Any] = {"namespaceSelector": {}, "matchConditions": []}
    namespaces = {**cluster_wide, "rules": rules("namespaces", "namespaces/status", "namespaces/finalize")}
    mutating = [
        entry("namespaces.mutating", "/namespaces/mutating", **{**namespaces, "rules": rules("namespaces")}),
        entry(
            "tenants.mutating",
            "/tenants/mutating",
            **cluster_wide,
            rules=rules("tenants", group="capsule.clastix.io"),
        ),
        entry("pods.defaults", "/defaults", rules=rules("pods")),
        entry("pvc.defaults", "/defaults", rules=rules("persistentvolumeclaims")),
        entry("ingress.defaults", "/defaults", rules=rules("ingresses", group="networking.k8s.io")),
        entry("gateway.defaults", "/defaults", rules=rules("gateways", group="gateway.networking.k8s.io")),
        *(
            entry(path.strip("/").replace("/", "-"), path)
            for path, stage in STAGES.items()
            if stage == "mutating" and path not in {"/namespaces/mutating", "/tenants/mutating", "/defaults"}
            and not path.startswith("/admission")
        ),
    ]  # fmt: skip
    validating = [
        entry("namespaces.validating", "/namespaces/validating", **namespaces),
        *(
            entry(path.strip("/").replace("/", "-"), path)
            for path, stage in STAGES.items()
            if stage == "validating"
            and not path.startswith("/admission")
            and path not in {"/namespaces/validating", "/generic/cordoning"}
        ),
        entry(
            "cordoning",
            "/generic/cordoning",
            namespaceSelector={**in_tenant, "matchLabels": {"projectcapsule.dev/cordoned": "true"}},
        ),
    ]
    return mutating, validating


async def test_a_capsule_configuration_works_unchanged(
    cluster: Any,
    act_as: As,
    admin: Client,
    tenant: Make,
    unique: Callable[[str], str],
    registered: Any,
    eventually: Any,
) -> None:
    """Its 35 entries are registered as they are, and their paths answer (W-1)."""
    mutating, validating = capsule_entries()
    configuration = cluster.configuration
    configuration["spec"]["admission"]["mutating"]["webhooks"] = mutating
    configuration["spec"]["admission"]["validating"]["webhooks"] = validating
    owned = await tenant(rules=[{"enforce": {"action": "deny", "workloads": {"registries": [{"exp": "^bad/"}]}}}])
    owner = act_as(f"{owned}-owner")

    await registered(configuration)

    async def is_registered() -> bool:
        cluster.calls.clear()
        await owner.create(NAMESPACES, {"metadata": {"name": unique(owned)}}, dry_run=True)
        return {"/namespaces/mutating", "/namespaces/validating"} == {call.path for call in cluster.calls}

    await eventually(is_registered)
    namespace = (await owner.create(NAMESPACES, {"metadata": {"name": unique(owned)}})).metadata.name
    while not (await admin.list(SERVICE_ACCOUNTS, namespace)).items:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    cluster.calls.clear()
    made = await owner.create(PODS, POD, namespace)
    asked = {call.path for call in cluster.calls}
    bad = {**POD, "spec": {"containers": [{"name": "main", "image": "bad/app"}]}}
    with pytest.raises(ForbiddenError, match="bad/app"):
        await owner.create(PODS, {**bad, "metadata": {"name": "two"}}, namespace)

    assert (made.metadata.labels or {})["projectcapsule.dev/tenant"] == owned
    assert len(mutating) + len(validating) >= 34
    assert {
        "/defaults",
        "/generic/metadata",
        "/rules/generic/validating",
        "/pods/validating",
        "/custom-quotas/calculations",
    } <= asked
    assert "/admission/validating" not in asked


@pytest.mark.usefixtures("registered")
async def test_the_break_glass_takes_the_webhooks_off(admin: Client) -> None:
    first, again = await disarm(admin, "capsule-system"), await disarm(admin, "capsule-system")
    kinds = (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS)
    left = [one.metadata.name for kind in kinds for one in (await admin.list(kind)).items]
    switch = (await admin.get(CONFIG_MAPS, CONFIG_MAP, "capsule-system")).data
    await arm(admin, "capsule-system")

    assert [line for line in first if "deleted" in line] == [
        "ValidatingWebhookConfiguration capsule-dynamic-webhook deleted",
        "MutatingWebhookConfiguration capsule-dynamic-webhook deleted",
    ]
    assert [line for line in again if "deleted" in line] == []
    assert (left, switch) == ([], {"disarmed": "true"})
    assert (await admin.get(CONFIG_MAPS, CONFIG_MAP, "capsule-system")).data == {"disarmed": "false"}


async def test_what_is_no_review_is_told_so(cluster: Any) -> None:
    """Whatever is sent, a worker answers with a status and a sentence, and goes on."""
    url = f"https://127.0.0.1:{cluster.port}"
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "operation": "CREATE",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "nowhere",
            "object": {"metadata": {"labels": 5}},
        },
    }
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:

        async def post(path: str, **what: Any) -> int:
            async with session.post(url + path, **what) as answer:
                await answer.read()
                return answer.status

        statuses = [
            await post("/admission/validating", data=b"{"),
            await post("/admission/validating", data=b'{"kind":"Pod"}'),
            await post("/admission/validating", data=b"\xff\x00" * 100),
            await post("/admission/validating", data=b"[" * 100_000),
            await post("/admission/validating", data=BytesIO(b" " * (9 * 1024 * 1024))),
            await post("/nowhere", json=review),
            await post("/admission/mutating", json=review),
        ]
        async with session.get(url + "/admission/validating") as answer:
            statuses.append(answer.status)
        many = await asyncio.gather(*(post("/pods/validating", json=review) for _ in range(1000)))

    assert statuses == [400, 400, 400, 400, 413, 404, 200, 405]
    assert set(many) == {200}

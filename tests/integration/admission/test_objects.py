"""Objects in tenants' namespaces, through a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tenantry.kube.client import Client
from tenantry.kube.errors import ApiError, ForbiddenError
from tenantry.kube.resources import (
    CONFIG_MAPS,
    EVENTS,
    INGRESSES,
    LEASES,
    LIMIT_RANGES,
    NAMESPACES,
    PODS,
    SERVICE_ACCOUNTS,
    TENANTS,
)

As = Callable[..., Client]
Make = Callable[..., Awaitable[str]]
LABELS = ("capsule.clastix.io/managed-by", "projectcapsule.dev/tenant")


def pod(name: str, image: str = "good.example/app:1", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "spec": {"containers": [{"name": "main", "image": image}]}}


def ingress(name: str, host: str, path: str = "/") -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    http = {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}
    return {"metadata": {"name": name}, "spec": {"rules": [{"host": host, "http": http}]}}


def registry_rule(expression: str) -> dict[str, Any]:
    return {"enforce": {"action": "allow", "workloads": {"registries": [{"exp": expression}]}}}


@pytest.fixture
def default_account(admin: Client) -> Callable[[str], Awaitable[None]]:
    """Wait for the account that Pods run as: the controllers make it."""

    async def wait(namespace: str) -> None:
        async with asyncio.timeout(30):
            while not (await admin.list(SERVICE_ACCOUNTS, namespace)).items:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    return wait


async def test_a_pod_is_labelled_and_judged_by_the_rules(
    act_as: As, tenant: Make, space: Make, default_account: Callable[[str], Awaitable[None]]
) -> None:
    owned = await tenant(rules=[registry_rule("^good.example/")])
    namespace = await space(owned)
    await default_account(namespace)
    owner = act_as(f"{owned}-owner")

    made = await owner.create(PODS, pod("good"), namespace)
    with pytest.raises(
        ForbiddenError, match=r'registry "bad.example/app:1" at containers\[0\].*not allowed'
    ) as refusal:
        await owner.create(PODS, pod("bad", "bad.example/app:1"), namespace)

    assert made.metadata.labels == dict.fromkeys(LABELS, owned)
    assert "denied the request" in str(refusal.value)


async def test_no_pod_is_refused_on_stale_knowledge(
    act_as: As, admin: Client, tenant: Make, space: Make, default_account: Callable[[str], Awaitable[None]]
) -> None:
    """A rule that was relaxed a moment ago refuses nothing, however late the news reaches the caches."""
    owned = await tenant(rules=[registry_rule("^none/")])
    namespace = await space(owned)
    await default_account(namespace)
    owner = act_as(f"{owned}-owner")

    for round_ in range(20):
        patch = {"spec": {"rules": [registry_rule(f"^r{round_}.example/")]}}
        await admin.patch(TENANTS, owned, patch=patch, kind="merge")
        await owner.create(PODS, pod(f"p{round_}", f"r{round_}.example/app"), namespace)


async def test_a_namespace_is_policed_from_its_first_moment(act_as: As, tenant: Make, space: Make) -> None:
    """The API server may send a request before a worker's cache knows the namespace, or the tenant."""
    for _ in range(5):
        owned = await tenant(rules=[registry_rule("^good.example/")])
        namespace = await space(owned)
        with pytest.raises(ForbiddenError, match=r"bad.example/app"):
            await act_as(f"{owned}-owner").create(PODS, pod("bad", "bad.example/app:1"), namespace, dry_run=True)


async def test_a_host_is_taken_once_however_many_ask(
    act_as: As, tenant: Make, space: Make, unique: Callable[[str], str]
) -> None:
    """Of 12 Ingresses at once for one host and path, in two namespaces, one comes into being."""
    owned = await tenant(ingressOptions={"hostnameCollisionScope": "Tenant"})
    spaces = [await space(owned), await space(owned)]
    owner = act_as(f"{owned}-owner")
    host = f"{unique('shop')}.example".replace("_", "-")

    results = await asyncio.gather(
        *(owner.create(INGRESSES, ingress(f"i{n}", host), spaces[n % 2]) for n in range(12)), return_exceptions=True
    )
    refusals = [str(one) for one in results if isinstance(one, BaseException)]

    assert (len(refusals), all("is already used across the tenant" in text for text in refusals)) == (11, True), (
        refusals
    )
    # Another path is free, the very same Ingress may change, and a host that was given up is free at once.
    await owner.create(INGRESSES, ingress("other", host, "/other"), spaces[0])
    [kept] = [one for one in results if not isinstance(one, BaseException)]
    where = kept.metadata.namespace
    await owner.patch(
        INGRESSES, kept.metadata.name, where, patch={"metadata": {"annotations": {"a": "b"}}}, kind="merge"
    )
    await owner.delete(INGRESSES, kept.metadata.name, where)
    await owner.create(INGRESSES, ingress("heir", host), spaces[1])


async def test_a_cordoned_namespace_is_frozen_for_its_users(act_as: As, tenant: Make, space: Make) -> None:
    owned = await tenant()
    namespace = await space(owned)
    owner = act_as(f"{owned}-owner")
    await owner.create(CONFIG_MAPS, {"metadata": {"name": "before"}}, namespace)

    label = {"metadata": {"labels": {"projectcapsule.dev/cordoned": "true"}}}
    await owner.patch(NAMESPACES, namespace, patch=label, kind="merge")

    async def refused(work: Awaitable[object]) -> None:
        with pytest.raises(ForbiddenError, match=f"The current namespace '{namespace}' is cordoned"):
            await work

    # The API server selects by its own cache of namespaces, which may be a moment behind its own answer.
    async with asyncio.timeout(10):
        number = 0
        while True:
            number += 1
            try:
                await owner.create(CONFIG_MAPS, {"metadata": {"name": f"n{number}"}}, namespace, dry_run=True)
            except ForbiddenError:
                break
    await refused(owner.create(CONFIG_MAPS, {"metadata": {"name": "after"}}, namespace))
    await refused(owner.delete(CONFIG_MAPS, "before", namespace))
    await refused(owner.delete_collection(CONFIG_MAPS, namespace))
    await refused(owner.patch(CONFIG_MAPS, "before", namespace, patch={"data": {"a": "b"}}, kind="merge"))
    await refused(owner.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", body={}))
    # What only asks, the platform's own people, and the way out.
    review = {"spec": {"user": "x", "resourceAttributes": {"namespace": namespace, "verb": "get", "resource": "pods"}}}
    await owner.request(
        "POST", f"/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews",
        body={"apiVersion": "authorization.k8s.io/v1", "kind": "LocalSubjectAccessReview", **review},
    )  # fmt: skip
    await act_as("ada").create(CONFIG_MAPS, {"metadata": {"name": "by-admin"}}, namespace)
    await owner.patch(
        NAMESPACES, namespace, patch={"metadata": {"labels": {"projectcapsule.dev/cordoned": None}}}, kind="merge"
    )
    async with asyncio.timeout(10):
        while True:
            try:
                await owner.create(CONFIG_MAPS, {"metadata": {"name": "freed"}}, namespace)
            except ForbiddenError:
                continue
            break


async def test_managed_objects_are_nobodys_to_touch(act_as: As, tenant: Make, space: Make) -> None:
    owned = await tenant()
    namespace = await space(owned)
    owner = act_as(f"{owned}-owner")
    operator = act_as("system:serviceaccount:capsule-system:capsule", "testers", "system:authenticated")
    managed: dict[str, Any] = {
        "metadata": {"name": "managed", "labels": {"projectcapsule.dev/managed-by": "controller"}},
        "spec": {"limits": []},
    }
    await operator.create(LIMIT_RANGES, managed, namespace)

    removal = {"metadata": {"labels": {"projectcapsule.dev/managed-by": None}}}
    for work in (
        owner.delete(LIMIT_RANGES, "managed", namespace),
        owner.patch(LIMIT_RANGES, "managed", namespace, patch=removal, kind="merge"),
        owner.create(
            CONFIG_MAPS, {**managed, "spec": None, "metadata": {**managed["metadata"], "name": "mine"}}, namespace
        ),
    ):
        with pytest.raises(ForbiddenError, match="Labeling resources as controller managed"):
            await work
    await act_as("ada").delete(LIMIT_RANGES, "managed", namespace)


async def test_a_service_account_is_promoted_by_owners_alone(act_as: As, tenant: Make, space: Make) -> None:
    owned = await tenant()
    namespace = await space(owned)
    promoted = {"metadata": {"name": "bot", "labels": {"owner.projectcapsule.dev/promote": "true"}}}

    with pytest.raises(ForbiddenError, match="Promotion of ServiceAccount"):
        await act_as("mallory").create(SERVICE_ACCOUNTS, promoted, namespace)
    await act_as(f"{owned}-owner").create(SERVICE_ACCOUNTS, promoted, namespace)
    # It owns the tenant from then on, so it may make namespaces.
    bot = act_as(
        f"system:serviceaccount:{namespace}:bot",
        "system:serviceaccounts",
        f"system:serviceaccounts:{namespace}",
        "testers",
    )
    made = await bot.create(NAMESPACES, {"metadata": {"name": f"{namespace}-2"}})
    assert (made.metadata.labels or {})["capsule.clastix.io/tenant"] == owned


async def test_refusals_are_told_as_events(
    act_as: As, admin: Client, tenant: Make, space: Make, eventually: Any
) -> None:
    owned = await tenant(rules=[registry_rule("^good.example/")])
    namespace = await space(owned)
    owner = act_as(f"{owned}-owner")

    for dry_run in (True, False):
        with pytest.raises(ApiError):
            await owner.create(PODS, pod("bad", "bad.example/app:1"), namespace, dry_run=dry_run)

    found: list[Any] = []

    async def is_told() -> bool:
        found[:] = [one for one in (await admin.list(EVENTS, namespace)).items if one.regarding.name == "bad"]
        return bool(found)

    await eventually(is_told)
    [event] = found
    assert (event.reason, event.action, event.type, event.regarding.kind, event.related.name) == (
        "ForbiddenContainerRegistry",
        "ValidationDenied",
        "Warning",
        "Pod",
        owned,
    )
    assert (event.metadata.labels, event.metadata.annotations["audit.projectcapsule.dev/username"]) == (
        {"projectcapsule.dev/tenant": owned},
        f"{owned}-owner",
    )


async def test_workers_say_what_they_have_seen(admin: Client, tenant: Make, eventually: Any) -> None:
    owned = await tenant()
    version = int((await admin.get(TENANTS, owned)).metadata.resource_version)

    async def have_all_seen_it() -> bool:
        leases = (
            await admin.list(
                LEASES, "capsule-system", label_selector="app.kubernetes.io/component=admission-acknowledgement"
            )
        ).items
        seen = [int((one.metadata.annotations or {})["tenantry.io/seen-tenants"]) for one in leases]
        return len(seen) == 2 and min(seen) >= version

    await eventually(have_all_seen_it)


async def test_a_metadata_rule_names_kinds_that_there_are(tenant: Make) -> None:
    def rule(kind: str, *groups: str) -> list[dict[str, Any]]:
        return [{"enforce": {"metadata": [{"apiGroups": [*groups], "kinds": [kind], "labels": {"team": {}}}]}}]

    for wrong, words in (
        (rule("Deployment"), "'Deployment' is unknown in v1"),
        (rule("Nodee"), "'Nodee' is unknown in v1"),
        (rule("Node"), "must be a namespaced kind, or Namespace"),
    ):
        with pytest.raises(ForbiddenError, match=words):
            await tenant(rules=wrong)
    for right in (rule("Deployment", "apps"), rule("Deployment", "apps/v1"), rule("ConfigMap"), rule("Namespace")):
        await tenant(rules=right)

"""What is told about refused writes of namespaces and accounts, and what is put right behind admission's back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tenantry.api import labels
from tenantry.kube.client import Client
from tenantry.kube.errors import ForbiddenError
from tenantry.kube.resources import EVENTS, NAMESPACES, PODS, ROLE_BINDINGS, SERVICE_ACCOUNTS, TENANTS
from tenantry.testing.world import World

JSON = dict[str, Any]
NODE_SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"
Attempt = Callable[[World, Client, str, str], Awaitable[Any]]


def patching(**metadata: Any) -> Attempt:
    async def attempt(_world: World, client: Client, _tenant: str, namespace: str) -> None:
        await client.patch(NAMESPACES, namespace, patch={"metadata": metadata}, kind="merge")

    return attempt


def creating(prefix: str, **metadata: Any) -> Attempt:
    async def attempt(world: World, client: Client, tenant: str, _namespace: str) -> None:
        body = {"metadata": {"name": world.unique(prefix), **metadata, "labels": {labels.TENANT: tenant}}}
        await client.create(NAMESPACES, body)

    return attempt


async def hijacking(world: World, client: Client, tenant: str, _namespace: str) -> None:
    name = world.unique("bare")
    await world.admin.create(NAMESPACES, {"metadata": {"name": name}})
    await client.patch(NAMESPACES, name, patch={"metadata": {"labels": {labels.TENANT: tenant}}}, kind="merge")


async def promoting(world: World, client: Client, _tenant: str, namespace: str) -> None:
    body = {"metadata": {"name": world.unique("robot"), "labels": {"projectcapsule.dev/promote": "true"}}}
    await client.create(SERVICE_ACCOUNTS, body, namespace)


REFUSED: dict[str, tuple[JSON, Attempt]] = {
    "ForbiddenLabel": ({"namespaceOptions": {"forbiddenLabels": {"denied": ["foo"]}}}, patching(labels={"foo": "1"})),
    "ForbiddenAnnotation": (
        {"namespaceOptions": {"forbiddenAnnotations": {"deniedRegex": "^foo"}}},
        patching(annotations={"foo": "1"}),
    ),
    "ForbiddenNodeSelectorUpdate": ({"nodeSelector": {"a": "b"}}, patching(annotations={NODE_SELECTOR: "a=c"})),
    "InvalidTenantPrefix": ({"forceTenantPrefix": True}, creating("dev")),
    "Overprovisioned": ({"namespaceOptions": {"quota": 1}}, creating("dev")),
    "ReasonNamespacePatch": ({}, hijacking),
    "ReasonPromotionDenied": ({}, promoting),
    "Cordoned": ({"cordoned": True}, patching(labels={"a": "1"})),
}


@pytest.mark.parametrize("reason", REFUSED)
async def test_refusals_are_told(world: World, reason: str) -> None:
    """3.3: a warning about the object, related to the Tenant, with whom and which request; none for dry runs."""
    spec, attempt = REFUSED[reason]
    user = world.unique("ada")
    owners = {"owners": [{"kind": "User", "name": user}]}
    tenant = (await world.tenant(owners | {"forceTenantPrefix": False})).metadata.name
    ada = await world.user(user)
    namespace = await world.namespace(ada, tenant)

    async def usable() -> bool:
        await ada.list(SERVICE_ACCOUNTS, namespace)
        return True

    await world.eventually(usable)
    await world.edit_tenant(tenant, spec)
    where = namespace if reason == "ReasonPromotionDenied" else "default"
    with pytest.raises(ForbiddenError) as caught:
        await attempt(world, ada, tenant, namespace)

    async def told() -> JSON | None:
        events = [each for each in await world.listed(EVENTS, where) if each["reason"] == reason]
        mine = [each for each in events if each["metadata"].get("annotations", {}).get(labels.AUDIT_USERNAME) == user]
        return mine[0] if mine else None

    event = await world.eventually(told)
    assert (event["type"], event["action"]) == ("Warning", "ValidationDenied")
    assert event["reportingController"] == "controller.projectcapsule.dev"
    assert event["note"] in caught.value.message
    assert event["related"]["kind"] == "Tenant"
    assert event["related"]["name"] == tenant
    assert event["metadata"]["labels"] == {labels.NEW_TENANT: tenant}
    assert event["metadata"]["annotations"][labels.AUDIT_REQUEST_UID]
    kind = "ServiceAccount" if reason == "ReasonPromotionDenied" else "Namespace"
    assert event["regarding"]["kind"] == kind


async def test_what_is_written_past_admission_is_put_right(world: World) -> None:
    """The cluster's administrators are not judged: a valid reference stands, and the rest follows it."""
    user = world.unique("ada")
    tenant = await world.tenant({"owners": [{"kind": "User", "name": user, "clusterRoles": ["admin"]}]})
    name = await world.namespace(await world.user(user), tenant.metadata.name)

    async def holds(identity: JSON, references: Any, bindings: int) -> None:
        async def is_so() -> bool:
            metadata = (await world.stored(NAMESPACES, name))["metadata"]
            assert metadata["labels"] == {labels.METADATA_NAME: name, **identity}
            assert metadata.get("ownerReferences") == references
            return len(await world.listed(ROLE_BINDINGS, name)) == bindings

        await world.eventually(is_so)

    own = {labels.TENANT: tenant.metadata.name}
    reference = {
        "apiVersion": "capsule.clastix.io/v1beta2",
        "kind": "Tenant",
        "name": tenant.metadata.name,
        "uid": tenant.metadata.uid,
    }
    await holds(own, [reference], 1)
    for value in (None, "other", ""):
        patch = {"metadata": {"labels": {labels.TENANT: value}}}
        await world.admin.patch(NAMESPACES, name, patch=patch, kind="merge")
        await holds(own, [reference], 1)
    await world.admin.patch(
        NAMESPACES,
        name,
        patch={"metadata": {"labels": {labels.TENANT: None}, "ownerReferences": None}},
        kind="merge",
    )
    await holds({}, None, 0)

    async def left() -> bool:
        return (await world.admin.get(TENANTS, tenant.metadata.name)).status.size == 0

    await world.eventually(left)
    await world.admin.patch(NAMESPACES, name, patch={"metadata": {"ownerReferences": [reference]}}, kind="merge")
    await holds(own, [reference], 1)


async def test_pods_follow_the_tenants_node_selector(world: World) -> None:
    """T-24: the API server's plugin reads what we wrote."""
    user = world.unique("ada")
    spec = {"owners": [{"kind": "User", "name": user}], "nodeSelector": {"pool": "oil", "disk": "ssd"}}
    tenant = (await world.tenant(spec)).metadata.name
    ada = await world.user(user)
    namespace = await world.namespace(ada, tenant)
    pod = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "quay.io/acme/web:1"}]}}

    async def made() -> bool:
        await ada.create(PODS, pod, namespace)
        return True

    await world.eventually(made)
    assert (await world.stored(PODS, "a", namespace))["spec"]["nodeSelector"] == {"pool": "oil", "disk": "ssd"}


async def test_a_cordoned_tenant_can_be_deleted(world: World) -> None:
    """Its namespaces and what is in them go all the same."""
    user = world.unique("ada")
    tenant = (await world.tenant({"owners": [{"kind": "User", "name": user}]})).metadata.name
    namespace = await world.namespace(await world.user(user), tenant)
    await world.edit_tenant(tenant, {"cordoned": True})

    await world.admin.delete(TENANTS, tenant)

    async def gone() -> bool:
        names = {each["metadata"]["name"] for each in await world.listed(NAMESPACES)}
        tenants = {each["metadata"]["name"] for each in await world.listed(TENANTS)}
        return namespace not in names and tenant not in tenants

    await world.eventually(gone)

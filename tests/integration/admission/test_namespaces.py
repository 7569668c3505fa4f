"""Namespaces of tenants, through a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tenantry.kube.client import Client
from tenantry.kube.errors import ForbiddenError
from tenantry.kube.resources import NAMESPACES

As = Callable[..., Client]
Make = Callable[..., Awaitable[str]]


async def test_an_owners_namespace_is_put_into_its_tenant(admin: Client, tenant: Make, space: Make) -> None:
    owned = await tenant()

    name = await space(owned, labels={"app": "shop"})

    stored = (await admin.get(NAMESPACES, name)).metadata
    assert stored.labels == {"app": "shop", "capsule.clastix.io/tenant": owned, "kubernetes.io/metadata.name": name}
    assert [(one.kind, one.name) for one in stored.owner_references] == [("Tenant", owned)]


async def test_a_user_without_a_tenant_makes_no_namespace(act_as: As, unique: Callable[[str], str]) -> None:
    with pytest.raises(ForbiddenError, match="You do not have any Tenant assigned"):
        await act_as("nobody").create(NAMESPACES, {"metadata": {"name": unique("lost")}})


async def test_a_namespace_is_not_taken_over(act_as: As, tenant: Make, space: Make) -> None:
    victim, thief = await tenant(), await tenant()
    name = await space(victim)

    with pytest.raises(ForbiddenError):
        await act_as(f"{thief}-owner").patch(
            NAMESPACES, name, patch={"metadata": {"labels": {"capsule.clastix.io/tenant": thief}}}, kind="merge"
        )
    with pytest.raises(ForbiddenError, match="not owned by any tenant"):
        await act_as(f"{thief}-owner").patch(
            NAMESPACES, "kube-system", patch={"metadata": {"annotations": {"mine": "yes"}}}, kind="merge"
        )


async def test_the_quota_holds_under_parallel_creates_through_two_workers(
    admin: Client, act_as: As, tenant: Make, unique: Callable[[str], str], eventually: Any
) -> None:
    """Of 30 at once, 5 come into being: never more, and never fewer."""
    owned = await tenant(namespaceOptions={"quota": 5})
    owner = act_as(f"{owned}-owner")
    names = [unique(owned) for _ in range(30)]

    results = await asyncio.gather(
        *(owner.create(NAMESPACES, {"metadata": {"name": name}}) for name in names), return_exceptions=True
    )

    made = (await admin.list(NAMESPACES, label_selector=f"capsule.clastix.io/tenant={owned}")).items
    refusals = [str(result) for result in results if isinstance(result, BaseException)]
    assert (len(made), len(refusals)) == (5, 25)
    assert all("Cannot exceed Namespace quota" in text for text in refusals), refusals

    gone = made[0].metadata.name
    await admin.delete(NAMESPACES, gone)

    async def is_gone() -> bool:
        listing = await admin.list(NAMESPACES, label_selector=f"capsule.clastix.io/tenant={owned}")
        return gone not in {one.metadata.name for one in listing.items}

    await eventually(is_gone)
    await owner.create(NAMESPACES, {"metadata": {"name": unique(owned)}})


async def test_a_dry_run_reserves_nothing(act_as: As, tenant: Make, unique: Callable[[str], str]) -> None:
    owned = await tenant(namespaceOptions={"quota": 1})
    owner = act_as(f"{owned}-owner")

    for _ in range(3):
        await owner.create(NAMESPACES, {"metadata": {"name": unique(owned)}}, dry_run=True)

    await owner.create(NAMESPACES, {"metadata": {"name": unique(owned)}})
    with pytest.raises(ForbiddenError, match="Cannot exceed Namespace quota"):
        await owner.create(NAMESPACES, {"metadata": {"name": unique(owned)}}, dry_run=True)


async def test_a_superuser_does_not_change_the_node_selector(admin: Client, tenant: Make, space: Make) -> None:
    name = await space(await tenant(nodeSelector={"pool": "a"}))
    annotation = "scheduler.alpha.kubernetes.io/node-selector"

    assert ((await admin.get(NAMESPACES, name)).metadata.annotations or {})[annotation] == "pool=a"
    with pytest.raises(ForbiddenError):
        await admin.patch(NAMESPACES, name, patch={"metadata": {"annotations": {annotation: "pool=b"}}}, kind="merge")
    await admin.patch(NAMESPACES, name, patch={"metadata": {"annotations": {"note": "fine"}}}, kind="merge")

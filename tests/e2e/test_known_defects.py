"""Defects that are known from Capsule and must not be here: each number has a test somewhere that names it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tenantry.kube.resources import CONFIGURATIONS
from tenantry.testing.plain import any_object, claim, ingress, pod, refused, runtime_class, standing, team
from tenantry.testing.world import World

NUMBERS = (1, 2, 4, 8, 10, 11, 12, 13, 15, 16)


def test_every_defect_has_a_test_that_names_it() -> None:
    texts = [path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py") if path != Path(__file__)]
    named = {int(number) for text in texts for number in re.findall(r"\bD-([0-9]+)\b", text)}
    assert set(NUMBERS) - named == set()


async def test_a_configuration_without_node_metadata_is_judged(world: World) -> None:
    """D-4: neither a crash, which its policy Ignore would hide, nor a pass."""
    name = world.platform.settings.configuration_name
    stored = await world.admin.get(CONFIGURATIONS, name)
    assert stored.spec.node_metadata is None
    wrong = {"spec": {"protectedNamespaceRegex": "(", "nodeMetadata": None}}
    await refused(
        world.admin.patch(CONFIGURATIONS, name, patch=wrong, kind="merge"),
        "spec.protectedNamespaceRegex",
        "'('",
        "not a valid regular expression",
    )
    for field in ("forbiddenLabels", "forbiddenAnnotations"):
        half = {"spec": {"nodeMetadata": {field: {"deniedRegex": "("}}}}
        await refused(
            world.admin.patch(CONFIGURATIONS, name, patch=half, kind="merge"), f"spec.nodeMetadata.{field}", "'('"
        )


async def test_lists_keep_their_order_and_their_case_under_load(world: World) -> None:
    """D-8: mixed case is found, another case is not, and no request disturbs another's list."""
    allowed = ["Zeta.example", "alpha.example", "Beta.example", "gamma.example"]
    team_ = await team(world, {"containerRegistries": {"allowed": allowed}})

    async def ask(host: str, *, is_allowed: bool) -> None:
        attempt = team_.owner.create(pod(team_.namespace, "web", image=f"{host}/web:1"), dry_run=True)
        if is_allowed:
            await attempt
        else:
            await refused(attempt, f"({', '.join(allowed)})")

    hosts = [(host, True) for host in allowed] + [(host.swapcase(), False) for host in allowed]
    await asyncio.gather(*(ask(host, is_allowed=is_allowed) for host, is_allowed in hosts * 4))
    tenant = await team_.admin.get(any_object("capsule.clastix.io/v1beta2", "Tenant", team_.tenant))
    assert tenant["spec"]["containerRegistries"]["allowed"] == allowed


async def test_classes_are_judged_whenever_they_change_and_only_then(world: World) -> None:
    """D-10: a Pod that an edit of the Tenant made wrong can still be labelled, reported on and deleted."""
    good, other = world.unique("good"), world.unique("other")
    team_ = await team(world, {})
    async with standing(team_.admin, runtime_class(good), runtime_class(other)):
        running = pod(team_.namespace, "running", runtimeClassName=other)
        await world.eventually(lambda: team_.owner.create(running))
        await world.edit_tenant(team_.tenant, {"runtimeClasses": {"allowed": [good]}})
        await refused(team_.owner.create(pod(team_.namespace, "new", runtimeClassName=other)), other)
        await team_.owner.patch(running, {"metadata": {"labels": {"a": "b"}}})
        await team_.admin.patch(running, {"metadata": {"finalizers": ["acme.io/x"]}})
        await team_.owner.delete(running)
        await team_.owner.patch(running, {"metadata": {"finalizers": None}})


async def test_messages_name_the_kind_of_thing_that_is_refused(world: World) -> None:
    """D-11: the noun and the name belong to what was refused, not to something else."""
    only = {"allowed": ["only"]}
    team_ = await team(
        world,
        {
            "priorityClasses": only,
            "runtimeClasses": only,
            "storageClasses": only,
            "ingressOptions": {"allowedClasses": only},
            "namespaceOptions": {"requiredMetadata": {"labels": {"cost": "^[0-9]+$"}, "annotations": {"mail": "@"}}},
        },
        labels={"cost": "1"},
        annotations={"mail": "a@b"},
    )
    ns, owner = team_.namespace, team_.owner
    await refused(owner.create(claim(ns, "a", storageClassName="x")), "Storage Class x is forbidden")
    await refused(owner.create(ingress(ns, "a", "a.example", ingressClassName="x")), "Ingress Class x is forbidden")
    other = world.namespace(owner.client, team_.tenant, annotations={"mail": "a@b"})
    assert "annotation" not in (await refused(other, "cost", "label")).lower()
    other = world.namespace(owner.client, team_.tenant, labels={"cost": "1"}, annotations={"mail": "none"})
    assert "label" not in (await refused(other, "mail", "annotation")).lower()

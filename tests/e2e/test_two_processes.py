"""Two processes of admission at once: neither knows what the other lets through (13.2, 13.14)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tenantry.kube.errors import ApiError
from tenantry.testing.plain import Json, Team, config_map, ingress, refused, team, usable
from tenantry.testing.platform import Platform
from tenantry.testing.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two_workers(platform: Platform) -> AsyncIterator[None]:
    """Have two workers share the port while this module's tests run."""
    part = platform.admission
    one = part.arguments
    part.arguments = (*(each for each in one if not each.startswith("--workers")), "--workers=2")
    try:
        await restart(platform)
        yield
    finally:
        part.arguments = one
        await restart(platform)


async def restart(platform: Platform) -> None:
    """Stop admission and start it with the arguments that it has now."""
    await platform.stop_part(platform.admission)
    await platform.run(platform.admission)
    await platform.wait_ready()


@pytest.mark.usefixtures("two_workers")
@pytest.mark.parametrize("scope", ["Cluster", "Tenant", "Namespace"])
async def test_ten_ingresses_ask_for_one_host_and_one_gets_it(world: World, scope: str) -> None:
    """L-11: in two namespaces of the tenant, where the scope spans them."""
    team_ = await team(world, {"ingressOptions": {"hostnameCollisionScope": scope}})
    second = await world.namespace(team_.owner.client, team_.tenant)
    await usable(world, team_.owner.client, second)
    host = f"{world.unique('race')}.example"
    places = [team_.namespace, second] if scope != "Namespace" else [second]
    bodies = [ingress(places[index % len(places)], f"web-{index}", host) for index in range(10)]
    results = await asyncio.gather(*map(team_.owner.create, bodies), return_exceptions=True)
    refusals = [result for result in results if isinstance(result, ApiError)]
    assert [refusal.status for refusal in refusals] == [403] * 9, results
    text = f"Hostname {host} with the path / is already used"
    assert [refusal for refusal in refusals if text not in refusal.message] == []


@pytest.mark.usefixtures("two_workers")
async def test_an_edit_in_force_is_in_force_in_each_of_them(world: World) -> None:
    """13.2: a status that tells of the edit comes after the last of them has it."""
    team_ = await team(world, {})
    for turn in range(5):
        await world.edit_tenant(team_.tenant, {"rules": [deny_tier(f"t{turn}")]})
        now, before = (config_map(team_.namespace, "it", labels={"tier": f"t{each}"}) for each in (turn, turn - 1))
        await asyncio.gather(*(refused(team_.owner.create(now), "tier", "denied") for _ in range(10)))
        await asyncio.gather(*(team_.owner.create(before, dry_run=True) for _ in range(10)))
    await world.edit_tenant(team_.tenant, {"cordoned": True, "rules": []})
    await asyncio.gather(*(_refused_as_cordoned(team_) for _ in range(10)))


async def _refused_as_cordoned(team_: Team) -> None:
    await refused(team_.owner.create(config_map(team_.namespace, "it")), "is cordoned")


def deny_tier(value: str) -> Json:
    """Return a rule that refuses a value of the label tier."""
    policy = {"values": [{"exact": [value]}]}
    return {"enforce": {"action": "deny", "metadata": [{"kinds": ["ConfigMap"], "labels": {"tier": policy}}]}}

"""Processes of ours that die in the middle of work: nothing is lost, nothing passes unjudged, nothing is deleted."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from tenantry.api.tenant import Tenant
from tenantry.kube.client import Client
from tenantry.kube.errors import ApiError
from tenantry.kube.resources import LEASES, LIMIT_RANGES, NAMESPACES, ROLE_BINDINGS, TENANTS
from tenantry.testing.breakable import Breakable
from tenantry.testing.plain import pod, refused, team
from tenantry.testing.platform import Part, Platform
from tenantry.testing.world import World

ALICE = {"owners": [{"kind": "User", "name": "alice"}]}
LIMITS = {"limitRanges": {"items": [{"limits": [{"type": "Container", "max": {"cpu": "2"}}]}]}}
COUNT = 30
NEVER = {"imagePullPolicies": ["Never"]}


async def settled(world: World, tenant: str, namespaces: Iterable[str], *, limits: bool = False) -> Tenant:
    """Return the Tenant once its status tells of exactly *namespaces*, and all that belongs in them is there."""
    names = sorted(namespaces)

    async def is_settled() -> Tenant:
        stored = await world.admin.get(TENANTS, tenant)
        status = stored.status
        assert status.observed_generation == stored.metadata.generation
        assert (status.size, sorted(status.namespaces)) == (len(names), names)
        assert sorted(space.name for space in status.spaces) == names
        assert {each.type: each.status for each in status.conditions}["Ready"] == "True"
        selector = f"projectcapsule.dev/tenant={tenant}"
        bindings = await world.admin.list(ROLE_BINDINGS, label_selector=selector)
        # For owner and namespace deleter.
        assert sorted(each.metadata.namespace for each in bindings.items) == sorted([*names, *names])
        ranges = await world.admin.list(LIMIT_RANGES, label_selector=selector)
        assert sorted(each.metadata.namespace for each in ranges.items) == (names if limits else [])
        return stored

    return await world.eventually(is_settled, seconds=60)


async def create_namespaces(world: World, owner: Client, tenant: str, count: int) -> list[str]:
    """Create *count* namespaces, some at a time."""
    slots = asyncio.Semaphore(8)

    async def one() -> str:
        async with slots:
            return await world.namespace(owner, tenant)

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def test_an_operator_killed_again_and_again_finishes_its_work(
    breakable: Breakable, breakable_world: World
) -> None:
    """SIGKILL while owners create namespaces, while an edit reaches them, and while the tenant is taken down."""
    world, platform = breakable_world, breakable.platform
    other = await team(world, LIMITS)
    tenant = (await world.tenant(ALICE)).metadata.name
    alice = await world.user("alice")

    creating = asyncio.create_task(create_namespaces(world, alice, tenant, COUNT))
    await seen(world, lambda names: len(names) >= 10, tenant)
    await platform.stop_part(platform.operator, kill=True)
    # Admission needs no operator: owners notice nothing.
    namespaces = await creating
    await platform.run(platform.operator)
    await settled(world, tenant, namespaces)

    await world.admin.patch(TENANTS, tenant, patch={"spec": LIMITS}, kind="merge")
    await reached(world, tenant, 5)
    await breakable.restart(platform.operator, kill=True)
    stored = await settled(world, tenant, namespaces, limits=True)

    await world.admin.delete(TENANTS, tenant, uid=stored.metadata.uid)
    await seen(world, lambda names: len(names) < COUNT - 5, tenant)
    await breakable.restart(platform.operator, kill=True)
    await seen(world, lambda names: not names, tenant, seconds=60)
    await gone(world, tenant)
    await settled(world, other.tenant, [other.namespace], limits=True)


async def seen(world: World, is_so: Callable[[list[str]], bool], tenant: str, *, seconds: float = 30) -> None:
    """Wait until the names of the tenant's namespaces satisfy *is_so*."""

    async def attempt() -> bool:
        listing = await world.admin.list(NAMESPACES, label_selector=f"capsule.clastix.io/tenant={tenant}")
        return bool(is_so([each.metadata.name for each in listing.items]))

    await world.eventually(attempt, seconds=seconds)


async def reached(world: World, tenant: str, count: int) -> None:
    """Wait until an edit has reached *count* namespaces."""

    async def attempt() -> bool:
        ranges = await world.admin.list(LIMIT_RANGES, label_selector=f"projectcapsule.dev/tenant={tenant}")
        return len(ranges.items) >= count

    await world.eventually(attempt)


async def gone(world: World, tenant: str) -> None:
    """Wait until there is no such Tenant."""

    async def attempt() -> bool:
        return all(each.metadata.name != tenant for each in (await world.admin.list(TENANTS)).items)

    await world.eventually(attempt)


async def test_a_second_operator_takes_over_and_admission_never_pauses(
    breakable: Breakable, breakable_world: World
) -> None:
    """A standby is ready; it leads at once after a clean stop, and after the lease's length when the leader died."""
    world, platform = breakable_world, breakable.platform
    team_ = await team(world, NEVER)
    standby = platform.another(platform.operator)
    await platform.run(standby)
    await platform.wait_part(standby)
    first = await holder(world)
    try:
        await platform.stop_part(platform.operator)
        await refused(team_.owner.create(pod(team_.namespace, "one", container={"imagePullPolicy": "Always"})), "Never")
        # At once: the lease was given back.  Its length would be four seconds.
        await led_by_another(world, than=first, seconds=3)
        second = await holder(world)

        await platform.run(platform.operator)
        await platform.wait_part(platform.operator)
        await platform.stop_part(standby, kill=True)
        await refused(team_.owner.create(pod(team_.namespace, "two", container={"imagePullPolicy": "Always"})), "Never")
        await led_by_another(world, than=second, seconds=10)
        await world.edit_tenant(team_.tenant, {"imagePullPolicies": None})
        await team_.owner.create(pod(team_.namespace, "three", container={"imagePullPolicy": "Always"}))
    finally:
        await platform.stop_part(standby)
        if platform.operator.process is None:
            await platform.run(platform.operator)


async def holder(world: World) -> str:
    """Return who leads."""
    lease = await world.admin.get(LEASES, "42c733ea.clastix.capsule.io", "capsule-system")
    return lease.spec.holder_identity or ""


async def led_by_another(world: World, *, than: str, seconds: float) -> None:
    """Wait until somebody else leads."""

    async def attempt() -> bool:
        return await holder(world) not in {"", than}

    await world.eventually(attempt, seconds=seconds)


async def test_workers_and_their_supervisor_may_die(breakable: Breakable, breakable_world: World) -> None:
    """A killed worker comes back and the other answers meanwhile; with the supervisor all end, and leave the port."""
    world, platform = breakable_world, breakable.platform
    team_ = await team(world, NEVER)
    wrong = pod(team_.namespace, "wrong", container={"imagePullPolicy": "Always"})
    pair = platform.another(platform.admission, "--workers=2")
    await platform.stop_part(platform.admission)
    try:
        await platform.run(pair)
        await platform.wait_part(pair)
        workers = await served_by(world, pair, 2)
        os.kill(workers[0], signal.SIGKILL)
        # Connections to the dead one fail once; then the other is asked.
        await judged(world, team_.owner.create, wrong)
        # While the one that came back reads its certificate, it says so.
        await platform.wait_part(pair)
        assert workers[1] in await served_by(world, pair, 2)

        await platform.stop_part(pair, kill=False)
        await platform.run(pair)
        await platform.wait_part(pair)
        workers = await served_by(world, pair, 2)
        os.kill(pair.pid, signal.SIGKILL)
        await world.eventually(lambda: ended(workers))
    finally:
        await platform.stop_part(pair)
        await platform.run(platform.admission)
        await platform.wait_part(platform.admission)
    await judged(world, team_.owner.create, wrong)


async def served_by(world: World, part: Part, count: int) -> list[int]:
    """Return the process ids of *part*'s children once there are *count*."""

    async def attempt() -> list[int] | None:
        with open(f"/proc/{part.pid}/task/{part.pid}/children") as children:  # noqa: ASYNC230, PTH123  # no file
            found = [int(each) for each in children.read().split()]
        return found if len(found) == count else None

    return await world.eventually(attempt)


async def ended(pids: list[int]) -> bool:
    """Return whether none of *pids* runs."""
    for pid in pids:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            continue
        return False
    return True


async def judged(world: World, create: Callable[..., Awaitable[object]], obj: Mapping[str, Any]) -> None:
    """Wait until a refusal is admission's own, not for want of it; nothing passes meanwhile."""

    async def attempt() -> bool:
        try:
            await create(obj)
        except ApiError as error:
            return error.status == 403 and "Never" in error.message
        raise RuntimeError("it passed unjudged")

    await world.eventually(attempt)


async def test_admission_is_disarmed_while_nothing_of_ours_runs(breakable: Breakable, breakable_world: World) -> None:
    """The break-glass needs the API server alone; what comes back up leaves the webhooks off until they are armed."""
    world, platform = breakable_world, breakable.platform
    team_ = await team(world, NEVER)
    wrong = pod(team_.namespace, "wrong", container={"imagePullPolicy": "Always"})
    for part in (platform.operator, platform.admission):
        await platform.stop_part(part, kill=True)
    await refused(team_.owner.create(wrong, dry_run=True), "failed calling webhook", status=500)

    await tenantry(platform, "admission", "disarm")
    try:
        await let_through(world, team_.owner.create, wrong)
        for part in (platform.admission, platform.operator):
            await platform.run(part)
            await platform.wait_part(part)
        # The operator leads and works, and has nothing registered meanwhile.
        await world.edit_tenant(team_.tenant, LIMITS)
        await team_.owner.create(wrong, dry_run=True)
    finally:
        await tenantry(platform, "admission", "arm")

    async def is_judged() -> bool:
        await refused(team_.owner.create(wrong, dry_run=True), "Never")
        return True

    await world.eventually(is_judged)


async def tenantry(platform: Platform, *arguments: str) -> None:
    """Run one of the user's commands as the administrator."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tenantry", *arguments, f"--kubeconfig={platform.plane.kubeconfig}"
    )
    assert await process.wait() == 0


async def let_through(world: World, create: Callable[..., Awaitable[object]], obj: Mapping[str, Any]) -> None:
    """Wait until the API server has read that nobody is to be asked."""

    async def attempt() -> bool:
        await create(obj, dry_run=True)
        return True

    await world.eventually(attempt)

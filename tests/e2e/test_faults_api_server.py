"""An API server that is slow, away, or says no: what is retried, what is said, and what never happens."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tenantry.controlplane.cluster import ControlPlane
from tenantry.controlplane.components import Component
from tenantry.foundation.errors import TenantryError
from tenantry.kube.errors import ApiError
from tenantry.kube.resources import LIMIT_RANGES, NAMESPACES, ROLE_BINDINGS, TENANTS, Resource
from tenantry.testing.breakable import Breakable, metrics, readiness
from tenantry.testing.plain import Plain, any_object, pod, refused, standing, team
from tenantry.testing.world import World

LIMITS = {"limitRanges": {"items": [{"limits": [{"type": "Container", "max": {"cpu": "2"}}]}]}}
ALICE = {"owners": [{"kind": "User", "name": "alice"}]}
NEVER = {"imagePullPolicies": ["Never"]}
ALWAYS = {"imagePullPolicy": "Always"}
KEPT: tuple[Resource[Any], ...] = (ROLE_BINDINGS, LIMIT_RANGES)


async def uids(world: World, tenant: str) -> dict[str, str]:
    """Return the uids of the tenant's namespaces and of what is managed in them: unchanged means never deleted."""
    spaces = await world.admin.list(NAMESPACES, label_selector=f"capsule.clastix.io/tenant={tenant}")
    found = {each.metadata.name: each.metadata.uid for each in spaces.items}
    for kind in KEPT:
        for each in (await world.admin.list(kind, label_selector=f"projectcapsule.dev/tenant={tenant}")).items:
            found[f"{each.metadata.namespace}/{each.metadata.name}"] = each.metadata.uid
    return found


async def complete(world: World, tenant: str, count: int) -> dict[str, str]:
    """Return the uids once there are *count* namespaces, with all that belongs in them, and the status says so."""

    async def attempt() -> dict[str, str] | None:
        stored = await world.admin.get(TENANTS, tenant)
        found = await uids(world, tenant)
        assert (stored.status.size, stored.status.observed_generation) == (count, stored.metadata.generation)
        assert len(found) == count * 4, sorted(found)
        return found

    return await world.eventually(attempt, seconds=60)


async def insist(create: Callable[[], Awaitable[object]]) -> None:
    """Have it created whatever happens on the way, as a user who tries again."""
    while True:
        try:
            await create()
        except ApiError as error:
            if error.status == 409:
                return  # An earlier try got through, and its answer was lost.
            # A new API server does not know its own RBAC yet.
            if error.status < 500 and " cannot create resource " not in error.message:
                raise
        except TenantryError:
            pass
        else:
            return
        await asyncio.sleep(0.1)


async def making(world: World, tenant: str, count: int) -> asyncio.Task[None]:
    """Start to have alice create *count* namespaces."""
    alice = await world.user("alice")
    bodies = [
        {"metadata": {"name": world.unique(f"{tenant}-ns"), "labels": {"capsule.clastix.io/tenant": tenant}}}
        for _ in range(count)
    ]

    async def make() -> None:
        async with asyncio.TaskGroup() as group:
            for body in bodies:
                group.create_task(insist(lambda body=body: alice.create(NAMESPACES, body)))  # type: ignore[misc]

    return asyncio.create_task(make())


async def kill(world: World, plane: ControlPlane, component: Component) -> None:
    """Kill *component* and return when its successor is well."""
    before = plane.state.components[component].pid
    os.kill(before, signal.SIGKILL)

    async def is_back() -> bool:
        status = await asyncio.to_thread(plane.status)
        return any(each.component == component and each.healthy and each.pid != before for each in status)

    await world.eventually(is_back, seconds=60)


async def test_the_api_server_and_etcd_die_in_the_middle_of_work(breakable: Breakable, breakable_world: World) -> None:
    """Owners who try again get all their namespaces, complete; nothing that was there before is made anew."""
    world, plane = breakable_world, breakable.platform.plane
    before = await team(world, LIMITS)
    untouched = await complete(world, before.tenant, 1)
    tenant = (await world.tenant({**ALICE, **LIMITS})).metadata.name

    work = await making(world, tenant, 8)
    await kill(world, plane, Component.API_SERVER)
    await kill(world, plane, Component.ETCD)
    await work

    await complete(world, tenant, 8)
    assert await complete(world, before.tenant, 1) == untouched


async def test_slow_and_broken_connections_only_delay(breakable: Breakable, breakable_world: World) -> None:
    """Both processes work on through a link that is slow and cut again and again; nothing is deleted meanwhile."""
    world, links = breakable_world, (breakable.operator_link, breakable.admission_link)
    before = await team(world, LIMITS)
    untouched = await complete(world, before.tenant, 1)
    tenant = (await world.tenant(ALICE)).metadata.name
    try:
        for link in links:
            link.delay_seconds = 0.1
        work = await making(world, tenant, 6)
        for _ in range(4):
            for link in links:
                await link.cut()
                link.mend()
            await asyncio.sleep(0.5)
        await world.admin.patch(TENANTS, tenant, patch={"spec": LIMITS}, kind="merge")
        await work
        await complete(world, tenant, 6)
        # Slow is no reason to refuse what is allowed, nor to let pass what is not.
        await refused_or_let_through(before.owner, before.namespace)
    finally:
        for link in links:
            link.delay_seconds = 0.0
    assert await complete(world, before.tenant, 1) == untouched


async def refused_or_let_through(owner: Plain, namespace: str) -> None:
    """Check one request of each kind."""
    await owner.create(pod(namespace, "small"), dry_run=True)
    big = {"resources": {"limits": {"cpu": "3"}}}
    await refused(owner.create(pod(namespace, "big", container=big), dry_run=True), "maximum cpu usage")


async def test_processes_started_without_an_api_server_wait_and_say_so(
    breakable: Breakable, breakable_world: World
) -> None:
    """They are alive and not ready, name the address in readiness and log, try for ever, and then serve."""
    world, platform = breakable_world, breakable.platform
    before = await team(world, LIMITS)
    untouched = await complete(world, before.tenant, 1)
    parts = [(platform.operator, breakable.operator_link), (platform.admission, breakable.admission_link)]
    for part, link in parts:
        await platform.stop_part(part)
        await link.cut()
        await platform.run(part)
    for part, link in parts:

        async def waits(part: Any = part, address: str = f"127.0.0.1:{link.port}") -> bool:
            status, text = await readiness(part)
            assert status == 503
            assert address in text, text
            return True

        await world.eventually(waits)
        assert f"127.0.0.1:{link.port}" in breakable.logged(part)
    for part, link in parts:
        link.mend()
        await platform.wait_part(part)
    assert await complete(world, before.tenant, 1) == untouched


async def test_an_operator_that_is_throttled_finishes_all_the_same(
    breakable: Breakable, breakable_world: World
) -> None:
    """The API server's own flow control lets one request of ours in at a time, and answers 429 to the others."""
    world, platform = breakable_world, breakable.platform
    before = await team(world, LIMITS)
    untouched = await complete(world, before.tenant, 1)
    tenant = (await world.tenant(ALICE)).metadata.name
    await (await making(world, tenant, 6))

    async def is_throttled() -> bool:
        return 'code="429"' in await metrics(platform.operator)

    async with standing(Plain(world.admin), *no_share_for("capsule-system", "capsule")):
        # All its lists at once.
        await breakable.restart_unready(platform.operator)
        await world.admin.patch(TENANTS, tenant, patch={"spec": LIMITS}, kind="merge")
        await complete(world, tenant, 6)
        await world.eventually(is_throttled)
    assert await complete(world, before.tenant, 1) == untouched


def no_share_for(namespace: str, account: str) -> list[dict[str, Any]]:
    """Return what has the API server let one request of a ServiceAccount in at a time, and answer 429 to the others."""
    api = "flowcontrol.apiserver.k8s.io/v1"
    limited = {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
    subject = {"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": account}}
    everything = {
        "subjects": [subject],
        "resourceRules": [
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"], "clusterScope": True, "namespaces": ["*"]}
        ],
    }
    return [
        any_object(api, "PriorityLevelConfiguration", "nothing", spec={"type": "Limited", "limited": limited}),
        any_object(
            api,
            "FlowSchema",
            "nothing",
            spec={
                "matchingPrecedence": 2,
                "priorityLevelConfiguration": {"name": "nothing"},
                "rules": [everything],
            },
        ),
    ]


async def test_a_worker_cut_off_from_the_api_server_lets_nothing_pass_that_a_status_forbids(
    breakable: Breakable, breakable_world: World
) -> None:
    """Nobody waits for it for ever; by then it trusts its caches no more, and refuses what it cannot look up."""
    world = breakable_world
    team_ = await team(world, {})
    wrong = pod(team_.namespace, "wrong", container=ALWAYS)
    await team_.owner.create(wrong, dry_run=True)
    breakable.admission_link.swallow()
    try:
        # Written past admission, which is asked about Tenants and cannot answer now.
        await world.edit_tenant(team_.tenant, NEVER)
        with pytest.raises(ApiError):
            await team_.owner.create(wrong, dry_run=True)
    finally:
        breakable.admission_link.mend()
    await refused(team_.owner.create(wrong, dry_run=True), "Never")


async def test_a_full_disk_ends_neither_process(breakable: Breakable, breakable_world: World) -> None:
    """No file can grow, the logs' neither: both go on with their work."""
    world, platform = breakable_world, breakable.platform
    parts = (platform.operator, platform.admission)
    try:
        for part in parts:
            resource.prlimit(part.pid, resource.RLIMIT_FSIZE, (0, 0))
        logged = [breakable.logged(part) for part in parts]
        team_ = await team(world, {**LIMITS, **NEVER})
        await refused(team_.owner.create(pod(team_.namespace, "wrong", container=ALWAYS)), "Never")
        await complete(world, team_.tenant, 1)
        # The API server away for a moment: much is logged, and cannot be.
        for link in (breakable.operator_link, breakable.admission_link):
            await link.cut()
            link.mend()
        await world.edit_tenant(team_.tenant, {"imagePullPolicies": ["IfNotPresent"]})
        assert [breakable.logged(part) for part in parts] == logged
        assert [part.process.returncode for part in parts if part.process is not None] == [None, None]
    finally:
        for part in parts:
            await breakable.restart(part)

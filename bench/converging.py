"""How fast the product brings about what tenants and their owners ask for, and what it takes for it."""

from __future__ import annotations

import asyncio
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, Final

from bench.counters import READS, Requests, told
from bench.figures import Figure, Row
from bench.processes import memory
from bench.scene import NAMESPACES, ROLE_BINDINGS, TENANTS, Scene
from bench.wire import gather_limited
from tenantry.api.labels import MANAGED_BY, MANAGED_BY_CONTROLLER

COUNT: Final = 200
EACH: Final = 3
BIG: Final = "big"
BIG_OWNER: Final = "bertha"
ROLES: Final = ("admin", "capsule-namespace-deleter")
REST_SECONDS: Final = 40
LIMIT_RANGES: Final = "/api/v1/limitranges"
_MANAGED: Final = f"?labelSelector={MANAGED_BY}%3D{MANAGED_BY_CONTROLLER}"


def _name(number: int) -> str:
    return f"team-{number:03}"


def _owner(number: int) -> str:
    return f"owner-{number:03}"


def _spaces(tenant: str, count: int) -> list[str]:
    return [f"{tenant}-{number}" for number in range(count)]


async def many_tenants(scene: Scene) -> list[Row]:
    """Have the owners of many tenants make their namespaces, all at once."""
    await gather_limited([scene.tenant(_name(number), _owner(number)) for number in range(COUNT)], 8)
    doors = [scene.owner(_owner(number)) for number in range(COUNT)]
    await gather_limited([scene.in_force(_name(number)) for number in range(COUNT)], 4)
    await scene.quiet()
    before, cpu = await scene.requests(), scene.cpu()
    started = perf_counter()

    async def create_all(number: int) -> None:
        for space in _spaces(_name(number), EACH):
            await scene.namespace(doors[number], space, _name(number))

    await asyncio.gather(*(create_all(number) for number in range(COUNT)))
    created = perf_counter()
    wanted = {_name(number): (_owner(number), _spaces(_name(number), EACH)) for number in range(COUNT)}
    await scene.until(lambda: _bindings_are_right(scene, wanted), "all RoleBindings", every_seconds=0.2)
    right = await scene.until(lambda: _statuses_are_right(scene, wanted), "all statuses", every_seconds=0.2)
    await scene.quiet()
    used, requests = scene.cpu() - cpu, await scene.requests() - before
    for door in doors:
        door.close()
    spaces = COUNT * EACH
    scene.say(f"      the product's requests: {told(requests)}")
    return [
        Row(
            work=f"{COUNT} tenants with {EACH} namespaces each, made by their owners as fast as they can",
            capsule="115-143 s (658 s at its defaults)",
            figures=(
                Figure(name="until every status and RoleBinding is right", value=right - started, unit="s", at_most=25),
                Figure(name="of that, until the last namespace was created", value=created - started, unit="s"),
                Figure(name="CPU of the product a namespace", value=used.product / spaces * 1e3, unit="ms"),
                Figure(name="CPU of the API server a namespace", value=used.api_server / spaces * 1e3, unit="ms"),
            ),
        ),
        Row(
            work="API calls for each of those namespaces, events included",
            capsule="63-64 (72)",
            figures=(Figure(name="calls a namespace", value=requests.total() / spaces, at_most=9),),
        ),
    ]


async def _bindings_are_right(scene: Scene, wanted: dict[str, tuple[str, list[str]]]) -> bool:
    found: dict[tuple[str, str], set[str]] = {}
    for each in await scene.admin.items(ROLE_BINDINGS + _MANAGED):
        (subject,) = each["subjects"]
        found.setdefault((each["metadata"]["namespace"], subject["name"]), set()).add(each["roleRef"]["name"])
    return all(found.get((space, owner)) == set(ROLES) for owner, spaces in wanted.values() for space in spaces)


async def _statuses_are_right(scene: Scene, wanted: dict[str, tuple[str, list[str]]]) -> bool:
    found = {each["metadata"]["name"]: each for each in await scene.admin.items(TENANTS)}
    return all(_is_right(found[tenant], owner, spaces) for tenant, (owner, spaces) in wanted.items())


def _is_right(tenant: Any, owner: str, spaces: list[str]) -> bool:
    status = tenant.get("status", {})
    return (
        status.get("observedGeneration") == tenant["metadata"]["generation"]
        and status.get("size") == len(spaces)
        and status.get("namespaces") == sorted(spaces)
        and [each["name"] for each in status.get("owners", ())] == [owner]
        and _is_ready(status)
        and sorted(each["name"] for each in status.get("spaces", ())) == sorted(spaces)
        and all(_is_ready(each) for each in status["spaces"])
    )


def _is_ready(holder: Any) -> bool:
    conditions = {each["type"]: each["status"] for each in holder.get("conditions", ())}
    return conditions.get("Ready") == "True"


async def big_tenant(scene: Scene) -> None:
    """Make a tenant of many namespaces, beside those of :func:`many_tenants`."""
    owner = scene.owner(BIG_OWNER)
    spaces = _spaces(BIG, COUNT)
    await scene.tenant(BIG, BIG_OWNER)
    await scene.in_force(BIG)
    await scene.namespaces(owner, spaces, BIG)
    wanted = {BIG: (BIG_OWNER, spaces)}
    await scene.until(lambda: _bindings_are_right(scene, wanted), "RoleBindings of the big tenant")
    await scene.until(lambda: _statuses_are_right(scene, wanted), "the status of the big tenant")
    await scene.quiet()


async def one_edit(scene: Scene) -> list[Row]:
    """Add a LimitRange to the big tenant, take it away, and so on."""
    seconds, calls, cpu = [], [], []
    for number in range(3):
        before, cpu_before = await scene.requests(), scene.cpu()
        memory_limit = f"{number + 1}Gi"
        item = {"limits": [{"type": "Container", "max": {"memory": memory_limit}}]}
        edited = await scene.edit_tenant(BIG, {"limitRanges": {"items": [item]}})
        right = await scene.until(partial(_limits_are, scene, memory_limit), "LimitRanges", every_seconds=0.05)
        seconds.append(right - edited)
        await scene.quiet()
        cpu.append((scene.cpu() - cpu_before).product)
        calls.append((await scene.requests() - before).total())
        await scene.edit_tenant(BIG, {"limitRanges": None})
        await scene.until(lambda: _limits_are(scene, None), "LimitRanges gone")
        await scene.quiet()
    return [
        Row(
            work=f"one LimitRange added to a tenant of {COUNT} namespaces",
            capsule="31 s; 53 calls and 110 ms of its CPU a namespace",
            figures=(
                Figure(name="until all have it", value=median(seconds), unit="s", at_most=3),
                Figure(name="calls a namespace", value=median(calls) / COUNT, at_most=1.1),
                Figure(name="CPU of the product a namespace", value=median(cpu) / COUNT * 1e3, unit="ms", at_most=2),
            ),
        )
    ]


async def _limits_are(scene: Scene, memory_limit: str | None) -> bool:
    found = await scene.admin.items(LIMIT_RANGES + _MANAGED)
    if memory_limit is None:
        return not found
    return len(found) == COUNT and all(each["spec"]["limits"][0]["max"]["memory"] == memory_limit for each in found)


async def memory_use(scene: Scene) -> list[Row]:
    """Weigh both processes, as they are after all that and some rest."""
    await asyncio.sleep(REST_SECONDS)
    tenants = len(await scene.admin.items(TENANTS))
    spaces = len(await scene.admin.items(f"{NAMESPACES}?labelSelector=capsule.clastix.io%2Ftenant"))
    operator, admission = (memory(part.pid) for part in scene.parts)
    return [
        Row(
            work=f"memory at {spaces} namespaces, {tenants} tenants, operator and one admission worker together",
            capsule="139 MB (peak 159)",
            figures=(
                Figure(name="resident", value=operator.resident + admission.resident, unit="MB", at_most=130),
                Figure(name="operator", value=operator.resident, unit="MB"),
                Figure(name="admission", value=admission.resident, unit="MB"),
                Figure(name="both at their peaks", value=operator.peak + admission.peak, unit="MB"),
                Figure(
                    name="with shared pages counted once",
                    value=operator.proportional + admission.proportional,
                    unit="MB",
                ),
            ),
        )
    ]


def writes(requests: Requests) -> Requests:
    """Return what of *requests* may have changed anything, leases of the processes themselves left out."""
    return Requests(
        {
            request: n
            for request, n in requests.items()
            if n > 0 and request.verb not in READS and request.resource != "leases"
        }
    )

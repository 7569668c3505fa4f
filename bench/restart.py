"""A start of both processes in a large cluster: ten thousand namespaces, two thousand tenants."""

from __future__ import annotations

import asyncio
from time import monotonic, perf_counter
from typing import Final

from bench.converging import writes
from bench.counters import told
from bench.figures import Figure, Row
from bench.processes import cpu_seconds, memory
from bench.scene import NAMESPACES, PATIENCE_SECONDS, TENANTS, Scene
from bench.seeding import SPACES_EACH, model_tenant, seed
from bench.wire import Door
from tenantry.testing.platform import Part

SPACES: Final = 10_000
TENANT_COUNT: Final = 2_000
_IN_TENANT: Final = "labelSelector=capsule.clastix.io%2Ftenant"


async def restart(scene: Scene) -> list[Row]:
    """Fill the cluster while the product is down, then start it."""
    platform = scene.platform
    model = await model_tenant(scene)
    for part in scene.parts:
        await platform.stop_part(part)
    tenants = len(await scene.admin.items(TENANTS))
    spaces = len(await scene.admin.items(f"{NAMESPACES}?{_IN_TENANT}"))
    missing = max(TENANT_COUNT - tenants, -(-(SPACES - spaces) // SPACES_EACH))
    await seed(scene, model, missing + 1)
    tenants, spaces = tenants + missing, spaces + missing * SPACES_EACH
    await scene.until(lambda: _has(scene, tenants, spaces), "the seeds")
    await _settled(scene)
    rows = [Row(work=f"restart with {spaces} namespaces and {tenants} tenants", capsule="", figures=())]
    figures: list[Figure] = []
    for part in (platform.admission, platform.operator):
        started = perf_counter()
        await platform.run(part)
        await _ready(part)
        figures += _figures(part, perf_counter() - started)
    await platform.wait_ready()
    await scene.quiet()
    written = writes(await scene.requests())
    scene.say(f"      writes: {told(written)}")
    for part in (platform.admission, platform.operator):
        weight = memory(part.pid)
        figures += [
            Figure(name=f"{part.name}, once all was looked at, CPU", value=cpu_seconds(part.pid), unit="s"),
            Figure(name=f"{part.name}, once all was looked at, resident", value=weight.resident, unit="MB"),
            Figure(name=f"{part.name}, peak", value=weight.peak, unit="MB", at_most=200),
        ]
    figures.append(Figure(name="writes", value=written.total()))
    return [Row(work=rows[0].work, capsule="", figures=tuple(figures))]


def _figures(part: Part, seconds: float) -> list[Figure]:
    return [
        Figure(name=f"{part.name} until ready, CPU", value=cpu_seconds(part.pid), unit="s", at_most=10),
        Figure(name=f"{part.name} until ready", value=seconds, unit="s"),
        Figure(name=f"{part.name} when ready, resident", value=memory(part.pid).resident, unit="MB", at_most=200),
    ]


async def _has(scene: Scene, tenants: int, spaces: int) -> bool:
    found = await scene.admin.items(TENANTS)
    return (
        len(found) >= tenants and len(await scene.admin.items(f"{NAMESPACES}?{_IN_TENANT}&resourceVersion=0")) >= spaces
    )


async def _settled(scene: Scene) -> None:
    """Wait until the API server and its controllers have taken the seeds in."""
    pids = [running.pid for running in scene.plane.state.components.values()]
    deadline = monotonic() + PATIENCE_SECONDS
    while monotonic() < deadline:
        before = sum(map(cpu_seconds, pids))
        await asyncio.sleep(1)
        if sum(map(cpu_seconds, pids)) - before < 0.3:
            return


async def _ready(part: Part) -> None:
    deadline = monotonic() + PATIENCE_SECONDS
    door = Door.plain(part.health_port)
    try:
        while monotonic() < deadline:
            try:
                answer = await door.send("GET", "/readyz")
            except OSError:
                pass
            else:
                if answer.is_done:
                    return
            await asyncio.sleep(0.02)
    finally:
        door.close()
    raise TimeoutError(f"{part.name} was not ready after {PATIENCE_SECONDS:.0f} s")

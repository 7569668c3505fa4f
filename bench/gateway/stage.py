"""The stage: all rows of the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from time import perf_counter
from typing import Final

from bench.figures import Row
from bench.gateway.filtered import SIZES, all_namespaces, namespace_lists, self_reviews
from bench.gateway.outage import killed, restart, stopped
from bench.gateway.passing import passing
from bench.gateway.site import Site, site_of
from bench.gateway.watching import watches
from bench.scene import Scene

PART: Final = "gateway"
_RESTARTED: Final = 5_000
"""How many namespaces there are at the restart."""


async def gateway(scene: Scene) -> list[Row]:
    """Measure the gateway before the scene's API server."""
    rows: list[Row] = []
    started = perf_counter()
    async with site_of(scene) as site:
        async for row in _rows(site):
            scene.say(f"      {perf_counter() - started:4.0f} s  {row.work}")
            rows.append(replace(row, part=PART))
    return rows


async def _rows(site: Site) -> AsyncIterator[Row]:
    async for row in passing(site):
        yield row
    yield await self_reviews(site)
    async for row in watches(site):
        yield row
    for total, aim, capsule in SIZES:
        if total == _RESTARTED:
            yield await restart(site, total)
        yield await namespace_lists(site, total, aim, capsule)
    yield await all_namespaces(site)
    yield await stopped(site)
    yield await killed(site)

"""Filtered watches: what an open one holds, and what an event costs that goes to many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from bench.figures import Figure, Row
from bench.gateway.plain import PlainEnvoy
from bench.gateway.site import OWNER, PODS, SPACES, Site
from bench.http2 import Http2Door, Stream
from bench.processes import memory
from bench.scene import NAMESPACES
from bench.wire import MERGE_PATCH

STREAMS: Final = 400
CONNECTIONS: Final = 4
EVENTS: Final = 40
_CHANGED: Final = b'"type":"MODIFIED"'


async def watches(site: Site) -> AsyncIterator[Row]:
    """Measure watches of namespaces: many on a connection, as informers have them, and each on its own."""
    for connections in (CONNECTIONS, STREAMS):
        # What an earlier load left free in the heap would hide what this one takes.
        await site.start_again()
        yield await _row(site, connections)


async def _row(site: Site, connections: int) -> Row:
    kubeconfig = site.certificate(OWNER)
    doors = [site.http2(site.gateway.port, kubeconfig) for _ in range(connections)]
    listed = (await doors[0].send("GET", NAMESPACES)).json()
    await site.settled()
    envoy, python = site.memory_kib()
    path = f"{NAMESPACES}?watch=1&allowWatchBookmarks=true&resourceVersion={listed['metadata']['resourceVersion']}"
    before = site.usage()
    streams = await _opened(doors, path)
    await site.settled()
    opened = site.usage() - before
    envoy_now, python_now = site.memory_kib()
    before = site.usage()
    await _events(site, streams)
    used = site.usage() - before
    for door in doors:
        door.close()
    await site.settled()
    delivered = STREAMS * EVENTS / 1e6
    own = "each on a connection of its own" if connections == STREAMS else f"{STREAMS // connections} a connection"
    return Row(
        work=f"{STREAMS} filtered watches of namespaces, {own}",
        capsule="143 KiB",
        figures=(
            Figure(
                name="memory a stream, Envoy and Python",
                value=(envoy_now + python_now - envoy - python) / STREAMS,
                unit="KiB",
                # A connection alone takes half of that in any Envoy; informers share one.
                at_most=80 if connections < STREAMS else None,
            ),
            Figure(name="of that, in Python", value=(python_now - python) / STREAMS, unit="KiB"),
            Figure(
                name="through Envoy with TLS and a route alone", value=await _plain_kib(site, connections), unit="KiB"
            ),
            Figure(name="CPU a delivered event", value=used.gateway / delivered, unit="us", at_most=60),
            Figure(name="of that, in Python", value=used.python / delivered, unit="us"),
            Figure(name="CPU of the gateway to open one", value=opened.gateway / STREAMS * 1000, unit="ms"),
        ),
    )


async def _plain_kib(site: Site, connections: int) -> float:
    """Return what a watch of Pods takes in the Envoy that only routes; it knows no others."""
    plain = await PlainEnvoy.start(site.gateway)
    doors = [site.http2(plain.port, site.scene.plane.kubeconfig, token=site.token) for _ in range(connections)]
    before = memory(plain.pid).anonymous
    await _opened(doors, f"{PODS}?watch=1")
    await asyncio.sleep(1)
    used = memory(plain.pid).anonymous - before
    for door in doors:
        door.close()
    await plain.stop()
    return used * 1e6 / 1024 / STREAMS


async def _opened(doors: Sequence[Http2Door], path: str) -> list[Stream]:
    streams: list[Stream] = []
    for number in range(STREAMS):
        streams.append(await doors[number % len(doors)].begin("GET", path))
        if number % 20 == 0:
            await asyncio.sleep(0.01)  # As many clients come; not all in one packet.
    return streams


async def _events(site: Site, streams: Sequence[Stream]) -> None:
    for number in range(EVENTS):
        body = {"metadata": {"annotations": {"example.com/turn": f"{id(streams)}-{number}"}}}
        space = f"{NAMESPACES}/{SPACES[number % len(SPACES)]}"
        await site.scene.admin.must("PATCH", space, body, content_type=MERGE_PATCH)

    async def has_all() -> bool:
        return all(stream.body.count(_CHANGED) >= EVENTS for stream in streams)

    await site.scene.until(has_all, "all events at all watches", every_seconds=0.2)

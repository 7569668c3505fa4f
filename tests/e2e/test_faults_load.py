"""What must not cost a single request: a replica that stops, a certificate that is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from tenantry.kube.resources import SERVICES
from tenantry.testing.breakable import Breakable, readiness
from tenantry.testing.link import Link
from tenantry.testing.load import steady
from tenantry.testing.plain import Team, team
from tenantry.testing.platform import Part, free_ports
from tenantry.testing.world import World

PER_SECOND = 200.0
"""As fast as that where the machine can."""


def judged_requests(team_: Team) -> Callable[[int], Awaitable[object]]:
    """Return what sends one request that admission judges and lets through."""

    async def send(number: int) -> object:
        spec = {"type": "ExternalName", "externalName": "web.example.com"}
        body = {"metadata": {"name": f"web-{number}"}, "spec": spec}
        return await team_.owner.client.create(SERVICES, body, team_.namespace, dry_run=True)

    return send


@asynccontextmanager
async def service_of(ports: Mapping[int, Part]) -> AsyncIterator[Link]:
    """Balance over the replicas that are ready, asking as often as a kubelet may."""
    async with Link(*ports) as link, asyncio.TaskGroup() as group:

        async def follow() -> None:
            while True:
                link.targets = [port for port, part in ports.items() if (await readiness(part))[0] == 200]
                await asyncio.sleep(0.2)

        following = group.create_task(follow())
        try:
            yield link
        finally:
            following.cancel()


async def asked_through(world: World, link: Link, request: Callable[[int], Awaitable[object]]) -> None:
    """Wait until the API server asks admission through *link*."""

    async def attempt() -> bool:
        before = link.connections
        await request(0)
        return link.connections > before

    await world.eventually(attempt)


async def test_a_replica_that_stops_loses_no_request(breakable: Breakable, breakable_world: World) -> None:
    """Two replicas behind a Service: one is stopped under load, and every request is answered."""
    world, platform = breakable_world, breakable.platform
    team_ = await team(world, {"serviceOptions": {"allowedServices": {"nodePort": False}}})
    (port,) = free_ports(1)
    leaving = platform.another(platform.admission, f"--webhook-port={port}", "--shutdown-delay=2")
    await platform.run(leaving)
    await platform.wait_part(leaving)
    own_port = urlsplit(platform.settings.webhook_url or "").port or 443
    async with (
        service_of({own_port: platform.admission, port: leaving}) as link,
        asked_by(world, link, team_),
        steady(judged_requests(team_), per_second=PER_SECOND) as load,
    ):
        await load.more(100)
        await platform.stop_part(leaving)
        await load.more(100)
    assert load.failures == []


@asynccontextmanager
async def asked_by(world: World, link: Link, team_: Team) -> AsyncIterator[None]:
    """Have the API server ask admission through *link* in the body."""
    request = judged_requests(team_)

    async def is_used() -> bool:
        await request(0)
        return link.connections > 0

    async def is_unused() -> bool:
        await request(0)
        return True

    async with world.configured(admission=at(f"https://127.0.0.1:{link.port}")):
        await world.eventually(is_used)
        yield
    await link.cut()
    await world.eventually(is_unused)


def at(url: str) -> dict[str, Any]:
    """Return what has the API server ask *url*."""
    return {"mutating": {"client": {"url": url}}, "validating": {"client": {"url": url}}}

"""Starts and outages: a start in a large cluster, Python stopped for a minute under load, and killed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from bench.figures import Figure, Row, p50, p99
from bench.gateway.passing import POD
from bench.gateway.site import OWNER, Site
from bench.processes import cpu_seconds, memory
from bench.scene import NAMESPACES
from bench.wire import Door

STOPPED_SECONDS: Final = 60.0
AFTER_SECONDS: Final = 2.0
SENDERS: Final = 4
_PAUSE_SECONDS: Final = 0.02
_LIST_SECONDS: Final = 5.0


@dataclass(slots=True)
class _Load:
    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    is_over: bool = False

    async def send(self, door: Door, path: str, *, pause: float) -> None:
        """Send until it is over."""
        while not self.is_over:
            started = perf_counter()
            try:
                is_done = (await door.send("GET", path)).is_done
            except (OSError, TimeoutError):
                is_done = False
            self.failed += not is_done
            self.seconds.append(perf_counter() - started)
            await asyncio.sleep(pause)


async def restart(site: Site, total: int) -> Row:
    """Start the gateway anew, with *total* namespaces there."""
    await site.namespaces(total)
    await site.gateway.stop()
    started = perf_counter()
    await site.start_again()
    ready = perf_counter() - started
    cpu = cpu_seconds(site.envoy_pid) + sum(map(cpu_seconds, site.python_pids))
    return Row(
        work=f"restart of the gateway with {total} namespaces",
        capsule="",
        figures=(
            Figure(name="until ready", value=ready, unit="s"),
            Figure(name="CPU until ready", value=cpu, unit="s"),
            Figure(name="resident, Python", value=sum(memory(pid).resident for pid in site.python_pids), unit="MB"),
            Figure(name="resident, Envoy", value=memory(site.envoy_pid).resident, unit="MB"),
        ),
    )


async def stopped(site: Site) -> Row:
    """Stop Python for a minute while requests pass through and namespaces are listed."""
    await site.settled()
    passing, listing = _Load(), _Load()
    tasks = _senders(site, passing, listing)
    await asyncio.sleep(AFTER_SECONDS)
    warm = _Load(list(passing.seconds), passing.failed)
    site.gateway.signal(signal.SIGSTOP)
    await asyncio.sleep(STOPPED_SECONDS)
    site.gateway.signal(signal.SIGCONT)
    door, went_on = site.door(site.gateway.port, site.certificate(OWNER)), perf_counter()

    async def is_listed() -> bool:
        return (await door.send("GET", NAMESPACES)).is_done

    back = await site.scene.until(is_listed, "a list of namespaces", every_seconds=0.05) - went_on
    await asyncio.sleep(AFTER_SECONDS)
    passing.is_over = listing.is_over = True
    await asyncio.gather(*tasks)
    return Row(
        work=f"Python stopped for {STOPPED_SECONDS:.0f} s under load",
        capsule="",
        figures=(
            Figure(name="GETs of a Pod", value=len(passing.seconds)),
            Figure(name="of them failed", value=passing.failed, at_most=0),
            Figure(name="p50", value=p50(passing.seconds) * 1000, unit="ms"),
            Figure(name="p50 before", value=p50(warm.seconds) * 1000, unit="ms"),
            Figure(name="p99", value=p99(passing.seconds) * 1000, unit="ms"),
            Figure(name="slowest", value=max(passing.seconds) * 1000, unit="ms"),
            Figure(name="lists of namespaces", value=len(listing.seconds)),
            Figure(name="of them failed", value=listing.failed),
            Figure(name="slowest", value=max(listing.seconds), unit="s"),
            Figure(name="first list after it went on", value=back, unit="s"),
        ),
    )


async def killed(site: Site) -> Row:
    """Kill Python: all ends with it, and whoever runs it starts it anew."""
    door = site.door(site.gateway.port, site.scene.plane.kubeconfig, token=site.token)
    await site.gateway.stop(kill=True)
    started = perf_counter()
    refused = not await _answers(door)
    await site.gateway.run()

    async def is_back() -> bool:
        return await _answers(door)

    answered = await site.scene.until(is_back, "an answer", every_seconds=0.02) - started
    await site.gateway.wait_ready()
    site.look()
    return Row(
        work="Python killed, and started again at once",
        capsule="",
        figures=(
            Figure(name="requests let through without it", value=int(not refused), at_most=0),
            Figure(name="until the first GET of a Pod is answered", value=answered, unit="s"),
        ),
    )


def _senders(site: Site, passing: _Load, listing: _Load) -> Sequence[asyncio.Task[None]]:
    doors = [site.door(site.gateway.port, site.scene.plane.kubeconfig, token=site.token) for _ in range(SENDERS)]
    owner = site.door(site.gateway.port, site.certificate(OWNER))
    loop = asyncio.get_running_loop()
    return [
        *(loop.create_task(passing.send(door, POD, pause=_PAUSE_SECONDS)) for door in doors),
        loop.create_task(listing.send(owner, NAMESPACES, pause=_LIST_SECONDS)),
    ]


async def _answers(door: Door) -> bool:
    try:
        return (await door.send("GET", POD)).is_done
    except OSError:
        return False

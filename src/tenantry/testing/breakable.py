"""An installation whose parts and connections a test may break."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from tenantry.controlplane.cluster import ControlPlane
from tenantry.install.settings import InstallSettings
from tenantry.testing.link import Link
from tenantry.testing.platform import Part, Platform

QUICK_ELECTION: Final = (
    "--leader-election-lease-duration=4s",
    "--leader-election-renew-deadline=3s",
    "--leader-election-retry-period=500ms",
)
"""A leader that dies is missed for so long."""


@dataclass(frozen=True, slots=True)
class Breakable:
    """A control plane of its own, an installation, and a link on the way of each process to the API server."""

    platform: Platform
    operator_link: Link
    admission_link: Link

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path) -> AsyncIterator[Self]:
        """Run all of it in *folder* while open."""
        plane = await ControlPlane.start(folder / "control-plane", nodes=("node-1",))
        port = urlsplit(plane.server).port or 443
        settings = InstallSettings()
        async with Link(port) as operator_link, Link(port) as admission_link:
            servers = {
                settings.operator_account: f"https://127.0.0.1:{operator_link.port}",
                settings.admission_account: f"https://127.0.0.1:{admission_link.port}",
            }
            platform = await Platform.start(plane, folder, arguments=QUICK_ELECTION, servers=servers)
            yield cls(platform, operator_link, admission_link)
            await platform.stop()
        await plane.stop()

    async def restart(self, part: Part, *, kill: bool = False) -> None:
        """Stop *part* and start it again; return when it is ready."""
        await self.restart_unready(part, kill=kill)
        await self.platform.wait_part(part)

    async def restart_unready(self, part: Part, *, kill: bool = False) -> None:
        """As :meth:`restart`, without waiting for what may not come."""
        await self.platform.stop_part(part, kill=kill)
        await self.platform.run(part)

    def logged(self, part: Part) -> str:
        """Return what *part* has logged so far."""
        return part.log.read_text(errors="replace")


async def readiness(part: Part) -> tuple[int, str]:
    """Return what ``/readyz`` of *part* says: the HTTP status and the text; 0 where nothing answers."""
    url = f"http://127.0.0.1:{part.health_port}/readyz"
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()
    except aiohttp.ClientError:
        return 0, ""


async def metrics(part: Part) -> str:
    """Return what ``/metrics`` of *part* says."""
    url = f"http://127.0.0.1:{part.metrics_port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()

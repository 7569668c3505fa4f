"""A configuration that changes while the gateway runs: invariant 30."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import aiohttp
from door import Door

from tenantry.testing.platform import Platform

PODS: Final = "/api/v1/namespaces/default/pods"
BROKEN: Final = (
    "{",
    "apiVersion: gateway.tenantry.dev/v1alpha1\nkind: Something\n",
    "apiVersion: gateway.tenantry.dev/v1alpha1\nkind: GatewayConfiguration\nlocks: {users: olga}\n",
    "apiVersion: gateway.tenantry.dev/v1alpha1\nkind: GatewayConfiguration\nunknown: 1\n",
    "apiVersion: gateway.tenantry.dev/v1alpha1\nkind: GatewayConfiguration\nclusters: []\n",
    "",
)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


def replace(file: Path, text: str) -> None:
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(file)


async def test_invariant_30_a_wrong_configuration_changes_nothing(platform: Platform, tmp_path: Path) -> None:
    """The last good one stays in force whole, locks with it, until there is a better one."""
    async with Door.opened(platform, tmp_path) as door:
        file, olga, rosa = door.gateway.folder / "gateway.yaml", door.issuer.token("olga"), door.issuer.token("rosa")
        assert (await door.ask(PODS, token=olga)).arrived
        door.gateway.configuration["locks"] = {"users": ["olga"]}
        door.gateway.write_configuration()

        async def is_locked() -> bool:
            return (await door.ask(PODS, token=olga)).status == 403 and not (await door.ask(PODS, token=olga)).arrived

        await until(is_locked)
        for text in BROKEN:
            log = door.gateway.part.log
            before = log.stat().st_size
            replace(file, text)

            async def is_said(log: Path = log, before: int = before) -> bool:
                said = log.read_bytes()[before:].decode()  # noqa: ASYNC240 - a small file
                return re.search(r'"level": ?"(error|warning)"', said) is not None

            await until(is_said)
            assert await is_locked()
            assert (await door.ask(PODS, token=rosa)).arrived
        door.gateway.configuration["locks"] = {"users": ["rosa"]}
        door.gateway.write_configuration()

        async def are_exchanged() -> bool:
            statuses = [bool((await door.ask(PODS, token=token)).arrived) for token in (olga, rosa)]
            return statuses == [True, False]

        await until(are_exchanged)


async def test_invariant_30_nothing_for_debugging_is_served(door: Door) -> None:
    """Neither at the door nor beside it; Envoy's own administration has no port at all."""
    part = door.gateway.part
    paths = ("/debug/pprof", "/config_dump", "/clusters", "/quitquitquit", "/server_info", "/logging")
    async with aiohttp.ClientSession() as session:
        for port in (part.health_port, part.metrics_port):
            for path in paths:
                async with session.get(f"http://127.0.0.1:{port}{path}") as reply:
                    assert reply.status == 404
    assert {(await door.ask(path, token=door.issuer.token())).refusal for path in paths} == {(404, "NotFound")}

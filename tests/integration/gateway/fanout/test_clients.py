"""Current clients before the fan-out: kubectl, and client-go's informers with WatchList (8.3.1)."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from goprograms import informer

from tenantry.controlplane.cluster import ControlPlane
from tenantry.kube.resources import CONFIG_MAPS

from .conftest import Place

Eventually = Callable[[Callable[[], Any]], Coroutine[Any, Any, None]]


@pytest.fixture
def door_kubeconfig(place: Place, tmp_path: Path) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": place.door.base}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [{"name": "x", "user": {}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


@asynccontextmanager
async def running(*command: str | Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def told(process: Process, count: int) -> list[Any]:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return [json.loads(await process.stdout.readline()) for _ in range(count)]


@pytest.mark.parametrize("form", [("--typed", "--resource", "pods"), ("--resource", "configmaps")])
async def test_an_informer_syncs_and_follows(
    place: Place, door_kubeconfig: Path, form: tuple[str, ...], eventually: Eventually
) -> None:
    is_typed = form[0] == "--typed"
    place.calls.clear()
    async with running(informer(), "--kubeconfig", door_kubeconfig, *form) as process:
        first = await told(process, 1 if is_typed else 4)
        assert {"event": "synced"} in first
        # kube-root-ca.crt is everywhere.
        expected = [] if is_typed else sorted(place.namespaces)
        assert sorted(event["namespace"] for event in first if event["event"] == "added") == expected
        if not is_typed:
            await place.add_map(place.namespaces[1], "a")
            await place.admin.delete(CONFIG_MAPS, "a", place.namespaces[1])
            assert [event["event"] for event in await told(process, 2)] == ["added", "deleted"]
            place.knowledge.shows(place.user, *place.namespaces[1:])
            gone = (await told(process, 1))[0]
            assert (gone["event"], gone["namespace"]) == ("deleted", place.namespaces[0])
            place.knowledge.shows(place.user, *place.namespaces)
            back = await told(process, 1)
            while back[-1]["event"] == "modified":  # What an informer says of the others as it lists again.
                back += await told(process, 1)
            assert (back[-1]["event"], back[-1]["namespace"]) == ("added", place.namespaces[0])
    plural = "pods" if is_typed else "configmaps"
    await eventually(lambda: ("watch", plural, 200) in place.calls)
    assert ("list", plural, 200) not in place.calls  # It took the watch alone.


async def test_kubectl_lists_in_pages_and_watches(
    place: Place, door_kubeconfig: Path, control_plane: ControlPlane, eventually: Eventually
) -> None:
    for number in range(5):
        await place.add_map(place.namespaces[number % 2], f"m{number}")
    options = ("--kubeconfig", door_kubeconfig, "--cache-dir", door_kubeconfig.parent / "cache")
    get = (control_plane.kubectl, *options, "get", "configmaps", "-A", "-l", "x=1")
    place.calls.clear()
    async with running(*get, "--chunk-size=2") as process:
        lines = (await process.communicate())[0].decode().splitlines()
        assert [line.split()[:2] for line in lines] == [
            ["NAMESPACE", "NAME"],
            *([place.namespaces[0], f"m{number}"] for number in (0, 2, 4)),
            *([place.namespaces[1], f"m{number}"] for number in (1, 3)),
        ]
    assert place.calls.count(("list", "configmaps", 200)) > 3
    async with running(control_plane.kubectl, *options, "get", "secrets", "-A") as process:
        assert await process.communicate() == (b"", b"No resources found\n")
    async with running(*get, "--watch-only", "--output-watch-events") as process:
        assert process.stdout is not None
        await eventually(lambda: place.fanout.upstream_watches == 3)
        await place.add_map(place.namespaces[2], "new")
        async with asyncio.timeout(30):
            heading, row = [(await process.stdout.readline()).decode().split() for _ in range(2)]
        assert heading[:3] == ["EVENT", "NAMESPACE", "NAME"]
        assert row[:3] == ["ADDED", place.namespaces[2], "new"]

"""Live reads: many that ask for the same list share one read, but never one that began before they asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tenantry.admission.knowledge import Question, Topic
from tenantry.admission.live import LiveReader
from tenantry.api.tenant import Tenant
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig
from tenantry.kube.errors import ForbiddenError


class SlowServer:
    """An API server that answers lists one by one, when told to; each names its turn, the third is refused."""

    def __init__(self) -> None:
        self.turns = 0
        self.arrived = asyncio.Semaphore(0)
        self.go = asyncio.Semaphore(0)

    async def list(self, _: web.Request) -> web.Response:
        self.turns += 1
        turn = self.turns
        self.arrived.release()
        await self.go.acquire()
        if turn == 3:
            return web.json_response(
                {"kind": "Status", "message": "no", "reason": "Forbidden", "code": 403}, status=403
            )
        return web.json_response(
            {"metadata": {"resourceVersion": str(turn)}, "items": [{"metadata": {"name": f"turn-{turn}"}}]}
        )


@asynccontextmanager
async def reading() -> AsyncIterator[tuple[SlowServer, LiveReader]]:
    slow = SlowServer()
    app = web.Application()
    app.router.add_get("/apis/capsule.clastix.io/v1beta2/{plural}", slow.list)
    async with TestServer(app) as server, Client(ClusterConfig(server=f"http://127.0.0.1:{server.port}")) as client:
        yield slow, LiveReader(client, configuration_name="default")


def names(answer: object) -> list[str]:
    return [tenant.metadata.name for tenant in cast("list[Tenant]", answer)]


async def test_readers_share_a_read_that_began_after_they_asked() -> None:
    question = Question(Topic.TENANTS)
    async with reading() as (slow, reader):
        async with asyncio.TaskGroup() as group:
            first = group.create_task(reader.read(question))
            await slow.arrived.acquire()
            later = [group.create_task(reader.read(question)) for _ in range(20)]
            await asyncio.sleep(0)
            slow.go.release()
            slow.go.release()
        assert names(first.result()) == ["turn-1"]
        assert [names(task.result()) for task in later] == [["turn-2"]] * 20

        slow.go.release()
        with pytest.raises(ForbiddenError):
            await reader.read(question)
        slow.go.release()
        assert names(await reader.read(question)) == ["turn-4"]


async def test_other_questions_do_not_wait() -> None:
    async with reading() as (slow, reader), asyncio.TaskGroup() as group:
        waiting = group.create_task(reader.read(Question(Topic.TENANTS)))
        await slow.arrived.acquire()
        other = group.create_task(reader.read(Question(Topic.TENANT_OWNERS)))
        await slow.arrived.acquire()
        assert not waiting.done()
        assert not other.done()
        slow.go.release()
        slow.go.release()


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_what_nothing_can_be_named_is_not_there(name: str) -> None:
    """A claim may ask for the storage class "": that is no class, and no fault of the API server's."""
    question = Question(Topic.CLASS, name, "StorageClass")
    async with reading() as (slow, reader):
        assert await reader.read(question) is None
    assert slow.turns == 0

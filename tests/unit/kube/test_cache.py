"""What a cache does when the server behaves in ways that a healthy one does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tenantry.foundation.codec import encode
from tenantry.kube.cache import Cache
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig
from tenantry.kube.resources import CONFIG_MAPS

Serve = Callable[..., Any]


def _object(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n", "resourceVersion": str(version)}}


class _Collection:
    """A server of one collection, whose watches stay silent or end at once."""

    def __init__(self, version: int, **objects: int) -> None:
        self.version = version
        self.objects = objects
        self.is_served = True
        self.refuse_watches_with: int | None = None
        self.watches_from: list[str] = []
        self.refusals = 0
        self.streams: list[web.StreamResponse] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self.is_served:
            self.refusals += 1
            return web.json_response({"message": "no such kind", "code": 404, "reason": "NotFound"}, status=404)
        if "watch" not in request.query:
            items = [_object(name, version) for name, version in self.objects.items()]
            return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": items})
        self.watches_from.append(request.query["resourceVersion"])
        if self.refuse_watches_with is not None:
            return web.json_response(
                {"message": "no", "code": self.refuse_watches_with}, status=self.refuse_watches_with
            )
        stream = web.StreamResponse()
        await stream.prepare(request)
        self.streams.append(stream)
        await asyncio.Event().wait()
        return stream

    async def send(self, kind: str, obj: dict[str, Any]) -> None:
        await self.streams[-1].write(encode({"type": kind, "object": obj}) + b"\n")

    def cut(self) -> None:
        for stream in self.streams:
            request = stream._req
            assert request is not None
            assert request.transport is not None
            request.transport.abort()


def _held(cache: Cache[Any]) -> dict[str, int]:
    return {obj.metadata.name: int(obj.metadata.resource_version) for obj in cache.values()}


async def _with_cache(serve: Serve, collection: _Collection, scenario: Callable[[Cache[Any]], Any]) -> None:
    async with (
        serve(collection) as url,
        Client(ClusterConfig(server=url)) as client,
        asyncio.TaskGroup() as group,
    ):
        cache = Cache(client, CONFIG_MAPS)
        task = group.create_task(cache.run())
        try:
            async with asyncio.timeout(20):
                await scenario(cache)
        finally:
            task.cancel()


async def test_a_server_restored_from_a_backup_is_listed_anew(serve: Serve, eventually: Any) -> None:
    """It accepts a watch from its own future, and then stays silent until it gets there."""
    collection = _Collection(100, a=90, b=95)

    async def scenario(cache: Cache[Any]) -> None:
        await eventually(lambda: collection.streams)
        collection.version, collection.objects = 50, {"a": 40}
        collection.cut()
        await eventually(lambda: _held(cache) == {"a": 40})
        assert cache.resource_version == 50

    await _with_cache(serve, collection, scenario)


async def test_after_a_failure_the_watch_goes_on_where_it_was(serve: Serve, eventually: Any) -> None:
    collection = _Collection(100, a=90)

    async def scenario(cache: Cache[Any]) -> None:
        await eventually(lambda: collection.streams)
        await collection.send("ADDED", _object("b", 101))
        await collection.send("BOOKMARK", {"metadata": {"resourceVersion": "105"}})
        await eventually(lambda: cache.resource_version == 105)
        collection.version = 105
        collection.cut()
        await eventually(lambda: len(collection.watches_from) == 2)
        assert (collection.watches_from, _held(cache)) == (["100", "105"], {"a": 90, "b": 101})

    await _with_cache(serve, collection, scenario)


async def test_a_watch_that_expired_is_followed_by_a_list(serve: Serve, eventually: Any) -> None:
    collection = _Collection(100, a=90, b=91)

    async def scenario(cache: Cache[Any]) -> None:
        await eventually(lambda: collection.streams)
        collection.version, collection.objects = 120, {"b": 91, "c": 110}
        await collection.send("ERROR", {"code": 410, "reason": "Expired", "message": "too old"})
        await eventually(lambda: _held(cache) == {"b": 91, "c": 110})
        await eventually(lambda: collection.watches_from == ["100", "120"])

    await _with_cache(serve, collection, scenario)


async def test_a_failing_server_deletes_nothing(serve: Serve, eventually: Any) -> None:
    """Not a list that fails, not a kind that is suddenly not served."""
    collection = _Collection(100, a=90)

    async def scenario(cache: Cache[Any]) -> None:
        await eventually(lambda: collection.streams)
        collection.is_served = False
        await collection.send("ERROR", {"code": 410, "message": "too old"})
        await eventually(lambda: collection.refusals >= 2)
        assert (cache.synced, _held(cache), cache.last_error) == (True, {"a": 90}, "no such kind")
        collection.is_served = True
        await eventually(lambda: len(collection.watches_from) == 2)
        await eventually(lambda: cache.last_error is None)
        assert _held(cache) == {"a": 90}

    await _with_cache(serve, collection, scenario)


async def test_a_kind_that_is_not_served_yet_is_cached_once_it_is(serve: Serve, eventually: Any) -> None:
    collection = _Collection(100, a=90)
    collection.is_served = False

    async def scenario(cache: Cache[Any]) -> None:
        await eventually(lambda: collection.refusals >= 2)
        assert not cache.synced
        collection.is_served = True
        await cache.wait_synced()
        assert _held(cache) == {"a": 90}

    await _with_cache(serve, collection, scenario)


async def test_a_refused_watch_does_not_list_again(serve: Serve, eventually: Any) -> None:
    """Any failure but 410 goes on at the same version; one look at the version is all it costs."""
    collection = _Collection(100, a=90)
    collection.refuse_watches_with = 403

    async def scenario(cache: Cache[Any]) -> None:
        await eventually(lambda: len(collection.watches_from) == 3)
        assert (collection.watches_from, _held(cache)) == (["100"] * 3, {"a": 90})

    await _with_cache(serve, collection, scenario)

"""The cache of a kind that need not be served: until it is, nothing is known to be all there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Generic, TypeVar

import structlog

from tenantry.foundation.codec import Model, decode
from tenantry.foundation.errors import TenantryError
from tenantry.kube.cache import Cache, Change
from tenantry.kube.client import Client
from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import KubernetesObject, Resource

T = TypeVar("T", bound=KubernetesObject)
PROBE_SECONDS: Final = 3.0
"""How soon a kind is found that came with its CustomResourceDefinition."""
_log = structlog.get_logger(__name__)


class _ApiResource(Model):
    name: str


class _ApiResourceList(Model):
    resources: tuple[_ApiResource, ...] | None = None


class OptionalCache(Generic[T]):
    """A cache that is empty while the API server does not serve the kind, and starts anew when it does."""

    def __init__(
        self, client: Client, resource: Resource[T], *, indexes: Mapping[str, Callable[[T], Iterable[str]]]
    ) -> None:
        """Hold nothing until :meth:`run`."""
        self._client = client
        self.resource = resource
        self._indexes = indexes
        self._subscribers: list[Callable[[Change[T]], None]] = []
        self.is_served: bool | None = None
        """None while that is not known."""
        self.last_error: str | None = None
        """Why that is not known."""
        self._known = asyncio.Event()
        self.cache = self._fresh()

    @property
    def is_known(self) -> bool:
        """Whether what is held is complete: listed, or surely nothing because the kind is not served."""
        return self.is_served is False or self.cache.synced

    def values(self) -> Collection[T]:
        """Return all objects, in no particular order."""
        return self.cache.values()

    def by_index(self, index: str, value: str) -> list[T]:
        """Return the objects that *index* files under *value*, in no particular order."""
        return self.cache.by_index(index, value)

    def subscribe(self, callback: Callable[[Change[T]], None]) -> None:
        """Have *callback* called after each change, as of a cache."""
        self._subscribers.append(callback)
        self.cache.subscribe(callback)

    async def wait_known(self) -> None:
        """Return once what is held is complete for the first time."""
        await self._known.wait()

    async def run(self) -> None:
        """Keep the objects up to date until cancelled; no failure of the server ends it."""
        while True:
            if await self._look():
                await self._follow()
            await asyncio.sleep(PROBE_SECONDS)

    async def _follow(self) -> None:
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self.cache.run(), name=f"cache-{self.resource.plural}")
            telling = group.create_task(self._tell_when_synced())
            await self._until_gone()
            following.cancel()
            telling.cancel()
        _log.info("cache.api_gone", kind=self.resource.kind)
        gone, self.cache = self.cache, self._fresh()
        for obj in gone.values():
            for callback in self._subscribers:
                callback(Change(obj, None))

    async def _tell_when_synced(self) -> None:
        await self.cache.wait_synced()
        self._known.set()

    async def _until_gone(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            is_followed = self.cache.synced and self.cache.last_error is None
            if not is_followed and not await self._look():
                return

    async def _look(self) -> bool:
        """Return whether the kind is served, as far as is known."""
        try:
            body = await self._client.request("GET", self.resource.group_path)
            served = decode(body, _ApiResourceList).resources or ()
            self.is_served = any(each.name == self.resource.plural for each in served)
        except NotFoundError:
            self.is_served = False
        except (TenantryError, ValueError) as error:
            self.last_error = str(error)
            return self.is_served is True
        self.last_error = None
        if not self.is_served:
            self._known.set()
        return self.is_served

    def _fresh(self) -> Cache[T]:
        cache = Cache(self._client, self.resource, indexes=self._indexes)
        for callback in self._subscribers:
            cache.subscribe(callback)
        return cache

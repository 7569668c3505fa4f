"""Caches that run only while something configured needs them and the API is there (spec 13.17)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeVar

import structlog

from tenantry.foundation.errors import TenantryError
from tenantry.kube.cache import Cache, Change
from tenantry.kube.client import Client
from tenantry.kube.resources import KubernetesObject, Resource

T = TypeVar("T", bound=KubernetesObject)
DISCOVERY_SECONDS: Final = 30.0
"""How often a missing API is looked for: it comes with a CustomResourceDefinition, at any time."""
_log = structlog.get_logger(__name__)


class OnDemandCache(Generic[T]):
    """A cache that comes and goes."""

    def __init__(
        self,
        client: Client,
        resource: Resource[T],
        *,
        on_change: Callable[[Change[T]], None],
        on_known: Callable[[], None] = lambda: None,
        transform: Callable[[T], T] | None = None,
        indexes: Mapping[str, Callable[[T], Iterable[str]]] | None = None,
    ) -> None:
        """Hold nothing until :meth:`want`.

        *on_change* is called as a cache's subscriber, *on_known* when :attr:`is_known` came true.
        """
        self._client = client
        self.resource = resource
        self._on_change = on_change
        self._on_known = on_known
        self._options: dict[str, Any] = {"transform": transform, "indexes": indexes}
        self._wanted = asyncio.Event()
        self._unwanted = asyncio.Event()
        self._unwanted.set()
        self.cache: Cache[T] | None = None
        self.is_served: bool | None = None
        """Whether the API is there; None while that is not known."""

    @property
    def is_known(self) -> bool:
        """Whether :meth:`values` is complete: listed, or surely nothing because the API is missing."""
        return self.is_served is False or (self.cache is not None and self.cache.synced)

    def values(self) -> Iterable[T]:
        """Return what is held."""
        return self.cache.values() if self.cache is not None else ()

    def want(self, *, wanted: bool) -> None:
        """Say whether anything needs the cache."""
        (self._wanted if wanted else self._unwanted).set()
        (self._unwanted if wanted else self._wanted).clear()

    async def run(self) -> None:
        """Come and go until cancelled."""
        while True:
            await self._wanted.wait()
            if not await self._is_api_there():
                await asyncio.sleep(DISCOVERY_SECONDS)
                continue
            await self._run_while_wanted()

    async def _is_api_there(self) -> bool:
        before = self.is_served
        try:
            self.is_served = await self._client.has_api(self.resource)
        except TenantryError as error:
            _log.warning("discovery.failed", kind=self.resource.kind, error=str(error))
            return False
        if before is None and not self.is_served:
            self._on_known()
        return self.is_served

    async def _run_while_wanted(self) -> None:
        self.cache = Cache(self._client, self.resource, **self._options)
        self.cache.subscribe(self._on_change)
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self.cache.run(), name=f"cache-{self.resource.plural}")
                watching = group.create_task(self._until_api_is_gone(), name=f"api-{self.resource.plural}")
                telling = group.create_task(self._tell_when_synced(self.cache))
                await self._unwanted.wait()
                for task in (running, watching, telling):
                    task.cancel()
        except* _ApiGoneError:
            _log.info("cache.api_gone", kind=self.resource.kind)
        finally:
            self.cache = None

    async def _tell_when_synced(self, cache: Cache[T]) -> None:
        await cache.wait_synced()
        self._on_known()

    async def _until_api_is_gone(self) -> None:
        while True:
            await asyncio.sleep(DISCOVERY_SECONDS)
            if not await self._is_api_there() and self.is_served is False:
                raise _ApiGoneError


class _ApiGoneError(Exception):
    """The API is not served any more."""

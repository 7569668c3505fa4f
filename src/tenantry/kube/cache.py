"""A kind held in memory and kept up to date: list, then watch, for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from time import monotonic
from typing import Generic, TypeVar, cast

import structlog

from tenantry.api.meta import PartialObject
from tenantry.foundation.errors import TenantryError
from tenantry.kube.backoff import Backoff
from tenantry.kube.client import Client
from tenantry.kube.errors import GoneError, NotFoundError
from tenantry.kube.requests import given
from tenantry.kube.resources import KubernetesObject, Resource
from tenantry.kube.selectors import surely_matches
from tenantry.kube.store import Change, Key, Store, version_of
from tenantry.kube.watch import WatchEvent

T = TypeVar("T", bound=KubernetesObject)
__all__ = ["Cache", "Change"]

_log = structlog.get_logger(__name__)


class Cache(Generic[T]):
    """All objects of a kind that match the selectors, as of the last word from the server.

    Reads are dictionary look-ups and never wait.  Objects are shared and frozen.  Keys
    are (namespace, name); of cluster-wide kinds the namespace is left out.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource[T],
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        indexes: Mapping[str, Callable[[T], Iterable[str]]] | None = None,
        metadata_only: bool = False,
        transform: Callable[[T], T] | None = None,
    ) -> None:
        """Hold nothing until :meth:`run`.

        Args:
            client: Where to list and watch.
            resource: What.
            namespace: One namespace only.
            label_selector: As the API writes it.
            field_selector: As the API writes it.
            indexes: Pure functions from an object to the values to find it by.
            metadata_only: Hold ``PartialObject``s; then T is that.
            transform: Applied to each object before it is held, to drop what nobody reads.
        """
        self._client = client
        self.resource = cast("Resource[T]", resource.metadata_only()) if metadata_only else resource
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._selectors = given(labelSelector=label_selector, fieldSelector=field_selector)
        self._transform = transform
        self._store: Store[T] = Store(indexes)
        self._synced = asyncio.Event()
        self._watch_version: str | None = None
        self.last_contact = 0.0
        """Monotonic seconds of the last word from the server; 0 before the first."""
        self.last_error: str | None = None
        """Why the server is not followed right now; None while it is."""

    @property
    def synced(self) -> bool:
        """Whether the first list is in; it stays so while the server is away."""
        return self._synced.is_set()

    @property
    def resource_version(self) -> int:
        """Up to where the server's changes are known; 0 before the first list."""
        return self._store.version

    async def wait_synced(self) -> None:
        """Return once the first list is in."""
        await self._synced.wait()

    def __len__(self) -> int:
        return len(self._store)

    def get(self, name: str, namespace: str | None = None) -> T | None:
        """Return the object, or None; a cache of one namespace knows which."""
        return self._store.get(self._key(name, namespace))

    def values(self) -> Collection[T]:
        """Return all objects, in no particular order; later changes do not show in it."""
        return self._store.values()

    def by_index(self, index: str, value: str) -> list[T]:
        """Return the objects that *index* files under *value*, in no particular order."""
        return self._store.by_index(index, value)

    def subscribe(self, callback: Callable[[Change[T]], None]) -> None:
        """Have *callback* called after each change, at once; it must not wait, and its exceptions are logged."""
        self._store.subscribe(callback)

    def observe(self, obj: T) -> None:
        """Put in what a write returned, if it is newer than what is held: read your own writes."""
        if self._namespace is not None and obj.metadata.namespace != self._namespace:
            return
        matches = surely_matches(obj, self._label_selector, self._field_selector)
        self._store.observe(self._kept(obj), is_known_to_match=matches)

    def forget(
        self, name: str, namespace: str | None = None, *, uid: str | None = None, resource_version: str | None = None
    ) -> None:
        """Hide what was just deleted, until the watch says what became of it.

        With *uid* or *resource_version* only where that very object, or state, is held.
        """
        self._store.forget(self._key(name, namespace), uid=uid, resource_version=resource_version)

    async def run(self) -> None:
        """Keep the objects up to date until cancelled; no failure of the server ends it."""
        backoff = Backoff(0.2, 5)
        was_interrupted = False
        while True:
            try:
                if was_interrupted:
                    await self._check_version()
                if self._watch_version is None:
                    await self._list()
                was_interrupted = False
                await self._watch(backoff)
            except GoneError as error:
                _log.info("cache.expired", kind=self.resource.kind, error=str(error))
                self._watch_version = None
                await asyncio.sleep(backoff.next_seconds())
            except TenantryError as error:
                self._log_failure(error)
                was_interrupted = True
                await asyncio.sleep(backoff.next_seconds())

    async def _check_version(self) -> None:
        """List again where the server is behind what is known: it was restored from a backup.

        It would accept a watch from its future, and then stay silent.
        """
        if self._watch_version is None:
            return
        # With the selectors: rights may be limited to them.
        version = await self._client.version(self.resource, self._namespace, selectors=self._selectors)
        if version < int(self._watch_version):
            _log.warning("cache.server_went_back", kind=self.resource.kind, known=self._watch_version)
            self._watch_version = None

    async def _list(self) -> None:
        listing = await self._client.list(
            self.resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        self._store.replace((self._kept(obj) for obj in listing.items), int(listing.resource_version or 0))
        self._watch_version = listing.resource_version
        self.last_contact = monotonic()
        self.last_error = None
        if not self._synced.is_set():
            _log.debug("cache.synced", kind=self.resource.kind, objects=len(self))
            self._synced.set()

    async def _watch(self, backoff: Backoff) -> None:
        assert self._watch_version is not None
        async with self._client.watching(
            self.resource,
            self._namespace,
            resource_version=self._watch_version,
            selectors=self._selectors,
        ) as batches:
            self.last_contact = monotonic()
            self.last_error = None
            async with aclosing(batches):
                async for batch in batches:
                    backoff.reset()  # Only now: a server that accepts watches and drops them is failing.
                    self.last_contact = monotonic()
                    for event in batch:
                        self._take(event)

    def _take(self, event: WatchEvent[T]) -> None:
        version = version_of(event.object)
        if event.type == "BOOKMARK":
            self._store.bookmark(version)
        elif event.type == "DELETED":
            self._store.drop(self._kept(event.object))
        else:
            self._store.put(self._kept(event.object))
        # The event's own, not the highest seen: the watch goes on from what it sent.
        self._watch_version = event.object.metadata.resource_version

    def _key(self, name: str, namespace: str | None) -> Key:
        return (namespace or self._namespace or "" if self.resource.namespaced else "", name)

    def _kept(self, obj: T) -> T:
        if self.resource.is_metadata_only and not isinstance(obj, PartialObject):
            obj = cast("T", PartialObject(metadata=obj.metadata))
        return self._transform(obj) if self._transform is not None else obj

    def _log_failure(self, error: TenantryError) -> None:
        self.last_error = str(error)
        # A kind that is not served (yet) is no trouble of its own: whoever needs it says so.
        log = _log.info if isinstance(error, NotFoundError) else _log.warning
        log("cache.interrupted", kind=self.resource.kind, synced=self.synced, error=str(error))

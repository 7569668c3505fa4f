"""Caches of what only some tenants' settings look at: each starts when it is first asked (spec 13.17)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from tenantry.admission.classes import CLASS_RESOURCES, class_entry
from tenantry.admission.knowledge import Question, Topic, Unanswered
from tenantry.api.meta import PartialObject
from tenantry.api.workloads import Ingress
from tenantry.kube.cache import Cache
from tenantry.kube.client import Client
from tenantry.kube.resources import INGRESSES, PERSISTENT_VOLUMES, Resource
from tenantry.tenancy.checks.ingresses import host_paths
from tenantry.tenancy.views import ClassEntry, ClassKind, IngressUse

_BY_HOST_AND_PATH: Final = "host;path"


def _host_path_keys(ingress: Ingress) -> Iterable[str]:
    return (f"{host};{path}" for host, path in host_paths(ingress))


class Catalog:
    """Lookups from caches; what is not in memory yet is Unanswered, and read live meanwhile.

    So a cluster without Gateway API, or without a tenant that limits storage classes, pays
    nothing for them, and a kind that is not served blocks nobody.
    """

    def __init__(self, client: Client, tenant_of: Callable[[str], str]) -> None:
        """Start nothing.

        Args:
            client: Where to list and watch.
            tenant_of: The name of a namespace's tenant, by the namespace's name; empty for none.
        """
        self._client = client
        self._tenant_of = tenant_of
        self._caches: dict[str, Cache[Any]] = {}
        self._to_start: asyncio.Queue[Cache[Any]] = asyncio.Queue()
        self._on_ingress: list[Callable[[str, str], None]] = []

    async def run(self) -> None:
        """Keep the caches that were asked for up to date, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                cache = await self._to_start.get()
                group.create_task(cache.run(), name=f"cache of {cache.resource.plural}")

    def caches(self) -> Mapping[str, Cache[Any]]:
        """Return the caches started so far, by plural."""
        return dict(self._caches)

    def on_ingress(self, seen: Callable[[str, str], None]) -> None:
        """Have *seen* told namespace and name of each Ingress that comes, changes or goes."""
        self._on_ingress.append(seen)

    def cluster_class(self, kind: ClassKind, name: str) -> ClassEntry | None:
        """See Lookups."""
        found = self._synced(CLASS_RESOURCES[kind], Question(Topic.CLASS, name, kind)).get(name)
        return None if found is None else class_entry(found)

    def cluster_classes(self, kind: ClassKind) -> Iterable[ClassEntry]:
        """See Lookups."""
        return [
            class_entry(one) for one in self._synced(CLASS_RESOURCES[kind], Question(Topic.CLASSES, "", kind)).values()
        ]

    def volume_labels(self, name: str) -> Mapping[str, str] | None:
        """See Lookups."""
        volume = self._synced(PERSISTENT_VOLUMES, Question(Topic.VOLUME, name)).get(name)
        return None if volume is None else cast("PartialObject", volume).metadata.labels or {}

    def ingresses_using(self, host: str, path: str) -> Iterable[IngressUse]:
        """See Lookups."""
        cache: Cache[Ingress] = self._synced(INGRESSES, Question(Topic.INGRESSES))
        return [
            IngressUse(
                namespace=one.metadata.namespace,
                name=one.metadata.name,
                tenant=self._tenant_of(one.metadata.namespace),
            )
            for one in cache.by_index(_BY_HOST_AND_PATH, f"{host};{path}")
        ]

    def _synced(self, resource: Resource[Any], question: Question) -> Cache[Any]:
        cache = self._caches.get(resource.plural)
        if cache is None:
            cache = self._caches[resource.plural] = self._made(resource)
            self._to_start.put_nowait(cache)
        if not cache.synced:
            raise Unanswered(question)
        return cache

    def _made(self, resource: Resource[Any]) -> Cache[Any]:
        if resource.plural == INGRESSES.plural:
            cache = Cache(self._client, INGRESSES, indexes={_BY_HOST_AND_PATH: _host_path_keys})
            cache.subscribe(lambda change: self._tell(change.new or change.old))
            return cache
        return Cache(self._client, resource, metadata_only=resource.plural == PERSISTENT_VOLUMES.plural)

    def _tell(self, ingress: Ingress | None) -> None:
        if ingress is not None:
            for seen in self._on_ingress:
                seen(ingress.metadata.namespace, ingress.metadata.name)

"""The controllers of metadata on objects that others make: Pods, Services, PersistentVolumes (R-8, R-9)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import structlog

from tenantry.api.core import PersistentVolume
from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.kube import resources as kinds
from tenantry.kube.cache import Change
from tenantry.kube.errors import ForbiddenError, NotFoundError
from tenantry.kube.queue import WorkQueue
from tenantry.kube.resources import KubernetesObject, Resource
from tenantry.operator.caches import BY_NAMESPACE
from tenantry.operator.on_demand import OnDemandCache
from tenantry.operator.tools import Tools
from tenantry.tenancy.desired.object_metadata import additional_metadata, missing_metadata, volume_patch

MANAGER: Final = "tenantry/object-metadata"
FORBIDDEN_SECONDS: Final = 300.0
Key = tuple[str, str, str]
"""Kind, namespace, name."""
_WATCHED: Final[Mapping[str, Resource[Any]]] = {
    "Pod": kinds.PODS.metadata_only(),
    "Service": kinds.SERVICES.metadata_only(),
    "EndpointSlice": kinds.ENDPOINT_SLICES,
}
_log = structlog.get_logger(__name__)


def _metadata(obj: PartialObject) -> PartialObject:
    meta = obj.metadata
    return PartialObject(
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            resource_version=meta.resource_version,
            labels=meta.labels,
            annotations=meta.annotations,
            deletion_timestamp=meta.deletion_timestamp,
        )
    )


def _namespace(obj: KubernetesObject) -> Iterable[str]:
    return (obj.metadata.namespace,)


class ObjectMetadataController:
    """Watches a kind only while some tenant wants metadata on it, volumes while there is any tenant."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self.queue: WorkQueue[Key] = WorkQueue("object_metadata")
        self._objects: dict[str, OnDemandCache[PartialObject]] = {
            kind: OnDemandCache(
                tools.client,
                resource,
                on_change=self._enqueuer(kind),
                transform=_metadata,
                indexes={BY_NAMESPACE: _namespace},
            )
            for kind, resource in _WATCHED.items()
        }
        self._volumes: OnDemandCache[PersistentVolume] = OnDemandCache(
            tools.client, kinds.PERSISTENT_VOLUMES, on_change=self._enqueuer("PersistentVolume")
        )

    def _enqueuer(self, kind: str) -> Any:
        def changed(change: Change[Any]) -> None:
            if change.new is not None and not change.new.metadata.deletion_timestamp:
                self.queue.add((kind, change.new.metadata.namespace, change.new.metadata.name))

        return changed

    def settle_wants(self) -> None:
        """Start and stop watching by what tenants want now."""
        tenants = self._tools.caches.tenants.values()
        for kind, cache in self._objects.items():
            cache.want(wanted=any(additional_metadata(tenant, kind) is not None for tenant in tenants))
        self._volumes.want(wanted=bool(tenants))

    def look_at_namespace(self, namespace: str) -> None:
        """Have the objects of a namespace looked at: its tenant, or what that wants, has changed."""
        for kind, on_demand in self._objects.items():
            if on_demand.cache is not None:
                for obj in on_demand.cache.by_index(BY_NAMESPACE, namespace):
                    self.queue.add((kind, namespace, obj.metadata.name))
        for volume in self._volumes.values():
            claim = volume.spec.claim_ref
            if claim is not None and claim.namespace == namespace:
                self.queue.add(("PersistentVolume", "", volume.metadata.name))

    async def run_caches(self) -> None:
        """Keep what is wanted up to date until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._volumes.run())
            for on_demand in self._objects.values():
                group.create_task(on_demand.run())

    async def reconcile(self, key: Key) -> float | None:
        """Put on one object what it lacks."""
        kind, namespace, name = key
        on_demand: OnDemandCache[Any] = self._volumes if kind == "PersistentVolume" else self._objects[kind]
        obj = on_demand.cache.get(name, namespace or None) if on_demand.cache is not None else None
        if on_demand.cache is None or obj is None:
            return None
        patch = self._patch(kind, obj)
        if patch is None:
            return None
        patch["metadata"]["uid"] = obj.metadata.uid  # Another object of that name is not meant.
        try:
            await self._tools.writer.merge(on_demand.cache, obj, patch, manager=MANAGER)
        except NotFoundError:
            return None
        except ForbiddenError as error:
            _log.warning("object_metadata.forbidden", kind=kind, namespace=namespace, name=name, error=str(error))
            return FORBIDDEN_SECONDS
        return None

    def _patch(self, kind: str, obj: Any) -> dict[str, Any] | None:
        if kind == "PersistentVolume":
            claim = obj.spec.claim_ref
            tenant = self._tools.book.tenant_in(claim.namespace) if claim is not None else None
            return volume_patch(obj, {claim.namespace: tenant.metadata.name} if tenant is not None else {})
        tenant = self._tools.book.tenant_in(obj.metadata.namespace)
        wanted = additional_metadata(tenant, kind) if tenant is not None else None
        return missing_metadata(obj.metadata, wanted) if wanted is not None else None

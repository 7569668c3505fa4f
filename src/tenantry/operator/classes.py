"""The cluster's classes, for the lists in Tenants' statuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.api.tenant import AvailableClasses, Tenant
from tenantry.kube import resources as kinds
from tenantry.kube.cache import Change
from tenantry.kube.client import Client
from tenantry.kube.resources import Resource
from tenantry.operator.on_demand import OnDemandCache
from tenantry.tenancy.checks.allowed import available_classes
from tenantry.tenancy.views import ClassEntry, ClassKind, IngressUse

_LISTED: Final[Mapping[ClassKind, Resource[Any]]] = {
    ClassKind.STORAGE: kinds.STORAGE_CLASSES,
    ClassKind.PRIORITY: kinds.PRIORITY_CLASSES,
    ClassKind.RUNTIME: kinds.RUNTIME_CLASSES,
    ClassKind.GATEWAY: kinds.GATEWAY_CLASSES,
    ClassKind.DEVICE: kinds.DEVICE_CLASSES,
}


def _names_and_labels(obj: PartialObject) -> PartialObject:
    meta = obj.metadata
    return PartialObject(
        metadata=ObjectMeta(name=meta.name, uid=meta.uid, resource_version=meta.resource_version, labels=meta.labels)
    )


class ClusterClasses:
    """Names and labels of all classes, watched while there is any tenant."""

    def __init__(self, client: Client, on_change: Callable[[], None]) -> None:
        """*on_change* is called when a class came, went or was relabelled, or a kind of them became known."""

        def changed(change: Change[PartialObject]) -> None:
            old, new = change.old, change.new
            if old is None or new is None or old.metadata.labels != new.metadata.labels:
                on_change()

        self._caches: dict[ClassKind, OnDemandCache[PartialObject]] = {
            kind: OnDemandCache(
                client,
                resource.metadata_only(),
                on_change=changed,
                on_known=on_change,
                transform=_names_and_labels,
            )
            for kind, resource in _LISTED.items()
        }

    def want(self, *, wanted: bool) -> None:
        """Say whether there is any tenant."""
        for cache in self._caches.values():
            cache.want(wanted=wanted)

    async def run(self) -> None:
        """Keep the classes up to date until cancelled."""
        async with asyncio.TaskGroup() as group:
            for cache in self._caches.values():
                group.create_task(cache.run())

    def available_to(self, tenant: Tenant) -> AvailableClasses | None:
        """Return ``status.classes`` of *tenant*; None while any kind is still being listed."""
        if not all(cache.is_known for cache in self._caches.values()):
            return None
        return available_classes(tenant, self)

    def cluster_class(self, kind: ClassKind, name: str) -> ClassEntry | None:
        """As the Lookups of the core."""
        return next((entry for entry in self.cluster_classes(kind) if entry.name == name), None)

    def cluster_classes(self, kind: ClassKind) -> Iterable[ClassEntry]:
        """As the Lookups of the core."""
        cache = self._caches.get(kind)
        return [
            ClassEntry(name=each.metadata.name, labels=each.metadata.labels or {})
            for each in (cache.values() if cache is not None else ())
        ]

    def volume_labels(self, name: str) -> None:  # noqa: ARG002 - no list in a status asks for volumes
        """As the Lookups of the core; nothing here is about volumes."""
        return

    def ingresses_using(self, host: str, path: str) -> Iterable[IngressUse]:  # noqa: ARG002 - as above
        """As the Lookups of the core; nothing here is about ingresses."""
        return ()

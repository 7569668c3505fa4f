"""Emptying namespaces that do not go: off by default, since it destroys others' finalizers (R-2, spec 13.12)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import structlog

from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.foundation.clock import Clock
from tenantry.foundation.codec import Model, decode
from tenantry.foundation.errors import TenantryError
from tenantry.kube.client import Client
from tenantry.kube.errors import ForbiddenError, NotFoundError
from tenantry.kube.resources import PODS, Resource

POLL_SECONDS: Final = 2.0
_VERBS: Final = frozenset({"list", "delete", "patch"})
_log = structlog.get_logger(__name__)


class _Served(Model):
    name: str = ""
    kind: str = ""
    namespaced: bool = False
    verbs: tuple[str, ...] = ()


class _ServedList(Model):
    group_version: str = ""
    resources: tuple[_Served, ...] = ()


class _Version(Model):
    group_version: str = ""


class _Group(Model):
    preferred_version: _Version = _Version()


class _GroupList(Model):
    groups: tuple[_Group, ...] = ()


class ForceDeletion:
    """Waits for a namespace's Pods to go, then a grace, then deletes everything and strips all finalizers."""

    def __init__(self, client: Client, clock: Clock, *, grace_seconds: float) -> None:
        """Needs get, list, delete and patch on everything: an aggregated ClusterRole gives that."""
        self._client = client
        self._clock = clock
        self._grace_seconds = grace_seconds

    async def run(self, namespaces: Iterable[ObjectMeta]) -> float:
        """Do what is due in each of *namespaces*; return after how many seconds to come back."""
        for namespace in namespaces:
            if namespace.deletion_timestamp and self._is_due(namespace.deletion_timestamp):
                await self._empty(namespace.name)
        return POLL_SECONDS

    def _is_due(self, deleted_at: str) -> bool:
        return (self._clock.now() - datetime.fromisoformat(deleted_at)).total_seconds() >= self._grace_seconds

    async def _empty(self, namespace: str) -> None:
        if (await self._client.list(PODS.metadata_only(), namespace)).items:
            _log.info("force_deletion.waiting", namespace=namespace, reason="waiting for pods to finalize")
            return
        _log.warning("force_deletion.started", namespace=namespace)
        for resource in await self._resources():
            with suppress(NotFoundError):
                await self._empty_kind(resource, namespace)

    async def _empty_kind(self, resource: Resource[PartialObject], namespace: str) -> None:
        try:
            found = (await self._client.list(resource, namespace)).items
            for obj in found:
                with suppress(NotFoundError):
                    await self._remove(resource, obj)
        except ForbiddenError as error:
            _log.warning("force_deletion.forbidden", kind=resource.kind, namespace=namespace, error=str(error))

    async def _remove(self, resource: Resource[PartialObject], obj: PartialObject) -> None:
        meta = obj.metadata
        if not meta.deletion_timestamp:
            await self._client.delete(resource, meta.name, meta.namespace, uid=meta.uid, propagation="Background")
        if meta.finalizers:
            patch = {"metadata": {"finalizers": None, "uid": meta.uid}}
            await self._client.patch(resource, meta.name, meta.namespace, patch=patch, kind="merge")

    async def _resources(self) -> list[Resource[PartialObject]]:
        """Return every namespaced kind that can be listed and deleted, each in its preferred version."""
        paths = ["/api/v1"]
        groups = decode(await self._client.request("GET", "/apis"), _GroupList).groups
        paths += [f"/apis/{group.preferred_version.group_version}" for group in groups]
        found: list[Resource[Any]] = []
        for path in paths:
            try:
                served = decode(await self._client.request("GET", path), _ServedList)
            except TenantryError as error:  # An aggregated API that is down must not stop the rest.
                _log.warning("force_deletion.discovery_failed", path=path, error=str(error))
                continue
            group, _, version = served.group_version.rpartition("/")
            found += [
                Resource(group, version, each.name, each.kind, namespaced=True, type=PartialObject).metadata_only()
                for each in served.resources
                if each.namespaced and "/" not in each.name and set(each.verbs) >= _VERBS
            ]
        return found

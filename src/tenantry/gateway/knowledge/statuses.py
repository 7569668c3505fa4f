"""Writes the status of ProxySettings and GlobalProxySettings, once what they say is in force here.

Every replica does, without a leader: all come to the same status, and write it only where it
differs, so the second to come finds nothing to do.
"""

from __future__ import annotations

from typing import Final, TypeVar

from tenantry.access.settings_status import settings_status
from tenantry.api.proxy import GlobalProxySettings, ProxySetting
from tenantry.foundation.clock import Clock, rfc3339
from tenantry.gateway.knowledge.optional import OptionalCache
from tenantry.gateway.knowledge.sources import Sources
from tenantry.kube.cache import Change
from tenantry.kube.client import Client
from tenantry.kube.errors import NotFoundError
from tenantry.kube.queue import WorkQueue
from tenantry.tenancy.desired.conditions import plain_status

Setting = ProxySetting | GlobalProxySettings
S = TypeVar("S", ProxySetting, GlobalProxySettings)
Key = tuple[str, str]
"""Namespace (empty for GlobalProxySettings) and name."""
_MANAGER: Final = "tenantry/gateway-status"
_MIN_INTERVAL_SECONDS: Final = 0.1
_WORKERS: Final = 2


class StatusWriter:
    """Keeps statuses up to date; a change is in the caches, and so in force, before its status is worked out."""

    def __init__(self, client: Client, sources: Sources, clock: Clock) -> None:
        self._client = client
        self._sources = sources
        self._clock = clock
        self._queue: WorkQueue[Key] = WorkQueue("proxysettings", min_interval_seconds=_MIN_INTERVAL_SECONDS)

    async def run(self) -> None:
        """Write what differs, until cancelled; the caches were listed."""
        self._sources.settings.subscribe(self._changed)
        self._sources.global_settings.subscribe(self._changed)
        for setting in self._sources.settings.values():
            self._queue.add(_key(setting))
        for settings in self._sources.global_settings.values():
            self._queue.add(_key(settings))
        await self._queue.run(self._reconcile, workers=_WORKERS)

    def _changed(self, change: Change[ProxySetting] | Change[GlobalProxySettings]) -> None:
        if change.new is not None:
            self._queue.add(_key(change.new))

    async def _reconcile(self, key: Key) -> None:
        namespace, name = key
        if namespace:
            await self._bring_up_to_date(self._sources.settings, name, namespace)
        else:
            await self._bring_up_to_date(self._sources.global_settings, name, None)

    async def _bring_up_to_date(self, kind: OptionalCache[S], name: str, namespace: str | None) -> None:
        stored = kind.cache.get(name, namespace)
        if stored is None or stored.metadata.deletion_timestamp is not None:
            return
        wanted = settings_status(stored, now=rfc3339(self._clock.now()))
        if wanted == stored.status:
            return
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": stored.metadata.uid},
            {"op": "add", "path": "/status", "value": plain_status(wanted)},
        ]
        try:
            written = await self._client.patch(
                kind.resource, name, namespace, patch=patch, kind="json", subresource="status", field_manager=_MANAGER
            )
        except NotFoundError:
            return
        kind.cache.observe(written)


def _key(setting: Setting) -> Key:
    return setting.metadata.namespace, setting.metadata.name

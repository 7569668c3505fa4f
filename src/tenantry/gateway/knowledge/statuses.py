"""Writes the status of ProxySettings and GlobalProxySettings, once what they say is in force here.

Every replica does, without a leader: all come to the same status, and write it only where it
differs, so the second to come finds nothing to do.  Before a replica writes that what may be read
differs from what is stored, it asks anew: else two whose answers are of different times would
take turns.
"""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar

from tenantry.access.rule_kinds import cluster_resources, named_kinds
from tenantry.access.settings_status import readable, readable_condition, says_the_same, settings_status
from tenantry.api.meta import Condition
from tenantry.api.proxy import GlobalProxySettings, ProxySetting
from tenantry.foundation.clock import Clock, rfc3339
from tenantry.foundation.codec import DecodeError
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.knowledge.optional import OptionalCache
from tenantry.gateway.knowledge.own_rights import OwnRights
from tenantry.gateway.knowledge.sources import Sources
from tenantry.gateway.verdicts.kinds import Kinds
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
_SWEEP_SECONDS: Final = 2.0
"""How often is looked whether what may not be read may be by now."""
_WHOLE_SWEEPS: Final = 5
"""Every so many times at all others, too: a right may be taken away, a kind may come."""
_DISCOVERY_SECONDS: Final = 9.0
_AGREED_SECONDS: Final = 1.0
"""How old answers may be by which a condition changes."""
_PATIENCE_SECONDS: Final = 1.0
"""How long a status waits to say what may be read; Ready must not wait for long."""


class StatusWriter:
    """Keeps statuses up to date; a change is in the caches, and so in force, before its status is worked out."""

    def __init__(self, client: Client, sources: Sources, clock: Clock) -> None:
        self._client = client
        self._sources = sources
        self._clock = clock
        self._kinds = Kinds(client, clock)
        self._rights = OwnRights(client, clock)
        self._queue: WorkQueue[Key] = WorkQueue("proxysettings", min_interval_seconds=_MIN_INTERVAL_SECONDS)

    async def run(self) -> None:
        """Write what differs, until cancelled; the caches were listed."""
        self._sources.settings.subscribe(self._changed)
        self._sources.global_settings.subscribe(self._changed)
        for setting in self._settings():
            self._queue.add(_key(setting))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._queue.run(self._reconcile, workers=_WORKERS), name="statuses-queue")
            group.create_task(self._sweep(), name="statuses-sweep")

    def _settings(self) -> tuple[Setting, ...]:
        return (*self._sources.settings.values(), *self._sources.global_settings.values())

    async def _sweep(self) -> None:
        """Look again at what changes without a change of the objects."""
        rounds = 0
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            rounds += 1
            for setting in self._settings():
                told = readable_condition(setting)
                if told is None or told.status != "True" or rounds % _WHOLE_SWEEPS == 0:
                    self._queue.add(_key(setting))

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
        told = await self._readable(stored)
        wanted = settings_status(stored, now=rfc3339(self._clock.now()), readable=told)
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

    async def _readable(self, stored: Setting) -> Condition | None:
        """Return the condition that holds now; None where that can't be told."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                found = await self._asked(stored, None)
                if says_the_same(readable_condition(stored), found):
                    return found
                return await self._asked(stored, _AGREED_SECONDS)
        except (TenantryError, DecodeError, TimeoutError):
            return None

    async def _asked(self, stored: Setting, age_seconds: float | None) -> Condition:
        generation = stored.metadata.generation
        if not any(cluster_resources(stored)):
            return readable((), generation=generation)
        served = await self._kinds.all(keep_seconds=_DISCOVERY_SECONDS if age_seconds is None else age_seconds)
        unreadable = await self._rights.unreadable(named_kinds(stored, served), age_seconds=age_seconds)
        return readable(unreadable, generation=generation)


def _key(setting: Setting) -> Key:
    return setting.metadata.namespace, setting.metadata.name

"""The caches behind all answers, each with the indexes that the questions need."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tenantry.access.grants import global_setting_keys, setting_keys
from tenantry.access.principals import binding_keys
from tenantry.api.configuration import CapsuleConfiguration
from tenantry.api.core import RoleBinding
from tenantry.api.meta import PartialObject
from tenantry.api.proxy import GlobalProxySettings, ProxySetting
from tenantry.api.tenant import Tenant
from tenantry.foundation.clock import Clock
from tenantry.gateway.knowledge.optional import OptionalCache
from tenantry.gateway.knowledge.slim import Slimmer
from tenantry.kube import resources as kinds
from tenantry.kube.cache import Cache
from tenantry.kube.client import Client
from tenantry.kube.watch import IDLE_SECONDS
from tenantry.tenancy.desired.membership import referenced_tenants
from tenantry.tenancy.owners import owner_keys

BY_SUBJECT: Final = "subject"
BY_TENANT: Final = "tenant"
BY_NAMESPACE: Final = "namespace"
INTERRUPTED_SECONDS: Final = 60.0
"""How old what is known may be while the API server is not followed: then the process is not ready."""
SILENT_SECONDS: Final = IDLE_SECONDS + 30
"""The same while nothing seems wrong: by then a dead connection was noticed."""


class Sources:
    """Everything that is read under the gateway's own account to tell who sees what."""

    def __init__(self, client: Client) -> None:
        """Hold nothing until :meth:`run`."""
        slimmer = Slimmer()
        self.configurations: Cache[CapsuleConfiguration] = Cache(client, kinds.CONFIGURATIONS)
        self.tenants: Cache[Tenant] = Cache(
            client, kinds.TENANTS, indexes={BY_SUBJECT: _tenant_keys}, transform=slimmer.tenant
        )
        self.namespaces: Cache[PartialObject] = Cache(
            client, kinds.NAMESPACES.metadata_only(), indexes={BY_TENANT: _tenant_names}, transform=slimmer.namespace
        )
        self.role_bindings: Cache[RoleBinding] = Cache(
            client, kinds.ROLE_BINDINGS, indexes={BY_SUBJECT: binding_keys}, transform=slimmer.role_binding
        )
        self.settings: OptionalCache[ProxySetting] = OptionalCache(
            client,
            kinds.PROXY_SETTINGS,
            indexes={BY_SUBJECT: setting_keys, BY_NAMESPACE: _namespace},
        )
        self.global_settings: OptionalCache[GlobalProxySettings] = OptionalCache(
            client,
            kinds.GLOBAL_PROXY_SETTINGS,
            indexes={BY_SUBJECT: global_setting_keys},
        )

    @property
    def version(self) -> int:
        """The highest resource version that any of them knows."""
        return max(cache.resource_version for cache in self._caches())

    @property
    def is_known(self) -> bool:
        """Whether all were listed."""
        return all(cache.synced for cache in self._needed()) and all(each.is_known for each in self._optional())

    async def run(self) -> None:
        """Keep all up to date until cancelled."""
        async with asyncio.TaskGroup() as group:
            for cache in self._needed():
                group.create_task(cache.run(), name=f"cache-{cache.resource.plural}")
            for optional in self._optional():
                group.create_task(optional.run(), name=f"optional-{optional.resource.plural}")

    async def wait_known(self) -> None:
        """Return once all were listed."""
        for cache in self._needed():
            await cache.wait_synced()
        for optional in self._optional():
            await optional.wait_known()

    def problems(self, clock: Clock) -> Iterable[str]:
        """Yield what is not known, or was too long not heard of."""
        for optional in self._optional():
            if not optional.is_known:
                yield _not_listed(optional.resource.plural, optional.last_error or optional.cache.last_error)
        now = clock.monotonic()
        for cache in self._caches():
            if cache.synced:
                yield from _silence(cache, now - cache.last_contact)
        for cache in self._needed():
            if not cache.synced:
                yield _not_listed(cache.resource.plural, cache.last_error)

    def _needed(self) -> tuple[Cache[Any], ...]:
        return (self.configurations, self.tenants, self.namespaces, self.role_bindings)

    def _optional(self) -> tuple[OptionalCache[Any], ...]:
        return (self.settings, self.global_settings)

    def _caches(self) -> Iterator[Cache[Any]]:
        yield from self._needed()
        yield from (optional.cache for optional in self._optional())


def _tenant_keys(tenant: Tenant) -> frozenset[str]:
    return owner_keys(tenant.status.owners)


def _tenant_names(namespace: PartialObject) -> frozenset[str]:
    return referenced_tenants(namespace.metadata)


def _namespace(setting: ProxySetting) -> tuple[str]:
    return (setting.metadata.namespace,)


def _not_listed(plural: str, error: str | None) -> str:
    return f"{plural} were not listed yet" + (f": {error}" if error else "")


def _silence(cache: Cache[Any], age_seconds: float) -> Iterator[str]:
    limit = SILENT_SECONDS if cache.last_error is None else INTERRUPTED_SECONDS
    if age_seconds > limit:
        why = f": {cache.last_error}" if cache.last_error else ""
        yield f"{cache.resource.plural} were last heard of {age_seconds:.0f} s ago{why}"

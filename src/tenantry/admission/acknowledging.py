"""Says what this worker has seen, so that statuses claim no rule that it does not yet hold (spec 13.2)."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import structlog

from tenantry.admission.state import Caches
from tenantry.api.core import Lease
from tenantry.foundation.clock import Clock, rfc3339_micro
from tenantry.foundation.errors import TenantryError
from tenantry.kube.cache import Cache
from tenantry.kube.client import Client
from tenantry.kube.errors import AlreadyExistsError, ConflictError, NotFoundError
from tenantry.kube.resources import LEASES
from tenantry.tenancy.desired import acknowledgement

LEASE_SECONDS: Final = 15
RENEW_SECONDS: Final = 5.0
LAPSE_SECONDS: Final = 12.0
"""How long after its last renewal a worker trusts its caches: less than its Lease lasts for the operator.

The operator does not wait for a worker whose Lease ran out.  Such a worker may well be asked
still, when it is cut off from an API server that reaches it; what it knows may then be older than
what statuses tell.  The difference to LEASE_SECONDS covers clocks that differ.
"""
FORGOTTEN_SECONDS: Final = 120.0
COALESCE_SECONDS: Final = 0.25
"""At most so many writes while many objects change."""

_log = structlog.get_logger(__name__)


def lease_name(identity: str, worker: int) -> str:
    """Return the name of the Lease of one worker of the process *identity* (a pod, a host)."""
    return f"tenantry-admission-{re.sub('[^a-z0-9-]+', '-', identity.lower()).strip('-')}-{worker}"


class Acknowledger:
    """Keeps one Lease that says up to which resource versions this worker's caches are."""

    def __init__(self, client: Client, caches: Caches, clock: Clock, *, namespace: str, name: str) -> None:
        self._client = client
        self._caches = caches
        self._clock = clock
        self._namespace = namespace
        self._name = name
        self._changed = asyncio.Event()
        self._version: str | None = None
        self._renewed_at = float("-inf")
        for cache in (caches.tenants, caches.namespaces, caches.configurations, caches.tenant_owners):
            cache.subscribe(lambda _: self._changed.set())

    @property
    def has_lapsed(self) -> bool:
        """Whether the others may count this worker as gone: it must then decide nothing from its caches."""
        return self._clock.monotonic() >= self._renewed_at + LAPSE_SECONDS

    async def run(self) -> None:
        """Write what was seen when it grows, and every few seconds, until cancelled."""
        while True:
            self._changed.clear()
            try:
                await self.write()
            except TenantryError as error:
                _log.warning("acknowledgement.not_written", lease=self._name, error=str(error))
            await asyncio.sleep(COALESCE_SECONDS)
            try:
                async with asyncio.timeout(RENEW_SECONDS - COALESCE_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def write(self) -> None:
        """Write what is seen now; the caches must be synced.

        Raises:
            TenantryError: The API server refuses, or does not answer.
        """
        for _ in range(3):
            # Before the body: the time in it is what the others go by.
            began = self._clock.monotonic()
            body = self._body()
            try:
                self._keep(await (self._client.create(LEASES, body) if self._version is None else self._update(body)))
            except (AlreadyExistsError, ConflictError):
                # A worker of this name ended without saying so, or an answer to a write of ours was lost.
                self._keep(await self._client.get(LEASES, self._name, self._namespace))
            except NotFoundError:
                self._version = None
            else:
                self._renewed_at = began
                return

    async def clean(self) -> None:
        """Delete the Leases of workers that ended long ago without a word, with their pods.

        Raises:
            TenantryError: The API server refuses, or does not answer.
        """
        selector = f"{acknowledgement.LABEL}={acknowledgement.LABEL_VALUE}"
        long_ago = self._clock.now() - timedelta(seconds=FORGOTTEN_SECONDS)
        for lease in (await self._client.list(LEASES, self._namespace, label_selector=selector)).items:
            if lease.metadata.name != self._name and not acknowledgement.is_live(lease, long_ago):
                version = lease.metadata.resource_version
                with suppress(ConflictError, NotFoundError):  # It came back, or another replica was first.
                    await self._client.delete(LEASES, lease.metadata.name, self._namespace, resource_version=version)

    async def withdraw(self) -> None:
        """Delete the Lease: this worker answers no more, and nobody need wait for it."""
        try:
            await self._client.delete(LEASES, self._name, self._namespace)
        except NotFoundError:
            return

    def _keep(self, lease: Lease) -> None:
        self._version = lease.metadata.resource_version

    async def _update(self, body: dict[str, Any]) -> Lease:
        return await self._client.update(LEASES, body)

    def _body(self) -> dict[str, Any]:
        seen: dict[str, Cache[Any]] = {
            acknowledgement.TENANTS: self._caches.tenants,
            acknowledgement.NAMESPACES: self._caches.namespaces,
            acknowledgement.CONFIGURATION: self._caches.configurations,
            acknowledgement.TENANT_OWNERS: self._caches.tenant_owners,
        }
        metadata: dict[str, Any] = {
            "name": self._name,
            "namespace": self._namespace,
            "labels": {acknowledgement.LABEL: acknowledgement.LABEL_VALUE},
            "annotations": {key: str(cache.resource_version) for key, cache in seen.items()},
        }
        if self._version is not None:
            metadata["resourceVersion"] = self._version
        return {
            "metadata": metadata,
            "spec": {
                "holderIdentity": self._name,
                "leaseDurationSeconds": LEASE_SECONDS,
                "renewTime": rfc3339_micro(self._clock.now()),
            },
        }

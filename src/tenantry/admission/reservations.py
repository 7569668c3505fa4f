"""Names that were let through and may not exist yet, so that parallel requests can't pass together (spec 13.14).

A ledger is a Lease in the installation's own namespace, written with optimistic locking: of
two replicas that admit at once, the second sees what the first reserved.  An entry counts
until what it stands for was seen in a cache, from when on the caches know, or for
``LIFETIME_SECONDS`` at most: then the write that it was made for has failed.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from tenantry.api.core import Lease
from tenantry.foundation.clock import Clock, rfc3339_micro
from tenantry.foundation.codec import DecodeError, decode, encode
from tenantry.foundation.errors import TenantryError
from tenantry.kube.client import Client
from tenantry.kube.errors import AlreadyExistsError, ConflictError, NotFoundError
from tenantry.kube.resources import LEASES

LIFETIME_SECONDS: Final = 30.0
"""Longer than the API server takes between admission and storage: it gives webhooks 10 s each."""
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
COMPONENT: Final = "admission-reservation"
ENTRIES_ANNOTATION: Final = "tenantry.io/reserved"

Entries = Mapping[str, datetime]
"""When each entry was made."""

_log = structlog.get_logger(__name__)


class Sightings:
    """When names were last seen in a cache, as far back as a reservation can live."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, datetime] = {}

    def saw(self, name: str) -> None:
        """Note that *name* came, changed or went."""
        self._seen.pop(name, None)
        self._seen[name] = now = self._clock.now()
        # In order of time, so the oldest is first; one a call keeps up with what comes in.
        oldest, moment = next(iter(self._seen.items()))
        if now - moment > timedelta(seconds=2 * LIFETIME_SECONDS):
            del self._seen[oldest]

    def unsettled(self, entries: Entries, *, before: datetime) -> frozenset[str]:
        """Return the *entries* that were not seen between when they were made and *before*.

        Whoever reads what exists after *before* finds there all others that still exist.
        """
        return frozenset(
            name for name, made in entries.items() if not (name in self._seen and made <= self._seen[name] < before)
        )


@dataclass(slots=True)
class _Page:
    """What is known of one ledger."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    lease: Lease | None = None
    """As last read or written; None where it has to be read."""
    users: int = 0


class Ledgers:
    """The ledgers of one purpose, by key."""

    def __init__(self, client: Client, clock: Clock, *, namespace: str, purpose: str) -> None:
        """Read nothing yet.

        Args:
            client: Writes Leases in *namespace*.
            clock: Compared between replicas: their clocks must agree to some seconds.
            namespace: The installation's own.
            purpose: Part of the Leases' names.
        """
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._purpose = purpose
        self._pages: dict[str, _Page] = {}

    async def reserve(self, key: str, entry: str, *, admit: Callable[[Entries], bool]) -> Entries:
        """Reserve *entry* in the ledger *key* if *admit* agrees, and return the other entries at that moment.

        *admit* is given the same and may be called several times; nothing is written where it says no.

        Raises:
            TenantryError: The API server refuses, or does not answer.
        """
        async with _Use(self._pages, key) as page:
            while True:
                entries = self._current(await self._lease(key, page))
                others = {name: made for name, made in entries.items() if name != entry}
                if not admit(others):
                    return others
                wanted = {**others, entry: self._clock.now()}
                if await self._write(key, page, wanted):
                    return others

    async def release(self, key: str, entry: str) -> None:
        """Take *entry* back."""
        async with _Use(self._pages, key) as page:
            while True:
                entries = self._current(await self._lease(key, page))
                if entry not in entries:
                    return
                if await self._write(key, page, {name: made for name, made in entries.items() if name != entry}):
                    return

    async def entries(self, key: str) -> Entries:
        """Return what is reserved now, read live."""
        return self._current(await self._read(key))

    async def clean(self) -> None:
        """Delete the Leases without a living entry, whoever made them."""
        listing = await self._client.list(
            LEASES, self._namespace, label_selector=f"{COMPONENT_LABEL}={COMPONENT},{_PURPOSE_LABEL}={self._purpose}"
        )
        for lease in listing.items:
            if not self._current(lease):
                await self._delete(lease)
        for key in [key for key, page in self._pages.items() if not page.users]:
            del self._pages[key]

    async def _delete(self, lease: Lease) -> None:
        try:
            await self._client.delete(
                LEASES, lease.metadata.name, self._namespace, resource_version=lease.metadata.resource_version
            )
        except (ConflictError, NotFoundError):
            return  # Used again, or cleaned by another replica.

    def _name(self, key: str) -> str:
        return f"tenantry-{self._purpose}-{key}"

    async def _lease(self, key: str, page: _Page) -> Lease | None:
        if page.lease is None:
            page.lease = await self._read(key)
        return page.lease

    async def _read(self, key: str) -> Lease | None:
        try:
            return await self._client.get(LEASES, self._name(key), self._namespace)
        except NotFoundError:
            return None

    def _current(self, lease: Lease | None) -> dict[str, datetime]:
        text = ((lease.metadata.annotations if lease else None) or {}).get(ENTRIES_ANNOTATION, "{}")
        try:
            entries = decode(text, dict[str, datetime])
        except DecodeError:
            _log.warning("reservations.unreadable", lease=lease.metadata.name if lease else "")
            return {}
        earliest = self._clock.now() - timedelta(seconds=LIFETIME_SECONDS)
        return {name: made for name, made in entries.items() if made > earliest}

    async def _write(self, key: str, page: _Page, entries: Entries) -> bool:
        """Write *entries* over what was read; False where somebody else wrote meanwhile."""
        known, page.lease = page.lease, None
        body: dict[str, Any] = {
            "metadata": {
                "name": self._name(key),
                "namespace": self._namespace,
                "labels": {COMPONENT_LABEL: COMPONENT, _PURPOSE_LABEL: self._purpose},
                "annotations": {
                    ENTRIES_ANNOTATION: encode({name: rfc3339_micro(made) for name, made in entries.items()}).decode()
                },
            },
            "spec": {"renewTime": rfc3339_micro(self._clock.now()), "leaseDurationSeconds": int(LIFETIME_SECONDS)},
        }
        try:
            if known is None:
                page.lease = await self._client.create(LEASES, body)
            else:
                body["metadata"]["resourceVersion"] = known.metadata.resource_version
                page.lease = await self._client.update(LEASES, body)
        except (AlreadyExistsError, ConflictError, NotFoundError):
            # Replicas that collide step aside for a moment each, so that they do not keep colliding.
            await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311
            return False
        return True


_PURPOSE_LABEL: Final = "tenantry.io/reservation"


class _Use:
    """Exclusive use of a page, which stays in memory as long as anybody waits for it."""

    def __init__(self, pages: dict[str, _Page], key: str) -> None:
        self._page = pages.setdefault(key, _Page())

    async def __aenter__(self) -> _Page:
        self._page.users += 1
        try:
            await self._page.lock.acquire()
        except BaseException:
            self._page.users -= 1
            raise
        return self._page

    async def __aexit__(self, *_: object) -> None:
        self._page.lock.release()
        self._page.users -= 1


def ledger_key(*parts: str) -> str:
    """Return a key for texts that are no part of an object's name: a hash of them."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


class Cleanable(Protocol):
    """Something that leaves objects behind."""

    async def clean(self) -> None:
        """Delete what is of no use any more; may raise TenantryError."""
        ...


async def keep_clean(*parts: Cleanable, every_seconds: float = 2 * LIFETIME_SECONDS) -> None:
    """Clean *parts* now and then, until cancelled."""
    while True:
        # At random, so that replicas do not clean at once.
        await asyncio.sleep(every_seconds * random.uniform(0.5, 1.5))  # noqa: S311
        for one in parts:
            try:
                await one.clean()
            except TenantryError as error:
                _log.info("leases.not_cleaned", error=str(error))

"""Whether admission already works with a version of an object, and who waits for that (spec 13.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from tenantry.api.core import Lease
from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.api.tenant import Tenant
from tenantry.foundation.clock import Clock
from tenantry.kube.cache import Cache, Change
from tenantry.tenancy.desired import acknowledgement

RECHECK_SECONDS: Final = 1.0
"""A worker that dies tells nobody: its lease just runs out."""
Need = tuple[str, int]
"""An annotation of the acknowledgements, and the version that it must have reached."""


class Enforcement:
    """Remembers as of which version an object says what it says, and asks the acknowledgements."""

    def __init__(self, leases: Cache[Lease], clock: Clock) -> None:
        self._leases = leases
        self._clock = clock
        self._tenants: dict[str, tuple[object, int]] = {}
        self._namespaces: dict[str, tuple[object, int]] = {}
        self._waiting: dict[tuple[Callable[[str], None], str], tuple[Need, ...]] = {}
        leases.subscribe(self._on_lease)

    def tenant(self, tenant: Tenant) -> Need:
        """Return what must be seen for the tenant's spec, labels and annotations to be in force."""
        metadata = tenant.metadata
        mark = (metadata.uid, metadata.generation, metadata.labels, metadata.annotations)
        return acknowledgement.TENANTS, _first(self._tenants, metadata, mark)

    def namespace(self, metadata: ObjectMeta) -> Need:
        """Return what must be seen for the namespace's labels and owner to be in force."""
        mark = (metadata.uid, metadata.labels, metadata.owner_references)
        return acknowledgement.NAMESPACES, _first(self._namespaces, metadata, mark)

    def is_seen(self, needs: Iterable[Need]) -> bool:
        """Return whether all live admission workers have seen all of *needs*."""
        leases, now = self._leases.values(), self._clock.now()
        return all(acknowledgement.acknowledged(leases, now, resource, version) for resource, version in needs)

    @property
    def has_live_worker(self) -> bool:
        """Whether any admission worker serves now."""
        now = self._clock.now()
        return any(acknowledgement.is_live(lease, now) for lease in self._leases.values())

    def wait(self, enqueue: Callable[[str], None], key: str, needs: tuple[Need, ...]) -> None:
        """Have ``enqueue(key)`` called once *needs* are seen."""
        self._waiting[enqueue, key] = needs

    def forget(self, *, tenant: str = "", namespace: str = "") -> None:
        """Drop what is remembered of an object that is gone."""
        self._tenants.pop(tenant, None)
        self._namespaces.pop(namespace, None)

    def note_tenant(self, change: Change[Tenant]) -> None:
        """Take note of the version at once: a later one of the same content would wait longer."""
        if change.new is not None:
            self.tenant(change.new)

    def note_namespace(self, change: Change[PartialObject]) -> None:
        """As :meth:`note_tenant`."""
        if change.new is not None and change.new.metadata.owner_references:
            self.namespace(change.new.metadata)

    def _on_lease(self, change: Change[Lease]) -> None:
        if change.old is not None and change.new is not None and _seen(change.old) == _seen(change.new):
            return
        self.wake()

    def wake(self) -> None:
        """Have those look again who wait for nothing more from admission."""
        for (enqueue, key), needs in list(self._waiting.items()):
            if self.is_seen(needs):
                del self._waiting[enqueue, key]
                enqueue(key)


def _seen(lease: Lease) -> object:
    return lease.metadata.annotations


def _first(known: dict[str, tuple[object, int]], metadata: ObjectMeta, mark: object) -> int:
    entry = known.get(metadata.name)
    if entry is None or entry[0] != mark:
        version = int(metadata.resource_version) if metadata.resource_version.isdigit() else 0
        entry = known[metadata.name] = (mark, version)
    return entry[1]

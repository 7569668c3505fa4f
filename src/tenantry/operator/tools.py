"""What every controller works with."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.api.labels import NEW_TENANT
from tenantry.api.meta import CAPSULE_API_VERSION, ObjectReference
from tenantry.api.tenant import Tenant
from tenantry.foundation.clock import Clock, rfc3339
from tenantry.kube.client import Client
from tenantry.kube.events import EventNote, EventRecorder
from tenantry.operator.book import TenantBook
from tenantry.operator.caches import Caches
from tenantry.operator.enforcement import Enforcement
from tenantry.operator.settings import OperatorSettings
from tenantry.operator.writer import Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Shared by all controllers of a process."""

    client: Client
    settings: OperatorSettings
    caches: Caches
    book: TenantBook
    writer: Writer
    enforcement: Enforcement
    events: EventRecorder
    clock: Clock

    def now(self) -> str:
        """Return the time as conditions carry it."""
        return rfc3339(self.clock.now())

    def warn(self, tenant: Tenant, *, reason: str, note: str) -> None:
        """Record a warning about *tenant*, where events of cluster-wide objects go (CF-16)."""
        metadata = tenant.metadata
        self.events.record(
            EventNote(
                regarding=ObjectReference(
                    api_version=CAPSULE_API_VERSION, kind="Tenant", name=metadata.name, uid=metadata.uid
                ),
                reason=reason,
                action="Reconciled",
                note=note,
                type="Warning",
                labels={NEW_TENANT: metadata.name},
                namespace=self.book.configuration_spec.events.namespace,
            )
        )

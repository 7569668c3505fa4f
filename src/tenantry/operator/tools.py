"""What every controller works with."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.foundation.clock import Clock, rfc3339
from tenantry.kube.client import Client
from tenantry.kube.events import EventRecorder
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

"""The controller of the CapsuleConfiguration: creates the default one, reports on it (R-5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from tenantry.api.meta import Condition
from tenantry.kube.errors import AlreadyExistsError, NotFoundError
from tenantry.kube.queue import WorkQueue
from tenantry.kube.resources import CONFIGURATIONS
from tenantry.operator.enforcement import RECHECK_SECONDS
from tenantry.operator.tools import Tools
from tenantry.tenancy.desired import acknowledgement
from tenantry.tenancy.desired.conditions import plain_status
from tenantry.tenancy.desired.configuration_status import configuration_status, default_configuration
from tenantry.tenancy.identity import capsule_users

MANAGER: Final = "tenantry/default-configuration"
_log = structlog.get_logger(__name__)


class ConfigurationController:
    """Its one key is the configuration's name."""

    def __init__(self, tools: Tools, *, admission: Callable[[], Condition | None]) -> None:
        """*admission* gives the condition on the webhook configurations, once it is known."""
        self._tools = tools
        self._admission = admission
        self._version: tuple[object, int] = (None, 0)
        self.queue: WorkQueue[str] = WorkQueue("configuration", min_interval_seconds=0.3)

    async def reconcile(self, name: str) -> float | None:
        """Create the configuration if there is none, or bring its status up to date."""
        stored = self._tools.book.configuration
        if stored is None:
            await self._create(name)
            return None
        mark = (stored.metadata.uid, stored.metadata.generation)
        if self._version[0] != mark:
            self._version = (mark, int(stored.metadata.resource_version or 0))
        need = (acknowledgement.CONFIGURATION, self._version[1])
        if not self._tools.enforcement.is_seen((need,)):
            self._tools.enforcement.wait(self.queue.add, name, (need,))
            return RECHECK_SECONDS
        admission = self._admission()
        if admission is not None and admission.observed_generation != stored.metadata.generation:
            return None  # The entries of this generation are on their way, and it is told when they stand.
        status = configuration_status(
            stored,
            users=capsule_users(stored.spec, self._tools.caches.tenant_owners.values()),
            tenants=(tenant.metadata.name for tenant in self._tools.caches.tenants.values()),
            admission=admission,
            now=self._tools.now(),
        )
        if status != stored.status:
            try:
                await self._tools.writer.put_status(
                    self._tools.caches.configurations, stored, plain_status(status, conditions=[])
                )
            except NotFoundError:
                return None
        return None

    async def _create(self, name: str) -> None:
        try:
            created = await self._tools.client.create(
                CONFIGURATIONS, default_configuration(name), field_manager=MANAGER
            )
        except AlreadyExistsError:
            return  # The watch brings it.
        _log.info("configuration.created", configuration=name)
        self._tools.caches.configurations.observe(created)

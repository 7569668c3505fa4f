"""All controllers of a process, and how they run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, Final

from tenantry.kube.queue import WorkQueue
from tenantry.operator.certificates.controller import KEY as CERTIFICATES_KEY
from tenantry.operator.certificates.controller import CertificateController
from tenantry.operator.certificates.gateway import KEY as GATEWAY_CERTIFICATE_KEY
from tenantry.operator.certificates.gateway import GatewayCertificateController
from tenantry.operator.classes import ClusterClasses
from tenantry.operator.configuration import ConfigurationController
from tenantry.operator.force_deletion import ForceDeletion
from tenantry.operator.namespaces import NamespaceController
from tenantry.operator.object_metadata import ObjectMetadataController
from tenantry.operator.quotas import QuotaController
from tenantry.operator.rbac import KEY as RBAC_KEY
from tenantry.operator.rbac import RbacController
from tenantry.operator.rule_metadata import RuleMetadataSweep
from tenantry.operator.tenant_owners import TenantOwnerController
from tenantry.operator.tenants import TenantController
from tenantry.operator.tools import Tools
from tenantry.operator.webhooks import KEY as WEBHOOKS_KEY
from tenantry.operator.webhooks import WebhookController

Timer = Callable[[str, float], None]
"""Told of each reconcile: the queue's name, and how many seconds it took."""
_FEW: Final = 4


class Controllers:
    """Wires the controllers to one another."""

    def __init__(self, tools: Tools, *, timer: Timer = lambda _queue, _seconds: None) -> None:
        self._tools = tools
        self._timer = timer
        settings = tools.settings
        self.webhooks = WebhookController(tools, on_change=self._on_admission)
        self.namespaces = NamespaceController(
            tools,
            sweep=RuleMetadataSweep(tools.client).run,
            is_policed=self.webhooks.is_policed,
            on_report=self._on_report,
        )
        self.classes = ClusterClasses(tools.client, self._on_classes)
        self.tenants = TenantController(
            tools,
            classes=self.classes,
            reports=self.namespaces.reports,
            is_policed=self.webhooks.is_policed,
            force_deletion=(
                ForceDeletion(tools.client, tools.clock, grace_seconds=settings.force_delete_grace_seconds)
                if settings.force_delete_namespaces
                else None
            ),
        )
        self.configuration = ConfigurationController(tools, admission=self.webhooks.admission)
        self.rbac = RbacController(tools)
        self.tenant_owners = TenantOwnerController(tools)
        self.quotas = QuotaController(tools, enqueue_namespace=self.namespaces.queue.add)
        self.certificates = CertificateController(tools)
        self.gateway_certificate = GatewayCertificateController(tools)
        self.object_metadata = ObjectMetadataController(tools)

    @property
    def queues(self) -> tuple[WorkQueue[Any], ...]:
        """The work queues, for metrics."""
        return tuple(queue for queue, _, _ in self._work())

    def add_singletons(self) -> None:
        """Have the controllers of single objects look."""
        self.configuration.queue.add(self._tools.settings.configuration_name)
        self.rbac.queue.add(RBAC_KEY)
        self.webhooks.queue.add(WEBHOOKS_KEY)
        self.certificates.queue.add(CERTIFICATES_KEY)
        self.gateway_certificate.queue.add(GATEWAY_CERTIFICATE_KEY)

    def want_classes(self) -> None:
        """Watch classes exactly while there is a tenant."""
        self.classes.want(wanted=len(self._tools.caches.tenants) > 0)

    async def run(self) -> None:
        """Work until cancelled; for the leader alone."""
        async with asyncio.TaskGroup() as group:
            for queue, reconcile, workers in self._work():
                group.create_task(queue.run(self._timed(queue.name, reconcile), workers=workers), name=queue.name)

    async def run_caches(self) -> None:
        """Keep the caches on demand up to date until cancelled; on standbys too."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.classes.run())
            group.create_task(self.object_metadata.run_caches())

    def _work(self) -> list[tuple[WorkQueue[Any], Callable[[Any], Awaitable[float | None]], int]]:
        workers = self._tools.settings.workers
        return [
            (self.namespaces.queue, self.namespaces.reconcile, workers),
            (self.tenants.queue, self.tenants.reconcile, workers),
            (self.configuration.queue, self.configuration.reconcile, 1),
            (self.rbac.queue, self.rbac.reconcile, 1),
            (self.tenant_owners.queue, self.tenant_owners.reconcile, _FEW),
            (self.quotas.queue, self.quotas.reconcile, _FEW),
            (self.webhooks.queue, self.webhooks.reconcile, 1),
            (self.certificates.queue, self.certificates.reconcile, 1),
            (self.gateway_certificate.queue, self.gateway_certificate.reconcile, 1),
            (self.object_metadata.queue, self.object_metadata.reconcile, workers),
        ]

    def _timed(
        self, name: str, reconcile: Callable[[Any], Awaitable[float | None]]
    ) -> Callable[[Any], Awaitable[float | None]]:
        async def timed(key: Any) -> float | None:
            started = perf_counter()
            try:
                return await reconcile(key)
            finally:
                self._timer(name, perf_counter() - started)

        return timed

    def _on_report(self, tenant: str) -> None:
        self.tenants.queue.add(tenant)

    def _on_admission(self) -> None:
        self.configuration.queue.add(self._tools.settings.configuration_name)

    def _on_classes(self) -> None:
        for tenant in self._tools.caches.tenants.values():
            self.tenants.queue.add(tenant.metadata.name)

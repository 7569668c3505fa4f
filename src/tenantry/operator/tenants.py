"""The controller of Tenants: finalizer, deletion and status; a key is a Tenant's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from tenantry.api.labels import FINALIZER, LEGACY_FINALIZER, METADATA_NAME
from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant, TenantStatus
from tenantry.foundation.names import label_value_problem
from tenantry.kube.errors import ConflictError, NotFoundError
from tenantry.kube.queue import WorkQueue
from tenantry.kube.resources import NAMESPACES
from tenantry.operator.classes import ClusterClasses
from tenantry.operator.enforcement import RECHECK_SECONDS
from tenantry.operator.force_deletion import ForceDeletion
from tenantry.operator.tools import Tools
from tenantry.tenancy.desired.conditions import FAILED, READY, plain_status
from tenantry.tenancy.desired.tenant_status import SpaceReport, TenantSurvey, tenant_status

METADATA_MANAGER: Final = "tenantry/tenant-metadata"
STATUS_INTERVAL_SECONDS: Final = 0.3
"""While namespaces arrive in a burst, a Tenant's status is written this seldom."""
_log = structlog.get_logger(__name__)


class TenantController:
    """Reports on tenants, and takes their namespaces down with them."""

    def __init__(
        self,
        tools: Tools,
        *,
        classes: ClusterClasses,
        reports: Mapping[str, SpaceReport],
        is_policed: Callable[[Tenant], bool],
        force_deletion: ForceDeletion | None,
    ) -> None:
        """Watch nothing yet.

        Args:
            tools: Shared.
            classes: For ``status.classes``.
            reports: How the namespaces' controller fared, by namespace.
            is_policed: Whether the registered webhooks call admission for all that the tenant's rules are about.
            force_deletion: None: what keeps a namespace terminating is left to people.
        """
        self._tools = tools
        self._classes = classes
        self._reports = reports
        self._is_policed = is_policed
        self._force_deletion = force_deletion
        self.queue: WorkQueue[str] = WorkQueue("tenants", min_interval_seconds=STATUS_INTERVAL_SECONDS)

    async def reconcile(self, name: str) -> float | None:
        """Bring finalizer and status up to date; safe at any time, without any call where nothing differs."""
        tenant = self._tools.caches.tenants.get(name)
        if tenant is None:
            self._tools.book.forget(name)
            self._tools.enforcement.forget(tenant=name)
            return None
        members = self._tools.book.members(tenant)
        if tenant.metadata.deletion_timestamp:
            return await self._take_down(tenant, members)
        tenant = await self._settle_metadata(tenant, wanted=bool(members))
        return await self._report(tenant, members)

    async def _take_down(self, tenant: Tenant, members: list[ObjectMeta]) -> float | None:
        """Delete the namespaces; the finalizer goes with the last of them (R-2)."""
        if not members:
            await self._report(tenant, members)
            # As the report left it: its version counts.
            held = self._tools.caches.tenants.get(tenant.metadata.name)
            await self._settle_metadata(held if held is not None else tenant, wanted=False)
            return None
        for namespace in members:
            if not namespace.deletion_timestamp:
                await self._delete(namespace)
        await self._report(tenant, members)
        if self._force_deletion is None:
            return None
        return await self._force_deletion.run(members)

    async def _delete(self, namespace: ObjectMeta) -> None:
        try:
            # By uid alone: its labels may change at any time, and whose it is was just read.
            await self._tools.client.delete(NAMESPACES, namespace.name, uid=namespace.uid, propagation="Background")
        except (NotFoundError, ConflictError):
            return  # Gone, or another one of that name: the watch tells.
        _log.info("namespace.deleted", namespace=namespace.name)

    async def _settle_metadata(self, tenant: Tenant, *, wanted: bool) -> Tenant:
        """Have our finalizer exactly while it is *wanted*, Capsule's old one never, and the name as a label (TN-1)."""
        metadata = tenant.metadata
        others = [each for each in metadata.finalizers if each not in {FINALIZER, LEGACY_FINALIZER}]
        after = [*others, *([FINALIZER] if wanted else [])]
        change: dict[str, Any] = {}
        if set(after) != set(metadata.finalizers):
            # With the version, since the whole list is written: another's finalizer may have come meanwhile.
            change |= {"finalizers": after, "resourceVersion": metadata.resource_version}
        # Admission puts it there, but for a generated name, which it does not see.
        if (metadata.labels or {}).get(METADATA_NAME) != metadata.name and not label_value_problem(metadata.name):
            change["labels"] = {METADATA_NAME: metadata.name}
        if not change:
            return tenant
        patch = {"metadata": change}
        try:
            return await self._tools.writer.merge(self._tools.caches.tenants, tenant, patch, manager=METADATA_MANAGER)
        except NotFoundError:
            return tenant

    async def _report(self, tenant: Tenant, members: list[ObjectMeta]) -> float | None:
        tools = self._tools
        need = tools.enforcement.tenant(tenant)
        is_enforced = self._is_policed(tenant) and tools.enforcement.is_seen((need,))
        survey = TenantSurvey(
            facts=tools.book.facts(tenant),
            members=members,
            reports=self._reports,
            classes=self._classes.available_to(tenant),
            is_enforced=is_enforced,
        )
        status = tenant_status(survey, now=tools.now())
        if status != tenant.status:
            try:
                await tools.writer.put_status(
                    tools.caches.tenants,
                    tenant,
                    plain_status(status, state=status.state, size=status.size, conditions=[]),
                )
            except NotFoundError:
                return None  # Deleted meanwhile.
            self._tell(tenant, status)
        if is_enforced or tenant.metadata.deletion_timestamp:
            return None
        tools.enforcement.wait(self.queue.add, tenant.metadata.name, (need,))
        return RECHECK_SECONDS

    def _tell(self, tenant: Tenant, status: TenantStatus) -> None:
        """Record the event of a tenant that has just failed."""
        ready = next((each for each in status.conditions if each.type == READY), None)
        before = next((each for each in tenant.status.conditions if each.type == READY), None)
        if ready is None or ready.reason != FAILED or (before is not None and before.message == ready.message):
            return
        self._tools.warn(tenant, reason="ReconcileFailed", note=ready.message)

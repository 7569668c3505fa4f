"""The controller of TenantOwners: their status (R-7); a key is a TenantOwner's name."""

from __future__ import annotations

from tenantry.kube.errors import NotFoundError
from tenantry.kube.queue import WorkQueue
from tenantry.operator.tools import Tools
from tenantry.tenancy.desired.conditions import plain_status
from tenantry.tenancy.desired.tenant_owner_status import tenant_owner_status
from tenantry.tenancy.owners import takes_in


class TenantOwnerController:
    """Tells each owner which tenants took it in."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._caches = tools.caches
        self.queue: WorkQueue[str] = WorkQueue("tenantowners", min_interval_seconds=0.3)

    async def reconcile(self, name: str) -> None:
        """Bring the status up to date."""
        owner = self._caches.tenant_owners.get(name)
        if owner is None or owner.metadata.deletion_timestamp:
            return
        tenants = [tenant.metadata.name for tenant in self._caches.tenants.values() if takes_in(tenant, owner)]
        status = tenant_owner_status(owner, tenants, now=self._tools.now())
        if status != owner.status:
            try:
                await self._tools.writer.put_status(
                    self._caches.tenant_owners, owner, plain_status(status, conditions=[])
                )
            except NotFoundError:
                return

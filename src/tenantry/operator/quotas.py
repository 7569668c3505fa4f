"""The controller of ResourceQuotas that a tenant's namespaces share (Q-2); a key is a Tenant's name."""

from __future__ import annotations

from collections.abc import Callable

from tenantry.kube.queue import WorkQueue
from tenantry.operator.tools import Tools
from tenantry.tenancy.desired.difference import is_as_wanted
from tenantry.tenancy.desired.resource_quotas import is_shared, resource_quotas


class QuotaController:
    """Finds the namespaces whose limits no longer fit what the others use; their controller writes."""

    def __init__(self, tools: Tools, *, enqueue_namespace: Callable[[str], None]) -> None:
        self._tools = tools
        self._caches = tools.caches
        self._book = tools.book
        self._enqueue_namespace = enqueue_namespace
        self._exceeded: dict[str, str] = {}
        self.queue: WorkQueue[str] = WorkQueue("quotas", min_interval_seconds=0.25)

    async def reconcile(self, name: str) -> None:
        """Compare all limits of the tenant with what they should be."""
        tenant = self._caches.tenants.get(name)
        if tenant is None or not is_shared(tenant):
            self._exceeded.pop(name, None)
            return
        facts, shared = self._book.facts(tenant), self._book.quotas(tenant)
        for namespace in self._book.members(tenant):
            for wanted in resource_quotas(facts, namespace, shared):
                stored = self._caches.resource_quotas.get(wanted["metadata"]["name"], namespace.name)
                if stored is not None and not is_as_wanted(stored, wanted):
                    self._enqueue_namespace(namespace.name)
        exceeded = ", ".join(
            f"{resource} of quota {index}" for index, quota in enumerate(shared) for resource in quota.exceeded()
        )
        if exceeded and exceeded != self._exceeded.get(name):
            note = f"more is used than the tenant's quota allows: {exceeded}"
            self._tools.warn(tenant, reason="Overprovisioned", note=note)
        self._exceeded[name] = exceeded

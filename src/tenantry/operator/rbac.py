"""The controller of the ClusterRoles and the ClusterRoleBinding of Capsule users (R-4)."""

from __future__ import annotations

from typing import Final

from tenantry.api.shared import UserSpec
from tenantry.kube.queue import WorkQueue
from tenantry.operator.tools import Tools
from tenantry.tenancy.desired.cluster_roles import cluster_role_binding, cluster_roles
from tenantry.tenancy.identity import capsule_users

KEY: Final = "rbac"
MANAGER: Final = "tenantry/cluster-roles"


class RbacController:
    """Its one key is KEY."""

    def __init__(self, tools: Tools) -> None:
        self._caches = tools.caches
        self._book = tools.book
        self._writer = tools.writer
        self.queue: WorkQueue[str] = WorkQueue("rbac", min_interval_seconds=0.3)

    async def reconcile(self, _: str) -> None:
        """Make roles and binding; take away those of earlier names."""
        configuration = self._book.configuration
        if configuration is None:
            return
        rbac = configuration.spec.rbac
        roles = cluster_roles(rbac)
        for role in roles:
            await self._writer.ensure(self._caches.cluster_roles, role, manager=MANAGER)
        binding = cluster_role_binding(rbac, self._users())
        await self._writer.ensure(self._caches.cluster_role_bindings, binding, manager=MANAGER)
        for bound in self._caches.cluster_role_bindings.values():
            if bound.metadata.name != binding["metadata"]["name"]:
                await self._writer.remove(self._caches.cluster_role_bindings, bound)
        names = {role["metadata"]["name"] for role in roles}
        for made in self._caches.cluster_roles.values():
            if made.metadata.name not in names:
                await self._writer.remove(self._caches.cluster_roles, made)

    def _users(self) -> list[UserSpec]:
        """Return Capsule users, administrators and promoted owners."""
        spec = self._book.configuration_spec
        users: list[UserSpec] = [*capsule_users(spec, self._caches.tenant_owners.values()), *spec.administrators]
        tenants = {
            tenant.metadata.name: tenant
            for account in self._caches.promoted_owners.values()
            if (tenant := self._book.tenant_in(account.metadata.namespace)) is not None
        }
        for name in sorted(tenants):
            promoted = {candidate.username for candidate in self._book.candidates(tenants[name])}
            users += [owner for owner in self._book.facts(tenants[name]).owners if owner.name in promoted]
        return users

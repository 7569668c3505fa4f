"""Which controllers have to look when something in the cluster changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenantry.api.configuration import CapsuleConfiguration
from tenantry.api.core import Lease, ResourceQuota
from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.api.tenant import Tenant
from tenantry.api.tenant_owner import TenantOwner
from tenantry.kube.cache import Change
from tenantry.operator.controllers import Controllers
from tenantry.operator.tools import Tools
from tenantry.operator.writer import Key
from tenantry.tenancy.desired.membership import referenced_tenants
from tenantry.tenancy.desired.resource_quotas import is_shared
from tenantry.tenancy.owners import takes_in


class Routing:
    """Turns changes into keys; says nothing of what happened, only where to look.

    What we wrote ourselves is passed over: the writer knows (:meth:`Writer.is_writing`).
    """

    def __init__(self, tools: Tools, controllers: Controllers) -> None:
        self._tools = tools
        self._to = controllers
        self._is_started = False
        caches = tools.caches
        tools.writer.on_surprise = self._surprised
        caches.tenants.subscribe(self._once_started(self._on_tenant))
        caches.tenant_owners.subscribe(self._once_started(self._on_tenant_owner))
        caches.configurations.subscribe(self._once_started(self._on_configuration))
        caches.namespaces.subscribe(self._once_started(self._on_namespace))
        for kind, cache in caches.managed.items():
            cache.subscribe(self._once_started(self._on_managed(kind)))
        caches.resource_quotas.subscribe(self._once_started(self._on_usage))
        for accounts in (caches.promoted, caches.promoted_owners):
            accounts.subscribe(self._once_started(self._on_account))
        caches.cluster_roles.subscribe(self._once_started(self._on_rbac("ClusterRole")))
        caches.cluster_role_bindings.subscribe(self._once_started(self._on_rbac("ClusterRoleBinding")))
        for webhooks in (caches.mutating_webhooks, caches.validating_webhooks):
            webhooks.subscribe(self._once_started(self._on_webhooks))
        caches.secrets.subscribe(self._once_started(self._on_webhooks))
        caches.switches.subscribe(self._once_started(self._on_webhooks))
        caches.acknowledgements.subscribe(self._once_started(self._on_lease))

    def _once_started(self, callback: Callable[[Change[Any]], None]) -> Callable[[Change[Any]], None]:
        def changed(change: Change[Any]) -> None:
            if self._is_started:
                callback(change)

        return changed

    def start(self) -> None:
        """Have everything looked at once: a new leader knows nothing of what was done."""
        # Before this, while the caches fill, each change would be one of thousands.
        self._is_started = True
        caches = self._tools.caches
        for tenant in caches.tenants.values():
            self._to.tenants.queue.add(tenant.metadata.name)
            self._to.quotas.queue.add(tenant.metadata.name)
        for namespace in caches.namespaces.values():
            self._to.namespaces.queue.add(namespace.metadata.name)
        for owner in caches.tenant_owners.values():
            self._to.tenant_owners.queue.add(owner.metadata.name)
        self._to.object_metadata.settle_wants()
        self._to.want_classes()
        self._to.add_singletons()

    def _surprised(self, key: Key) -> None:
        kind, namespace, name = key
        if kind == "Tenant":
            self._to.tenants.queue.add(name)
        elif kind == "TenantOwner":
            self._to.tenant_owners.queue.add(name)
        elif kind in {"CapsuleConfiguration", "ClusterRole", "ClusterRoleBinding"}:
            self._to.add_singletons()
        else:
            self._to.namespaces.queue.add(namespace or name)

    def _on_tenant(self, change: Change[Tenant]) -> None:
        self._tools.enforcement.note_tenant(change)
        either = change.new or change.old
        if either is None:
            return
        name = either.metadata.name
        if change.old is not None and change.new is not None:
            self._to.namespaces.note_tenant(change.old, change.new)
        if not _is_same_tenant(change.old, change.new):
            self._tools.book.forget(name)
            self._tools.book.forget_usage(name)
            self._look_at_tenant(either)
            self._to.quotas.queue.add(name)
            self._to.webhooks.queue.add("webhooks")
            self._to.object_metadata.settle_wants()
        if change.old is None or change.new is None:
            self._to.configuration.queue.add(self._tools.settings.configuration_name)
            self._to.want_classes()
        if _owners_matter(change):
            for owner in self._tools.caches.tenant_owners.values():
                self._to.tenant_owners.queue.add(owner.metadata.name)
        if change.new is None or not self._tools.writer.is_writing("Tenant", change.new.metadata):
            self._to.tenants.queue.add(name)

    def _look_at_tenant(self, tenant: Tenant) -> None:
        """Have all that is made for *tenant* looked at, and its status."""
        self._to.tenants.queue.add(tenant.metadata.name)
        for namespace in self._tools.caches.namespaces.by_index("tenant", tenant.metadata.name):
            self._to.namespaces.queue.add(namespace.metadata.name)
            self._to.object_metadata.look_at_namespace(namespace.metadata.name)

    def _on_tenant_owner(self, change: Change[TenantOwner]) -> None:
        old, new = change.old, change.new
        if old is not None and new is not None and (old.spec, old.metadata.labels) == (new.spec, new.metadata.labels):
            if not self._tools.writer.is_writing("TenantOwner", new.metadata):
                self._to.tenant_owners.queue.add(new.metadata.name)
            return
        for tenant in self._tools.caches.tenants.values():
            if any(each is not None and takes_in(tenant, each) for each in (old, new)):
                self._tools.book.forget(tenant.metadata.name)
                self._look_at_tenant(tenant)
        if new is not None:
            self._to.tenant_owners.queue.add(new.metadata.name)
        self._to.add_singletons()

    def _on_configuration(self, change: Change[CapsuleConfiguration]) -> None:
        old, new = change.old, change.new
        if old is not None and new is not None and old.spec == new.spec:
            if old.status.users != new.status.users:
                self._to.webhooks.queue.add("webhooks")  # Their match conditions may name the users.
            if not self._tools.writer.is_writing("CapsuleConfiguration", new.metadata):
                self._to.configuration.queue.add(new.metadata.name)
            return
        self._tools.book.forget_all()
        for tenant in self._tools.caches.tenants.values():
            self._look_at_tenant(tenant)
        self._to.add_singletons()

    def _on_namespace(self, change: Change[PartialObject]) -> None:
        self._tools.enforcement.note_namespace(change)
        old = change.old.metadata if change.old is not None else None
        new = change.new.metadata if change.new is not None else None
        names = {name for each in (old, new) if each is not None for name in referenced_tenants(each)}
        either = new or old
        if either is None or (not names and not _was_labelled(old)):
            return
        if new is None or not self._tools.writer.is_writing("Namespace", new):
            self._to.namespaces.queue.add(either.name)
        if _membership_of(old) == _membership_of(new):
            return
        self._to.object_metadata.look_at_namespace(either.name)
        for name in names:
            self._tools.book.forget_usage(name)
            tenant = self._tools.caches.tenants.get(name)
            if tenant is None:
                continue
            if old is not None:
                # A new namespace is reported on by its own controller, once something is in it.
                self._to.tenants.queue.add(name)
            if self._tools.book.has_candidates(tenant):
                self._tools.book.forget(name)
                self._look_at_tenant(tenant)

    def _on_managed(self, kind: str) -> Callable[[Change[Any]], None]:
        def changed(change: Change[Any]) -> None:
            either = change.new or change.old
            if change.new is not None and self._tools.writer.is_writing(kind, change.new.metadata):
                return
            if kind == "ResourceQuota" and _differs_in_status_alone(change):
                return
            if either is not None:
                self._to.namespaces.queue.add(either.metadata.namespace)

        return changed

    def _on_usage(self, change: Change[ResourceQuota]) -> None:
        old, new = change.old, change.new
        if old is not None and new is not None and old.status.used == new.status.used:
            return
        either = new or old
        tenant = self._tools.book.tenant_in(either.metadata.namespace) if either is not None else None
        if tenant is not None and is_shared(tenant):
            self._tools.book.forget_usage(tenant.metadata.name)
            self._to.quotas.queue.add(tenant.metadata.name)

    def _on_account(self, change: Change[PartialObject]) -> None:
        old, new = change.old, change.new
        either = new or old
        if either is None or (old is not None and new is not None and old.metadata.labels == new.metadata.labels):
            return
        tenant = self._tools.book.tenant_in(either.metadata.namespace)
        if tenant is not None:
            self._tools.book.forget(tenant.metadata.name)
            self._look_at_tenant(tenant)
            self._to.rbac.queue.add("rbac")

    def _on_rbac(self, kind: str) -> Callable[[Change[Any]], None]:
        def changed(change: Change[Any]) -> None:
            if change.new is None or not self._tools.writer.is_writing(kind, change.new.metadata):
                self._to.rbac.queue.add("rbac")

        return changed

    def _on_webhooks(self, _: Change[Any]) -> None:
        self._to.webhooks.queue.add("webhooks")
        self._to.certificates.queue.add("certificates")
        self._to.gateway_certificate.queue.add("gateway-certificate")
        self._tools.enforcement.wake()

    def _on_lease(self, change: Change[Lease]) -> None:
        if change.old is None or change.new is None:
            self._to.webhooks.queue.add("webhooks")


def _is_same_tenant(old: Tenant | None, new: Tenant | None) -> bool:
    """Return whether nothing changed that anything is made from."""
    if old is None or new is None:
        return False
    before, after = old.metadata, new.metadata
    return (before.uid, before.generation, before.annotations, before.deletion_timestamp) == (
        after.uid,
        after.generation,
        after.annotations,
        after.deletion_timestamp,
    )


def _owners_matter(change: Change[Tenant]) -> bool:
    old, new = change.old, change.new
    if old is None or new is None:
        return True
    return old.spec.permissions != new.spec.permissions


def _membership_of(metadata: ObjectMeta | None) -> object:
    if metadata is None:
        return None
    return metadata.uid, metadata.labels, metadata.owner_references, bool(metadata.deletion_timestamp)


def _was_labelled(metadata: ObjectMeta | None) -> bool:
    return metadata is not None and "capsule.clastix.io/tenant" in (metadata.labels or {})


def _differs_in_status_alone(change: Change[ResourceQuota]) -> bool:
    old, new = change.old, change.new
    if old is None or new is None or old.spec != new.spec:
        return False
    before, after = old.metadata, new.metadata
    return (before.uid, before.labels, before.annotations, before.owner_references) == (
        after.uid,
        after.labels,
        after.annotations,
        after.owner_references,
    )

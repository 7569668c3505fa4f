"""Cached objects without what no question of the gateway needs: most of a Tenant, nearly all of a RoleBinding."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, TypeVar

from tenantry.api.core import RoleBinding
from tenantry.api.labels import TENANT
from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.api.shared import CoreOwner, OwnerSpec
from tenantry.api.tenant import Tenant, TenantSpec, TenantStatus

T = TypeVar("T")
OPENS_LISTS: Final = "reflection.proxy.projectcapsule.dev/enabled"
"""On a RoleBinding, with the value ``true``: lists over all namespaces cover its namespace (8.5)."""
_LIMIT: Final = 50_000
"""Beyond this the pool starts anew: what is shared already stays so."""


class Slimmer:
    """Makes objects small, and shares what many of them have in common."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}

    def tenant(self, obj: Tenant) -> Tenant:
        """Keep who owns it, and what it selects."""
        spec = obj.spec
        return Tenant(
            metadata=_metadata(obj.metadata),
            spec=TenantSpec(
                owners=tuple(
                    OwnerSpec(kind=each.kind, name=each.name, proxy_settings=each.proxy_settings)
                    for each in spec.owners
                    if each.proxy_settings
                ),
                node_selector=spec.node_selector,
                storage_classes=spec.storage_classes,
                priority_classes=spec.priority_classes,
                runtime_classes=spec.runtime_classes,
                ingress_options=spec.ingress_options,
                gateway_options=spec.gateway_options,
            ),
            status=TenantStatus(owners=tuple(CoreOwner(kind=each.kind, name=each.name) for each in obj.status.owners)),
        )

    def namespace(self, obj: PartialObject) -> PartialObject:
        """Keep which tenant it says it belongs to."""
        meta = obj.metadata
        return PartialObject(
            metadata=_metadata(
                meta, labels=self._some(meta.labels, TENANT), owner_references=self._first(meta.owner_references)
            )
        )

    def role_binding(self, obj: RoleBinding) -> RoleBinding:
        """Keep whom it names, and whether it opens lists."""
        meta = obj.metadata
        return RoleBinding(
            # Of these there are many times as many as of all else: not even the uid is kept.
            metadata=ObjectMeta(
                name=meta.name,
                namespace=self._first(meta.namespace),
                resource_version=meta.resource_version,
                labels=self._some(meta.labels, OPENS_LISTS),
            ),
            subjects=self._first(obj.subjects),
        )

    def _some(self, labels: dict[str, str] | None, key: str) -> dict[str, str] | None:
        value = (labels or {}).get(key)
        if value is None:
            return None
        shared: dict[str, str] = self._known_as((key, value), {key: value})
        return shared

    def _first(self, value: T) -> T:
        shared: T = self._known_as(value, value)
        return shared

    def _known_as(self, key: Any, value: Any) -> Any:
        if len(self._known) >= _LIMIT:
            self._known.clear()
        return self._known.setdefault(key, value)


def _metadata(meta: ObjectMeta, **kept: Any) -> ObjectMeta:
    return ObjectMeta(name=meta.name, uid=meta.uid, resource_version=meta.resource_version, **kept)

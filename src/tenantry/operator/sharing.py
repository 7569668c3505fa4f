"""One copy of what many cached objects have in common: labels, owner references, subjects, specs.

Ten thousand RoleBindings of a hundred tenants differ in little but their names.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, TypeVar

from tenantry.api.core import LimitRange, NetworkPolicy, ResourceQuota, RoleBinding
from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.api.rule_status import RuleStatus, RuleStatusStatus
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import encode, replaced

T = TypeVar("T")
_LIMIT: Final = 50_000
"""Beyond this the pool starts anew: what is shared already stays so."""


class Pool:
    """Gives back the first of equal values; what it holds is never changed by anyone."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}

    def value(self, value: T) -> T:
        """Return an equal, hashable value."""
        return self._first(value, value)

    def texts(self, texts: dict[str, str] | None) -> dict[str, str] | None:
        """Return equal labels or annotations."""
        return self._first((dict, *texts.items()), texts) if texts else None

    def json(self, value: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return equal plain JSON."""
        return self._first(encode(value), value) if value else value

    def _first(self, key: Hashable, value: T) -> T:
        if len(self._known) >= _LIMIT:
            self._known.clear()
        first: T = self._known.setdefault(key, value)
        return first

    def metadata(self, meta: ObjectMeta) -> ObjectMeta:
        """Return *meta* with shared parts, without what no controller reads."""
        return ObjectMeta(
            name=meta.name,
            namespace=self.value(meta.namespace),
            uid=meta.uid,
            resource_version=meta.resource_version,
            generation=meta.generation,
            deletion_timestamp=meta.deletion_timestamp,
            labels=self.texts(meta.labels),
            annotations=self.texts(meta.annotations),
            owner_references=self.value(meta.owner_references),
            finalizers=self.value(meta.finalizers),
        )

    def partial(self, obj: PartialObject) -> PartialObject:
        """As :meth:`metadata`, of an object held for its metadata."""
        return PartialObject(metadata=self.metadata(obj.metadata))

    def tenant(self, obj: Tenant) -> Tenant:
        """Share what a status says of every namespace, and the names that it says twice."""
        status = obj.status
        names = {name: name for name in status.namespaces}
        spaces = tuple(
            replaced(
                space,
                name=names.get(space.name, space.name),
                conditions=self.value(space.conditions),
                metadata=self._first(encode(space.metadata), space.metadata),
            )
            for space in status.spaces
        )
        return replaced(obj, status=replaced(status, spaces=spaces, classes=self.value(status.classes)))

    def role_binding(self, obj: RoleBinding) -> RoleBinding:
        """Share all but the metadata's own."""
        return RoleBinding(
            metadata=self.metadata(obj.metadata), role_ref=self.value(obj.role_ref), subjects=self.value(obj.subjects)
        )

    def limit_range(self, obj: LimitRange) -> LimitRange:
        """Share the spec, too."""
        return LimitRange(metadata=self.metadata(obj.metadata), spec=self.json(obj.spec))

    def network_policy(self, obj: NetworkPolicy) -> NetworkPolicy:
        """Share the spec, too."""
        return NetworkPolicy(metadata=self.metadata(obj.metadata), spec=self.json(obj.spec))

    def resource_quota(self, obj: ResourceQuota) -> ResourceQuota:
        """Share the spec, too."""
        return ResourceQuota(metadata=self.metadata(obj.metadata), spec=self.json(obj.spec), status=obj.status)

    def rule_status(self, obj: RuleStatus) -> RuleStatus:
        """Share the rules, which most namespaces of a tenant have in common."""
        status = obj.status
        return RuleStatus(
            metadata=self.metadata(obj.metadata),
            spec=self._first(encode(obj.spec), obj.spec),
            status=RuleStatusStatus(
                rule=status.rule,
                rules=self._first(encode(status.rules), status.rules),
                observed_generation=status.observed_generation,
                conditions=self.value(status.conditions),
            ),
        )

"""What a tenant and the installation ask of a Namespace that is written, one function a requirement (N-12 to N-19)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tenantry.api import labels
from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import ForbiddenList
from tenantry.api.tenant import NamespaceOptions, Tenant
from tenantry.foundation.expressions import ExpressionError, expression
from tenantry.tenancy.checks.forbidden import changed_keys, forbidden_keys, forbidden_text
from tenantry.tenancy.namespaces.context import NamespaceContext
from tenantry.tenancy.namespaces.metadata import IDENTITY_LABELS, managed_metadata, node_selector_annotation
from tenantry.tenancy.request import Role
from tenantry.tenancy.verdict import Denial

QUOTA_EXCEEDED: Final = "Cannot exceed Namespace quota: please, reach out to the system administrators"
CORDONED: Final = "the selected tenant is cordoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceWrite:
    """A CREATE or UPDATE of a namespace in a tenant, as it was submitted after mutation."""

    tenant: Tenant
    """Whose it will be."""
    old: ObjectMeta | None
    """None for a CREATE."""
    new: ObjectMeta
    context: NamespaceContext

    @property
    def is_creation(self) -> bool:
        """Whether the namespace is new."""
        return self.old is None

    @property
    def is_by_capsule_user(self) -> bool:
        """Whether the requester is one whom the policies are made for."""
        return self.context.role is Role.CAPSULE_USER

    @property
    def options(self) -> NamespaceOptions:
        """The tenant's settings for its namespaces."""
        return self.tenant.spec.namespace_options or NamespaceOptions()

    @property
    def changes_metadata(self) -> bool:
        """Whether labels or annotations differ from the stored ones."""
        old = self.old or ObjectMeta()
        return (old.labels or {}) != (self.new.labels or {}) or (old.annotations or {}) != (self.new.annotations or {})


def cordoning(tenant: Tenant, role: Role) -> Denial | None:
    """Refuse Capsule users any write while the tenant, not merely the namespace, is cordoned (N-12)."""
    if role is Role.CAPSULE_USER and tenant.spec.cordoned:
        return Denial(reason="Cordoned", message=CORDONED)
    return None


def quota(write: NamespaceWrite) -> Denial | None:
    """Refuse one namespace more than the quota allows (N-13).

    The names that count hold the reservations of other requests, so that parallel creates
    can't pass together; a name that counts already takes no more room.
    """
    limit = write.options.quota
    counted = write.context.counted
    if not write.is_creation or limit is None or (counted is not None and write.new.name in counted):
        return None
    if counted is not None and len(counted) < limit:
        return None
    return Denial(reason="Overprovisioned", message=QUOTA_EXCEEDED)


def protected_name(write: NamespaceWrite) -> Denial | None:
    """Refuse Capsule users the names that the installation keeps for itself (N-14)."""
    pattern = write.context.installation.configuration.protected_namespace_regex
    if not write.is_creation or not write.is_by_capsule_user or not pattern:
        return None
    if not _may_match(pattern, _name(write.new)):
        return None
    return Denial(
        reason="ProtectedNamespace",
        message=f"Creating namespaces with name matching {pattern} regexp is not allowed; "
        "please, reach out to the system administrators",
    )


def prefix(write: NamespaceWrite) -> Denial | None:
    """Refuse a new name without the tenant's as prefix, where one is asked for (N-15)."""
    forced = write.tenant.spec.force_tenant_prefix
    if forced is None:
        forced = write.context.installation.configuration.force_tenant_prefix
    wanted = f"{write.tenant.metadata.name}-"
    if not forced or not write.is_creation or _name(write.new).startswith(wanted):
        return None
    return Denial(
        reason="InvalidTenantPrefix",
        message=f"The namespace doesn't match the tenant prefix, expected {wanted}{_name(write.new)}",
    )


def node_selector(tenant: Tenant, old: ObjectMeta | None, new: ObjectMeta) -> Denial | None:
    """Refuse a change of the annotation that keeps the tenant's pods on its nodes, whoever asks (N-17, 14.1)."""
    wanted = node_selector_annotation(tenant)
    submitted = (new.annotations or {}).get(labels.NODE_SELECTOR)
    stored = (old.annotations or {}).get(labels.NODE_SELECTOR) if old else None
    # A stored value that is out of date is the controller's to repair, and no reason to refuse other changes.
    if wanted is None or submitted == wanted or (old is not None and submitted == stored):
        return None
    verb = "removed" if submitted is None else "changed"
    return Denial(
        reason="ForbiddenNodeSelectorUpdate",
        message=f"the annotation {labels.NODE_SELECTOR} is enforced by tenant {tenant.metadata.name!r} as {wanted!r}: "
        f"it can not be {verb}",
    )


def forbidden_labels(write: NamespaceWrite) -> Denial | None:
    """Refuse Capsule users changes of label keys that the tenant forbids (N-18, T-13)."""
    old = write.old.labels if write.old else None
    changed = changed_keys(old, write.new.labels)
    return _forbidden(write, write.options.forbidden_labels, changed, noun="label")


def forbidden_annotations(write: NamespaceWrite) -> Denial | None:
    """Refuse Capsule users changes of annotation keys that the tenant forbids (N-18, T-13)."""
    old = write.old.annotations if write.old else None
    changed = changed_keys(old, write.new.annotations)
    return _forbidden(write, write.options.forbidden_annotations, changed, noun="annotation")


def required_labels(write: NamespaceWrite) -> Denial | None:
    """Refuse a namespace without a label that the tenant requires (N-19, T-12)."""
    wanted = write.options.required_metadata.labels if write.options.required_metadata else None
    return _required(write, wanted, write.new.labels, noun="label")


def required_annotations(write: NamespaceWrite) -> Denial | None:
    """Refuse a namespace without an annotation that the tenant requires (N-19, T-12)."""
    wanted = write.options.required_metadata.annotations if write.options.required_metadata else None
    return _required(write, wanted, write.new.annotations, noun="annotation")


def _forbidden(
    write: NamespaceWrite, forbidden: ForbiddenList | None, changed: set[str], *, noun: str
) -> Denial | None:
    if forbidden is None or not write.is_by_capsule_user or not changed:
        return None
    managed = managed_metadata(write.tenant, write.new)
    own = (managed.labels if noun == "label" else managed.annotations) or {}
    keys = forbidden_keys(forbidden, changed - own.keys() - IDENTITY_LABELS)
    if not keys:
        return None
    return Denial(
        reason=f"Forbidden{noun.capitalize()}",
        message=f"{noun} {', '.join(keys)} is forbidden for the current tenant {write.tenant.metadata.name!r}: "
        f"{forbidden_text(forbidden)}",
    )


def _required(
    write: NamespaceWrite, wanted: Mapping[str, str] | None, present: Mapping[str, str] | None, *, noun: str
) -> Denial | None:
    # A namespace older than the requirement may still lose a finalizer; whoever edits its metadata completes it.
    if not wanted or write.context.role is Role.UNKNOWN or not write.changes_metadata:
        return None
    reason = f"Forbidden{noun.capitalize()}"
    for key, pattern in sorted(wanted.items()):
        value = (present or {}).get(key)
        if value is None:
            return Denial(
                reason=reason,
                message=f"required {noun} {key} is missing: "
                f"tenant {write.tenant.metadata.name!r} wants a value that matches {pattern}",
            )
        if not _must_match(pattern, value):
            return Denial(
                reason=reason,
                message=f"required {noun} {key} has the value {value!r}, which does not match {pattern}",
            )
    return None


def _name(namespace: ObjectMeta) -> str:
    return namespace.name or namespace.generate_name


def _may_match(pattern: str, text: str) -> bool:
    """Return whether *pattern* matches; one that does not compile might, so it does."""
    try:
        return expression(pattern).search(text)
    except ExpressionError:
        return True


def _must_match(pattern: str, text: str) -> bool:
    """Return whether *pattern* matches; one that does not compile proves nothing, so it does not."""
    try:
        return expression(pattern).search(text)
    except ExpressionError:
        return False

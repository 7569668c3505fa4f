"""Whether a stored object is what the controllers want it to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tenantry.api.core import (
    ClusterRole,
    ClusterRoleBinding,
    LimitRange,
    NetworkPolicy,
    PolicyRule,
    ResourceQuota,
    RoleBinding,
)
from tenantry.api.labels import TENANT
from tenantry.api.meta import ObjectMeta
from tenantry.api.rule_status import RuleStatus
from tenantry.api.rules import NamespaceRule
from tenantry.foundation.codec import from_plain, to_plain
from tenantry.tenancy.desired.manifests import Manifest
from tenantry.tenancy.desired.role_bindings import plain_subject
from tenantry.tenancy.desired.server_form import limit_range_spec, network_policy_spec, resource_quota_spec

Managed = RoleBinding | ClusterRoleBinding | ClusterRole | LimitRange | NetworkPolicy | ResourceQuota | RuleStatus
_SPEC_FORMS: Final = {
    "LimitRange": limit_range_spec,
    "NetworkPolicy": network_policy_spec,
    "ResourceQuota": resource_quota_spec,
}


def is_as_wanted(stored: Managed, wanted: Manifest) -> bool:
    """Return whether *stored* equals *wanted*: its content exactly, its metadata at least.

    Labels and annotations that others add stay: backup and delivery tools mark objects so.
    Anything else that others add is a difference.
    """
    return has_metadata(stored.metadata, wanted["metadata"]) and has_content(stored, wanted)


def has_metadata(stored: ObjectMeta, wanted: Mapping[str, Any]) -> bool:
    """Return whether *stored* has all labels, annotations and owner references of *wanted*."""
    if not _contains(stored.labels, wanted.get("labels")) or TENANT in (stored.labels or {}):
        return False
    if not _contains(stored.annotations, wanted.get("annotations")):
        return False
    references = [to_plain(each) for each in stored.owner_references]
    return all(reference in references for reference in wanted.get("ownerReferences", ()))


def _contains(stored: Mapping[str, str] | None, wanted: Mapping[str, str] | None) -> bool:
    present = stored or {}
    return all(present.get(key) == value for key, value in (wanted or {}).items())


def has_content(stored: Managed, wanted: Manifest) -> bool:
    """Return whether everything besides the metadata is equal."""
    if isinstance(stored, RoleBinding | ClusterRoleBinding):
        role = wanted["roleRef"]
        subjects: list[dict[str, str]] = wanted["subjects"]
        return (stored.role_ref.kind, stored.role_ref.name) == (role["kind"], role["name"]) and [
            plain_subject(each) for each in stored.subjects or ()
        ] == subjects
    if isinstance(stored, ClusterRole):
        return (stored.rules or ()) == from_plain(wanted["rules"], tuple[PolicyRule, ...])
    if isinstance(stored, RuleStatus):
        return stored.spec == from_plain(wanted["spec"], tuple[NamespaceRule, ...])
    spec: dict[str, object] = wanted["spec"]
    return stored.spec == spec or _SPEC_FORMS[stored.kind](stored.spec) == spec

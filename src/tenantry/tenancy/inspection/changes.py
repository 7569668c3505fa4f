"""What an edited Tenant changes in its namespaces, object by object (``tenantry tenant preview``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.core import LimitRange, NetworkPolicy, ResourceQuota, RoleBinding
from tenantry.api.labels import RESOURCE_QUOTA
from tenantry.api.meta import ObjectMeta
from tenantry.api.rule_status import RuleStatus
from tenantry.api.rules import NamespaceRule
from tenantry.api.tenant import Tenant
from tenantry.api.tenant_owner import TenantOwner
from tenantry.foundation.codec import to_plain
from tenantry.foundation.templates import TemplateError
from tenantry.tenancy.desired.difference import is_as_wanted
from tenantry.tenancy.desired.manifests import Manifest, TenantFacts, is_managed
from tenantry.tenancy.desired.namespace_objects import NamespacePlan, namespace_objects
from tenantry.tenancy.desired.resource_quotas import is_shared, shared_quotas
from tenantry.tenancy.namespaces.metadata import MetadataChange, desired_metadata
from tenantry.tenancy.owners import PromotedCandidate, effective_owners, promoted_accounts
from tenantry.tenancy.rules.effective import projected_rules

Managed = RoleBinding | LimitRange | NetworkPolicy | ResourceQuota | RuleStatus
Key = tuple[str, str, str]
"""Kind, namespace and name."""
_CONTENT: Final = ("roleRef", "subjects", "spec")
_MOST_DETAILS: Final = 8


class Act(StrEnum):
    """What happens to an object."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One object that would be written."""

    act: Act
    kind: str
    namespace: str
    """Empty for the Namespace itself."""
    name: str
    details: tuple[str, ...] = ()
    """What differs, as ``path: before -> after``; empty where the whole object comes or goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """All that a tenant's objects follow from, besides the Tenant."""

    configuration: CapsuleConfigurationSpec = field(default_factory=CapsuleConfigurationSpec)
    tenant_owners: Sequence[TenantOwner] = ()
    promoted: Sequence[PromotedCandidate] = ()
    """ServiceAccounts in the tenant's namespaces that carry a promotion label."""
    members: Sequence[ObjectMeta] = ()
    """The tenant's namespaces."""
    managed: Sequence[Managed] = ()
    """What the controllers made in them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from one edition of a Tenant."""

    facts: TenantFacts
    changes: tuple[Change, ...]
    problems: tuple[str, ...] = ()
    """What could not be computed, and so would not be written."""
    members: Mapping[str, ObjectMeta] = field(default_factory=dict)
    """The namespaces that live, with the metadata that they would have."""


def plan(tenant: Tenant, surroundings: Surroundings) -> Plan:
    """Return what the controllers would write for *tenant*, an edited one with the status of the stored one."""
    facts = _facts(tenant, surroundings)
    stored = {_key(each): each for each in surroundings.managed if is_managed(each.metadata)}
    quotas = shared_quotas(tenant, _usage(surroundings)) if is_shared(tenant) else ()
    written = NamespacePlan(facts)
    changes: list[Change] = []
    problems: list[str] = []
    members: dict[str, ObjectMeta] = {}
    for namespace in sorted(surroundings.members, key=lambda each: each.name):
        if namespace.deletion_timestamp is not None:
            continue
        after, metadata_change = _metadata(tenant, namespace)
        members[namespace.name] = after
        changes += metadata_change
        rules = _rules(tenant, after, problems)
        wanted = namespace_objects(written, after, quotas=quotas, rules=rules)
        changes += _object_changes(namespace.name, wanted, stored)
    return Plan(facts, tuple(changes), tuple(problems), members)


def notes(edited: Tenant, stored: Tenant, members: Collection[str]) -> tuple[str, ...]:
    """Return what the edit means besides the objects: for people, a sentence each."""
    options = edited.spec.namespace_options
    found = []
    if options is not None and options.quota is not None and options.quota < len(members):
        found.append(
            f"it has {len(members)} namespaces, more than the new quota of {options.quota}: they stay, and no new one "
            "can be made"
        )
    if edited.spec.cordoned and not stored.spec.cordoned:
        found.append("it would be cordoned: its owners could change nothing in its namespaces")
    if edited.spec.node_selector != stored.spec.node_selector:
        found.append("its node selector would change: running Pods stay on their nodes")
    if any(rule.quota for rule in edited.spec.rules):
        found.append("rules[].quota is not enforced by this version")
    return tuple(found)


def _facts(tenant: Tenant, surroundings: Surroundings) -> TenantFacts:
    owners = effective_owners(
        tenant,
        tenant_owners=surroundings.tenant_owners,
        promoted=surroundings.promoted,
        configuration=surroundings.configuration,
    )
    promotions = promoted_accounts(
        tenant, surroundings.promoted, surroundings.configuration, namespaces=surroundings.members
    )
    return TenantFacts(tenant=tenant, owners=owners, promotions=promotions)


def _usage(surroundings: Surroundings) -> dict[int, dict[str, Mapping[str, object]]]:
    living = {each.name for each in surroundings.members}
    usage: dict[int, dict[str, Mapping[str, object]]] = {}
    for quota in surroundings.managed:
        index = (quota.metadata.labels or {}).get(RESOURCE_QUOTA, "")
        if isinstance(quota, ResourceQuota) and index.isdigit() and quota.metadata.namespace in living:
            usage.setdefault(int(index), {})[quota.metadata.namespace] = quota.status.used or {}
    return usage


def _rules(tenant: Tenant, namespace: ObjectMeta, problems: list[str]) -> tuple[NamespaceRule, ...] | None:
    try:
        return projected_rules(tenant, namespace)
    except TemplateError as error:
        problems.append(f"rules of namespace {namespace.name}: {error}")
        return None


def _metadata(tenant: Tenant, namespace: ObjectMeta) -> tuple[ObjectMeta, list[Change]]:
    previous = next(
        (each.metadata for each in tenant.status.spaces if (each.name, each.uid) == (namespace.name, namespace.uid)),
        None,
    )
    change = desired_metadata(tenant, namespace, previous)
    after = _with(namespace, change)
    if change.is_empty:
        return after, []
    before = {"labels": namespace.labels or {}, "annotations": namespace.annotations or {}}
    details = differences(before, {"labels": after.labels or {}, "annotations": after.annotations or {}})
    return after, [Change(act=Act.CHANGE, kind="Namespace", namespace="", name=namespace.name, details=details)]


def _with(namespace: ObjectMeta, change: MetadataChange) -> ObjectMeta:
    labels = {key: value for key, value in (namespace.labels or {}).items() if key not in change.remove_labels}
    annotations = {
        key: value for key, value in (namespace.annotations or {}).items() if key not in change.remove_annotations
    }
    return ObjectMeta(
        name=namespace.name,
        uid=namespace.uid,
        labels={**labels, **change.set_labels},
        annotations={**annotations, **change.set_annotations},
        owner_references=namespace.owner_references,
    )


def _object_changes(namespace: str, wanted: Sequence[Manifest], stored: Mapping[Key, Managed]) -> Iterator[Change]:
    keys = set()
    for manifest in wanted:
        key = (manifest["kind"], namespace, manifest["metadata"]["name"])
        keys.add(key)
        present = stored.get(key)
        if present is None:
            yield Change(act=Act.CREATE, kind=key[0], namespace=namespace, name=key[2])
        elif not is_as_wanted(present, manifest):
            details = differences(_compared(to_plain(present), manifest), _compared(manifest, manifest))
            yield Change(act=Act.CHANGE, kind=key[0], namespace=namespace, name=key[2], details=details)
    for key in sorted(stored):
        # A RuleStatus whose rules can't be computed is left as it is.
        if key[1] == namespace and key not in keys and key[0] != "RuleStatus":
            yield Change(act=Act.DELETE, kind=key[0], namespace=namespace, name=key[2])


def _key(each: Managed) -> Key:
    return each.kind, each.metadata.namespace, each.metadata.name


def _compared(manifest: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of *manifest* the controllers look at: its content, and the metadata that *wanted* has."""
    metadata = manifest.get("metadata", {})
    kept: dict[str, Any] = {
        part: {
            key: value for key, value in (metadata.get(part) or {}).items() if key in wanted["metadata"].get(part, {})
        }
        for part in ("labels", "annotations")
    }
    return {**kept, **{key: manifest[key] for key in _CONTENT if key in manifest}}


def differences(before: Any, after: Any) -> tuple[str, ...]:
    """Return what differs between two plain values, as ``path: before -> after``, the first few."""
    found = list(_differences("", before, after))
    more = len(found) - _MOST_DETAILS
    return (*found[:_MOST_DETAILS], *([f"and {more} more"] if more > 0 else []))


def _differences(path: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _differences(_joined(path, key), before.get(key), after.get(key))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old, new = (each[index] if index < len(each) else None for each in (before, after))
            yield from _differences(f"{path}[{index}]", old, new)
    elif before is None:
        yield f"{path}: + {_text(after)}"
    elif after is None:
        yield f"{path}: - {_text(before)}"
    else:
        yield f"{path}: {_text(before)} -> {_text(after)}"


def _joined(path: str, key: str) -> str:
    if "." in key or "/" in key:
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return str(value)

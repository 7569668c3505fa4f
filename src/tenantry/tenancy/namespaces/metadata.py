"""Labels and annotations that a tenant manages on its namespaces (T-10 to T-14, spec 13.11, 14.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tenantry.api import labels
from tenantry.api.meta import ObjectMeta
from tenantry.api.rules import NamespaceRule
from tenantry.api.selecting import matches
from tenantry.api.shared import AdditionalMetadata, AllowedList
from tenantry.api.tenant import NamespaceOptions, Tenant
from tenantry.foundation.templates import TemplateError, fast_render, is_template
from tenantry.tenancy.rules.effective import effective_rules
from tenantry.tenancy.rules.kinds import NAMESPACE
from tenantry.tenancy.rules.metadata import namespace_metadata
from tenantry.tenancy.rules.ruleset import EMPTY_RULES, RuleSet

IDENTITY_LABELS: Final = frozenset({labels.TENANT, labels.METADATA_NAME})
"""Labels that say which namespace this is and whose; no setting changes them."""
COPIED_ANNOTATIONS: Final = (
    labels.FORBIDDEN_NAMESPACE_LABELS,
    labels.FORBIDDEN_NAMESPACE_LABELS_REGEXP,
    labels.FORBIDDEN_NAMESPACE_ANNOTATIONS,
    labels.FORBIDDEN_NAMESPACE_ANNOTATIONS_REGEXP,
)
"""From the Tenant's own annotations to its namespaces."""


class MetadataChange(NamedTuple):
    """What to write to a namespace; only what differs from it, so all empty means nothing to do."""

    set_labels: dict[str, str]
    set_annotations: dict[str, str]
    remove_labels: frozenset[str]
    remove_annotations: frozenset[str]

    @property
    def is_empty(self) -> bool:
        """Whether the namespace is as it should be."""
        return not any(self)


def managed_metadata(
    tenant: Tenant, namespace: ObjectMeta, previous: AdditionalMetadata | None = None
) -> AdditionalMetadata:
    """Return what *tenant* manages on *namespace*: what ``status.spaces[].metadata`` reports.

    The two identity labels are not in it, and settings that name them are ignored.  Later
    sources win: additional metadata, the conditional list in order, what tells users about
    the tenant's settings, the cordon, rules, the node selector.  An entry whose template can't be rendered is
    left out: validation refuses new ones.

    Args:
        tenant: Whose settings.
        namespace: Its labels select conditional entries and rules.  With no name yet
            (``generateName``), entries that print the name are left out.
        previous: What was managed before.  Those labels do not count for selection, else an
            entry for namespaces *without* a label that it sets would come and go for ever.
    """
    options = tenant.spec.namespace_options or NamespaceOptions()
    values = _template_values(tenant, namespace)
    always = _rendered(options.additional_metadata, values)
    selecting = selection_view(tenant, namespace, previous)
    parts = [always]
    parts += [
        _rendered(entry, values)
        for entry in options.additional_metadata_list
        if matches(entry.namespace_selector, selecting.labels)
    ]
    parts.append(AdditionalMetadata(annotations=_informational(tenant)))
    if tenant.spec.cordoned:
        parts.append(AdditionalMetadata(labels={labels.CORDONED: "true"}))
    by_rules = namespace_metadata(metadata_rules(tenant, selecting))
    parts.append(
        AdditionalMetadata(labels=dict(by_rules.managed_labels), annotations=dict(by_rules.managed_annotations))
    )
    selector = node_selector_annotation(tenant)
    if selector is not None:  # Last: what admission compares with must be what is written (N-17).
        parts.append(AdditionalMetadata(annotations={labels.NODE_SELECTOR: selector}))
    return AdditionalMetadata(
        labels={
            key: value for part in parts for key, value in (part.labels or {}).items() if key not in IDENTITY_LABELS
        },
        annotations={key: value for part in parts for key, value in (part.annotations or {}).items()},
    )


def selection_view(tenant: Tenant, namespace: ObjectMeta, previous: AdditionalMetadata | None = None) -> ObjectMeta:
    """Return *namespace* with the labels that selectors of *tenant* are to look at.

    What the tenant sets unconditionally counts before it is there, what it managed once or
    drops does not count although it is there, so that the first pass decides as every later one.
    """
    formerly = (previous.labels if previous else None) or {}
    own = {key: value for key, value in (namespace.labels or {}).items() if key not in formerly}
    options = tenant.spec.namespace_options or NamespaceOptions()
    if options.managed_metadata_only:
        own = {key: value for key, value in own.items() if key == labels.CORDONED}
    always = _rendered(options.additional_metadata, _template_values(tenant, namespace)).labels or {}
    return ObjectMeta(
        name=namespace.name,
        uid=namespace.uid,
        labels={**own, **always, **identity_labels(tenant, namespace)},
        annotations=namespace.annotations,
    )


def metadata_rules(tenant: Tenant, namespace: ObjectMeta) -> RuleSet:
    """Return the effective rules, or none where no rule of *tenant* can be about Namespaces: that spares compiling."""
    if any(_may_name_namespaces(rule) for rule in tenant.spec.rules):
        return effective_rules(tenant, namespace)
    return EMPTY_RULES


def _may_name_namespaces(rule: NamespaceRule) -> bool:
    kinds = (kind for entry in (rule.enforce.metadata if rule.enforce else ()) for kind in entry.kinds)
    return any(kind == NAMESPACE or is_template(kind) for kind in kinds)  # No glob is ever about them (RL-18).


def identity_labels(tenant: Tenant, namespace: ObjectMeta) -> dict[str, str]:
    """Return the labels of every namespace of *tenant*; the name's is left out while there is no name."""
    own = {labels.TENANT: tenant.metadata.name}
    return own | ({labels.METADATA_NAME: namespace.name} if namespace.name else {})


def desired_metadata(tenant: Tenant, namespace: ObjectMeta, previous: AdditionalMetadata | None) -> MetadataChange:
    """Return what to write so that *namespace* carries what *tenant* manages, and nothing that it managed once.

    With ``managedMetadataOnly`` all else goes too, but for an owner's own cordon label (I-10)
    and keys that rules give a default.

    Args:
        tenant: Whose namespace it is.
        namespace: As it is stored, or submitted.
        previous: From ``status.spaces[].metadata``; None where it is not known: then what was
            managed once stays, as if it were the user's own.
    """
    managed = managed_metadata(tenant, namespace, previous)
    wanted_labels = {**(managed.labels or {}), **identity_labels(tenant, namespace)}
    wanted_annotations = managed.annotations or {}
    present_labels, present_annotations = namespace.labels or {}, namespace.annotations or {}
    gone_labels = (present_labels.keys() & set((previous.labels if previous else None) or ())) - IDENTITY_LABELS
    gone_annotations = present_annotations.keys() & set((previous.annotations if previous else None) or ())
    if tenant.spec.namespace_options and tenant.spec.namespace_options.managed_metadata_only:
        defaults = namespace_metadata(metadata_rules(tenant, selection_view(tenant, namespace, previous)))
        gone_labels = present_labels.keys() - IDENTITY_LABELS - {labels.CORDONED} - set(defaults.default_labels)
        gone_annotations = present_annotations.keys() - set(defaults.default_annotations)
    return MetadataChange(
        set_labels=_difference(wanted_labels, present_labels),
        set_annotations=_difference(wanted_annotations, present_annotations),
        remove_labels=frozenset(gone_labels - wanted_labels.keys()),
        remove_annotations=frozenset(gone_annotations - wanted_annotations.keys()),
    )


def node_selector_annotation(tenant: Tenant) -> str | None:
    """Return the value for the PodNodeSelector plugin; None where the tenant sets none (T-24)."""
    selector = tenant.spec.node_selector
    return ",".join(f"{key}={selector[key]}" for key in sorted(selector)) if selector else None


def _informational(tenant: Tenant) -> dict[str, str]:
    spec = tenant.spec
    found = {
        key: value for key in COPIED_ANNOTATIONS if (value := (tenant.metadata.annotations or {}).get(key)) is not None
    }
    found |= _listed(spec.container_registries, labels.ALLOWED_REGISTRIES, labels.ALLOWED_REGISTRIES_REGEXP)
    found |= _listed(spec.storage_classes, labels.STORAGE_CLASSES, labels.STORAGE_CLASSES_REGEXP)
    ingress = spec.ingress_options.allowed_classes if spec.ingress_options else None
    return found | _listed(ingress, labels.INGRESS_CLASSES, labels.INGRESS_CLASSES_REGEXP)


def _listed(allowed: AllowedList | None, key: str, regexp_key: str) -> dict[str, str]:
    if allowed is None:
        return {}
    exact = {key: ",".join(allowed.allowed)} if allowed.allowed else {}
    return exact | ({regexp_key: allowed.allowed_regex} if allowed.allowed_regex else {})


def _template_values(tenant: Tenant, namespace: ObjectMeta) -> dict[str, str]:
    values = {"tenant.name": tenant.metadata.name}
    return values | ({"namespace": namespace.name} if namespace.name else {})


def _rendered(metadata: AdditionalMetadata | None, values: Mapping[str, str]) -> AdditionalMetadata:
    if metadata is None:
        return AdditionalMetadata()
    return AdditionalMetadata(
        labels=_rendered_map(metadata.labels, values), annotations=_rendered_map(metadata.annotations, values)
    )


def _rendered_map(texts: Mapping[str, str] | None, values: Mapping[str, str]) -> dict[str, str]:
    rendered = {}
    for key, text in (texts or {}).items():
        try:
            rendered[key] = fast_render(text, values)
        except TemplateError:
            continue
    return rendered


def _difference(wanted: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in wanted.items() if present.get(key) != value}

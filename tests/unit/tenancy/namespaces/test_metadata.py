"""What a tenant manages on its namespaces, and what goes when it no longer does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenantry.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from tenantry.api.rules import Enforce, MetadataPolicy, MetadataRule, TenantRule
from tenantry.api.shared import AdditionalMetadata, AllowedList, DefaultAllowedList, SelectedMetadata
from tenantry.api.tenant import IngressOptions, NamespaceOptions, Tenant, TenantSpec
from tenantry.tenancy.namespaces.metadata import MetadataChange, desired_metadata, managed_metadata

LABEL = "capsule.clastix.io/tenant"
NAME = "kubernetes.io/metadata.name"


def _tenant(spec: TenantSpec, annotations: dict[str, str] | None = None) -> Tenant:
    return Tenant(metadata=ObjectMeta(name="oil", uid="u-oil", annotations=annotations), spec=spec)


def _namespace(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None) -> ObjectMeta:
    return ObjectMeta(name="oil-dev", labels=labels, annotations=annotations)


def test_what_tells_users_about_the_tenant() -> None:
    """14.1: lists in the order of the spec; expressions; forbidden keys from the Tenant's own annotations."""
    tenant = _tenant(
        TenantSpec(
            container_registries=AllowedList(allowed=("quay.io", "docker.io"), allowed_regex=".*[.]acme$"),
            storage_classes=DefaultAllowedList(allowed=("ssd",)),
            ingress_options=IngressOptions(allowed_classes=DefaultAllowedList(allowed_regex="^nginx")),
            node_selector={"pool": "oil", "disk": "ssd"},
        ),
        {"capsule.clastix.io/forbidden-namespace-labels": "foo,bar", "other": "x"},
    )

    assert managed_metadata(tenant, _namespace()) == AdditionalMetadata(
        labels={},
        annotations={
            "capsule.clastix.io/allowed-registries": "quay.io,docker.io",
            "capsule.clastix.io/allowed-registries-regexp": ".*[.]acme$",
            "capsule.clastix.io/storage-classes": "ssd",
            "capsule.clastix.io/ingress-classes-regexp": "^nginx",
            "capsule.clastix.io/forbidden-namespace-labels": "foo,bar",
            "scheduler.alpha.kubernetes.io/node-selector": "disk=ssd,pool=oil",
        },
    )


def test_later_sources_win() -> None:
    tenant = _tenant(
        TenantSpec(
            cordoned=True,
            namespace_options=NamespaceOptions(
                additional_metadata=AdditionalMetadata(
                    labels={"a": "always", "b": "always", "projectcapsule.dev/cordoned": "false", LABEL: "x"}
                ),
                additional_metadata_list=(
                    SelectedMetadata(
                        namespace_selector=LabelSelector(match_labels={"env": "prod", "a": "always"}),
                        labels={"b": "prod in {{tenant.name}}", "c": "prod"},
                    ),
                    SelectedMetadata(
                        namespace_selector=LabelSelector(match_labels={"env": "dev"}), labels={"b": "dev"}
                    ),
                    SelectedMetadata(labels={"c": "all", "bad": "{{ nothing }}", NAME: "x"}),
                ),
            ),
            rules=(
                TenantRule(
                    enforce=Enforce(
                        action="allow",
                        metadata=(
                            MetadataRule(kinds=("Namespace",), labels={"c": MetadataPolicy(managed="rule")}),
                            MetadataRule(kinds=("ConfigMap",), labels={"d": MetadataPolicy(managed="rule")}),
                        ),
                    )
                ),
            ),
        )
    )

    assert managed_metadata(tenant, _namespace({"env": "prod"})) == AdditionalMetadata(
        labels={"a": "always", "b": "prod in oil", "c": "rule", "projectcapsule.dev/cordoned": "true"}, annotations={}
    )


def test_what_was_managed_once_goes_and_the_users_own_stays() -> None:
    """13.11: removal is driven by what the status says was managed."""
    tenant = _tenant(
        TenantSpec(
            namespace_options=NamespaceOptions(additional_metadata=AdditionalMetadata(labels={"kept": "1", "new": "1"}))
        )
    )
    namespace = _namespace({LABEL: "gas", "kept": "1", "gone": "1", "own": "1"}, {"gone": "1", "own": "1"})
    previous = AdditionalMetadata(
        labels={"kept": "1", "gone": "1", "never": "1", LABEL: "gas"}, annotations={"gone": "0"}
    )

    change = desired_metadata(tenant, namespace, previous)

    assert change == MetadataChange(
        set_labels={"new": "1", LABEL: "oil", NAME: "oil-dev"},
        set_annotations={},
        remove_labels=frozenset({"gone"}),
        remove_annotations=frozenset({"gone"}),
    )
    assert not change.is_empty


def test_where_what_was_managed_is_not_known_nothing_goes() -> None:
    """A status that was lost: keys managed once stay, as if they were the user's own."""
    namespace = _namespace({LABEL: "oil", NAME: "oil-dev", "gone": "1"})

    assert desired_metadata(_tenant(TenantSpec()), namespace, None).is_empty


def test_an_entry_for_namespaces_without_the_label_it_sets_stays() -> None:
    """Else the label would come and go with every reconcile."""
    entry = SelectedMetadata(
        namespace_selector=LabelSelector(
            match_expressions=(LabelSelectorRequirement(key="tier", operator="DoesNotExist"),)
        ),
        labels={"tier": "tin"},
    )
    tenant = _tenant(TenantSpec(namespace_options=NamespaceOptions(additional_metadata_list=(entry,))))
    first = desired_metadata(tenant, _namespace(), None)

    assert first.set_labels["tier"] == "tin"
    previous = managed_metadata(tenant, _namespace())
    assert desired_metadata(tenant, _namespace(first.set_labels), previous).is_empty
    assert managed_metadata(tenant, _namespace(first.set_labels), previous) == previous
    assert desired_metadata(tenant, _namespace({LABEL: "oil", NAME: "oil-dev", "tier": "own"}), None).is_empty


def test_an_uncordoned_tenant_takes_its_label_off() -> None:
    cordoned = {LABEL: "oil", NAME: "oil-dev", "projectcapsule.dev/cordoned": "true"}
    previous = AdditionalMetadata(labels={"projectcapsule.dev/cordoned": "true"})

    change = desired_metadata(_tenant(TenantSpec()), _namespace(cordoned), previous)

    assert change.remove_labels == frozenset({"projectcapsule.dev/cordoned"})


@pytest.mark.parametrize("only_managed", [False, True])
def test_managed_metadata_only(*, only_managed: bool) -> None:
    """T-14: an owner's own cordon and keys with defaults by rule stay."""
    rule = MetadataRule(kinds=("Namespace",), labels={"env": MetadataPolicy(default="dev")})
    tenant = _tenant(
        TenantSpec(
            namespace_options=NamespaceOptions(managed_metadata_only=only_managed),
            rules=(TenantRule(enforce=Enforce(action="allow", metadata=(rule,))),),
        )
    )
    labels = {LABEL: "oil", NAME: "oil-dev", "own": "1", "env": "prod", "projectcapsule.dev/cordoned": "true"}

    change = desired_metadata(tenant, _namespace(labels, {"own": "1"}), None)

    gone = frozenset({"own"} if only_managed else ())
    assert change == MetadataChange({}, {}, gone, gone)


keys = st.sampled_from(("a", "b", "env", LABEL, NAME, "projectcapsule.dev/cordoned"))
maps = st.dictionaries(keys, st.sampled_from(("1", "2", "{{namespace}}", "{{bad}}")), max_size=4)
plain = st.dictionaries(keys, st.sampled_from(("1", "2")), max_size=5)
tenants = st.builds(
    lambda always, entries, cordoned, only: _tenant(
        TenantSpec(
            cordoned=cordoned,
            namespace_options=NamespaceOptions(
                additional_metadata=AdditionalMetadata(labels=always, annotations=always),
                additional_metadata_list=tuple(entries),
                managed_metadata_only=only,
            ),
        )
    ),
    maps,
    st.lists(
        st.builds(
            lambda selected, labels: SelectedMetadata(
                namespace_selector=LabelSelector(match_labels=selected), labels=labels
            ),
            st.dictionaries(st.sampled_from(("env", "own")), st.just("1"), max_size=1),
            maps,
        ),
        max_size=3,
    ),
    st.booleans(),
    st.booleans(),
)


@settings(deadline=None)
@given(tenants, plain, st.dictionaries(st.just("own"), st.just("1")))
def test_writing_what_is_desired_leaves_nothing_to_write(
    tenant: Tenant, labels: dict[str, str], own: dict[str, str]
) -> None:
    """Idempotence: also with what is managed now as what was managed before, while users' labels stay as they are."""
    namespace = _namespace({**labels, **own}, labels)
    managed = managed_metadata(tenant, namespace)
    change = desired_metadata(tenant, namespace, None)
    written = _namespace(
        {k: v for k, v in (namespace.labels or {}).items() if k not in change.remove_labels} | change.set_labels,
        {k: v for k, v in (namespace.annotations or {}).items() if k not in change.remove_annotations}
        | change.set_annotations,
    )

    again = desired_metadata(tenant, written, None)

    assert (again.remove_labels, again.remove_annotations) == (frozenset(), frozenset())
    assert {**(written.labels or {}), LABEL: "oil", NAME: "oil-dev"} == written.labels
    assert (managed.labels or {}).items() <= (written.labels or {}).items()

"""Which tenant a new namespace goes into, and what it is given there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.meta import ObjectMeta
from tenantry.api.rules import Audience, Enforce, MetadataPolicy, MetadataRule, TenantRule
from tenantry.api.shared import AdditionalMetadata, CoreOwner
from tenantry.api.tenant import NamespaceOptions, Tenant, TenantSpec
from tenantry.foundation.codec import Raw, encode
from tenantry.foundation.patches import PatchOperation
from tenantry.tenancy.namespaces.context import NamespaceContext
from tenantry.tenancy.namespaces.mutation import mutate
from tenantry.tenancy.request import Operation, Request, Requester, Role
from tenantry.tenancy.verdict import UNCHANGED, Mutation, Notice
from tenantry.tenancy.views import Installation, TenantView

LABEL = "capsule.clastix.io/tenant"
NONE_FITS = (
    "Unable to assign namespace to tenant. Please use capsule.clastix.io/tenant label when creating a namespace, "
    "with one of gas, oil, oil-prod"
)
NO_PREFIX = (
    "The Namespace prefix used doesn't match any available Tenant: start its name with one of gas, oil, oil-prod and -"
)


def _view(name: str, spec: TenantSpec | None = None, *, deleted: str | None = None) -> TenantView:
    return TenantView(
        tenant=Tenant(
            metadata=ObjectMeta(name=name, uid=f"u-{name}", deletion_timestamp=deleted), spec=spec or TenantSpec()
        ),
        owners=(CoreOwner(kind="User", name="alice"),),
    )


def _create(
    metadata: dict[str, Any],
    *views: TenantView,
    force_prefix: bool = False,
    role: Role = Role.CAPSULE_USER,
) -> Mutation:
    request = Request(
        operation=Operation.CREATE,
        kind="Namespace",
        resource="namespaces",
        requester=Requester(username="alice"),
        object=Raw(encode({"metadata": metadata})),
    )
    context = NamespaceContext(
        installation=Installation(configuration=CapsuleConfigurationSpec(force_tenant_prefix=force_prefix)),
        role=role,
        tenants={view.tenant.metadata.name: view for view in views},
        candidates=views,
    )
    return mutate(request, context)


@pytest.mark.parametrize(
    ("metadata", "tenant"),
    [
        ({"name": "gas-dev"}, "gas"),
        ({"name": "oil-dev"}, "oil"),
        ({"name": "oil-prod-dev"}, "oil-prod"),
        ({"name": "oil-prod"}, "oil"),
        ({"name": "oil-production"}, "oil"),
        ({"generateName": "oil-prod-"}, "oil-prod"),
        ({"generateName": "oil-"}, "oil"),
        ({"name": "dev", "labels": {LABEL: "gas"}}, "gas"),
        ({"name": "oil-dev", "labels": {LABEL: "gas"}}, "gas"),
    ],
)
def test_the_longest_prefix_wins_unless_a_label_says_more(metadata: dict[str, Any], tenant: str) -> None:
    """N-2, N-5: the same tenant found twice, by user and by group, counts once."""
    views = [_view("oil"), _view("oil-prod"), _view("gas"), _view("oil")]

    for order in (views, views[::-1]):
        mutation = _create(metadata, *order)
        assert mutation.denial is None
        assert mutation.operations[0].value[0]["name"] == tenant


@pytest.mark.parametrize(
    ("metadata", "force_prefix", "message"),
    [
        ({"name": "dev"}, False, NONE_FITS),
        ({"name": "oil"}, False, NONE_FITS),
        ({"generateName": "dev-"}, False, NONE_FITS),
        ({"name": "dev"}, True, NO_PREFIX),
        ({"name": "oil"}, True, NO_PREFIX),
    ],
)
def test_no_prefix_fits(metadata: dict[str, Any], message: str, *, force_prefix: bool) -> None:
    mutation = _create(metadata, _view("oil"), _view("oil-prod"), _view("gas"), force_prefix=force_prefix)

    assert mutation.denial is not None
    assert mutation.denial.message == message


def test_tenants_that_are_being_deleted_leave_no_choice() -> None:
    """The only living one is picked, unless the name says that another was meant."""
    views = (_view("oil", deleted="2026-01-01T00:00:00Z"), _view("gas"))

    assert _create({"name": "dev"}, *views).labels[LABEL] == "gas"
    assert _create({"name": "oil-dev"}, *views).labels[LABEL] == "oil"


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[ab](-?[ab]){0,3}", fullmatch=True), min_size=1, max_size=5), st.data())
def test_assignment_does_not_depend_on_the_order_of_candidates(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.from_regex(r"[ab](-?[ab]){0,5}", fullmatch=True))
    views = [_view(one) for one in names]

    assert _create({"name": name}, *views) == _create({"name": name}, *data.draw(st.permutations(views)))


def test_what_a_new_namespace_is_given() -> None:
    """N-7: one reference, the identity labels, managed metadata, the cordon, then what rules want."""
    namespace_rule = MetadataRule(
        kinds=("Namespace",),
        labels={
            "ruled": MetadataPolicy(managed="yes"),
            "tier": MetadataPolicy(default="tin"),
            "env": MetadataPolicy(default="dev"),
        },
        annotations={"by": MetadataPolicy(managed="rule")},
    )
    for_others = Enforce(
        action="allow", metadata=(MetadataRule(kinds=("Namespace",), labels={"x": MetadataPolicy(managed="x")}),)
    )
    spec = TenantSpec(
        cordoned=True,
        node_selector={"pool": "oil"},
        namespace_options=NamespaceOptions(
            additional_metadata=AdditionalMetadata(
                labels={"team": "{{tenant.name}}", "kubernetes.io/metadata.name": "mine", LABEL: "gas"},
                annotations={"of": "{{ namespace }}"},
            )
        ),
        rules=(
            TenantRule(enforce=Enforce(action="allow", metadata=(namespace_rule,))),
            TenantRule(audience=(Audience(kind="User", name="bob"),), enforce=for_others),
        ),
    )

    mutation = _create(
        {
            "name": "oil-dev",
            "labels": {"own": "1", "env": "prod", "team": "mine"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"}],
        },
        _view("oil", spec),
    )

    assert mutation == Mutation(
        labels={
            LABEL: "oil",
            "kubernetes.io/metadata.name": "oil-dev",
            "team": "oil",
            "projectcapsule.dev/cordoned": "true",
            "ruled": "yes",
            "tier": "tin",
        },
        annotations={"of": "oil-dev", "by": "rule", "scheduler.alpha.kubernetes.io/node-selector": "pool=oil"},
        operations=(
            PatchOperation(
                op="add",
                path="/metadata/ownerReferences",
                value=[{"apiVersion": "capsule.clastix.io/v1beta2", "kind": "Tenant", "name": "oil", "uid": "u-oil"}],
            ),
        ),
        notices=(
            Notice(
                reason="TenantAssigned",
                action="Mutated",
                message="namespace 'oil-dev' has been assigned to tenant 'oil'",
            ),
        ),
    )


def test_a_name_that_is_not_made_yet_is_printed_nowhere() -> None:
    """generateName: mutation runs before the API server makes the name; the controller adds the rest."""
    options = NamespaceOptions(
        additional_metadata=AdditionalMetadata(labels={"team": "{{tenant.name}}"}, annotations={"of": "{{namespace}}"})
    )

    mutation = _create({"generateName": "oil-"}, _view("oil", TenantSpec(namespace_options=options)))

    assert (mutation.labels, mutation.annotations) == ({LABEL: "oil", "team": "oil"}, {})


def test_only_managed_metadata_stays_where_the_tenant_says_so() -> None:
    """T-14: an owner's own cordon label stays too (I-10)."""
    options = NamespaceOptions(
        additional_metadata=AdditionalMetadata(labels={"team": "oil"}), managed_metadata_only=True
    )
    submitted = {
        "name": "oil-dev",
        "labels": {"own": "1", "team": "gas", "projectcapsule.dev/cordoned": "true"},
        "annotations": {"note": "1"},
    }

    mutation = _create(submitted, _view("oil", TenantSpec(namespace_options=options)))

    assert mutation.labels == {LABEL: "oil", "kubernetes.io/metadata.name": "oil-dev", "team": "oil"}
    assert (mutation.remove_labels, mutation.remove_annotations) == (frozenset({"own"}), frozenset({"note"}))


def test_requesters_unknown_to_the_installation_are_left_alone() -> None:
    """N-1."""
    assert _create({"name": "dev"}, _view("oil"), role=Role.UNKNOWN) == UNCHANGED

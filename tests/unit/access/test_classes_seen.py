"""What tenants select of the cluster-scoped kinds, beside what admission lets them use."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.access.classes_seen import PROXIED_KINDS, allowed_sight, selected
from tenantry.access.sight import EVERYTHING, NOTHING
from tenantry.api.meta import LabelSelectorRequirement, ObjectMeta
from tenantry.api.shared import DefaultAllowedList
from tenantry.api.tenant import GatewayOptions, IngressOptions, Tenant, TenantSpec
from tenantry.tenancy.checks.allowed import entry_is_allowed
from tenantry.tenancy.views import ClassEntry

NODES, VOLUMES = ("", "nodes"), ("", "persistentvolumes")
NAMES = ("fast", "fast-2", "slow", "default")
lists = st.one_of(
    st.none(),
    st.builds(
        DefaultAllowedList,
        allowed=st.lists(st.sampled_from(NAMES), max_size=2).map(tuple),
        allowed_regex=st.sampled_from(["", "^fast", "(", "2$"]),
        default=st.sampled_from(["", "default"]),
        match_labels=st.sampled_from([None, {}, {"tier": "gold"}]),
        match_expressions=st.sampled_from([(), (LabelSelectorRequirement(key="tier", operator="Exists"),)]),
    ),
)


@given(lists, st.sampled_from(NAMES), st.sampled_from([{}, {"tier": "gold"}, {"tier": "tin"}]))
def test_a_class_is_seen_exactly_where_admission_lets_it_be_used(
    allowed: DefaultAllowedList | None, name: str, labels: dict[str, str]
) -> None:
    entry = ClassEntry(name=name, labels=labels)

    assert allowed_sight(allowed).shows(name, labels) is entry_is_allowed(allowed, entry)


def tenant(name: str, **spec: Any) -> Tenant:
    return Tenant(metadata=ObjectMeta(name=name), spec=TenantSpec(**spec))


@pytest.mark.parametrize("kind", [NODES, ("metrics.k8s.io", "nodes")])
def test_nodes_go_by_the_tenants_node_selectors_each_as_a_whole(kind: tuple[str, str]) -> None:
    sight = selected(
        [tenant("oil", node_selector={"pool": "oil", "disk": "ssd"}), tenant("gas", node_selector={"pool": "gas"})],
        kind,
    )

    shown = [
        labels
        for labels in ({"pool": "oil"}, {"pool": "oil", "disk": "ssd"}, {"pool": "gas"}, {"disk": "ssd"}, {})
        if sight.shows("node", labels)
    ]

    assert shown == [{"pool": "oil", "disk": "ssd"}, {"pool": "gas"}]


@pytest.mark.parametrize("selector", [None, {}])
def test_without_a_node_selector_a_tenant_sees_all_nodes(selector: dict[str, str] | None) -> None:
    assert selected([tenant("oil", node_selector=selector)], NODES) == EVERYTHING


def test_volumes_go_by_the_tenant_label_in_one_rule() -> None:
    sight = selected([tenant("oil"), tenant("gas")], VOLUMES)

    assert len(sight.rules) == 1
    assert [sight.shows("pv", {"capsule.clastix.io/tenant": name}) for name in ("oil", "gas", "water")] == [
        True,
        True,
        False,
    ]
    assert not sight.shows("pv", {})


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (("storage.k8s.io", "storageclasses"), {"storage_classes": DefaultAllowedList(allowed=("fast",))}),
        (("scheduling.k8s.io", "priorityclasses"), {"priority_classes": DefaultAllowedList(allowed=("fast",))}),
        (("node.k8s.io", "runtimeclasses"), {"runtime_classes": DefaultAllowedList(allowed=("fast",))}),
        (
            ("networking.k8s.io", "ingressclasses"),
            {"ingress_options": IngressOptions(allowed_classes=DefaultAllowedList(allowed=("fast",)))},
        ),
        (
            ("gateway.networking.k8s.io", "gatewayclasses"),
            {"gateway_options": GatewayOptions(allowed_classes=DefaultAllowedList(allowed=("fast",)))},
        ),
    ],
)
def test_each_kind_of_class_has_its_own_list(kind: tuple[str, str], spec: dict[str, Any]) -> None:
    limited = tenant("oil", **spec)

    shown = {each for each in PROXIED_KINDS if selected([limited], each).everything}

    assert [selected([limited], kind).shows(name, {}) for name in ("fast", "slow")] == [True, False]
    assert kind not in shown
    assert VOLUMES not in shown


@pytest.mark.parametrize("kind", [*PROXIED_KINDS, ("", "secrets"), ("apps", "nodes")])
def test_no_tenants_select_nothing(kind: tuple[str, str]) -> None:
    assert selected([], kind) == NOTHING


@pytest.mark.parametrize("kind", [("", "secrets"), ("apps", "nodes"), ("resource.k8s.io", "deviceclasses")])
def test_other_kinds_are_not_selected_from(kind: tuple[str, str]) -> None:
    assert selected([tenant("oil")], kind) == NOTHING

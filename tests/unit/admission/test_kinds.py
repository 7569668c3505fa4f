"""Which kinds a cluster has, by what its discovery says."""

from __future__ import annotations

from tenantry.admission.kinds import ServedKinds
from tenantry.tenancy.validation.rules import KindScope

NAMESPACED, CLUSTER = KindScope.NAMESPACED, KindScope.CLUSTER
SERVED = frozenset({("", "Pod", NAMESPACED), ("apps", "Deployment", NAMESPACED), ("", "Node", CLUSTER)})


def test_a_kind_is_found_by_whatever_form_a_rule_names_its_group_in() -> None:
    kinds = ServedKinds(SERVED)
    asked = [("v1", "Pod"), ("apps", "Deployment"), ("apps/v1", "Deployment"), ("*", "Deployment"), ("core", "Node")]

    assert [kinds.scope_of(*one) for one in asked] == [NAMESPACED, NAMESPACED, NAMESPACED, NAMESPACED, CLUSTER]
    assert [kinds.scope_of(*one) for one in (("v1", "Deployment"), ("apps", "Pod"), ("*", "Widget"))] == [None] * 3


def test_where_not_everybody_could_be_asked_an_unknown_kind_has_the_benefit_of_the_doubt() -> None:
    kinds = ServedKinds(SERVED, is_complete=False)

    assert [kinds.scope_of("*", "Widget"), kinds.scope_of("v1", "Node")] == [NAMESPACED, CLUSTER]

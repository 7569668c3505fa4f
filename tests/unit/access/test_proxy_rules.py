"""Rules of ProxySettings and GlobalProxySettings: which kinds they are about, and what they show."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.access.proxy_rules import group_matches, proxy_rule, rules_sight
from tenantry.access.sight import EVERYTHING, NOTHING, Rule, Sight
from tenantry.api.meta import LabelSelector, LabelSelectorRequirement
from tenantry.api.proxy import ClusterResource

PROD = LabelSelector(match_labels={"env": "prod"})
PROD_SIGHT = Sight(rules=(Rule(labels=(("env", "prod"),)),))


@pytest.mark.parametrize(
    ("entry", "group", "version", "matches"),
    [
        ("", "", "v1", True),
        ("", "apps", "v1", False),
        ("*", "", "v1", True),
        ("*", "apps", "v1", True),
        ("storage.k8s.io", "storage.k8s.io", "v1", True),
        ("storage.k8s.io", "xstorage.k8s.io", "v1", False),
        ("storage.k8s.io", "storagexk8s.io", "v1", False),
        ("rbac.*", "rbac.authorization.k8s.io", "v1", True),
        ("rbac.*", "authorization.k8s.io", "v1", False),
        ("*.k8s.io", "node.k8s.io", "v1", True),
        ("*.k8s.io", "k8s.io.example.org", "v1", False),
        ("*.example.*", "a.example.org", "v1", True),
        ("a*a", "a", "v1", False),
        ("a*a", "aa", "v1", True),
        ("*b*c*", "abacad", "v1", True),
        ("*c*b*", "abaca", "v1", False),
        ("rbac.authorization.k8s.io/*", "rbac.authorization.k8s.io", "v1", True),
        ("capsule.clastix.io/*", "capsule.clastix.io", "v1beta2", True),
        ("capsule.clastix.io/v1beta1", "capsule.clastix.io", "v1beta2", False),
        ("capsule.clastix.io/v1beta2", "capsule.clastix.io", "v1beta2", True),
        ("*/v1", "apps", "v1", True),
        ("*/v1", "apps", "v2", False),
        ("/v1", "", "v1", True),
    ],
)
def test_api_groups(entry: str, group: str, version: str, *, matches: bool) -> None:
    assert group_matches(entry, group, version) is matches


@given(st.text("ab*./", max_size=6), st.text("ab.", max_size=5), st.sampled_from(["", "a", "v1"]))
def test_a_star_stands_for_any_text(entry: str, group: str, version: str) -> None:
    subject = f"{group}/{version}" if "/" in entry else group

    assert group_matches(entry, group, version) is fnmatchcase(subject, entry)


def entry(**given: Any) -> ClusterResource:
    settings: dict[str, Any] = {"api_groups": ("storage.k8s.io",), "resources": ("csidrivers",), "selector": PROD}
    return ClusterResource(**(settings | given))


def seen(*entries: ClusterResource, resource: str = "csidrivers") -> tuple[Sight, Sight]:
    """What a list and a get show."""
    made = [proxy_rule(each) for each in entries]
    kind = ("storage.k8s.io", "v1", resource)
    return rules_sight(made, kind, "list"), rules_sight(made, kind, "get")


@pytest.mark.parametrize(
    ("operations", "list_sight", "get_sight"),
    [
        (("List", "Get"), PROD_SIGHT, PROD_SIGHT),
        (("List",), PROD_SIGHT, PROD_SIGHT),
        (("Get",), NOTHING, PROD_SIGHT),
        ((), NOTHING, NOTHING),
        (("Update", "Delete", "*"), NOTHING, NOTHING),
    ],
)
def test_list_implies_get_and_get_alone_lists_nothing(
    operations: tuple[str, ...], list_sight: Sight, get_sight: Sight
) -> None:
    assert seen(entry(operations=operations)) == (list_sight, get_sight)


def test_a_rule_without_operations_has_both() -> None:
    assert seen(entry()) == (PROD_SIGHT, PROD_SIGHT)


@pytest.mark.parametrize(
    ("resources", "is_seen"),
    [(("csidrivers",), True), (("*",), True), (("csi*",), False), (("CSIDrivers",), False), ((), False)],
)
def test_resources_are_plurals_or_all(resources: tuple[str, ...], *, is_seen: bool) -> None:
    assert seen(entry(resources=resources))[0] == (PROD_SIGHT if is_seen else NOTHING)


@pytest.mark.parametrize(
    ("selector", "sight"),
    [
        (LabelSelector(), EVERYTHING),
        (None, NOTHING),
        (LabelSelector(match_expressions=(LabelSelectorRequirement(key="a", operator="Near"),)), NOTHING),
    ],
)
def test_a_selector_is_needed_and_must_be_valid(selector: LabelSelector | None, sight: Sight) -> None:
    assert seen(entry(selector=selector)) == (sight, sight)


def test_other_kinds_are_not_touched() -> None:
    assert seen(entry(), resource="csinodes") == (NOTHING, NOTHING)

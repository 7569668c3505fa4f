"""What `tenantry gateway rights` grants: what rules name, and no more."""

from __future__ import annotations

from tenantry.access.rule_kinds import KindName
from tenantry.access.served import KindFacts
from tenantry.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from tenantry.api.proxy import (
    ClusterResource,
    GlobalProxySettings,
    GlobalProxySettingsSpec,
    GlobalRule,
    ProxySetting,
    ProxySettingSpec,
    TenantSubject,
)
from tenantry.install.rule_rights import Grant, needed_grants, rules_role

ALL = ("get", "list", "watch")


def kind(resource: str, group: str, *verbs: str, version: str = "v1", is_namespaced: bool = False) -> KindFacts:
    return KindFacts(
        group=group,
        version=version,
        resource=resource,
        kind=resource,
        is_namespaced=is_namespaced,
        verbs=frozenset(verbs or (*ALL, "create", "delete")),
    )


SERVED = (
    kind("nodes", ""),
    kind("componentstatuses", "", "get", "list"),
    kind("secrets", "", is_namespaced=True),
    kind("clusterroles", "rbac.authorization.k8s.io"),
    kind("tenants", "capsule.clastix.io"),
    kind("nodes", "metrics.k8s.io", "get", "list"),
    kind("selfsubjectreviews", "authentication.k8s.io", "create"),
    kind("widgets", "example.org"),
    kind("widgets", "example.org", version="v1beta1"),
    kind("gadgets", "example.org"),
    kind("cogs", "example.org", is_namespaced=True),
    kind("issuers", "certs.example.org", version="v2"),
)


def entry(groups: list[str], resources: list[str], *operations: str) -> ClusterResource:
    return ClusterResource(
        api_groups=tuple(groups),
        resources=tuple(resources),
        operations=operations or ("List", "Get"),
        selector=LabelSelector(match_labels={"a": "b"}),
    )


def everywhere(name: str, *entries: ClusterResource) -> GlobalProxySettings:
    return GlobalProxySettings(
        metadata=ObjectMeta(name=name), spec=GlobalProxySettingsSpec(rules=(GlobalRule(cluster_resources=entries),))
    )


def in_tenant(name: str, *entries: ClusterResource) -> ProxySetting:
    return ProxySetting(
        metadata=ObjectMeta(name=name, namespace="space"),
        spec=ProxySettingSpec(subjects=(TenantSubject(), TenantSubject(cluster_resources=entries))),
    )


def names(*entries: ClusterResource) -> list[str]:
    return [str(each.kind) for each in needed_grants([everywhere("x", *entries)], SERVED)]


def test_each_kind_is_granted_once_with_all_that_name_it() -> None:
    settings: list[GlobalProxySettings | ProxySetting] = [
        everywhere("b", entry(["example.org"], ["widgets"]), entry(["example.org/v1beta1"], ["widgets"], "Get")),
        everywhere("a", entry(["*.example.org"], ["issuers"])),
        in_tenant("c", entry(["example.org"], ["*"])),
    ]

    grants = needed_grants(settings, SERVED)

    assert grants == (
        Grant(kind=KindName("certs.example.org", "issuers"), verbs=ALL, settings=("GlobalProxySettings/a",)),
        Grant(kind=KindName("example.org", "gadgets"), verbs=ALL, settings=("ProxySetting space/c",)),
        Grant(
            kind=KindName("example.org", "widgets"),
            verbs=ALL,
            settings=("GlobalProxySettings/b", "ProxySetting space/c"),
        ),
    )
    assert rules_role(grants) == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {
            "name": "tenantry:gateway:rules",
            "labels": {"gateway.tenantry.dev/aggregate-to-reader": "true"},
        },
        "rules": [
            {"apiGroups": ["certs.example.org"], "resources": ["issuers"], "verbs": list(ALL)},
            {"apiGroups": ["example.org"], "resources": ["gadgets", "widgets"], "verbs": list(ALL)},
        ],
    }


def test_stars_stand_for_what_is_served_and_not_granted_yet() -> None:
    """Neither what is in namespaces, nor what can't be read, nor what the manifests grant."""
    assert names(entry(["*"], ["*"])) == [
        "componentstatuses",
        "issuers.certs.example.org",
        "gadgets.example.org",
        "widgets.example.org",
    ]
    assert needed_grants([everywhere("x", entry([""], ["*"]))], SERVED)[0].verbs == ("get", "list")


def test_nothing_is_needed_where_nothing_is_shown_or_all_is_granted() -> None:
    invalid = LabelSelector(match_expressions=(LabelSelectorRequirement(key="a", operator="Near"),))
    assert names(entry(["", "rbac.authorization.k8s.io", "metrics.k8s.io"], ["nodes", "clusterroles"])) == []
    assert names(entry(["example.org"], ["cogs"])) == []
    assert names(entry(["example.org"], ["widget"]), entry(["example.org/v2"], ["widgets"])) == []
    assert names(ClusterResource(api_groups=("*",), resources=("*",))) == []
    assert names(ClusterResource(api_groups=("*",), resources=("*",), selector=invalid)) == []
    assert needed_grants([], SERVED) == ()

"""What principals see: kinds, operations and users."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.access.grants import Findings, global_setting_keys, principal_view, setting_keys
from tenantry.access.identity import Identity
from tenantry.access.principals import subject_keys
from tenantry.access.sight import EVERYTHING, NOTHING, Sight
from tenantry.access.visibility import PrincipalView, WriteOperation
from tenantry.api.meta import LabelSelector, ObjectMeta
from tenantry.api.proxy import (
    ClusterResource,
    GlobalProxySettings,
    GlobalProxySettingsSpec,
    GlobalRule,
    ProxySetting,
    ProxySettingSpec,
    TenantSubject,
)
from tenantry.api.shared import (
    PROXIED_KINDS,
    PROXY_OPERATIONS,
    DefaultAllowedList,
    OwnerSpec,
    ProxyOperations,
    UserSpec,
)
from tenantry.api.tenant import IngressOptions, Tenant, TenantSpec

ALICE = Identity(user="alice", groups=("devs",))
FAST = DefaultAllowedList(allowed=("fast",))
KINDS = {
    "Nodes": ("", "v1", "nodes"),
    "StorageClasses": ("storage.k8s.io", "v1", "storageclasses"),
    "IngressClasses": ("networking.k8s.io", "v1", "ingressclasses"),
    "PriorityClasses": ("scheduling.k8s.io", "v1", "priorityclasses"),
    "RuntimeClasses": ("node.k8s.io", "v1", "runtimeclasses"),
    "PersistentVolumes": ("", "v1", "persistentvolumes"),
}


def tenant(name: str = "oil", *owners: OwnerSpec) -> Tenant:
    """Whose objects of each kind are named fast, or labelled for it."""
    return Tenant(
        metadata=ObjectMeta(name=name, uid=name),
        spec=TenantSpec(
            owners=owners,
            node_selector={"tenant": name},
            storage_classes=FAST,
            priority_classes=FAST,
            runtime_classes=FAST,
            ingress_options=IngressOptions(allowed_classes=FAST),
        ),
    )


def owner(kind: str = "User", name: str = "alice", /, **operations: tuple[str, ...]) -> OwnerSpec:
    return OwnerSpec(
        kind=kind,
        name=name,
        proxy_settings=tuple(ProxyOperations(kind=each, operations=given) for each, given in operations.items()),
    )


def view(found: Findings, identity: Identity = ALICE) -> PrincipalView:
    return principal_view(identity, subject_keys(identity), found)


def sees(seen: PrincipalView, kind: tuple[str, str, str], name: str = "fast", *, of: str = "oil") -> str:
    """Which of list and get show an object that the tenant selects."""
    labels = {"tenant": of, "capsule.clastix.io/tenant": of}
    return " ".join(each for each in ("list", "get") if seen.sight(*kind, each).shows(name, labels))


NAMESPACES, TENANTS = ("", "v1", "namespaces"), ("capsule.clastix.io", "v1beta2", "tenants")


def test_an_owner_sees_its_tenant_and_namespaces_and_lists_over_them() -> None:
    seen = view(Findings(owned=(tenant(),), namespaces={"oil": frozenset({"oil-dev", "oil-prod"})}))

    assert seen.sight(*NAMESPACES, "list") == Sight(names=frozenset({"oil-dev", "oil-prod"}))
    assert seen.sight(*TENANTS, "get") == Sight(names=frozenset({"oil"}))
    assert seen.all_namespaces() == ("oil-dev", "oil-prod")


def test_a_binding_shows_its_namespace_and_only_some_open_lists() -> None:
    seen = view(Findings(bound_namespaces=frozenset({"b"}), listed_namespaces=frozenset({"a"})))

    assert seen.sight(*NAMESPACES, "list") == seen.sight(*NAMESPACES, "get") == Sight(names=frozenset({"a", "b"}))
    assert seen.all_namespaces() == ("a",)


@pytest.mark.parametrize("kind", PROXIED_KINDS)
@pytest.mark.parametrize(
    ("operations", "seen_by", "writable"),
    [
        ((), "", []),
        (("List",), "list get", []),
        (("Update",), "", []),
        (("Delete",), "", []),
        (("Update", "Delete"), "", []),
        (("List", "Update"), "list get", ["update"]),
        (("List", "Delete"), "list get", ["delete"]),
        (("List", "Update", "Delete"), "list get", ["update", "delete"]),
    ],
)
def test_operations_of_an_owner(
    kind: str, operations: tuple[str, ...], seen_by: str, writable: list[WriteOperation]
) -> None:
    seen = view(Findings(owned=(tenant("oil", owner(**{kind: operations})),)))
    labels = {"tenant": "oil", "capsule.clastix.io/tenant": "oil"}
    plural = KINDS[kind][2]

    assert {each: sees(seen, KINDS[each]) for each in KINDS} == dict.fromkeys(KINDS, "") | {kind: seen_by}
    assert [each for each in get_args(WriteOperation) if seen.writes(plural, each).shows("fast", labels)] == writable
    assert sees(seen, KINDS[kind], "slow", of="gas") == ""
    assert seen.writes(plural, "update").shows("slow", {}) is False


@pytest.mark.parametrize(
    ("subject", "identity", "is_seen"),
    [
        (("User", "alice"), ALICE, True),
        (("User", "bob"), ALICE, False),
        (("Group", "devs"), ALICE, True),
        (("User", "devs"), ALICE, False),
        (("Group", "alice"), ALICE, False),
        (("ServiceAccount", "system:serviceaccount:oil:x"), Identity(user="system:serviceaccount:oil:x"), True),
        (("ServiceAccount", "system:serviceaccount:gas:x"), Identity(user="system:serviceaccount:oil:x"), False),
        (("ServiceAccount", "alice"), ALICE, False),
    ],
)
def test_settings_are_for_whom_they_name(subject: tuple[str, str], identity: Identity, *, is_seen: bool) -> None:
    by_owner = Findings(owned=(tenant("oil", owner(*subject, Nodes=("List",))),))
    named = ProxySetting(
        spec=ProxySettingSpec(
            subjects=(
                TenantSubject(
                    kind=subject[0],
                    name=subject[1],
                    proxy_settings=(ProxyOperations(kind="Nodes", operations=("List",)),),
                    cluster_resources=(rule("csidrivers"),),
                ),
            )
        )
    )
    by_setting = Findings(settings=((named, tenant()),))
    by_global = Findings(global_settings=(global_settings(UserSpec(kind=subject[0], name=subject[1])),))
    driver = ("storage.k8s.io", "v1", "csidrivers")

    assert sees(view(by_owner, identity), KINDS["Nodes"]) == ("list get" if is_seen else "")
    assert sees(view(by_setting, identity), KINDS["Nodes"]) == ("list get" if is_seen else "")
    assert view(by_setting, identity).sight(*driver, "list") == (EVERYTHING if is_seen else NOTHING)
    assert view(by_global, identity).sight(*driver, "list") == (EVERYTHING if is_seen else NOTHING)
    assert setting_keys(named) == global_setting_keys(by_global.global_settings[0]) == {":".join(subject)}


def rule(resource: str, *operations: str, **labels: str) -> ClusterResource:
    return ClusterResource(
        api_groups=("*",),
        resources=(resource,),
        operations=operations or ("List", "Get"),
        selector=LabelSelector(match_labels=labels),
    )


def global_settings(*subjects: UserSpec, resources: tuple[ClusterResource, ...] = ()) -> GlobalProxySettings:
    rules = (GlobalRule(subjects=subjects, cluster_resources=resources or (rule("csidrivers"),)),)
    return GlobalProxySettings(spec=GlobalProxySettingsSpec(rules=rules))


def test_a_subject_of_a_proxy_setting_sees_the_tenant_as_an_owner_does_and_may_do_what_is_said() -> None:
    named = ProxySetting(
        spec=ProxySettingSpec(
            subjects=(
                TenantSubject(
                    kind="User",
                    name="alice",
                    proxy_settings=(ProxyOperations(kind="StorageClasses", operations=("List",)),),
                ),
            )
        )
    )
    seen = view(Findings(settings=((named, tenant()),), namespaces={"oil": frozenset({"oil-dev"})}))

    assert seen.sight(*NAMESPACES, "list") == Sight(names=frozenset({"oil-dev"}))
    assert seen.sight(*TENANTS, "list") == Sight(names=frozenset({"oil"}))
    assert {kind: sees(seen, KINDS[kind]) for kind in KINDS} == dict.fromkeys(KINDS, "") | {
        "StorageClasses": "list get"
    }


def test_operations_of_several_sources_add_up_for_a_tenant_and_never_cross_tenants() -> None:
    oil = tenant("oil", owner(Nodes=("List",)), owner("Group", "devs", Nodes=("Update",)))
    gas = tenant("gas", owner(Nodes=("List",)))

    seen = view(Findings(owned=(oil, gas)))

    assert [sees(seen, KINDS["Nodes"], of=name) for name in ("oil", "gas", "water")] == ["list get", "list get", ""]
    assert [seen.writes("nodes", "update").shows("n", {"tenant": name}) for name in ("oil", "gas")] == [True, False]


def test_rules_and_operations_add_up() -> None:
    seen = view(
        Findings(
            owned=(tenant("oil", owner(StorageClasses=("List",))),),
            namespaces={"oil": frozenset({"oil-dev"})},
            global_settings=(
                global_settings(
                    UserSpec(kind="User", name="alice"),
                    resources=(
                        rule("storageclasses", tier="gold"),
                        rule("namespaces", shared="yes"),
                        rule("tenants", "Get", a="b"),
                    ),
                ),
            ),
        )
    )

    classes, namespaces = seen.sight(*KINDS["StorageClasses"], "list"), seen.sight(*NAMESPACES, "list")
    assert [classes.shows(*each) for each in (("fast", {}), ("x", {"tier": "gold"}), ("x", {}))] == [True, True, False]
    assert [namespaces.shows(*each) for each in (("oil-dev", {}), ("x", {"shared": "yes"}), ("x", {}))] == [
        True,
        True,
        False,
    ]
    assert [seen.sight(*TENANTS, each).shows("gas", {"a": "b"}) for each in ("list", "get")] == [False, True]
    assert seen.all_namespaces() == ("oil-dev",)


def test_node_metrics_and_gateway_classes_go_with_their_kin() -> None:
    seen = view(Findings(owned=(tenant("oil", owner(Nodes=("List",), IngressClasses=("List",))),)))

    assert seen.sight("metrics.k8s.io", "v1beta1", "nodes", "list") == seen.sight(*KINDS["Nodes"], "list")
    assert seen.sight("gateway.networking.k8s.io", "v1", "gatewayclasses", "list") == EVERYTHING
    assert seen.writes("gatewayclasses", "update") == NOTHING


@pytest.mark.parametrize("resource", ["secrets", "namespaces", "tenants", "clusterroles", "gatewayclasses"])
def test_nothing_else_can_be_written(resource: str) -> None:
    everything = dict.fromkeys(PROXIED_KINDS, PROXY_OPERATIONS)
    seen = view(
        Findings(
            owned=(tenant("oil", owner(**everything)),),
            global_settings=(global_settings(UserSpec(kind="User", name="alice"), resources=(rule("*"),)),),
        )
    )

    assert [seen.writes(resource, each) for each in get_args(WriteOperation)] == [NOTHING, NOTHING]


_settings = st.dictionaries(
    st.sampled_from(PROXIED_KINDS), st.lists(st.sampled_from(PROXY_OPERATIONS), max_size=3).map(tuple), max_size=3
)
_tenants = st.lists(
    st.builds(lambda name, given: tenant(name, owner(**given)), st.sampled_from(["oil", "gas", "tea"]), _settings),
    max_size=3,
    unique_by=lambda each: each.metadata.name,
)
_rules = st.lists(
    st.builds(
        lambda resource, operations, labels: rule(resource, *operations, **labels),
        st.sampled_from(["nodes", "storageclasses", "namespaces", "tenants", "*"]),
        st.lists(st.sampled_from(["List", "Get"]), min_size=1, max_size=2),
        st.dictionaries(st.sampled_from(["a", "tenant"]), st.sampled_from(["oil", "gas"])),
    ),
    max_size=3,
)
_findings = st.builds(
    lambda tenants, rules, bound, listed: Findings(
        owned=tuple(tenants),
        namespaces={each.metadata.name: frozenset({f"{each.metadata.name}-ns"}) for each in tenants},
        global_settings=(global_settings(UserSpec(kind="User", name="alice"), resources=tuple(rules)),)
        if rules
        else (),
        bound_namespaces=bound,
        listed_namespaces=listed,
    ),
    _tenants,
    _rules,
    st.frozensets(st.sampled_from(["b", "c"])),
    st.frozensets(st.sampled_from(["b", "l"])),
)
_kinds = st.sampled_from([*KINDS.values(), NAMESPACES, TENANTS, ("apps", "v1", "x")])
_objects = st.tuples(
    st.sampled_from(["fast", "oil", "oil-ns", "b", "x"]),
    st.dictionaries(st.sampled_from(["a", "tenant", "capsule.clastix.io/tenant"]), st.sampled_from(["oil", "gas"])),
)


@given(_findings, _kinds, _objects)
def test_whatever_is_listed_can_be_read_and_whatever_is_written_is_listed(
    found: Findings, kind: tuple[str, str, str], obj: tuple[str, dict[str, str]]
) -> None:
    seen = view(found)

    if seen.sight(*kind, "list").shows(*obj):
        assert seen.sight(*kind, "get").shows(*obj)
    if any(seen.writes(kind[2], each).shows(*obj) for each in get_args(WriteOperation)):
        assert seen.sight(*kind, "list").shows(*obj)


@given(_findings, _findings, _kinds, _objects)
def test_a_further_grant_takes_nothing_away(
    found: Findings, more: Findings, kind: tuple[str, str, str], obj: tuple[str, dict[str, str]]
) -> None:
    both = replace(
        found,
        global_settings=found.global_settings + more.global_settings,
        bound_namespaces=found.bound_namespaces | more.bound_namespaces,
        listed_namespaces=found.listed_namespaces | more.listed_namespaces,
    )

    if view(found).sight(*kind, "list").shows(*obj):
        assert view(both).sight(*kind, "list").shows(*obj)
    assert set(view(found).all_namespaces()) <= set(view(both).all_namespaces())


@given(_findings, _kinds)
def test_the_order_of_what_was_found_makes_no_difference(found: Findings, kind: tuple[str, str, str]) -> None:
    mixed = replace(found, owned=tuple(reversed(found.owned)), global_settings=tuple(reversed(found.global_settings)))

    assert view(found).sight(*kind, "list") == view(mixed).sight(*kind, "list")
    assert view(found).all_namespaces() == view(mixed).all_namespaces()

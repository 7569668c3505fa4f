"""LimitRanges, NetworkPolicies and ResourceQuotas, in the form in which the API server stores them."""

from __future__ import annotations

import pytest

from tenantry.api.core import LimitRange, NetworkPolicy, ResourceQuota
from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import LimitRanges, NetworkPolicies, ResourceQuotas, Tenant, TenantSpec
from tenantry.foundation.codec import from_plain
from tenantry.tenancy.desired.difference import is_as_wanted
from tenantry.tenancy.desired.limit_ranges import limit_ranges
from tenantry.tenancy.desired.manifests import Manifest, TenantFacts
from tenantry.tenancy.desired.network_policies import network_policies
from tenantry.tenancy.desired.resource_quotas import quota_annotation, resource_quotas, shared_quotas
from tenantry.tenancy.desired.server_form import limit_range_spec, network_policy_spec

DEV = ObjectMeta(name="oil-dev")


def facts(**spec: object) -> TenantFacts:
    return TenantFacts(tenant=Tenant(metadata=ObjectMeta(name="oil", uid="u"), spec=TenantSpec(**spec)))  # type: ignore[arg-type]


def metadata(label: str, **more: dict[str, str]) -> Manifest:
    return {
        "name": "capsule-oil-0",
        "namespace": "oil-dev",
        "labels": {
            f"capsule.clastix.io/{label}": "0",
            "projectcapsule.dev/tenant": "oil",
            "capsule.clastix.io/managed-by": "oil",
            "projectcapsule.dev/managed-by": "controller",
        },
        "ownerReferences": [
            {
                "apiVersion": "capsule.clastix.io/v1beta2",
                "kind": "Tenant",
                "name": "oil",
                "uid": "u",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
        **more,
    }


def test_a_limit_range_has_the_defaults_that_the_server_fills_in() -> None:
    item = {
        "limits": [
            {"type": "Container", "max": {"cpu": "2000m"}, "min": {"cpu": "0.1", "memory": "1Mi"}},
            {"type": "Pod", "max": {"memory": "1024Mi"}},
        ]
    }

    assert limit_ranges(facts(limit_ranges=LimitRanges(items=(item,))), DEV) == [
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": metadata("limit-range"),
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        "max": {"cpu": "2"},
                        "min": {"cpu": "100m", "memory": "1Mi"},
                        "default": {"cpu": "2"},
                        "defaultRequest": {"cpu": "2", "memory": "1Mi"},
                    },
                    {"type": "Pod", "max": {"memory": "1Gi"}},
                ]
            },
        }
    ]


def test_a_network_policy_keeps_what_an_empty_selector_means() -> None:
    item = {
        "ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": 80}]}, {}],
        "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": []}}]}],
    }

    assert network_policies(facts(network_policies=NetworkPolicies(items=(item,))), DEV) == [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata("network-policy"),
            "spec": {
                "podSelector": {},
                "ingress": [
                    {"from": [{"namespaceSelector": {}}], "ports": [{"port": 80, "protocol": "TCP"}]},
                    {},
                ],
                "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}],
                "policyTypes": ["Ingress", "Egress"],
            },
        }
    ]


@pytest.mark.parametrize("form", [limit_range_spec, network_policy_spec])
def test_nothing_at_all_is_a_valid_spec(form: object) -> None:
    assert form(None) == form(form(None))  # type: ignore[operator]


def test_a_quota_of_scope_namespace_is_copied() -> None:
    declared = ResourceQuotas(scope="Namespace", items=({"hard": {"pods": 10, "limits.memory": "1536Mi"}},))

    assert resource_quotas(facts(resource_quotas=declared), DEV, ()) == [
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": metadata("resource-quota"),
            "spec": {"hard": {"pods": "10", "limits.memory": "1536Mi"}},
        }
    ]


def test_a_quota_of_scope_tenant_gives_each_namespace_what_the_others_leave() -> None:
    declared = ResourceQuotas(items=({"hard": {"pods": "10", "limits.memory": "16Gi"}, "scopes": ["NotTerminating"]},))
    given = facts(resource_quotas=declared)
    usage = {0: {"oil-dev": {"pods": "2", "limits.memory": "1Gi"}, "oil-prod": {"pods": "3", "limits.memory": "15Gi"}}}

    assert resource_quotas(given, DEV, shared_quotas(given.tenant, usage)) == [
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": metadata(
                "resource-quota",
                annotations={
                    "quota.capsule.clastix.io/used-pods": "5",
                    "quota.capsule.clastix.io/used-limits.memory": "16Gi",
                    "quota.capsule.clastix.io/hard-pods": "10",
                    "quota.capsule.clastix.io/hard-limits.memory": "16Gi",
                },
            ),
            "spec": {"scopes": ["NotTerminating"], "hard": {"pods": "7", "limits.memory": "1Gi"}},
        }
    ]


def test_a_long_resource_name_becomes_a_digest_in_the_annotation() -> None:
    key = quota_annotation("quota.capsule.clastix.io/used-", "requests.example.com/" + "x" * 60)

    assert key == "quota.capsule.clastix.io/used-" + key.rpartition("-")[2]
    assert len(key.partition("/")[2]) == len("used-") + 32


STORED = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": metadata("limit-range"),
    "spec": {"limits": [{"type": "Pod", "max": {"cpu": "1000m"}}]},
}


def test_a_stored_object_is_as_wanted_by_value_with_labels_of_others() -> None:
    given = facts(limit_ranges=LimitRanges(items=({"limits": [{"type": "Pod", "max": {"cpu": 1}}]},)))
    (wanted,) = limit_ranges(given, DEV)
    stored = STORED | {"metadata": metadata("limit-range") | {"annotations": {"backup": "yes"}}}

    assert is_as_wanted(from_plain(stored, LimitRange), wanted)


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "2"}}]}},
        {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}, {"type": "Pod", "max": {"memory": "1Gi"}}]}},
        {"metadata": metadata("limit-range", labels={})},
        {"metadata": metadata("limit-range") | {"ownerReferences": []}},
        {
            "metadata": metadata("limit-range")
            | {"labels": metadata("limit-range")["labels"] | {"capsule.clastix.io/tenant": "oil"}}
        },
    ],
)
def test_any_other_difference_shows(change: dict[str, object]) -> None:
    given = facts(limit_ranges=LimitRanges(items=({"limits": [{"type": "Pod", "max": {"cpu": 1}}]},)))
    (wanted,) = limit_ranges(given, DEV)

    assert not is_as_wanted(from_plain(STORED | change, LimitRange), wanted)


def test_additions_of_third_parties_show() -> None:
    policy = NetworkPolicy(spec={"podSelector": {}, "policyTypes": ["Ingress"], "egress": [{}]})
    quota = ResourceQuota(spec={"hard": {"pods": "1", "services": "1"}})
    wanted: Manifest = {"metadata": {}}

    assert not is_as_wanted(policy, wanted | {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}})
    assert not is_as_wanted(quota, wanted | {"spec": {"hard": {"pods": "1"}}})

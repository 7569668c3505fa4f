"""Rule blocks that make no sense are refused, one sentence a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.api.rules import TenantRule
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import from_plain
from tenantry.tenancy.validation.rules import KindScope, rule_problems

KINDS = {
    ("v1", "Pod"): KindScope.NAMESPACED,
    ("v1", "Namespace"): KindScope.CLUSTER,
    ("v1", "Node"): KindScope.CLUSTER,
    ("apps", "Deployment"): KindScope.NAMESPACED,
}


def problems(*rules: dict[str, Any]) -> list[str]:
    blocks = [from_plain(rule, TenantRule) for rule in rules]
    return rule_problems(blocks, known_kinds=lambda group, kind: KINDS.get((group, kind)))


def enforce(**parts: Any) -> dict[str, Any]:
    return {"enforce": parts}


def resources(side: str, **entry: Any) -> dict[str, Any]:
    return enforce(workloads={"resources": {side: {"cpu": entry}}})


def labels(key: str, *kinds: str, **policy: Any) -> dict[str, Any]:
    return enforce(metadata=[{"kinds": kinds or ("Pod",), "labels": {key: policy}}])


def kinds(*names: str, groups: tuple[str, ...] = ()) -> dict[str, Any]:
    return enforce(metadata=[{"kinds": names, "apiGroups": groups}])


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"audience": [{"kind": "ServiceAccount", "name": "system:serviceaccount:a-b:c.d"}]},
        {"audience": [{"kind": "Custom", "name": "TenantOwner"}, {"kind": "Group", "name": "{{tenant.name}}"}]},
        {"quota": [{"name": "a", "hard": {"cpu": "0", "memory": "1Gi"}}, {"name": "b"}]},
        enforce(workloads={"targets": ["pod", "pod/volumes"], "registries": [{"exp": "^a", "policy": ["Never"]}]}),
        enforce(workloads={"qosClasses": ["BestEffort"], "schedulers": [{"exact": ["a"]}]}),
        enforce(workloads={"registries": [{"exp": "^{{tenant.data.x}}("}]}),
        resources("limits", policy="Ratio", value="1.5"),
        resources("requests", policy="Default", value=0),
        enforce(services={"types": ["NodePort"], "loadBalancers": {"cidrs": ["10.1.2.3/8", "fd00::/8"]}}),
        enforce(services={"nodePorts": {"ports": [{"from": 1, "to": 1}, {"from": 30000, "to": 65535}]}}),
        enforce(ingress={"types": ["Ingress", "GRPCRoute"], "hostnames": [{"exact": ["a"]}]}),
        labels("a.b/c", managed="{{namespace}}", default="x"),
        labels("^a|b$", values=[{"exp": "."}], required=True),
        labels("a.b/*", default="x"),
        kinds("*", groups=("*",)),
        kinds("Deployment", groups=("batch", "apps")),
        kinds("Namespace"),
    ],
)
def test_what_makes_sense_is_taken(rule: dict[str, Any]) -> None:
    assert problems(rule) == []


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (
            {"audience": [{"kind": "Robot", "name": "a"}]},
            "audience[0].kind: 'Robot' is invalid: there are User, Group, ServiceAccount, Custom",
        ),
        ({"audience": [{"kind": "User", "name": ""}]}, "audience[0].name: '' is invalid: it must name a subject"),
        (
            {"audience": [{"kind": "Custom", "name": "Boss"}]},
            "audience[0].name: 'Boss' is invalid: there are CapsuleUser, Administrator, TenantOwner, Controller",
        ),
        (
            {"audience": [{"kind": "ServiceAccount", "name": "default"}]},
            "audience[0].name: 'default' is invalid: write system:serviceaccount:<namespace>:<name>",
        ),
        (
            {"quota": [{"name": "a"}, {"name": "a"}]},
            "quota[1].name: 'a' is taken: names of quotas must be unique in the tenant",
        ),
        (
            {"quota": [{"name": "a", "hard": {"cpu": "-1"}}]},
            "quota[0].hard[cpu]: '-1' is invalid: it must not be less than 0",
        ),
        (
            enforce(action="maybe", services={}),
            "enforce.action: 'maybe' is invalid: there are allow, deny, audit",
        ),
        (
            enforce(workloads={"targets": ["pods"]}),
            (
                "enforce.workloads.targets[0]: 'pods' is invalid: there are "
                "pod, pod/initcontainers, pod/ephemeralcontainers, pod/containers, pod/volumes"
            ),
        ),
        (
            enforce(workloads={"registries": [{"exp": "(a"}]}),
            "enforce.workloads.registries[0].exp: unable to compile regex '(a': missing ): (a",
        ),
        (
            enforce(workloads={"schedulers": [{}]}),
            "enforce.workloads.schedulers[0]: one of exact and exp is required, else it matches nothing",
        ),
        (
            enforce(workloads={"registries": [{"exp": "a", "policy": ["Sometimes"]}]}),
            "enforce.workloads.registries[0].policy: 'Sometimes' is invalid: there are Always, Never, IfNotPresent",
        ),
        (
            enforce(workloads={"qosClasses": ["Best"]}),
            "enforce.workloads.qosClasses[0]: 'Best' is invalid: there are Guaranteed, Burstable, BestEffort",
        ),
        (
            resources("requests", policy="Ratio", value=2),
            "enforce.workloads.resources.requests[cpu].policy: 'Ratio' is invalid: there are Preserve, Default, Remove",
        ),
        (
            resources("limits", policy="Default"),
            "enforce.workloads.resources.limits[cpu].value: policy Default needs a value",
        ),
        (
            resources("limits", policy="MatchRequest", value="1"),
            "enforce.workloads.resources.limits[cpu].value: '1' is invalid: policy MatchRequest takes no value",
        ),
        (
            resources("limits", policy="Ratio", value="0.5"),
            "enforce.workloads.resources.limits[cpu].value: '0.5' is invalid: it must not be less than 1",
        ),
        (
            resources("limits", policy="Default", value="x"),
            (
                "enforce.workloads.resources.limits[cpu].value: 'x' is no quantity: "
                "write a number with an optional suffix, as 500m, 2, 1.5Gi or 12e6"
            ),
        ),
        (
            enforce(services={"loadBalancers": {"cidrs": ["10.0.0.0"]}}),
            (
                "enforce.services.loadBalancers.cidrs[0]: '10.0.0.0' is no valid CIDR: "
                "'10.0.0.0' is no CIDR: write an address and a prefix length, as 10.0.0.0/8"
            ),
        ),
        (
            enforce(services={"nodePorts": {"ports": [{"from": 5, "to": 4}]}}),
            (
                "enforce.services.nodePorts.ports[0]: 5-4 is invalid: "
                "from must not be greater than to, and both lie in 1-65535"
            ),
        ),
        (
            enforce(services={"types": ["Magic"]}),
            "enforce.services.types[0]: 'Magic' is invalid: there are ClusterIP, NodePort, LoadBalancer, ExternalName",
        ),
        (enforce(ingress={"types": ["Ingress"]}), "enforce.ingress.hostnames: at least one is required"),
        (
            enforce(ingress={"hostnames": [{"exact": ["a"]}]}),
            (
                "enforce.ingress.types: at least one is required: there are "
                "Ingress, Route, ListenerSet, HTTPRoute, Gateway, TLSRoute, GRPCRoute"
            ),
        ),
        (kinds(), "enforce.metadata[0].kinds: at least one is required"),
        (
            kinds("Deployment"),
            "enforce.metadata[0].kinds[0]: 'Deployment' is unknown in v1: set apiGroups to where the API server has it",
        ),
        (
            kinds("Node"),
            "enforce.metadata[0].kinds[0]: 'Node' is invalid: it must be a namespaced kind, or Namespace",
        ),
        (
            labels("a*", managed="b"),
            "enforce.metadata[0].labels[a*].managed: the key must be concrete, 'a*' is a pattern",
        ),
        (
            labels("a", "P*", managed="b"),
            "enforce.metadata[0].labels[a].managed: kinds must be concrete, 'P*' is a pattern",
        ),
        (
            labels("a", managed="b c"),
            (
                "enforce.metadata[0].labels[a].managed: 'b c' is no valid label: it must be empty or consist of "
                "letters, digits, '-', '_' or '.', and start and end with a letter or digit"
            ),
        ),
        (
            labels("a("),
            "enforce.metadata[0].labels[a(]: unable to compile regex 'a(': missing ): a(",
        ),
        (
            labels("-a"),
            (
                "enforce.metadata[0].labels[-a]: '-a' is no valid key: name part must consist of "
                "letters, digits, '-', '_' or '.', and start and end with a letter or digit"
            ),
        ),
        (
            labels("a", managed="{{ .tenant }"),
            None,
        ),
        (
            labels("a", managed="{{ .team.name }}"),
            (
                "enforce.metadata[0].labels.a.managed: '{{ .team.name }}' asks for unknown 'team': "
                "there are tenant, namespace"
            ),
        ),
        (
            labels("a", managed="{{ .namespace.spec.x }}"),
            (
                "enforce.metadata[0].labels.a.managed: '{{ .namespace.spec.x }}' asks for unknown 'namespace.spec': "
                "namespace has name, uid, labels, annotations, metadata"
            ),
        ),
    ],
)
def test_what_makes_none_is_named(rule: dict[str, Any], problem: str | None) -> None:
    found = problems({}, rule)
    assert len(found) == 1
    assert found[0].startswith("spec.rules[1].")
    assert problem is None or found == [f"spec.rules[1].{problem}"]


def test_every_fault_is_told_and_quota_names_are_the_tenants() -> None:
    bad = {"quota": [{"name": "A"}], **enforce(workloads={"qosClasses": ["x"], "targets": ["y"]})}
    assert len(problems(bad, bad)) == 3 + 4


def test_templates_are_looked_up_in_the_tenant_where_it_is_known(tenant: Callable[..., Tenant]) -> None:
    rule = labels("a", managed="{{ .tenant.data.team }}{{ .namespace.labels.any }}")
    known, unknown = tenant(rule, data={"team": "x"}), tenant(rule, data={})
    assert rule_problems(known.spec.rules, tenant=known) == []
    assert rule_problems(unknown.spec.rules, tenant=unknown) == [
        (
            "spec.rules[0].enforce.metadata[0].labels.a.managed: "
            "'{{ .tenant.data.team }}{{ .namespace.labels.any }}' can't be rendered: "
            "{{tenant.data.team}} has no value: there is no 'team'"
        )
    ]


def test_without_knowledge_of_the_cluster_any_kind_will_do() -> None:
    assert rule_problems([from_plain(kinds("Anything"), TenantRule)]) == []

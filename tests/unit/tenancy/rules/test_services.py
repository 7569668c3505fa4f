"""Services: their types, addresses, external names and node ports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.tenancy.request import Request
from tenantry.tenancy.rules.services import check, mutate
from tenantry.tenancy.verdict import ALLOWED, UNCHANGED, Denial, Mutation, Verdict
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Make = Callable[..., ObjectContext]
Said = Callable[..., Verdict]


def rule(action: str, **services: Any) -> dict[str, Any]:
    return {"enforce": {"action": action, "services": services}}


def cidrs(action: str, *texts: str) -> dict[str, Any]:
    return rule(action, loadBalancers={"cidrs": texts})


def ports(action: str, *ranges: tuple[int, int]) -> dict[str, Any]:
    return rule(action, nodePorts={"ports": [{"from": first, "to": last} for first, last in ranges]})


def service(kind: str = "", **spec: Any) -> dict[str, Any]:
    return {"spec": {"type": kind, **spec}}


LIST = rule("allow", types=["ClusterIP", "LoadBalancer"])
INSIDE = cidrs("allow", "10.0.0.0/8", "fd00::/8")
NEEDS_ADDRESS = (
    'service type "LoadBalancer" requires spec.loadBalancerIP or spec.loadBalancerSourceRanges: '
    "loadBalancer CIDR constraints are enforced by namespace rule"
)


@pytest.mark.parametrize(
    ("rules", "kind", "message"),
    [
        ([LIST], "LoadBalancer", None),
        ([LIST], "", None),
        ([LIST], "NodePort", "is not allowed by namespace rule. Allowed service types: ClusterIP, LoadBalancer"),
        (
            [rule("deny", types=["ExternalName", "NodePort"])],
            "NodePort",
            "is denied by namespace rule: ExternalName, NodePort",
        ),
    ],
)
def test_types(ask: Ask, context: Make, refused: Said, rules: list[Any], kind: str, message: str | None) -> None:
    expected = (
        ALLOWED if message is None else refused("ForbiddenServiceType", f'service type "{kind}" at spec.type {message}')
    )
    assert check(ask("Service", service(kind)), context(*rules)) == expected


@pytest.mark.parametrize(
    ("rules", "spec", "message"),
    [
        pytest.param([INSIDE], {"loadBalancerIP": "10.1.2.3"}, None, id="an-address-inside"),
        pytest.param([INSIDE], {"loadBalancerSourceRanges": ["10.1.0.0/16", "fd00:1::/32"]}, None, id="ranges-inside"),
        pytest.param([INSIDE], {}, NEEDS_ADDRESS, id="none-given"),
        pytest.param([cidrs("deny", "10.0.0.0/8")], {}, NEEDS_ADDRESS, id="none-given-where-some-are-denied"),
        pytest.param([cidrs("audit", "10.0.0.0/8")], {}, None, id="none-given-where-it-is-only-told"),
        pytest.param(
            [INSIDE],
            {"loadBalancerIP": "192.168.0.1"},
            'loadBalancer CIDR "192.168.0.1" at spec.loadBalancerIP is not allowed by namespace rule. '
            "Allowed CIDRs: 10.0.0.0/8, fd00::/8",
            id="an-address-outside",
        ),
        pytest.param(
            [INSIDE],
            {"loadBalancerSourceRanges": ["10.0.0.0/7"]},
            'loadBalancer CIDR "10.0.0.0/7" at spec.loadBalancerSourceRanges[0] is not allowed by namespace rule. '
            "Allowed CIDRs: 10.0.0.0/8, fd00::/8",
            id="a-range-that-reaches-out",
        ),
        pytest.param(
            [cidrs("deny", "10.0.0.0/8")],
            {"loadBalancerSourceRanges": ["0.0.0.0/0"]},
            'loadBalancer CIDR "0.0.0.0/0" at spec.loadBalancerSourceRanges[0] is denied by namespace rule: 10.0.0.0/8',
            id="a-range-around-a-denied-one",
        ),
        pytest.param(
            [cidrs("deny", "10.0.0.0/8")],
            {"loadBalancerIP": "::ffff:10.0.0.1"},
            'loadBalancer CIDR "::ffff:10.0.0.1" at spec.loadBalancerIP is denied by namespace rule: 10.0.0.0/8',
            id="a-denied-address-in-ipv6-clothes",
        ),
        pytest.param(
            [INSIDE],
            {"loadBalancerIP": "example.com"},
            'loadBalancer CIDR "example.com" at spec.loadBalancerIP is not allowed by namespace rule: '
            "it is no address or CIDR",
            id="no-address",
        ),
        pytest.param(
            [cidrs("deny", "10.0.0.0/8"), cidrs("allow", "10.1.0.0/16")],
            {"loadBalancerIP": "10.1.0.1"},
            None,
            id="last-wins",
        ),
    ],
)
def test_load_balancers(
    ask: Ask, context: Make, refused: Said, rules: list[Any], spec: dict[str, Any], message: str | None
) -> None:
    expected = ALLOWED if message is None else refused("ForbiddenLoadBalancerCIDR", message)
    assert check(ask("Service", service("LoadBalancer", **spec)), context(*rules)) == expected


def test_addresses_of_other_types_are_not_judged(ask: Ask, context: Make) -> None:
    assert check(ask("Service", service("NodePort")), context(INSIDE)) == ALLOWED


@pytest.mark.parametrize(
    ("rules", "host", "message"),
    [
        ([rule("allow", externalNames={"hostnames": [{"exp": "\\.example\\.com$"}]})], "a.example.com", None),
        ([rule("allow", externalNames={"hostnames": [{"exp": "\\.example\\.com$"}]})], "a.example.com.", None),
        (
            [rule("allow", externalNames={"hostnames": [{"exact": ["a", "b"]}, {"exp": "c"}]})],
            "evil",
            "is not allowed by namespace rule. Allowed hostnames: exact: a, b; exp: c",
        ),
        (
            [rule("deny", externalNames={"hostnames": [{"exact": ["evil.com"]}]})],
            "evil.com.",
            "is denied by namespace rule: exact: evil.com",
        ),
    ],
)
def test_external_names(
    ask: Ask, context: Make, refused: Said, rules: list[Any], host: str, message: str | None
) -> None:
    text = f'externalName hostname "{host}" at spec.externalName {message}'
    expected = ALLOWED if message is None else refused("ForbiddenExternalName", text)
    assert check(ask("Service", service("ExternalName", externalName=host)), context(*rules)) == expected


RANGES = ports("allow", (30000, 30100), (30500, 30500))
NEEDS_PORT = "requires explicit spec.ports[*].nodePort: nodePort ranges are enforced by namespace rule"


@pytest.mark.parametrize(
    ("rules", "spec", "message"),
    [
        ([RANGES], service("NodePort", ports=[{"nodePort": 30000}, {"nodePort": 30500}]), None),
        (
            [RANGES],
            service("NodePort", ports=[{"nodePort": 30000}, {"nodePort": 30101}]),
            (
                'nodePort "30101" at spec.ports[1].nodePort is not allowed by namespace rule. '
                "Allowed ranges: 30000-30100, 30500"
            ),
        ),
        ([RANGES], service("NodePort", ports=[{"port": 80}]), f'service type "NodePort" {NEEDS_PORT}'),
        ([RANGES], service("LoadBalancer", ports=[{"port": 80}]), f'service type "LoadBalancer" {NEEDS_PORT}'),
        ([RANGES], service("LoadBalancer", ports=[{"port": 80}], allocateLoadBalancerNodePorts=False), None),
        ([RANGES], service("ClusterIP", ports=[{"port": 80}]), None),
        ([ports("audit", (30000, 30100))], service("NodePort", ports=[{"port": 80}]), None),
        (
            [ports("deny", (30000, 30100))],
            service("NodePort", ports=[{"nodePort": 30050}]),
            'nodePort "30050" at spec.ports[0].nodePort is denied by namespace rule: 30000-30100',
        ),
    ],
)
def test_node_ports(
    ask: Ask, context: Make, refused: Said, rules: list[Any], spec: dict[str, Any], message: str | None
) -> None:
    expected = ALLOWED if message is None else refused("ForbiddenNodePort", message)
    assert check(ask("Service", spec), context(*rules)) == expected


@pytest.mark.parametrize(
    ("rules", "spec", "old", "kind"),
    [
        ([RANGES], service("NodePort", ports=[{"port": 80}, {"port": 81, "nodePort": 30000}]), None, "NodePort"),
        ([RANGES], service("LoadBalancer", ports=[{"port": 80}]), None, "LoadBalancer"),
        ([RANGES], service("NodePort", ports=[{"port": 80}]), service(ports=[{"port": 80}]), "NodePort"),
        ([RANGES], service("NodePort", ports=[{"port": 80, "nodePort": 1}]), None, None),
        ([RANGES], service("LoadBalancer", ports=[{"port": 80}], allocateLoadBalancerNodePorts=False), None, None),
        ([RANGES], service("ClusterIP", ports=[{"port": 80}]), None, None),
        ([RANGES], service("NodePort", ports=[{"port": 80}]), service(ports=[{"port": 80, "nodePort": 30000}]), None),
        ([ports("audit", (30000, 30100))], service("NodePort", ports=[{"port": 80}]), None, None),
        ([], service("NodePort", ports=[{"port": 80}]), None, None),
    ],
)
def test_node_ports_that_the_api_server_would_pick_are_refused_before_it_does(
    ask: Ask, context: Make, rules: list[Any], spec: dict[str, Any], old: dict[str, Any] | None, kind: str | None
) -> None:
    denial = None if kind is None else Denial(reason="ForbiddenNodePort", message=f'service type "{kind}" {NEEDS_PORT}')
    assert mutate(ask("Service", spec, old=old), context(*rules)) == Mutation(denial=denial)
    assert mutate(ask("Service", spec, old=old, subresource="status"), context(*rules)) == UNCHANGED


def test_audits(ask: Ask, context: Make, audited: Said) -> None:
    rules = context(rule("audit", types=["LoadBalancer"]), cidrs("audit", "10.0.0.0/8"), ports("audit", (30000, 30100)))
    spec = service("LoadBalancer", loadBalancerIP="10.0.0.1", ports=[{"nodePort": 30001}])
    assert check(ask("Service", spec), rules) == audited(
        'service type "LoadBalancer" at spec.type matched audit namespace rule: LoadBalancer',
        'loadBalancer CIDR "10.0.0.1" at spec.loadBalancerIP matched audit namespace rule: 10.0.0.0/8',
        'nodePort "30001" at spec.ports[0].nodePort matched audit namespace rule: 30000-30100',
    )


def test_an_update_is_judged_where_it_changes_the_spec(ask: Ask, context: Make) -> None:
    rules, stored = context(rule("deny", types=["NodePort"])), service("NodePort")
    assert check(ask("Service", {**stored, "metadata": {"labels": {"a": "b"}}}, old=stored), rules) == ALLOWED
    assert check(ask("Service", service("NodePort"), old=service()), rules).denial is not None
    assert check(ask("Service", service("NodePort"), old=service(), subresource="status"), rules) == ALLOWED
    assert check(ask("Service", None, old=stored), rules) == ALLOWED
    assert check(ask("Service", stored, group="serving.knative.dev"), rules) == ALLOWED

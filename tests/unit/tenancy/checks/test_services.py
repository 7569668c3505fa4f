"""Services: types, external addresses, forbidden metadata."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.tenancy.checks import services
from tenantry.tenancy.request import Request, Requester, Role
from tenantry.tenancy.verdict import ALLOWED, denied
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Situation = Callable[..., ObjectContext]


def service(
    *, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    return {"metadata": {"name": "web", "labels": labels, "annotations": annotations}, "spec": spec}


@pytest.mark.parametrize(
    ("submitted", "old", "verdict"),
    [
        (service(), None, ALLOWED),
        (service(type="ClusterIP"), None, ALLOWED),
        (service(type="LoadBalancer"), None, ALLOWED),
        (
            service(type="NodePort"),
            None,
            denied(
                "ForbiddenNodePort",
                "NodePort service types are forbidden for the current Tenant: "
                "use one from the following list (ClusterIP, LoadBalancer)",
            ),
        ),
        (
            service(type="ExternalName", externalName="a.example"),
            service(type="ClusterIP"),
            denied(
                "ForbiddenExternalName",
                "ExternalName service types are forbidden for the current Tenant: "
                "use one from the following list (ClusterIP, LoadBalancer)",
            ),
        ),
        (service(type="NodePort"), service(type="NodePort"), ALLOWED),
    ],
)
def test_types_that_are_switched_off_are_refused_when_they_are_set(
    ask: Ask, situation: Situation, submitted: dict[str, Any], old: dict[str, Any] | None, verdict: Any
) -> None:
    spec = {"serviceOptions": {"allowedServices": {"nodePort": False, "externalName": False}}}

    assert services.check(ask("services", submitted, old=old), situation(spec)) == verdict


def test_load_balancers_can_be_switched_off_alone(ask: Ask, situation: Situation) -> None:
    spec = {"serviceOptions": {"allowedServices": {"loadBalancer": False}}}

    assert services.check(ask("services", service(type="NodePort")), situation(spec)) == ALLOWED
    assert services.check(ask("services", service(type="LoadBalancer")), situation(spec)) == denied(
        "ForbiddenLoadBalancer",
        "LoadBalancer service types are forbidden for the current Tenant: "
        "use one from the following list (ClusterIP, NodePort, ExternalName)",
    )


@pytest.mark.parametrize(
    ("addresses", "old", "refused"),
    [
        ((), (), None),
        (("10.20.0.0", "10.20.255.255", "192.168.1.2"), (), None),
        (("10.20.0.1", "10.21.0.0"), (), "10.21.0.0"),
        (("192.168.1.3",), (), "192.168.1.3"),
        (("2001:db8::1",), (), "2001:db8::1"),
        (("010.20.0.1",), (), "010.20.0.1"),
        (("nonsense",), (), "nonsense"),
        (("9.9.9.9",), ("9.9.9.9",), None),
        (("9.9.9.9", "8.8.8.8"), ("9.9.9.9",), "8.8.8.8"),
    ],
)
def test_new_external_addresses_lie_in_what_is_allowed(
    ask: Ask, situation: Situation, addresses: tuple[str, ...], old: tuple[str, ...], refused: str | None
) -> None:
    spec = {"serviceOptions": {"externalIPs": {"allowed": ["10.20.0.0/16", "192.168.1.2", "999.0.0.0/8"]}}}
    before = service(externalIPs=old) if old else None

    assert services.check(ask("services", service(externalIPs=addresses), old=before), situation(spec)) == (
        ALLOWED
        if refused is None
        else denied(
            "ForbiddenExternalServiceIP",
            f"External IP {refused} is forbidden for the current Tenant: use one from the following CIDRs or "
            "addresses (10.20.0.0/16, 192.168.1.2, 999.0.0.0/8)",
        )
    )


def test_an_empty_list_of_external_addresses_allows_none(ask: Ask, situation: Situation) -> None:
    spec: dict[str, Any] = {"serviceOptions": {"externalIPs": {"allowed": []}}}

    assert services.check(ask("services", service(externalIPs=["1.1.1.1"])), situation(spec)) == denied(
        "ForbiddenExternalServiceIP",
        "External IP 1.1.1.1 is forbidden for the current Tenant: use one from the following CIDRs or addresses "
        "(none is allowed)",
    )


METADATA = {
    "serviceOptions": {
        "additionalMetadata": {"labels": {"secret/zone": "a"}, "annotations": {"secret/cost": "7"}},
        "forbiddenLabels": {"denied": ["plain"], "deniedRegex": "secret|capsule|projectcapsule"},
        "forbiddenAnnotations": {"denied": ["lb.example/ip"], "deniedRegex": "^secret/"},
    }
}
LABELS_TEXT = "forbidden are: plain; forbidden is what matches the regular expression: secret|capsule|projectcapsule"
ANNOTATIONS_TEXT = "forbidden are: lb.example/ip; forbidden is what matches the regular expression: ^secret/"


@pytest.mark.parametrize(
    ("submitted", "old", "verdict"),
    [
        (service(labels={"app": "web"}), None, ALLOWED),
        (
            service(labels={"plain": "1", "my-secret": "2", "app": "web"}),
            None,
            denied("ForbiddenLabel", f"Label my-secret, plain is forbidden for the current Tenant; {LABELS_TEXT}"),
        ),
        (
            service(annotations={"lb.example/ip": "1.1.1.1"}),
            None,
            denied(
                "ForbiddenAnnotation",
                f"Annotation lb.example/ip is forbidden for the current Tenant; {ANNOTATIONS_TEXT}",
            ),
        ),
        (service(labels={"plain": "1"}), service(labels={"plain": "1"}), ALLOWED),
        (service(), service(labels={"plain": "1"}), ALLOWED),
        (
            service(labels={"plain": "2"}),
            service(labels={"plain": "1"}),
            denied("ForbiddenLabel", f"Label plain is forbidden for the current Tenant; {LABELS_TEXT}"),
        ),
        (
            service(
                labels={
                    "secret/zone": "a",
                    "capsule.clastix.io/managed-by": "oil",
                    "projectcapsule.dev/tenant": "oil",
                },
                annotations={"secret/cost": "7"},
            ),
            None,
            ALLOWED,
        ),
        (
            service(labels={"secret/zone": "b"}),
            None,
            denied("ForbiddenLabel", f"Label secret/zone is forbidden for the current Tenant; {LABELS_TEXT}"),
        ),
    ],
)
def test_forbidden_keys_are_refused_when_set_but_not_what_the_tenant_puts_there(
    ask: Ask, situation: Situation, submitted: dict[str, Any], old: dict[str, Any] | None, verdict: Any
) -> None:
    assert services.check(ask("services", submitted, old=old), situation(METADATA)) == verdict
    assert services.check(ask("services", submitted, old=old, subresource="status"), situation(METADATA)) == verdict


def test_what_a_rule_manages_passes_a_list_that_would_forbid_it(ask: Ask, situation: Situation) -> None:
    rule = {"kinds": ["Service"], "labels": {"secret/team": {"managed": "oil"}}}
    spec = {**METADATA, "rules": [{"enforce": {"action": "allow", "metadata": [rule]}}]}

    assert services.check(ask("services", service(labels={"secret/team": "oil"})), situation(spec)) == ALLOWED
    assert services.check(ask("services", service(labels={"secret/team": "gas"})), situation(spec)) == denied(
        "ForbiddenLabel", f"Label secret/team is forbidden for the current Tenant; {LABELS_TEXT}"
    )


def test_administrators_and_the_clusters_controllers_may_set_forbidden_keys(ask: Ask, situation: Situation) -> None:
    marked = service(labels={"plain": "1"})
    cloud = Requester(
        username="system:serviceaccount:kube-system:service-controller",
        groups=frozenset({"system:serviceaccounts", "system:serviceaccounts:kube-system"}),
    )

    assert services.check(ask("services", marked), situation(METADATA, role=Role.ADMINISTRATOR)) == ALLOWED
    assert services.check(ask("services", marked, requester=cloud), situation(METADATA, role=Role.UNKNOWN)) == ALLOWED


def test_a_forbidden_expression_that_does_not_compile_forbids_every_key(ask: Ask, situation: Situation) -> None:
    spec = {"serviceOptions": {"forbiddenLabels": {"deniedRegex": "("}}}

    assert services.check(ask("services", service(labels={"app": "web"})), situation(spec)) == denied(
        "ForbiddenLabel",
        "Label app is forbidden for the current Tenant; forbidden is what matches the regular expression: (",
    )


def test_the_installation_itself_is_not_judged(ask: Ask, situation: Situation) -> None:
    spec = {"serviceOptions": {"allowedServices": {"nodePort": False}}}

    assert services.check(ask("services", service(type="NodePort")), situation(spec, role=Role.CONTROLLER)) == ALLOWED


@given(
    network=st.builds(
        lambda address, bits: IPv4Network((address, bits), strict=False),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    ),
    data=st.data(),
)
def test_every_address_of_a_network_lies_in_it_and_its_neighbours_do_not(network: IPv4Network, data: Any) -> None:
    inside = network[data.draw(st.integers(0, network.num_addresses - 1))]
    outside = [network.network_address - 1] if int(network.network_address) else []
    outside += [network.broadcast_address + 1] if int(network.broadcast_address) < 2**32 - 1 else []

    assert services.lies_within(str(inside), [network])
    assert not any(services.lies_within(str(address), [network]) for address in outside)

"""Rules about Services: types, load balancer addresses, external names, node ports (RL-13 to RL-16, E-7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from tenantry.api.rules import Enforce, PortRange
from tenantry.api.workloads import Service, ServiceSpec
from tenantry.tenancy.request import Request
from tenantry.tenancy.rules.judging import Findings, Wording, binding_rules, unenforceable
from tenantry.tenancy.rules.matching import Action, MatchItem, ValueItem, match_items
from tenantry.tenancy.rules.ruleset import Family, LaneKey, Lanes, RuleSet
from tenantry.tenancy.verdict import ALLOWED, UNCHANGED, Denial, Mutation, Verdict
from tenantry.tenancy.views import ObjectContext

FORBIDDEN_TYPE: Final = "ForbiddenServiceType"
FORBIDDEN_EXTERNAL_NAME: Final = "ForbiddenExternalName"
FORBIDDEN_NODE_PORT: Final = "ForbiddenNodePort"
FORBIDDEN_CIDR: Final = "ForbiddenLoadBalancerCIDR"

Network = IPv4Network | IPv6Network

_TYPE: Final = Wording(family="service type", plural="service types", reason=FORBIDDEN_TYPE, separator=", ")
_CIDR: Final = Wording(family="loadBalancer CIDR", plural="CIDRs", reason=FORBIDDEN_CIDR, separator=", ")
_HOST: Final = Wording(family="externalName hostname", plural="hostnames", reason=FORBIDDEN_EXTERNAL_NAME)
_PORT: Final = Wording(family="nodePort", plural="ranges", reason=FORBIDDEN_NODE_PORT, separator=", ")


@dataclass(frozen=True, slots=True)
class CidrItem:
    """A block's CIDRs.

    What is allowed must lie inside one of them; what is denied must not so much as touch
    one, else ``0.0.0.0/0`` would be a way around every denied range.
    """

    action: Action
    networks: tuple[Network, ...]
    text: str

    def matches(self, value: Network) -> bool:
        """Return whether the item is about *value*."""
        if self.action is Action.ALLOW:
            return any(_is_inside(value, network) for network in self.networks)
        return any(value.version == network.version and value.overlaps(network) for network in self.networks)


@dataclass(frozen=True, slots=True)
class PortItem:
    """A block's ranges of node ports."""

    action: Action
    ranges: tuple[PortRange, ...]

    @property
    def text(self) -> str:
        """The ranges as messages show them: ``30000-30100, 30500``."""
        return ", ".join(str(r.from_) if r.from_ == r.to else f"{r.from_}-{r.to}" for r in self.ranges)

    def matches(self, value: int) -> bool:
        """Return whether the port *value* lies in a range."""
        return any(r.from_ <= value <= r.to for r in self.ranges)


TYPE_LANE: Final = LaneKey[ValueItem](Family.SERVICES, "types")
CIDR_LANE: Final = LaneKey[CidrItem](Family.SERVICES, "loadBalancers")
HOST_LANE: Final = LaneKey[MatchItem](Family.SERVICES, "externalNames")
PORT_LANE: Final = LaneKey[PortItem](Family.SERVICES, "nodePorts")


def lanes(enforce: Enforce, action: Action) -> Lanes:
    """Return what *enforce* adds to the lanes of Services; raise ValueError for a wrong CIDR or expression."""
    services = enforce.services
    if services is None:
        return {}
    cidrs = services.load_balancers.cidrs if services.load_balancers else ()
    hosts = services.external_names.hostnames if services.external_names else ()
    ports = services.node_ports.ports if services.node_ports else ()
    added: Lanes = {
        TYPE_LANE: (ValueItem(action, tuple(services.types)),) if services.types else (),
        CIDR_LANE: (CidrItem(action, tuple(map(network, cidrs)), ", ".join(cidrs)),) if cidrs else (),
        HOST_LANE: match_items(action, hosts),
        PORT_LANE: (PortItem(action, tuple(ports)),) if ports else (),
    }
    return {key: items for key, items in added.items() if items}


def network(text: str) -> Network:
    """Return the CIDR *text*, host bits dropped as Go does; raise ValueError where it is none, or has no length."""
    if "/" not in text:
        raise ValueError(f"{text!r} is no CIDR: write an address and a prefix length, as 10.0.0.0/8")
    return ip_network(text, strict=False)


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge a Service whose spec is new or changed."""
    if request.resource != "services" or request.group or request.subresource:
        return ALLOWED
    rules = binding_rules(request, context, Family.SERVICES)
    if rules is None:
        return ALLOWED
    spec = request.new(Service).spec
    old = request.old(Service)
    if old is not None and old.spec == spec:
        return ALLOWED
    refusal = unenforceable(rules, Family.SERVICES)
    if refusal is not None:
        return refusal
    findings = Findings()
    kind = spec.type or "ClusterIP"
    findings.judge(rules.lane(TYPE_LANE), kind, path="spec.type", wording=_TYPE)
    if kind == "ExternalName":
        # A trailing dot names the same host.
        host = spec.external_name.rstrip(".")
        path = "spec.externalName"
        findings.judge(rules.lane(HOST_LANE), host, path=path, wording=_HOST, shown=spec.external_name)
    if kind == "LoadBalancer":
        _judge_addresses(findings, rules, spec)
    if kind in {"NodePort", "LoadBalancer"}:
        _judge_node_ports(findings, rules, spec)
    return findings.verdict()


def mutate(request: Request, context: ObjectContext) -> Mutation:
    """Refuse a Service whose node ports would be picked for it: it is never changed.

    The API server picks before validating webhooks are asked, out of all ports there are, so
    only here can be seen that the user gave none.
    """
    if request.resource != "services" or request.group or request.subresource:
        return UNCHANGED
    rules = binding_rules(request, context, Family.SERVICES)
    lane = rules.lane(PORT_LANE) if rules is not None else None
    spec = request.new(Service).spec
    if lane is None or not lane.decides or not _gets_node_ports(spec):
        return UNCHANGED
    # On an update, what is left out stays as it is.
    old = request.old(Service)
    kept = {port.port for port in (old.spec.ports if old is not None else None) or () if port.node_port}
    if all(port.node_port or port.port in kept for port in spec.ports or ()):
        return UNCHANGED
    return Mutation(denial=Denial(reason=FORBIDDEN_NODE_PORT, message=_missing_port(spec.type)))


def _gets_node_ports(spec: ServiceSpec) -> bool:
    return spec.type == "NodePort" or (
        spec.type == "LoadBalancer" and spec.allocate_load_balancer_node_ports is not False
    )


def _missing_port(kind: str) -> str:
    return (
        f'service type "{kind}" requires explicit spec.ports[*].nodePort: '
        "nodePort ranges are enforced by namespace rule"
    )


def _judge_addresses(findings: Findings, rules: RuleSet, spec: ServiceSpec) -> None:
    lane = rules.lane(CIDR_LANE)
    if lane is None:
        return
    given = list(_addresses(spec))
    if not given and lane.decides:
        findings.refuse(
            FORBIDDEN_CIDR,
            'service type "LoadBalancer" requires spec.loadBalancerIP or spec.loadBalancerSourceRanges: '
            "loadBalancer CIDR constraints are enforced by namespace rule",
        )
    for path, text in given:
        try:
            value = _given_network(text)
        except ValueError:
            if lane.decides:
                findings.refuse(
                    FORBIDDEN_CIDR,
                    f'loadBalancer CIDR "{text}" at {path} is not allowed by namespace rule: it is no address or CIDR',
                )
            continue
        findings.judge(lane, value, path=path, wording=_CIDR, shown=text)


def _addresses(spec: ServiceSpec) -> Iterator[tuple[str, str]]:
    if spec.load_balancer_ip:
        yield "spec.loadBalancerIP", spec.load_balancer_ip
    for index, cidr in enumerate(spec.load_balancer_source_ranges or ()):
        yield f"spec.loadBalancerSourceRanges[{index}]", cidr


def _given_network(text: str) -> Network:
    """Return *text*, an address or a CIDR, as a network; an IPv4 address in IPv6 clothes is the IPv4 address."""
    stripped = text.strip()
    if "/" in stripped:
        return ip_network(stripped, strict=False)
    address = ip_address(stripped)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return ip_network(mapped if mapped is not None else address)


def _is_inside(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def _judge_node_ports(findings: Findings, rules: RuleSet, spec: ServiceSpec) -> None:
    lane = rules.lane(PORT_LANE)
    if lane is None:
        return
    for index, port in enumerate(spec.ports or ()):
        if port.node_port:
            findings.judge(lane, port.node_port, path=f"spec.ports[{index}].nodePort", wording=_PORT)
        elif _gets_node_ports(spec) and lane.decides:
            findings.refuse(FORBIDDEN_NODE_PORT, _missing_port(spec.type))

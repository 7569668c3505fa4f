"""Rules about the hostnames of Ingresses, Routes, Gateways and their like (RL-17, E-8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tenantry.api.rules import INGRESS_TYPES, Enforce
from tenantry.api.workloads import Gateway, Ingress, Route
from tenantry.tenancy.request import Request
from tenantry.tenancy.rules.judging import Findings, Wording, binding_rules, unenforceable
from tenantry.tenancy.rules.matching import Action, Lane, MatchItem, match_items
from tenantry.tenancy.rules.ruleset import Family, LaneKey, Lanes
from tenantry.tenancy.verdict import ALLOWED, Verdict
from tenantry.tenancy.views import ObjectContext

FORBIDDEN_HOSTNAME: Final = "ForbiddenIngressHostname"
EMPTY_HOSTNAME: Final = "IngressHostnameEmpty"
INGRESS_LANES: Final = {kind: LaneKey[MatchItem](Family.INGRESS, kind) for kind in INGRESS_TYPES}

_WORDING: Final = Wording(family="ingress hostname", plural="hostnames", reason=FORBIDDEN_HOSTNAME)
_GATEWAY_KINDS: Final = {kind: kind for kind in ("ListenerSet", "HTTPRoute", "Gateway", "TLSRoute", "GRPCRoute")}
_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "networking.k8s.io": {"Ingress": "Ingress"},
    "extensions": {"Ingress": "Ingress"},
    "route.openshift.io": {"Route": "Route"},
    "gateway.networking.k8s.io": _GATEWAY_KINDS,
    "gateway.networking.x-k8s.io": {"XListenerSet": "ListenerSet"},
}
"""API group -> kind -> the type that rules call it."""


@dataclass(frozen=True, slots=True)
class Host:
    """A place for a hostname, and what stands there; empty where nothing does."""

    path: str
    name: str = ""


def lanes(enforce: Enforce, action: Action) -> Lanes:
    """Return what *enforce* adds to the lanes of its types; raise ExpressionError or ValueError for a wrong rule."""
    ingress = enforce.ingress
    if ingress is None or not (ingress.types and ingress.hostnames):
        return {}
    unknown = [kind for kind in ingress.types if kind not in INGRESS_LANES]
    if unknown:
        raise ValueError(f"ingress type {unknown[0]!r} is unknown: there are {', '.join(INGRESS_TYPES)}")
    items = match_items(action, ingress.hostnames)
    return {INGRESS_LANES[kind]: items for kind in ingress.types}


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge the hostnames of an object whose hostnames are new or changed."""
    kind = _TYPES.get(request.group, {}).get(request.kind)
    if kind is None or request.subresource:
        return ALLOWED
    rules = binding_rules(request, context, Family.INGRESS)
    if rules is None:
        return ALLOWED
    model, hosts_of = _READERS[kind]
    hosts = tuple(hosts_of(request.new(model)))
    old = request.old(model)
    if old is not None and tuple(hosts_of(old)) == hosts:
        return ALLOWED
    refusal = unenforceable(rules, Family.INGRESS)
    if refusal is not None:
        return refusal
    lane = rules.lane(INGRESS_LANES[kind])
    return ALLOWED if lane is None else _verdict(lane, kind, hosts)


def _verdict(lane: Lane[MatchItem], kind: str, hosts: Sequence[Host]) -> Verdict:
    findings = Findings()
    for host in hosts:
        if host.name:
            # Names are the same in any case, with or without the root's dot.
            value = host.name.lower().rstrip(".")
            findings.judge(lane, value, path=host.path, wording=_WORDING, shown=host.name)
            continue
        # No hostname means every hostname.
        if any(item.action is Action.AUDIT for item in lane.items):
            findings.audit(f"empty hostname detected for {kind} at {host.path} by audit namespace rule")
        if lane.decides:
            findings.refuse(EMPTY_HOSTNAME, f"hostname is required for {kind} at {host.path} by namespace rule")
    return findings.verdict()


def _ingress_hosts(ingress: Ingress) -> Iterator[Host]:
    rules = ingress.spec.rules or ()
    if not rules:
        yield Host("spec.rules[].host")
    for index, rule in enumerate(rules):
        path = f"spec.rules[{index}].host"
        yield Host(path, rule.host) if rule.host else Host(f"spec.rules[].host ({path})")
    for index, tls in enumerate(ingress.spec.tls or ()):
        path = f"spec.tls[{index}].hosts"
        if not tls.hosts:
            yield Host(path)
        for position, name in enumerate(tls.hosts or ()):
            yield Host(f"{path}[{position}]", name)


def _gateway_hosts(gateway: Gateway) -> Iterator[Host]:
    for index, listener in enumerate(gateway.spec.listeners or ()):
        yield Host(f"spec.listeners[{index}].hostname", listener.hostname or "")


def _route_hosts(route: Route) -> Iterator[Host]:
    if not route.spec.hostnames:
        yield Host("spec.hostnames[]")
    for index, name in enumerate(route.spec.hostnames or ()):
        yield Host(f"spec.hostnames[{index}]", name)


def _openshift_hosts(route: Route) -> Iterator[Host]:
    yield Host("spec.host", route.spec.host)


_READERS: Final[Mapping[str, tuple[type[Any], Callable[[Any], Iterator[Host]]]]] = {
    "Ingress": (Ingress, _ingress_hosts),
    "Gateway": (Gateway, _gateway_hosts),
    "ListenerSet": (Gateway, _gateway_hosts),
    "HTTPRoute": (Route, _route_hosts),
    "TLSRoute": (Route, _route_hosts),
    "GRPCRoute": (Route, _route_hosts),
    "Route": (Route, _openshift_hosts),
}
"""Type -> how it is read, and where its hostnames stand."""

"""What Services may be and carry (L-8)."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from tenantry.api import labels
from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import AdditionalMetadata, ForbiddenList
from tenantry.api.tenant import AllowedServices, ServiceOptions
from tenantry.api.workloads import Service
from tenantry.tenancy.checks.exemptions import is_cluster_component, is_judged_write
from tenantry.tenancy.checks.forbidden import forbidden_keys, forbidden_text, set_keys
from tenantry.tenancy.request import Request
from tenantry.tenancy.rules.metadata import managed_metadata_of_kind
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ObjectContext

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network
_TOGGLES: Final = {"NodePort": "node_port", "ExternalName": "external_name", "LoadBalancer": "load_balancer"}


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge type, external addresses and metadata; of an update, what it changes.

    A Service that an edit of the Tenant made wrong stays until someone touches what is wrong,
    and load balancer controllers can still take their finalizers off.
    """
    options = context.tenant.spec.service_options
    if options is None or not is_judged_write(request, context):
        return ALLOWED
    service, old = request.new(Service), request.old(Service)
    verdict = _type(options.allowed_services, service, old)
    if verdict.denial is None:
        verdict = _external_addresses(options, service, old)
    if verdict.denial is None and not (context.role.is_admin or is_cluster_component(request.requester)):
        verdict = _metadata(context, options, service, old)
    return verdict


def _type(allowed: AllowedServices | None, service: Service, old: Service | None) -> Verdict:
    kind = service.spec.type
    toggle = _TOGGLES.get(kind)
    if allowed is None or toggle is None or getattr(allowed, toggle) or (old is not None and old.spec.type == kind):
        return ALLOWED
    possible = ["ClusterIP", *(name for name, field in _TOGGLES.items() if getattr(allowed, field))]
    return denied(
        f"Forbidden{kind}",
        f"{kind} service types are forbidden for the current Tenant: "
        f"use one from the following list ({', '.join(possible)})",
    )


def _external_addresses(options: ServiceOptions, service: Service, old: Service | None) -> Verdict:
    if options.external_ips is None:
        return ALLOWED
    known = frozenset(old.spec.external_ips or ()) if old is not None else frozenset()
    networks = [network for text in options.external_ips.allowed if (network := _network(text)) is not None]
    for text in service.spec.external_ips or ():
        # An empty list allows none at all: the only way to say so (CVE-2020-8554).
        if text not in known and not lies_within(text, networks):
            listed = ", ".join(options.external_ips.allowed) or "none is allowed"
            return denied(
                "ForbiddenExternalServiceIP",
                f"External IP {text} is forbidden for the current Tenant: "
                f"use one from the following CIDRs or addresses ({listed})",
            )
    return ALLOWED


def lies_within(text: str, networks: list[_Network]) -> bool:
    """Return whether the address *text* lies in one of *networks*; what is no address lies nowhere."""
    address = _address(text)
    return address is not None and any(address in network for network in networks)


def _metadata(context: ObjectContext, options: ServiceOptions, service: Service, old: Service | None) -> Verdict:
    managed = _managed_metadata(context, options)
    before = old.metadata if old is not None else ObjectMeta()
    verdict = _keys("Label", options.forbidden_labels, _without(service.metadata.labels, managed.labels), before.labels)
    if verdict.denial is not None:
        return verdict
    return _keys(
        "Annotation",
        options.forbidden_annotations,
        _without(service.metadata.annotations, managed.annotations),
        before.annotations,
    )


def _managed_metadata(context: ObjectContext, options: ServiceOptions) -> AdditionalMetadata:
    """Return what the tenant itself puts on Services, at admission or afterwards."""
    tenant = context.tenant.metadata.name
    additional = options.additional_metadata or AdditionalMetadata()
    ruled = managed_metadata_of_kind(context.rules, "", "v1", "Service")
    return AdditionalMetadata(
        labels={
            **(additional.labels or {}),
            **(ruled.labels or {}),
            labels.CAPSULE_MANAGED_BY: tenant,
            labels.NEW_TENANT: tenant,
        },
        annotations={**(additional.annotations or {}), **(ruled.annotations or {})},
    )


def _keys(
    noun: str, forbidden: ForbiddenList | None, submitted: Mapping[str, str], stored: Mapping[str, str] | None
) -> Verdict:
    hits = forbidden_keys(forbidden, set_keys(stored, submitted))
    if forbidden is None or not hits:
        return ALLOWED
    return denied(
        f"Forbidden{noun}", f"{noun} {', '.join(hits)} is forbidden for the current Tenant; {forbidden_text(forbidden)}"
    )


def _without(submitted: Mapping[str, str] | None, managed: Mapping[str, str] | None) -> dict[str, str]:
    # What the tenant itself puts there passes an expression that would forbid it (spec 14.1).
    ours = managed or {}
    return {key: value for key, value in (submitted or {}).items() if ours.get(key) != value}


def _network(text: str) -> _Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _address(text: str) -> _Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None

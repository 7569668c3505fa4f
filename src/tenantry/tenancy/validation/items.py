"""The Kubernetes specs that a Tenant holds as free objects: whether the API server could take them (T-26 to T-28)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tenantry.api.meta import LabelSelector
from tenantry.api.tenant import TenantSpec
from tenantry.foundation.codec import DecodeError, Model, from_plain
from tenantry.foundation.quantities import QuantityError, parse_quantity

Quantities = dict[str, str | int | float]
_POLICY_TYPES: Final = ("Ingress", "Egress")


class _Limit(Model):
    type: str
    max: Quantities | None = None
    min: Quantities | None = None
    default: Quantities | None = None
    default_request: Quantities | None = None
    max_limit_request_ratio: Quantities | None = None


class _LimitRangeSpec(Model):
    limits: tuple[_Limit, ...] = ()


class _NetworkPolicySpec(Model):
    pod_selector: LabelSelector | None = None
    policy_types: tuple[str, ...] | None = None
    ingress: tuple[dict[str, Any], ...] | None = None
    egress: tuple[dict[str, Any], ...] | None = None


class _ResourceQuotaSpec(Model):
    hard: Quantities | None = None
    scopes: tuple[str, ...] | None = None
    scope_selector: dict[str, Any] | None = None


def item_problems(spec: TenantSpec) -> Iterator[str]:
    """Yield what is wrong with the LimitRange, NetworkPolicy and ResourceQuota items, each with its path."""
    if spec.limit_ranges is not None:
        yield from _limit_ranges("spec.limitRanges.items", spec.limit_ranges.items)
    if spec.network_policies is not None:
        yield from _network_policies("spec.networkPolicies.items", spec.network_policies.items)
    if spec.resource_quotas is not None:
        yield from _resource_quotas("spec.resourceQuotas.items", spec.resource_quotas.items)


def _limit_ranges(path: str, items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for index, item in enumerate(items):
        try:
            decoded = from_plain(item, _LimitRangeSpec)
        except DecodeError as error:
            yield f"{path}[{index}]: {error}"
            continue
        for number, limit in enumerate(decoded.limits):
            parts = {
                "max": limit.max,
                "min": limit.min,
                "default": limit.default,
                "defaultRequest": limit.default_request,
                "maxLimitRequestRatio": limit.max_limit_request_ratio,
            }
            for name, quantities in parts.items():
                yield from _quantities(f"{path}[{index}].limits[{number}].{name}", quantities)


def _network_policies(path: str, items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for index, item in enumerate(items):
        try:
            decoded = from_plain(item, _NetworkPolicySpec)
        except DecodeError as error:
            yield f"{path}[{index}]: {error}"
            continue
        for unknown in (one for one in decoded.policy_types or () if one not in _POLICY_TYPES):
            yield f"{path}[{index}].policyTypes: {unknown!r} is none of {', '.join(_POLICY_TYPES)}"


def _resource_quotas(path: str, items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for index, item in enumerate(items):
        try:
            decoded = from_plain(item, _ResourceQuotaSpec)
        except DecodeError as error:
            yield f"{path}[{index}]: {error}"
            continue
        yield from _quantities(f"{path}[{index}].hard", decoded.hard)


def _quantities(path: str, quantities: Quantities | None) -> Iterator[str]:
    for resource, text in (quantities or {}).items():
        try:
            amount = parse_quantity(text)
        except QuantityError:
            yield f"{path}[{resource}]: {text!r} is no quantity, as 500m or 2Gi"
            continue
        if amount.nanos < 0:
            yield f"{path}[{resource}]: {text!r} must not be negative"

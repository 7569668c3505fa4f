"""The specs of built-in kinds as the API server stores them: defaults filled in, quantities canonical.

Desired specs are brought into this form, so that an untouched object compares equal and
anything else is a difference.  All functions are idempotent and never change their input.

Source: ``k8s.io/kubernetes/pkg/apis/{core,networking}/v1/defaults.go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tenantry.foundation.quantities import QuantityError, parse_quantity

_LIMITS: Final = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def quantity_text(value: object) -> object:
    """Return a quantity as Go prints it; what is none stays, for the API server to refuse."""
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        return value
    try:
        return str(parse_quantity(value))
    except QuantityError:
        return value


def resource_list(values: Mapping[str, object] | None) -> dict[str, object]:
    """Return a ResourceList with canonical quantities."""
    return {key: quantity_text(value) for key, value in (values or {}).items()}


def limit_range_spec(spec: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a LimitRangeSpec in stored form."""
    return {"limits": [_limit(each) for each in (spec or {}).get("limits") or ()]}


def _limit(item: Mapping[str, Any]) -> dict[str, Any]:
    limit = {key: resource_list(item.get(key)) for key in _LIMITS}
    if item.get("type") == "Container":
        default = {**limit["max"], **limit["default"]}
        limit["default"] = default
        # A request follows the limit where both are left out, and the minimum only after that.
        limit["defaultRequest"] = {**limit["min"], **default, **limit["defaultRequest"]}
    return {"type": item.get("type", "")} | {key: value for key, value in limit.items() if value}


def resource_quota_spec(spec: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a ResourceQuotaSpec in stored form."""
    result = _pruned(spec or {})
    hard = resource_list(result.get("hard"))
    return {**{key: value for key, value in result.items() if key != "hard"}, **({"hard": hard} if hard else {})}


def network_policy_spec(spec: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a NetworkPolicySpec in stored form."""
    given = spec or {}
    result: dict[str, Any] = {"podSelector": _selector(given.get("podSelector"))}
    for direction in ("ingress", "egress"):
        rules = [_policy_rule(rule) for rule in given.get(direction) or ()]
        if rules:
            result[direction] = rules
    types = list(given.get("policyTypes") or ())
    result["policyTypes"] = types or ["Ingress", *(["Egress"] if "egress" in result else [])]
    return result


def _policy_rule(rule: Mapping[str, Any] | None) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in (rule or {}).items():
        if not value:
            continue
        if key == "ports":
            result[key] = [{"protocol": "TCP", **{k: v for k, v in port.items() if v is not None}} for port in value]
        elif key in {"from", "to"}:
            result[key] = [_peer(peer) for peer in value]
        else:
            result[key] = value
    return result


def _peer(peer: Mapping[str, Any]) -> dict[str, Any]:
    # An empty selector is not the same as none: it selects everything.
    return {
        key: _selector(value) if key.endswith("Selector") else _pruned(value)
        for key, value in peer.items()
        if value is not None
    }


def _selector(selector: Mapping[str, Any] | None) -> dict[str, Any]:
    return _pruned(selector or {})


def _pruned(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return *value* without empty fields, at any depth of objects: Go's ``omitempty`` leaves them out."""
    result = {}
    for key, each in value.items():
        kept = _pruned(each) if isinstance(each, Mapping) else each
        if isinstance(kept, list):
            kept = [_pruned(item) if isinstance(item, Mapping) else item for item in kept]
        if kept not in (None, {}, [], ""):
            result[key] = kept
    return result

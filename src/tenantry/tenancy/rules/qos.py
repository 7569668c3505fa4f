"""Rules about the quality of service class that a Pod's resources amount to (RL-9, E-6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tenantry.api.rules import Enforce
from tenantry.api.workloads import Pod, QuantityText, ResourceRequirements
from tenantry.foundation.quantities import ZERO, Quantity, QuantityError, parse_quantity
from tenantry.tenancy.request import Request
from tenantry.tenancy.rules.judging import Findings, Wording, binding_rules, unenforceable
from tenantry.tenancy.rules.matching import Action, ValueItem
from tenantry.tenancy.rules.ruleset import Family, LaneKey, Lanes
from tenantry.tenancy.rules.workloads import is_about_pod
from tenantry.tenancy.verdict import ALLOWED, Verdict, denied
from tenantry.tenancy.views import ObjectContext

FORBIDDEN_QOS_CLASS: Final = "ForbiddenQoSClass"
GUARANTEED: Final = "Guaranteed"
BURSTABLE: Final = "Burstable"
BEST_EFFORT: Final = "BestEffort"
QOS_CLASSES: Final = (GUARANTEED, BURSTABLE, BEST_EFFORT)
QOS_LANE: Final = LaneKey[ValueItem](Family.QOS_CLASSES)

_COMPUTE: Final = frozenset({"cpu", "memory"})
_WORDING: Final = Wording(family="QoS class", plural="QoS classes", reason=FORBIDDEN_QOS_CLASS, separator=", ")


def lanes(enforce: Enforce, action: Action) -> Lanes:
    """Return what *enforce* adds to the lane of QoS classes.

    A class is the whole Pod's, so ``targets`` does not narrow it.
    """
    workloads = enforce.workloads
    if workloads is None or not workloads.qos_classes:
        return {}
    return {QOS_LANE: (ValueItem(action, tuple(workloads.qos_classes)),)}


def check(request: Request, context: ObjectContext) -> Verdict:
    """Judge the class of a Pod that is new or whose class changes."""
    if not is_about_pod(request, "resize"):
        return ALLOWED
    rules = binding_rules(request, context, Family.QOS_CLASSES)
    if rules is None:
        return ALLOWED
    old = request.old(Pod)
    try:
        value = qos_class(request.new(Pod))
        if old is not None and qos_class(old) == value:
            return ALLOWED
    except QuantityError as error:
        return denied(FORBIDDEN_QOS_CLASS, f"the QoS class of the Pod is unknown: {error}")
    refusal = unenforceable(rules, Family.QOS_CLASSES)
    if refusal is not None:
        return refusal
    findings = Findings()
    findings.judge(rules.lane(QOS_LANE), value, path="status.qosClass", wording=_WORDING)
    return findings.verdict()


def qos_class(pod: Pod) -> str:
    """Return the class that Kubernetes will give *pod*.

    Pod-level resources, where there are any, decide alone.  Ephemeral containers have none.

    Raises:
        QuantityError: An amount is no quantity.

    Source: ``k8s.io/kubernetes/pkg/apis/core/v1/helper/qos``, KEP-2837.
    """
    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}
    is_guaranteed = True
    for resources in _sources(pod):
        _add(requests, resources.requests if resources else None)
        found = _add(limits, resources.limits if resources else None)
        is_guaranteed = is_guaranteed and found == _COMPUTE
    if not requests and not limits:
        return BEST_EFFORT
    return GUARANTEED if is_guaranteed and requests == limits else BURSTABLE


def _sources(pod: Pod) -> Iterator[ResourceRequirements | None]:
    if pod.spec.resources is not None:
        yield pod.spec.resources
        return
    for container in (*(pod.spec.containers or ()), *(pod.spec.init_containers or ())):
        yield container.resources


def _add(totals: dict[str, Quantity], amounts: Mapping[str, QuantityText] | None) -> frozenset[str]:
    """Add what *amounts* has of cpu and memory to *totals*; return which it has any of."""
    found = set()
    for name, text in (amounts or {}).items():
        if name in _COMPUTE and (amount := parse_quantity(text)) > ZERO:
            totals[name] = totals.get(name, ZERO) + amount
            found.add(name)
    return frozenset(found)

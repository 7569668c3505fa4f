"""Classes of service and schedulers of Pods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.api.workloads import Pod
from tenantry.foundation.codec import from_plain
from tenantry.tenancy.request import Request
from tenantry.tenancy.rules import qos, schedulers
from tenantry.tenancy.rules.qos import qos_class
from tenantry.tenancy.verdict import ALLOWED, Verdict
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Make = Callable[..., ObjectContext]
Said = Callable[..., Verdict]

FULL = {"cpu": "1", "memory": "1Gi"}
SOME = {"cpu": "500m"}


def workloads(action: str, **rules: Any) -> dict[str, Any]:
    return {"enforce": {"action": action, "workloads": rules}}


def pod(*resources: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"resources": each} if each else {} for each in resources], **more}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(pod(None), "BestEffort", id="nothing-asked"),
        pytest.param(pod({"requests": {"cpu": "0"}}), "BestEffort", id="nought-is-nothing"),
        pytest.param(pod({"requests": {"ephemeral-storage": "1Gi"}}), "BestEffort", id="other-resources-do-not-count"),
        pytest.param(pod({"requests": SOME}), "Burstable", id="a-request-alone"),
        pytest.param(pod({"limits": FULL}), "Burstable", id="limits-alone"),
        pytest.param(pod({"requests": FULL, "limits": FULL}), "Guaranteed", id="limits-are-requests"),
        pytest.param(
            pod({"requests": {"cpu": "1000m", "memory": 1073741824}, "limits": FULL}), "Guaranteed", id="by-value"
        ),
        pytest.param(pod({"requests": FULL, "limits": FULL}, None), "Burstable", id="one-container-asks-nothing"),
        pytest.param(
            pod({"requests": FULL, "limits": FULL}, initContainers=[{"name": "i"}]), "Burstable", id="init-counts"
        ),
        pytest.param(pod(None, resources={"requests": FULL, "limits": FULL}), "Guaranteed", id="pod-level-decides"),
        pytest.param(
            pod({"requests": FULL, "limits": FULL}, resources={"requests": SOME}), "Burstable", id="pod-level-alone"
        ),
        pytest.param(pod(None, resources={"requests": SOME, "limits": SOME}), "Burstable", id="pod-level-needs-both"),
    ],
)
def test_the_class_is_what_kubernetes_computes(spec: dict[str, Any], expected: str) -> None:
    assert qos_class(from_plain(spec, Pod)) == expected


def test_a_class_is_refused_by_name(ask: Ask, context: Make, refused: Said, audited: Said) -> None:
    request = ask("Pod", pod(None))
    subject = 'QoS class "BestEffort" at status.qosClass'
    assert [
        qos.check(request, context(workloads("deny", qosClasses=["BestEffort", "Burstable"]))),
        qos.check(request, context(workloads("allow", qosClasses=["Guaranteed"]))),
        qos.check(request, context(workloads("audit", qosClasses=["BestEffort"]))),
        qos.check(request, context(workloads("deny", qosClasses=["Guaranteed"], targets=["pod/containers"]))),
    ] == [
        refused("ForbiddenQoSClass", f"{subject} is denied by namespace rule: BestEffort, Burstable"),
        refused("ForbiddenQoSClass", f"{subject} is not allowed by namespace rule. Allowed QoS classes: Guaranteed"),
        audited(f"{subject} matched audit namespace rule: BestEffort"),
        ALLOWED,
    ]


def test_a_class_is_judged_when_it_changes(ask: Ask, context: Make) -> None:
    rules = context(workloads("deny", qosClasses=["Burstable"]))
    burstable, guaranteed = pod({"requests": SOME}), pod({"requests": FULL, "limits": FULL})
    assert qos.check(ask("Pod", burstable, old=burstable, subresource="resize"), rules) == ALLOWED
    assert qos.check(ask("Pod", burstable, old=guaranteed, subresource="resize"), rules).denial is not None
    assert qos.check(ask("Pod", burstable, old=guaranteed, subresource="status"), rules) == ALLOWED


def test_what_is_no_quantity_is_refused(ask: Ask, context: Make) -> None:
    verdict = qos.check(
        ask("Pod", pod({"requests": {"cpu": "lots"}})), context(workloads("deny", qosClasses=["Burstable"]))
    )
    assert verdict.denial is not None
    assert "'lots' is no quantity" in verdict.denial.message


def test_a_scheduler_is_refused_by_name(ask: Ask, context: Make, refused: Said, audited: Said) -> None:
    request = ask("Pod", pod(None, schedulerName="mine"))
    subject = 'scheduler "mine" at spec.schedulerName'
    assert [
        schedulers.check(request, context(workloads("deny", schedulers=[{"exact": ["mine"]}]))),
        schedulers.check(request, context(workloads("allow", schedulers=[{"exact": ["default-scheduler", "gpu"]}]))),
        schedulers.check(request, context(workloads("audit", schedulers=[{"exp": "mi"}]))),
        schedulers.check(ask("Pod", pod(None)), context(workloads("allow", schedulers=[{"exact": ["gpu"]}]))),
    ] == [
        refused("ForbiddenScheduler", f"{subject} is denied by namespace rule: exact: mine"),
        refused(
            "ForbiddenScheduler",
            f"{subject} is not allowed by namespace rule. Allowed schedulers: exact: default-scheduler, gpu",
        ),
        audited(f"{subject} matched audit namespace rule: exp: mi"),
        ALLOWED,
    ]

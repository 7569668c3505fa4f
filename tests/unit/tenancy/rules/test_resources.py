"""Requests and limits: what they are made to be, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.foundation.patches import PatchOperation
from tenantry.tenancy.request import Request
from tenantry.tenancy.rules.resources import check, mutate
from tenantry.tenancy.verdict import ALLOWED, UNCHANGED, Mutation, Verdict
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Make = Callable[..., ObjectContext]
Said = Callable[..., Verdict]

FORBIDDEN = "ForbiddenPodResources"
RESOURCES = "/spec/containers/0/resources"


def rule(
    action: str = "deny",
    *,
    requests: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    targets: tuple[str, ...] = (),
) -> dict[str, Any]:
    resources = {"requests": requests or {}, "limits": limits or {}}
    return {"enforce": {"action": action, "workloads": {"targets": targets, "resources": resources}}}


def memory(action: str, policy: str, value: str | None = None) -> dict[str, Any]:
    return rule(action, limits={"memory": {"policy": policy, **({"value": value} if value else {})}})


def pod(
    request: str | None = None, limit: str | None = None, *, resource: str = "memory", **more: Any
) -> dict[str, Any]:
    requests = {resource: request} if request else {}
    limits = {resource: limit} if limit else {}
    return {"spec": {"containers": [{"name": "c", "resources": {"requests": requests, "limits": limits}}], **more}}


def applied(obj: dict[str, Any], operations: tuple[PatchOperation, ...]) -> dict[str, Any]:
    """Return *obj* patched; removals and additions in maps and lists that exist are all there are."""
    for operation in operations:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in operation.path.split("/")[1:]]
        parent: Any = obj
        for step in steps[:-1]:
            parent = parent[int(step)] if isinstance(parent, list) else parent[step]
        if operation.op == "remove":
            del parent[steps[-1]]
        else:
            parent[steps[-1]] = operation.value
    return obj


@pytest.mark.parametrize(
    ("rules", "amounts", "expected"),
    [
        pytest.param([memory("deny", "Default", "1Gi")], (None, None), ("add", "1Gi"), id="default-fills"),
        pytest.param([memory("deny", "Default", "1Gi")], (None, "2Gi"), None, id="default-leaves-what-is-given"),
        pytest.param([memory("deny", "Remove")], (None, "2Gi"), ("remove", None), id="remove"),
        pytest.param([memory("deny", "Remove")], (None, None), None, id="nothing-to-remove"),
        pytest.param([memory("deny", "MatchRequest")], ("1Gi", "2Gi"), ("replace", "1Gi"), id="match-request"),
        pytest.param([memory("deny", "MatchRequest")], ("1Gi", None), ("add", "1Gi"), id="match-request-fills"),
        pytest.param([memory("deny", "MatchRequest")], ("1Gi", "1024Mi"), None, id="match-request-by-value"),
        pytest.param([memory("deny", "MatchRequest")], (None, None), None, id="no-request-to-match"),
        pytest.param([memory("deny", "Ratio", "1.5")], ("1Gi", None), ("add", "1536Mi"), id="ratio-fills"),
        pytest.param([memory("deny", "Ratio", "1.5")], ("1Gi", "4Gi"), None, id="ratio-leaves-what-is-given"),
        pytest.param([memory("deny", "Ratio", "1.5")], ("3", None), ("add", "4"), id="ratio-makes-whole-bytes"),
        pytest.param([memory("deny", "Remove"), memory("deny", "Preserve")], (None, "2Gi"), None, id="preserve-clears"),
        pytest.param(
            [memory("deny", "Remove"), memory("allow", "Default", "1Gi")],
            (None, None),
            ("add", "1Gi"),
            id="default-clears",
        ),
        pytest.param(
            [memory("deny", "Default", "1Gi"), memory("deny", "Preserve")], (None, None), None, id="no-default"
        ),
        pytest.param([memory("audit", "Default", "1Gi"), memory("audit", "Remove")], (None, "1Gi"), None, id="audit"),
        pytest.param(
            [memory("allow", "MatchRequest"), memory("allow", "Ratio", "3")],
            ("1Gi", "2Gi"),
            None,
            id="allowed-as-it-is",
        ),
        pytest.param(
            [memory("allow", "Ratio", "3"), memory("allow", "MatchRequest")],
            ("1Gi", "4Gi"),
            ("replace", "1Gi"),
            id="the-last-that-allows",
        ),
    ],
)
def test_limits_of_new_pods(
    ask: Ask,
    context: Make,
    rules: list[Any],
    amounts: tuple[str | None, str | None],
    expected: tuple[Any, str | None] | None,
) -> None:
    mutation = UNCHANGED
    if expected is not None:
        operation = PatchOperation(op=expected[0], path=f"{RESOURCES}/limits/memory", value=expected[1])
        mutation = Mutation(operations=(operation,))
    assert mutate(ask("Pod", pod(*amounts)), context(*rules)) == mutation


def test_a_ratio_of_cpu_makes_whole_millis(ask: Ask, context: Make) -> None:
    rules = context(rule(limits={"cpu": {"policy": "Ratio", "value": "1.3333"}}))
    patched = mutate(ask("Pod", pod("100m", resource="cpu")), rules)
    path = f"{RESOURCES}/limits/cpu"
    assert patched == Mutation(operations=(PatchOperation(op="add", path=path, value="133m"),))


def test_limits_follow_the_requests_that_rules_fill_in(ask: Ask, context: Make) -> None:
    rules = context(
        rule(
            requests={"cpu": {"policy": "Default", "value": "100m"}, "memory": {"policy": "Default", "value": "1Gi"}},
            limits={"cpu": {"policy": "MatchRequest"}, "memory": {"policy": "Ratio", "value": 2}},
        )
    )
    bare = {"spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i", "resources": {}}]}}
    requests, limits = {"cpu": "100m", "memory": "1Gi"}, {"cpu": "100m", "memory": "2Gi"}
    assert mutate(ask("Pod", bare), rules) == Mutation(
        operations=(
            PatchOperation(op="add", path=RESOURCES, value={"requests": requests, "limits": limits}),
            PatchOperation(op="add", path="/spec/initContainers/0/resources/requests", value=requests),
            PatchOperation(op="add", path="/spec/initContainers/0/resources/limits", value=limits),
        )
    )


def test_requests_and_limits_go_together(ask: Ask, context: Make) -> None:
    """A request that equals its limit may be the API server's doing; once the limit goes, so does the request."""
    rules = context(rule(requests={"cpu": {"policy": "Remove"}}, limits={"cpu": {"policy": "Remove"}}))
    gone = [PatchOperation(op="remove", path=f"{RESOURCES}/{side}/cpu") for side in ("requests", "limits")]
    assert mutate(ask("Pod", pod("1", "1", resource="cpu")), rules) == Mutation(operations=tuple(gone))
    alone = context(rule(requests={"cpu": {"policy": "Remove"}}))
    assert mutate(ask("Pod", pod("1", "1", resource="cpu")), alone) == UNCHANGED
    assert check(ask("Pod", pod("1", "1", resource="cpu")), alone) == ALLOWED


class TestPodLevel:
    """The Pod's own resources are ruled where it has some, or where rules name the target."""

    IMPLIED = rule(limits={"cpu": {"policy": "Default", "value": "2"}, "ephemeral-storage": {"policy": "Remove"}})
    NAMED = rule(limits={"cpu": {"policy": "Default", "value": "2"}}, targets=("pod",))

    def test_they_are_not_made_unasked(self, ask: Ask, context: Make) -> None:
        container = PatchOperation(op="add", path=RESOURCES, value={"limits": {"cpu": "2"}})
        bare = {"spec": {"containers": [{"name": "c"}]}}
        assert mutate(ask("Pod", bare), context(self.IMPLIED)) == Mutation(operations=(container,))

    def test_they_are_made_where_named(self, ask: Ask, context: Make) -> None:
        added = PatchOperation(op="add", path="/spec/resources", value={"limits": {"cpu": "2"}})
        bare = {"spec": {"containers": [{"name": "c"}]}}
        assert mutate(ask("Pod", bare), context(self.NAMED)) == Mutation(operations=(added,))

    def test_those_given_are_ruled(self, ask: Ask, context: Make) -> None:
        added = PatchOperation(op="add", path="/spec/resources/limits", value={"cpu": "2"})
        given_some = {"spec": {"containers": [], "resources": {"requests": {"cpu": "1"}}}}
        assert mutate(ask("Pod", given_some), context(self.IMPLIED)) == Mutation(operations=(added,))

    def test_other_resources_have_no_pod_level(self, ask: Ask, context: Make) -> None:
        spec = {"spec": {"containers": [], "resources": {"limits": {"ephemeral-storage": "1Gi", "cpu": "1"}}}}
        assert check(ask("Pod", spec), context(self.IMPLIED)) == ALLOWED


@pytest.mark.parametrize(
    ("rules", "amounts", "message"),
    [
        pytest.param([memory("deny", "Ratio", "1.5")], ("1Gi", "1536Mi"), None, id="within-the-ratio"),
        pytest.param(
            [memory("deny", "Ratio", "1.5")],
            ("1Gi", "2Gi"),
            'limit "memory=2Gi" at containers[0].resources.limits.memory is denied by namespace rule: '
            "it violates policy Ratio, must not exceed 1536Mi",
            id="beyond-the-ratio",
        ),
        pytest.param(
            [memory("deny", "Ratio", "1.5")],
            (None, "2Gi"),
            'limit "memory=2Gi" at containers[0].resources.limits.memory is denied by namespace rule: '
            "it violates policy Ratio, requires a request greater than zero",
            id="a-ratio-of-nothing",
        ),
        pytest.param(
            [memory("allow", "Ratio", "1.5"), memory("allow", "MatchRequest")],
            ("1Gi", "2Gi"),
            'limit "memory=2Gi" at containers[0].resources.limits.memory is not allowed by namespace rule: '
            "it does not satisfy any allowed resource policy "
            "(it violates policy Ratio, must not exceed 1536Mi; "
            "it violates policy MatchRequest, must be equal to the request of 1Gi)",
            id="none-that-allows",
        ),
        pytest.param([memory("deny", "Ratio", "1.5"), memory("allow", "Ratio", "2")], ("1Gi", "2Gi"), None, id="last"),
        pytest.param(
            [memory("deny", "Remove"), memory("deny", "Preserve")], ("1Gi", "2Gi"), None, id="preserve-clears"
        ),
        pytest.param(
            [memory("deny", "Remove"), memory("audit", "Preserve")],
            ("1Gi", "2Gi"),
            'limit "memory=2Gi" at containers[0].resources.limits.memory is denied by namespace rule: '
            "it violates policy Remove, must not be set",
            id="an-audit-clears-nothing",
        ),
        pytest.param(
            [rule(requests={"memory": {"policy": "Remove"}})],
            ("1Gi", None),
            'request "memory=1Gi" at containers[0].resources.requests.memory is denied by namespace rule: '
            "it violates policy Remove, must not be set",
            id="a-request",
        ),
        pytest.param(
            [memory("deny", "MatchRequest")],
            ("1Gi", None),
            'limit "memory=none" at containers[0].resources.limits.memory is denied by namespace rule: '
            "it violates policy MatchRequest, must be equal to the request of 1Gi",
            id="no-limit",
        ),
    ],
)
def test_refusals(
    ask: Ask,
    context: Make,
    refused: Said,
    rules: list[Any],
    amounts: tuple[str | None, str | None],
    message: str | None,
) -> None:
    expected = ALLOWED if message is None else refused(FORBIDDEN, f"workload resource {message}")
    assert check(ask("Pod", pod(*amounts)), context(*rules)) == expected


def test_an_audit_tells(ask: Ask, context: Make, audited: Said) -> None:
    verdict = check(ask("Pod", pod("1Gi", "2Gi")), context(memory("audit", "Ratio", "1.5")))
    assert verdict == audited(
        'workload resource limit "memory=2Gi" at containers[0].resources.limits.memory '
        "matched audit namespace rule: it violates policy Ratio, must not exceed 1536Mi"
    )


def test_a_resize_is_judged_where_it_changes_something(ask: Ask, context: Make) -> None:
    rules, stored = context(memory("deny", "Ratio", "1.5")), pod("1Gi", "4Gi")
    assert check(ask("Pod", stored, old=stored, subresource="resize"), rules) == ALLOWED
    assert check(ask("Pod", pod("1Gi", "3Gi"), old=stored, subresource="resize"), rules).denial is not None
    assert check(ask("Pod", pod("1Gi", "3Gi"), old=stored, subresource="status"), rules) == ALLOWED
    assert mutate(ask("Pod", pod("1Gi"), old=stored, subresource="resize"), rules) == UNCHANGED
    assert mutate(ask("Pod", pod("1Gi"), old=stored), rules) == UNCHANGED


def test_what_is_no_quantity_is_refused_not_changed(ask: Ask, context: Make) -> None:
    rules = context(memory("deny", "Ratio", "1.5"))
    verdict = check(ask("Pod", pod("much", "2Gi")), rules)
    assert verdict.denial is not None
    assert "'much' is no quantity" in verdict.denial.message
    assert mutate(ask("Pod", pod("much")), rules) == UNCHANGED


AMOUNT = st.none() | st.sampled_from(["100Mi", "1Gi", "1536Mi", "3", "2Gi", "10M"])
LIMITS = st.sampled_from([("Preserve", None), ("Default", "5Gi"), ("Remove", None), ("MatchRequest", None)])
RATIOS = st.sampled_from(["1", "1.5", "2", "3.3"]).map(lambda ratio: ("Ratio", ratio))
REQUESTS = st.sampled_from([("Preserve", None), ("Default", "64Mi"), ("Remove", None)])


@given(
    request=AMOUNT, limit=AMOUNT, limits=LIMITS | RATIOS, requests=REQUESTS, action=st.sampled_from(["deny", "allow"])
)
def test_what_mutate_makes_passes_and_is_left_alone(
    ask: Ask,
    context: Make,
    *,
    request: str | None,
    limit: str | None,
    limits: tuple[str, str | None],
    requests: tuple[str, str | None],
    action: str,
) -> None:
    def policy(name: str, value: str | None) -> dict[str, Any]:
        return {"memory": {"policy": name, **({"value": value} if value else {})}}

    rules = context(rule(action, requests=policy(*requests), limits=policy(*limits)))
    once = applied(pod(request, limit), mutate(ask("Pod", pod(request, limit)), rules).operations)
    assert mutate(ask("Pod", once), rules) == UNCHANGED
    own = once["spec"]["containers"][0]["resources"]
    if limits[0] == "Ratio" and (limit is not None or not own["requests"]):
        return  # A limit is not lowered and a request is not made up: those the check refuses.
    assert check(ask("Pod", once), rules) == ALLOWED

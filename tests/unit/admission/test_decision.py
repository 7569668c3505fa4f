"""Decisions, whole: from a request and what the caches know to the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.admission.decision import decide
from tenantry.admission.gathering import Reserved
from tenantry.admission.knowledge import Question, Topic, Unanswered
from tenantry.admission.live import LiveKnowledge
from tenantry.admission.reviews import ALLOWED_ANSWER, Answer
from tenantry.foundation.codec import DecodeError
from tenantry.foundation.patches import PatchOperation
from tenantry.tenancy.request import Operation, Request
from tenantry.tenancy.views import IngressUse

Ask = Callable[..., Request]
MUTATING, VALIDATING, CORDONED = "/admission/mutating", "/admission/validating", "/admission/validating/cordoned"
LABELS = {"capsule.clastix.io/managed-by": "solar", "projectcapsule.dev/tenant": "solar"}
RULE = {"enforce": {"action": "allow", "workloads": {"registries": [{"exp": "^good.example/"}]}}}


def pod(image: str) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "main", "image": image}]}}


def reason(answer: Answer) -> str | None:
    return None if answer.denial is None else answer.denial.reason


def test_an_object_gets_labels_and_a_verdict_of_its_tenant(world: Any, ask: Ask) -> None:
    world.tenant("solar", generation=2, rules=[RULE])
    good, bad = ask("pods", pod("good.example/app")), ask("pods", pod("bad.example/app"))

    assert decide(MUTATING, good, world.state) == Answer(
        tenant="solar", patch=(PatchOperation(op="add", path="/metadata/labels", value=LABELS),)
    )
    assert decide(VALIDATING, good, world.state) == Answer(tenant="solar")
    assert [reason(decide(path, bad, world.state)) for path in (VALIDATING, "/rules/generic/validating")] == [
        "ForbiddenContainerRegistry",
        "ForbiddenContainerRegistry",
    ]
    assert decide("/services/validating", bad, world.state) == ALLOWED_ANSWER


def test_an_object_that_is_not_of_its_kind_cannot_be_judged(world: Any, ask: Ask) -> None:
    world.tenant("solar", generation=2, rules=[RULE])

    with pytest.raises(DecodeError, match=r"\$.spec"):
        decide(VALIDATING, ask("pods", {"spec": 5}), world.state)


def test_outside_tenants_only_the_controllers_objects_are_guarded(world: Any, ask: Ask) -> None:
    """As a live read would find it: the namespace exists, and is in no tenant."""
    managed = {"metadata": {"name": "x", "labels": {"projectcapsule.dev/managed-by": "controller"}}}

    def answer(obj: Any, **more: Any) -> str | None:
        about = ask("configmaps", obj, namespace="default", **more)
        live = LiveKnowledge(
            answers={
                Question(Topic.NAMESPACE, "default"): None,
                Question(Topic.CONFIGURATION): world.state.installation.configuration,
                Question(Topic.TENANT_OWNERS): [],
            },
            requester=about.requester,
            own_accounts=frozenset(),
        )
        return reason(decide(VALIDATING, about, live, is_confirmation=True))

    assert [answer(managed), answer({"metadata": {"name": "x"}}), answer(managed, by="ada")] == [
        "ForbiddenLabel",
        None,
        None,
    ]


def test_the_endpoint_for_cordoned_namespaces_is_evidence_until_it_is_confirmed(world: Any, ask: Ask) -> None:
    write = ask("configmaps", {"metadata": {"name": "x"}})

    seen = [
        reason(decide(VALIDATING, write, world.state)),
        reason(decide(CORDONED, write, world.state)),
        reason(decide("/generic/cordoning", write, world.state)),
        reason(decide(CORDONED, write, world.state, is_confirmation=True)),
    ]
    world.namespace("solar-dev", "solar", **{"projectcapsule.dev/cordoned": "true"})
    seen += [
        reason(decide(VALIDATING, write, world.state)),
        reason(decide(CORDONED, write, world.state, is_confirmation=True)),
        reason(decide(CORDONED, ask("configmaps", {"metadata": {}}, by="ada"), world.state)),
    ]

    assert seen == [None, "Cordoned", "Cordoned", None, "Cordoned", "Cordoned", None]


def test_a_new_namespace_is_assigned_and_counted(world: Any, ask: Ask) -> None:
    world.tenant("solar", generation=2, namespaceOptions={"quota": 2})
    plain = ask("namespaces", {"metadata": {"name": "solar-new"}}, namespace="solar-new")

    mutated = decide(MUTATING, plain, world.state)
    reference = {"apiVersion": "capsule.clastix.io/v1beta2", "kind": "Tenant", "name": "solar", "uid": "solar-uid"}
    labels = {"capsule.clastix.io/tenant": "solar", "kubernetes.io/metadata.name": "solar-new"}
    assigned = ask(
        "namespaces",
        {"metadata": {"name": "solar-new", "labels": labels, "ownerReferences": [reference]}},
        namespace="solar-new",
    )

    def verdict(*counted: str) -> str | None:
        return reason(decide(VALIDATING, assigned, world.state, reserved=Reserved(namespaces=frozenset(counted))))

    assert {operation.path: operation.value for operation in mutated.patch}["/metadata/labels"] == labels
    assert [notice.reason for notice in mutated.notices] == ["TenantAssigned"]
    assert [verdict(), verdict("a"), verdict("a", "b"), verdict("a", "b", "solar-new")] == [
        None,
        None,
        "Overprovisioned",
        None,
    ]


def test_an_unknown_tenant_or_namespace_is_read_before_anything_is_refused(world: Any, ask: Ask) -> None:
    nobody = ask("namespaces", {"metadata": {"name": "x", "labels": {"capsule.clastix.io/tenant": "new"}}})
    questions = []
    for path, about in ((MUTATING, nobody), (VALIDATING, ask("pods", pod("a"), namespace="new-dev"))):
        with pytest.raises(Unanswered) as lack:
            decide(path, about, world.state)
        questions.append(lack.value.question)

    assert questions == [Question(Topic.TENANT, "new"), Question(Topic.NAMESPACE, "new-dev")]


def test_reserved_hosts_count_as_used(world: Any, ask: Ask) -> None:
    tenant = world.tenant("solar", generation=2, ingressOptions={"hostnameCollisionScope": "Cluster"})
    rules = [{"host": "shop.example", "http": {"paths": [{"path": "/a"}]}}]
    about = ask("ingresses", {"metadata": {"name": "web"}, "spec": {"rules": rules}}, group="networking.k8s.io")
    use = IngressUse(namespace="other", name="web", tenant="wind")

    def verdict(hosts: dict[tuple[str, str], tuple[IngressUse, ...]]) -> str | None:
        live = LiveKnowledge(
            answers={
                Question(Topic.NAMESPACE, "solar-dev"): world.state.namespace("solar-dev"),
                Question(Topic.TENANT, "solar"): tenant,
                Question(Topic.CONFIGURATION): world.state.installation.configuration,
                Question(Topic.TENANT_OWNERS): [],
                Question(Topic.PROMOTED_ACCOUNTS): [],
                Question(Topic.INGRESSES): [],
            },
            requester=about.requester,
            own_accounts=frozenset(),
        )
        return reason(decide(VALIDATING, about, live, reserved=Reserved(hosts=hosts)))

    assert [verdict({}), verdict({("shop.example", "/b"): (use,)}), verdict({("shop.example", "/a"): (use,)})] == [
        None,
        None,
        "IngressHostnameCollision",
    ]


def test_a_deletion_of_a_protected_tenant_is_refused(world: Any, ask: Ask) -> None:
    about = ask(
        "tenants",
        {"metadata": {"name": "solar"}, "spec": {"preventDeletion": True}},
        group="capsule.clastix.io",
        namespace="",
        name="solar",
        operation=Operation.DELETE,
    )

    answer = decide(VALIDATING, about, world.state)

    assert (answer.denial.message if answer.denial else "", answer.tenant) == (
        "tenant is protected and cannot be deleted",
        "solar",
    )

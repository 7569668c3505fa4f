"""PersistentVolumeClaims: classes, volumes of others, forced selectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.api.meta import LabelSelector, LabelSelectorRequirement
from tenantry.foundation.patches import PatchOperation
from tenantry.tenancy.checks import claims
from tenantry.tenancy.request import Request, Requester, Role
from tenantry.tenancy.verdict import ALLOWED, UNCHANGED, Mutation, denied
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Situation = Callable[..., ObjectContext]

TENANT = "capsule.clastix.io/tenant"
OURS = {"key": TENANT, "operator": "In", "values": ["oil"]}
BINDER = Requester(
    username="system:serviceaccount:kube-system:persistent-volume-binder",
    groups=frozenset({"system:serviceaccounts:kube-system"}),
)
STORAGE = {"storageClasses": {"allowed": ["gold"]}}
CROSS_TENANT = denied(
    "CrossTenantReference",
    "Preventing a cross-tenant mount for PersistentVolume pv: it must exist and carry the label "
    "capsule.clastix.io/tenant=oil",
)


def claim(*, annotations: dict[str, str] | None = None, phase: str = "Pending", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "data", "annotations": annotations},
        "spec": spec,
        "status": {"phase": phase},
    }


def forbidden(shown: str) -> Any:
    return denied(
        "ForbiddenStorageClass",
        f"Storage Class {shown} is forbidden for the current Tenant: use one from the following list (gold)",
    )


MISSING = denied(
    "MissingStorageClass",
    "Storage Class is missing, the current Tenant requires one: use one from the following list (gold)",
)


@pytest.mark.parametrize(
    ("submitted", "old", "verdict"),
    [
        pytest.param(claim(storageClassName="gold"), None, ALLOWED, id="allowed"),
        pytest.param(claim(), None, MISSING, id="missing"),
        pytest.param(claim(storageClassName="tin"), None, forbidden("tin"), id="forbidden"),
        pytest.param(claim(storageClassName=""), None, forbidden('""'), id="no class is a choice too"),
        pytest.param(
            claim(annotations={claims.CLASS_ANNOTATION: "tin"}, storageClassName="gold"),
            None,
            forbidden("tin"),
            id="the old annotation, which Kubernetes prefers",
        ),
        pytest.param(claim(annotations={claims.CLASS_ANNOTATION: "gold"}), None, ALLOWED, id="annotation, allowed"),
        pytest.param(
            claim(storageClassName="tin"), claim(storageClassName="tin"), ALLOWED, id="an update that leaves it"
        ),
        pytest.param(claim(storageClassName="tin"), claim(), forbidden("tin"), id="an update that sets it"),
    ],
)
def test_the_storage_class_is_set_and_allowed(
    ask: Ask, situation: Situation, submitted: dict[str, Any], old: dict[str, Any] | None, verdict: Any
) -> None:
    assert claims.check(ask("persistentvolumeclaims", submitted, old=old), situation(STORAGE)) == verdict


def test_without_a_list_no_class_is_required(ask: Ask, situation: Situation) -> None:
    assert claims.check(ask("persistentvolumeclaims", claim()), situation({"storageClasses": {}})) == ALLOWED


@pytest.mark.parametrize(
    ("volumes", "verdict"),
    [
        ({"pv": {TENANT: "oil"}}, ALLOWED),
        ({"pv": {TENANT: "gas"}}, CROSS_TENANT),
        ({"pv": {}}, CROSS_TENANT),
        ({}, CROSS_TENANT),
    ],
)
def test_a_named_volume_is_the_tenants_own(
    ask: Ask, situation: Situation, shelf: Any, volumes: dict[str, Any], verdict: Any
) -> None:
    context = situation(lookups=shelf(volumes=volumes))

    assert claims.check(ask("persistentvolumeclaims", claim(volumeName="pv")), context) == verdict
    # An unbound claim may still be given a volume's name: the way around.
    assert claims.check(ask("persistentvolumeclaims", claim(volumeName="pv"), old=claim()), context) == verdict


def test_the_volume_binder_writes_what_it_bound(ask: Ask, situation: Situation) -> None:
    request = ask("persistentvolumeclaims", claim(volumeName="pv"), old=claim(), requester=BINDER)

    assert claims.check(request, situation(role=Role.UNKNOWN)) == ALLOWED


def test_a_bound_claim_keeps_its_volume(ask: Ask, situation: Situation) -> None:
    bound = claim(volumeName="pv", phase="Bound")

    assert claims.check(ask("persistentvolumeclaims", bound, old=bound), situation()) == ALLOWED


@pytest.mark.parametrize(
    ("submitted", "selector"),
    [
        pytest.param(claim(), None, id="dynamic: untouched"),
        pytest.param(claim(selector={}), {"matchExpressions": [OURS]}, id="empty selector"),
        pytest.param(claim(volumeName="pv"), {"matchExpressions": [OURS]}, id="named volume"),
        pytest.param(
            claim(volumeName="pv", phase="Bound"), {"matchExpressions": [OURS]}, id="a phase that the client made up"
        ),
        pytest.param(claim(selector={"matchExpressions": [OURS]}), None, id="as it should be: untouched"),
        pytest.param(
            claim(
                selector={
                    "matchLabels": {TENANT: "gas", "disk": "ssd"},
                    "matchExpressions": [
                        {"key": TENANT, "operator": "Exists"},
                        {"key": "zone", "operator": "NotIn", "values": ["b", "a"]},
                        OURS,
                        {"key": TENANT, "operator": "In", "values": ["gas", "oil"]},
                    ],
                }
            ),
            {
                "matchLabels": {"disk": "ssd"},
                "matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["b", "a"]}, OURS],
            },
            id="conflicts go, other requirements stay",
        ),
        pytest.param(
            claim(selector={"matchLabels": {TENANT: "oil"}}), {"matchExpressions": [OURS]}, id="leaves matchLabels"
        ),
    ],
)
def test_static_binding_selects_the_tenants_volumes(
    ask: Ask, situation: Situation, submitted: dict[str, Any], selector: dict[str, Any] | None
) -> None:
    mutation = claims.mutate(ask("persistentvolumeclaims", submitted), situation())

    assert mutation == (
        UNCHANGED
        if selector is None
        else Mutation(operations=(PatchOperation(op="add", path="/spec/selector", value=selector),))
    )


@pytest.mark.parametrize(
    ("submitted", "old"),
    [
        pytest.param(claim(selector={}), claim(selector={}), id="a selector can't change later"),
        pytest.param(claim(selector={}), claim(phase="Bound"), id="bound"),
        pytest.param(claim(volumeName="pv"), claim(), id="the binder names the volume"),
    ],
)
def test_claims_that_exist_keep_their_selector(
    ask: Ask, situation: Situation, submitted: dict[str, Any], old: dict[str, Any]
) -> None:
    assert claims.mutate(ask("persistentvolumeclaims", submitted, old=old), situation()) == UNCHANGED


def test_a_repeated_apply_of_the_users_selector_ends_as_it_was(ask: Ask, situation: Situation) -> None:
    stored = claim(selector={"matchLabels": {"disk": "ssd"}, "matchExpressions": [OURS]})
    applied = claim(selector={"matchLabels": {"disk": "ssd"}})

    assert claims.mutate(ask("persistentvolumeclaims", applied, old=stored), situation()) == Mutation(
        operations=(PatchOperation(op="add", path="/spec/selector", value=stored["spec"]["selector"]),)
    )


_KEYS = st.sampled_from([TENANT, "a", "b"])
_REQUIREMENTS = st.builds(
    LabelSelectorRequirement,
    key=_KEYS,
    operator=st.sampled_from(["In", "NotIn", "Exists"]),
    values=st.lists(st.sampled_from(["oil", "gas"])).map(tuple),
)
_SELECTORS = st.none() | st.builds(
    LabelSelector,
    match_labels=st.none() | st.dictionaries(_KEYS, st.sampled_from(["oil", "gas"])),
    match_expressions=st.lists(_REQUIREMENTS, max_size=5).map(tuple),
)


@given(selector=_SELECTORS)
def test_the_requirement_stands_exactly_once_and_stays(selector: LabelSelector | None) -> None:
    forced = claims.own_selector(selector, "oil")

    assert [entry for entry in forced.match_expressions if entry.key == TENANT] == [
        LabelSelectorRequirement(key=TENANT, operator="In", values=("oil",))
    ]
    assert TENANT not in (forced.match_labels or {})
    assert claims.own_selector(forced, "oil") == forced

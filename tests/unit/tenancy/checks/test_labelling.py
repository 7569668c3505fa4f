"""Every namespaced object says which tenant it belongs to (CN-6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.tenancy.checks import labelling
from tenantry.tenancy.request import Request, Role
from tenantry.tenancy.verdict import UNCHANGED, Mutation
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Situation = Callable[..., ObjectContext]

CAPSULE = "capsule.clastix.io/managed-by"
PROJECT = "projectcapsule.dev/tenant"


def labelled(labels: dict[str, str] | None) -> dict[str, Any]:
    return {"metadata": {"name": "x", "labels": labels}}


@pytest.mark.parametrize(
    ("labels", "added"),
    [
        (None, {CAPSULE: "oil", PROJECT: "oil"}),
        ({"app": "web"}, {CAPSULE: "oil", PROJECT: "oil"}),
        ({CAPSULE: "oil"}, {PROJECT: "oil"}),
        ({CAPSULE: "gas", PROJECT: "oil"}, {CAPSULE: "oil"}),
        ({CAPSULE: "oil", PROJECT: "oil"}, {}),
    ],
)
@pytest.mark.parametrize("old", [None, labelled({CAPSULE: "oil", PROJECT: "oil"})])
def test_both_labels_are_put_where_they_lack_or_differ(
    ask: Ask, situation: Situation, labels: dict[str, str] | None, added: dict[str, str], old: dict[str, Any] | None
) -> None:
    mutation = labelling.mutate(ask("configmaps", labelled(labels), old=old), situation())

    assert mutation == (Mutation(labels=added) if added else UNCHANGED)


@pytest.mark.parametrize(
    ("resource", "subresource", "role"),
    [
        ("configmaps", "", Role.CONTROLLER),
        ("pods", "status", Role.CAPSULE_USER),
        ("pods", "binding", Role.CAPSULE_USER),
        ("events", "", Role.CAPSULE_USER),
        ("localsubjectaccessreviews", "", Role.CAPSULE_USER),
    ],
)
def test_what_is_not_stored_as_such_stays_as_it_is(
    ask: Ask, situation: Situation, resource: str, subresource: str, role: Role
) -> None:
    request = ask(resource, labelled(None), subresource=subresource)

    assert labelling.mutate(request, situation(role=role)) == UNCHANGED


def test_deletions_are_left_alone(ask: Ask, situation: Situation) -> None:
    assert labelling.mutate(ask("configmaps", None, old=labelled(None)), situation()) == UNCHANGED


@given(labels=st.dictionaries(st.sampled_from([CAPSULE, PROJECT, "app"]), st.sampled_from(["oil", "gas", ""])))
def test_labelling_again_changes_nothing(ask: Ask, situation: Situation, labels: dict[str, str]) -> None:
    once = labelling.mutate(ask("configmaps", labelled(labels)), situation())

    assert labelling.mutate(ask("configmaps", labelled({**labels, **once.labels})), situation()) == UNCHANGED

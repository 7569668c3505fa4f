"""What ``tenantry adopt`` does to each namespace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.api.core import Namespace
from tenantry.api.meta import CAPSULE_API_VERSION, ObjectMeta, OwnerReference
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import Raw, encode, from_plain
from tenantry.tenancy.inspection.adoption import Act, Adoption, adoptions, is_misplaced
from tenantry.tenancy.namespaces.context import NamespaceContext
from tenantry.tenancy.namespaces.ownership import update_denial
from tenantry.tenancy.request import Operation, Request, Requester, Role
from tenantry.tenancy.views import Installation, TenantView

Make = Callable[..., Any]


@pytest.fixture
def tenants(tenant: Make) -> dict[str, Tenant]:
    return {name: tenant(name) for name in ("oil", "gas")}


def adopted(tenants: dict[str, Tenant], *namespaces: ObjectMeta, migrate: bool = False) -> tuple[Adoption, ...]:
    return adoptions(tenants["oil"], namespaces, tenants, own_namespace="capsule-system", migrate=migrate)


CASES = {
    "in no tenant": ({}, Act.ADOPT, "it is in no tenant"),
    "restored, by label alone": (
        {"label": "oil"},
        Act.RESTORE,
        "it has the tenant's label, but no owner reference",
    ),
    "restored, with the uid of another time": (
        {"label": "oil", "refers_to": "oil", "uid": "old"},
        Act.RESTORE,
        "its owner reference has uid old, the tenant's is oil-uid",
    ),
    "without the label": (
        {"refers_to": "oil"},
        Act.RESTORE,
        "it has an owner reference, but not the tenant's label",
    ),
    "as it should be": ({"label": "oil", "refers_to": "oil"}, Act.KEEP, "it is in tenant 'oil' already"),
    "terminating": ({"deletion_timestamp": "2026-01-01T00:00:00Z"}, Act.REFUSE, "it is terminating"),
    "of another tenant": (
        {"label": "gas", "refers_to": "gas"},
        Act.REFUSE,
        "it is in tenant 'gas': --migrate takes it all the same",
    ),
    "marked as another's": (
        {"label": "gas"},
        Act.REFUSE,
        "it is marked as of tenant 'gas': --migrate takes it all the same",
    ),
    "of a tenant that is gone": (
        {"label": "coal", "refers_to": "coal"},
        Act.REFUSE,
        "it is marked as of tenant 'coal', which does not exist: --migrate takes it all the same",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_happens_depends_on_what_the_namespace_says(
    tenants: dict[str, Tenant], namespace: Make, case: str
) -> None:
    parts, act, why = CASES[case]

    (found,) = adopted(tenants, namespace("app", **parts))

    assert (found.namespace, found.act, found.why) == ("app", act, why)
    assert (found.patch is None) is (act in {Act.KEEP, Act.REFUSE})


@pytest.mark.parametrize("name", ["kube-system", "kube-public", "capsule-system"])
def test_the_cluster_s_own_namespaces_are_never_taken(tenants: dict[str, Tenant], namespace: Make, name: str) -> None:
    (found,) = adopted(tenants, namespace(name), migrate=True)

    assert (found.act, found.patch) == (Act.REFUSE, None)


def test_label_and_reference_are_written_in_one_patch_on_the_version_that_was_seen(
    tenants: dict[str, Tenant], namespace: Make
) -> None:
    """References of others stay; those to any other Tenant go."""
    other = OwnerReference(api_version="example.com/v1", kind="Team", name="x", uid="1")
    stale = OwnerReference(api_version="capsule.clastix.io/v1beta1", kind="Tenant", name="gas", uid="gas-uid")

    (found,) = adopted(tenants, namespace("app", label="gas", owner_references=(other, stale)), migrate=True)

    assert found == Adoption(
        namespace="app",
        act=Act.MIGRATE,
        why="it is in tenant 'gas'",
        patch={
            "metadata": {
                "resourceVersion": "7",
                "labels": {"capsule.clastix.io/tenant": "oil"},
                "ownerReferences": [
                    {"apiVersion": "example.com/v1", "kind": "Team", "name": "x", "uid": "1"},
                    {"apiVersion": CAPSULE_API_VERSION, "kind": "Tenant", "name": "oil", "uid": "oil-uid"},
                ],
            }
        },
    )


@pytest.mark.parametrize("case", [case for case, (_, act, _) in CASES.items() if act is not Act.KEEP])
def test_what_is_written_is_what_admission_lets_an_administrator_do(
    tenants: dict[str, Tenant], namespace: Make, case: str
) -> None:
    before: ObjectMeta = namespace("app", **CASES[case][0])
    (found,) = adopted(tenants, before, migrate=True)
    if found.patch is None:
        return
    changed = found.patch["metadata"]
    after = ObjectMeta(
        name="app",
        labels={**(before.labels or {}), **changed["labels"]},
        owner_references=from_plain(changed["ownerReferences"], tuple[OwnerReference, ...]),
    )
    request = Request(
        operation=Operation.UPDATE,
        kind="Namespace",
        resource="namespaces",
        name="app",
        requester=Requester(username="root"),
        object=Raw(encode(Namespace(metadata=after))),
        old_object=Raw(encode(Namespace(metadata=before))),
    )
    context = NamespaceContext(
        installation=Installation(),
        role=Role.ADMINISTRATOR,
        tenants={name: TenantView(tenant=each) for name, each in tenants.items()},
    )

    assert update_denial(request, before, after, context) is None
    assert not is_misplaced(after, tenants)


def test_the_doctor_calls_misplaced_what_adopt_would_mend(tenants: dict[str, Tenant], namespace: Make) -> None:
    misplaced = {
        case: is_misplaced(namespace("app", **parts), tenants)
        for case, (parts, _, _) in CASES.items()
        if case != "terminating"
    }

    assert [case for case, found in misplaced.items() if not found] == [
        "in no tenant",
        "as it should be",
        "of another tenant",
    ]

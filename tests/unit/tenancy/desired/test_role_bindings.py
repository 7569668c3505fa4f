"""RoleBindings of a tenant's namespace, compared whole."""

from __future__ import annotations

from tenantry.api.meta import LabelSelector, ObjectMeta
from tenantry.api.rules import RulePermissions, TenantRule
from tenantry.api.shared import AdditionalRoleBinding, CoreOwner, OwnerSpec, PromotedOwner, Subject
from tenantry.api.tenant import Tenant, TenantSpec
from tenantry.tenancy.desired.manifests import Manifest, TenantFacts
from tenantry.tenancy.desired.role_bindings import role_bindings, tenant_bindings

META = ObjectMeta(name="oil", uid="tenant-uid")
DEV = ObjectMeta(name="oil-dev", uid="ns-uid", labels={"env": "dev"})
OWNER_REFERENCE = {
    "apiVersion": "capsule.clastix.io/v1beta2",
    "kind": "Tenant",
    "name": "oil",
    "uid": "tenant-uid",
    "controller": True,
    "blockOwnerDeletion": True,
}


def bindings(facts: TenantFacts, namespace: ObjectMeta = DEV) -> list[Manifest]:
    return role_bindings(facts, namespace, tenant_bindings(facts))


def expected(digest: str, role: str, subjects: list[dict[str, str]], **extra: dict[str, str]) -> Manifest:
    labels = {
        **extra.get("labels", {}),
        "capsule.clastix.io/role-binding": digest,
        "projectcapsule.dev/tenant": "oil",
        "capsule.clastix.io/managed-by": "oil",
        "projectcapsule.dev/managed-by": "controller",
    }
    metadata: Manifest = {
        "name": f"capsule:managed:{digest}",
        "namespace": "oil-dev",
        "labels": labels,
        "ownerReferences": [OWNER_REFERENCE],
    }
    if "annotations" in extra:
        metadata["annotations"] = extra["annotations"]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    }


ALICE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}
BOT = {"kind": "ServiceAccount", "name": "bot", "namespace": "ci"}


def test_an_owner_gets_one_binding_for_each_role() -> None:
    """The digests are FNV-1a of role, group, kind, namespace, name, each with its length before it."""
    facts = TenantFacts(
        tenant=Tenant(metadata=META), owners=(CoreOwner(kind="User", name="alice", cluster_roles=("admin", "view")),)
    )

    assert bindings(facts) == [
        expected("f93a4d3523f699fb", "admin", [ALICE]),
        expected("5b058657159b8948", "view", [ALICE]),
    ]


def test_a_service_account_owner_is_bound_by_its_parts_and_without_a_group() -> None:
    owner = CoreOwner(kind="ServiceAccount", name="system:serviceaccount:ci:bot", cluster_roles=("admin",))

    (made,) = bindings(TenantFacts(tenant=Tenant(metadata=META), owners=(owner,)))

    assert made["subjects"] == [BOT]


def test_declared_labels_and_annotations_are_copied_and_the_product_s_win() -> None:
    spec = TenantSpec(
        owners=(
            OwnerSpec(
                kind="User",
                name="alice",
                cluster_roles=("admin",),
                labels={"team": "a", "projectcapsule.dev/tenant": "forged"},
                annotations={"note": "x"},
            ),
        )
    )
    facts = TenantFacts(
        tenant=Tenant(metadata=META, spec=spec),
        owners=(CoreOwner(kind="User", name="alice", cluster_roles=("admin",)),),
    )

    assert bindings(facts) == [
        expected("f93a4d3523f699fb", "admin", [ALICE], labels={"team": "a"}, annotations={"note": "x"})
    ]
    assert spec.owners[0].labels == {"team": "a", "projectcapsule.dev/tenant": "forged"}


def test_an_additional_binding_is_one_object_with_all_subjects_as_given() -> None:
    """The server fills in the group of users; the name is made from what was declared."""
    declared = AdditionalRoleBinding(
        cluster_role_name="view",
        subjects=(
            Subject(kind="User", name="alice"),
            Subject(kind="ServiceAccount", name="bot", namespace="ci"),
        ),
    )
    facts = TenantFacts(tenant=Tenant(metadata=META, spec=TenantSpec(additional_role_bindings=(declared, declared))))

    (made,) = bindings(facts)

    assert made == expected(made["metadata"]["name"].rpartition(":")[2], "view", [ALICE, BOT])


def test_bindings_of_rules_and_promotions_reach_the_selected_namespaces_alone() -> None:
    spec = TenantSpec(
        rules=(
            TenantRule(
                namespace_selector=LabelSelector(match_labels={"env": "dev"}),
                permissions=RulePermissions(
                    bindings=(
                        AdditionalRoleBinding(
                            cluster_role_name="view",
                            subjects=(Subject(api_group="rbac.authorization.k8s.io", kind="User", name="alice"),),
                        ),
                    )
                ),
            ),
        )
    )
    promoted = PromotedOwner(
        kind="ServiceAccount", name="system:serviceaccount:ci:bot", cluster_roles=("edit",), targets=("oil-dev",)
    )
    facts = TenantFacts(tenant=Tenant(metadata=META, spec=spec), promotions=(promoted,))

    assert [(made["roleRef"]["name"], made["subjects"]) for made in bindings(facts)] == [
        ("view", [ALICE]),
        ("edit", [BOT]),
    ]
    assert bindings(facts, ObjectMeta(name="oil-prod", labels={"env": "prod"})) == []

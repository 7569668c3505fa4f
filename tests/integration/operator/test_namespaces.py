"""What a namespace of a tenant receives, keeps and loses; on a real API server, with an installation's rights."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tenantry.api.rule_status import RuleStatus
from tenantry.kube.client import Client
from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import (
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    RULE_STATUSES,
    TENANTS,
)

ADMIN = "capsule:managed:f93a4d3523f699fb"
"""The binding of ClusterRole admin to User alice."""
SPEC: dict[str, Any] = {
    "limitRanges": {"items": [{"limits": [{"type": "Container", "max": {"cpu": "2000m"}}]}]},
    "networkPolicies": {"items": [{"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {}}]}]}]},
    "resourceQuotas": {"scope": "Namespace", "items": [{"hard": {"pods": 10, "limits.memory": "1536Mi"}}]},
    "rules": [{"enforce": {"workloads": {"schedulers": [{"exact": ["slow"]}]}}}],
}
RESOURCES = (LIMIT_RANGES, NETWORK_POLICIES, RESOURCE_QUOTAS, ROLE_BINDINGS, RULE_STATUSES)


def without_server_fields(stored: dict[str, Any]) -> dict[str, Any]:
    for key in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
        stored["metadata"].pop(key, None)
    stored.pop("status", None)
    return stored


async def exists(admin: Client, resource: Any, name: str, namespace: str | None = None) -> bool:
    try:
        await admin.get(resource, name, namespace)
    except NotFoundError:
        return False
    return True


@pytest.mark.usefixtures("running")
async def test_a_namespace_receives_everything(world: Any) -> None:
    """Names, labels, owner and content are what Capsule's users rely on, and nothing else is there."""
    tenant = await world.tenant(**SPEC)
    name = await world.namespace(tenant)
    await world.ready(tenant)
    team = tenant.metadata.name

    def expected(kind: str, version: str, own: str, labels: dict[str, str], **content: Any) -> dict[str, Any]:
        return {
            "apiVersion": version,
            "kind": kind,
            "metadata": {
                "name": own,
                "namespace": name,
                "labels": {
                    "projectcapsule.dev/tenant": team,
                    "capsule.clastix.io/managed-by": team,
                    "projectcapsule.dev/managed-by": "controller",
                }
                | labels,
                "ownerReferences": [
                    {
                        "apiVersion": "capsule.clastix.io/v1beta2",
                        "kind": "Tenant",
                        "name": team,
                        "uid": tenant.metadata.uid,
                        "controller": True,
                        "blockOwnerDeletion": True,
                    }
                ],
            },
        } | content

    rbac = "rbac.authorization.k8s.io"
    wanted = [
        expected(
            "LimitRange",
            "v1",
            f"capsule-{team}-0",
            {"capsule.clastix.io/limit-range": "0"},
            spec={
                "limits": [
                    {
                        "type": "Container",
                        "max": {"cpu": "2"},
                        "default": {"cpu": "2"},
                        "defaultRequest": {"cpu": "2"},
                    }
                ]
            },
        ),
        expected(
            "NetworkPolicy",
            "networking.k8s.io/v1",
            f"capsule-{team}-0",
            {"capsule.clastix.io/network-policy": "0"},
            spec={"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {}}]}], "policyTypes": ["Ingress"]},
        ),
        expected(
            "ResourceQuota",
            "v1",
            f"capsule-{team}-0",
            {"capsule.clastix.io/resource-quota": "0"},
            spec={"hard": {"pods": "10", "limits.memory": "1536Mi"}},
        ),
        expected(
            "RoleBinding",
            f"{rbac}/v1",
            ADMIN,
            {"capsule.clastix.io/role-binding": "f93a4d3523f699fb"},
            roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": "admin"},
            subjects=[{"apiGroup": rbac, "kind": "User", "name": "alice"}],
        ),
        expected(
            "RuleStatus",
            "capsule.clastix.io/v1beta2",
            "capsule-managed-rules",
            {"projectcapsule.dev/name": "capsule-managed-rules"},
            spec=[
                {
                    "enforce": {
                        "action": "deny",
                        "workloads": {"schedulers": [{"exact": ["slow"], "negate": False}]},
                    }
                }
            ],
        ),
    ]
    stored = []
    for resource in RESOURCES:
        listed = (await world.admin.list(resource, name)).items
        stored += [without_server_fields(await world.plain(resource.path(name, each.metadata.name))) for each in listed]
    assert stored == wanted


async def test_what_is_as_it_should_be_costs_no_call(start: Any, world: Any, idle: Any) -> None:
    """A restarted operator looks at everything and writes nothing."""
    async with start() as first:
        tenant = await world.tenant(**SPEC)
        await world.namespace(tenant)
        await world.ready(tenant)
        await idle(first)
    async with start() as second:
        await idle(second)
        writes = {call: count for call, count in second.calls.items() if call != ("get", "customresourcedefinitions")}

    assert writes == {}


DRIFT: list[tuple[Any, str, list[dict[str, Any]]]] = [
    (LIMIT_RANGES, "capsule-{team}-0", [{"op": "add", "path": "/spec/limits/-", "value": {"type": "Pod"}}]),
    (RESOURCE_QUOTAS, "capsule-{team}-0", [{"op": "add", "path": "/spec/hard/services", "value": "1"}]),
    (NETWORK_POLICIES, "capsule-{team}-0", [{"op": "add", "path": "/spec/egress", "value": [{}]}]),
    (ROLE_BINDINGS, ADMIN, [{"op": "add", "path": "/subjects/-", "value": {"kind": "User", "name": "eve"}}]),
    (ROLE_BINDINGS, ADMIN, [{"op": "remove", "path": "/metadata/labels"}]),
    (RULE_STATUSES, "capsule-managed-rules", [{"op": "replace", "path": "/spec", "value": []}]),
    (RULE_STATUSES, "capsule-managed-rules", [{"op": "remove", "path": "/metadata/ownerReferences"}]),
]


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("resource", "name", "patch"), DRIFT)
async def test_third_party_edits_are_put_back(
    world: Any, resource: Any, name: str, patch: list[dict[str, Any]]
) -> None:
    """Additions too, which server-side apply alone would leave."""
    tenant = await world.tenant(**SPEC)
    namespace = await world.namespace(tenant)
    await world.ready(tenant)
    path = resource.path(namespace, name.format(team=tenant.metadata.name))
    before = without_server_fields(await world.plain(path))

    await world.admin.patch(resource, path.rpartition("/")[2], namespace, patch=patch, kind="json")

    async def is_back() -> bool:
        return without_server_fields(await world.plain(path)) == before

    await world.eventually(is_back)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("resource", RESOURCES)
async def test_what_is_deleted_comes_back(world: Any, resource: Any) -> None:
    tenant = await world.tenant(**SPEC)
    namespace = await world.namespace(tenant)
    await world.ready(tenant)
    (old,) = (await world.admin.list(resource, namespace)).items

    await world.admin.delete(resource, old.metadata.name, namespace)

    async def is_back() -> bool:
        return [each.metadata.name for each in (await world.admin.list(resource, namespace)).items] == [
            old.metadata.name
        ]

    await world.eventually(is_back)


async def test_labels_of_others_stay_and_cause_no_writes(running: Any, world: Any, idle: Any) -> None:
    """Backup and delivery tools mark objects; a controller that fought them would write for ever."""
    tenant = await world.tenant(**SPEC)
    namespace = await world.namespace(tenant)
    await world.ready(tenant)
    name = f"capsule-{tenant.metadata.name}-0"
    await world.admin.patch(
        LIMIT_RANGES, name, namespace, patch={"metadata": {"labels": {"backup": "daily"}}}, kind="merge"
    )
    await idle(running)
    before = running.calls[("apply", "limitranges")]
    await idle(running)

    labels = (await world.admin.get(LIMIT_RANGES, name, namespace)).metadata.labels
    assert labels["backup"] == "daily"
    assert running.calls[("apply", "limitranges")] == before


@pytest.mark.usefixtures("running")
async def test_an_edit_reaches_all_namespaces_and_removes_what_left_the_spec(world: Any) -> None:
    tenant = await world.tenant(**SPEC)
    names = [await world.namespace(tenant, suffix) for suffix in ("a", "b", "c")]
    await world.ready(tenant, 3)

    await world.edit(
        tenant,
        limitRanges={"items": [{"limits": [{"type": "Container", "max": {"cpu": "4"}}]}]},
        networkPolicies=None,
        owners=[{"kind": "User", "name": "bob", "clusterRoles": ["view"]}],
    )
    await world.ready(tenant, 3)

    found = [
        (
            [each.spec["limits"][0]["max"] for each in (await world.admin.list(LIMIT_RANGES, name)).items],
            (await world.admin.list(NETWORK_POLICIES, name)).items,
            [
                (each.role_ref.name, each.subjects[0].name)
                for each in (await world.admin.list(ROLE_BINDINGS, name)).items
            ],
        )
        for name in names
    ]
    assert found == [([{"cpu": "4"}], [], [("view", "bob")])] * 3


@pytest.mark.usefixtures("running")
async def test_managed_metadata_goes_and_the_user_s_stays(world: Any) -> None:
    """The labels belong to other field managers: what to take away, the Tenant's status tells (13.11)."""
    tenant = await world.tenant(
        namespaceOptions={
            "additionalMetadata": {"labels": {"tier": "gold", "team": "oil"}, "annotations": {"note": "x"}}
        }
    )
    name = await world.namespace(tenant, labels={"mine": "yes"})
    stored = await world.ready(tenant)
    assert stored.status.spaces[0].metadata.labels == {"tier": "gold", "team": "oil"}

    await world.edit(tenant, namespaceOptions={"additionalMetadata": {"labels": {"team": None}, "annotations": None}})
    stored = await world.ready(tenant)

    metadata = (await world.admin.get(NAMESPACES, name)).metadata
    assert (metadata.labels, metadata.annotations, stored.status.spaces[0].metadata.labels) == (
        {
            "kubernetes.io/metadata.name": name,
            "capsule.clastix.io/tenant": tenant.metadata.name,
            "mine": "yes",
            "tier": "gold",
        },
        None,
        {"tier": "gold"},
    )


@pytest.mark.usefixtures("running")
async def test_the_label_of_the_tenant_comes_back(world: Any) -> None:
    """Superusers are not asked by admission: what they break, the controllers mend."""
    tenant = await world.tenant()
    name = await world.namespace(tenant)
    await world.ready(tenant)

    await world.admin.patch(
        NAMESPACES, name, patch={"metadata": {"labels": {"capsule.clastix.io/tenant": "other"}}}, kind="merge"
    )

    async def is_back() -> bool:
        labels = (await world.admin.get(NAMESPACES, name)).metadata.labels
        return bool(labels["capsule.clastix.io/tenant"] == tenant.metadata.name)

    await world.eventually(is_back)


@pytest.mark.usefixtures("running")
async def test_a_namespace_that_leaves_loses_what_was_made_for_it(world: Any) -> None:
    tenant = await world.tenant(**SPEC)
    name = await world.namespace(tenant)
    await world.ready(tenant)
    own = {"metadata": {"name": "mine", "namespace": name}, "spec": {"podSelector": {}}}
    await world.admin.create(NETWORK_POLICIES, own, name)

    patch = {"metadata": {"labels": {"capsule.clastix.io/tenant": None}, "ownerReferences": None}}
    await world.admin.patch(NAMESPACES, name, patch=patch, kind="merge")
    await world.ready(tenant, 0)

    async def left() -> list[str]:
        return [each.metadata.name for resource in RESOURCES for each in (await world.admin.list(resource, name)).items]

    async def is_clear() -> bool:
        return await left() == ["mine"]

    await world.eventually(is_clear)


@pytest.mark.usefixtures("running")
async def test_a_namespace_that_migrates_gets_the_new_tenant_s_things(world: Any) -> None:
    """Also where both tenants make an object of the same name: owner and role are the same here."""
    old, new = await world.tenant(**SPEC), await world.tenant()
    name = await world.namespace(old)
    await world.ready(old)

    reference = {"apiVersion": new.api_version, "kind": "Tenant", "name": new.metadata.name, "uid": new.metadata.uid}
    patch = {
        "metadata": {
            "labels": {"capsule.clastix.io/tenant": new.metadata.name},
            "ownerReferences": [reference],
        }
    }
    await world.admin.patch(NAMESPACES, name, patch=patch, kind="merge")
    await world.ready(old, 0)
    await world.ready(new, 1)

    async def owners() -> list[tuple[str, list[str]]]:
        return [
            (each.metadata.name, [owner.name for owner in each.metadata.owner_references])
            for resource in RESOURCES
            for each in (await world.admin.list(resource, name)).items
        ]

    assert await owners() == [(ADMIN, [new.metadata.name]), ("capsule-managed-rules", [new.metadata.name])]


async def test_a_restored_namespace_is_left_alone_until_it_is_adopted(running: Any, world: Any, idle: Any) -> None:
    """Its Tenant is a new one of the old name: what came back with the backup must not be deleted."""
    tenant = await world.tenant()
    name = world.unique("restored")
    metadata = {"name": name, "labels": {"capsule.clastix.io/tenant": tenant.metadata.name}}
    await world.admin.create(NAMESPACES, {"metadata": metadata})
    binding = {
        "metadata": {"name": ADMIN, "labels": {"projectcapsule.dev/managed-by": "controller"}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
    }
    await world.admin.create(ROLE_BINDINGS, binding, name)
    await idle(running)

    assert await exists(world.admin, ROLE_BINDINGS, ADMIN, name)
    assert (await world.stored(tenant)).status.size == 0


async def test_a_binding_that_squats_on_the_name_is_taken_over(start: Any, world: Any) -> None:
    """An owner may create RoleBindings; one of our name with another role would otherwise stay for ever."""
    tenant = await world.tenant()
    name = await world.namespace(tenant)
    squatter = {
        "metadata": {"name": ADMIN},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve"}],
    }
    await world.admin.create(ROLE_BINDINGS, squatter, name)
    async with start():
        await world.ready(tenant)

    stored = await world.admin.get(ROLE_BINDINGS, ADMIN, name)
    assert (stored.role_ref.name, [each.name for each in stored.subjects]) == ("admin", ["alice"])


@pytest.mark.usefixtures("running")
async def test_a_spec_that_the_server_refuses_is_told_and_the_rest_is_made(world: Any) -> None:
    tenant = await world.tenant(**SPEC | {"limitRanges": {"items": [{"limits": [{"type": "Nonsense!"}]}]}})
    name = await world.namespace(tenant)

    async def message() -> str:
        stored = await world.stored(tenant)
        return next((each.message for each in stored.status.conditions if each.reason == "Failed"), "")

    async def is_told() -> bool:
        return f"{name}: LimitRange capsule-{tenant.metadata.name}-0: " in await message()

    await world.eventually(is_told)
    assert await exists(world.admin, ROLE_BINDINGS, ADMIN, name)

    await world.edit(tenant, limitRanges=None)
    await world.ready(tenant)


@pytest.mark.usefixtures("running")
async def test_a_role_that_may_not_be_bound_is_told(world: Any) -> None:
    """The installation's rights name the roles that it may hand out: cluster-admin is none of them."""
    tenant = await world.tenant(owners=[{"kind": "User", "name": "alice", "clusterRoles": ["cluster-admin"]}])
    await world.namespace(tenant)

    async def is_told() -> bool:
        stored = await world.stored(tenant)
        return any(
            each.reason == "Failed" and "right to bind ClusterRole cluster-admin" in each.message
            for each in stored.status.conditions
        )

    await world.eventually(is_told)


@pytest.mark.usefixtures("running")
async def test_a_rule_that_can_t_be_rendered_is_told_and_not_shown_as_in_force(world: Any) -> None:
    tenant = await world.tenant(
        rules=[{"enforce": {"workloads": {"schedulers": [{"exact": ["{{ .tenant.spec.data.x }}"]}]}}}]
    )
    name = await world.namespace(tenant)

    async def is_told() -> bool:
        stored = await world.stored(tenant)
        return any(each.reason == "Failed" and "rules[0]" in each.message for each in stored.status.conditions)

    await world.eventually(is_told)
    await world.edit(tenant, data={"x": "slow"})
    await world.ready(tenant)
    status: RuleStatus = await world.admin.get(RULE_STATUSES, "capsule-managed-rules", name)
    assert status.status.rules == status.spec
    assert status.spec[0].enforce is not None


@pytest.mark.usefixtures("running")
async def test_an_expression_that_does_not_compile_harms_nobody_else(
    world: Any, eventually: Callable[..., Awaitable[None]]
) -> None:
    """D-13, D-16: it got past validation, say while admission was away; the Tenant says so, everything else goes on."""
    broken = await world.tenant(
        storageClasses={"allowedRegex": "("},
        containerRegistries={"allowedRegex": "["},
        rules=[{"enforce": {"workloads": {"registries": [{"exp": "("}]}}}],
    )
    await world.namespace(broken)
    sound = await world.tenant()
    await world.namespace(sound)

    await world.ready(sound)

    async def is_told() -> bool:
        conditions = {each.type: each for each in (await world.stored(broken)).status.conditions}
        ready = conditions.get("Ready")
        return ready is not None and (ready.status, ready.reason) == ("False", "Failed") and "(" in ready.message

    await eventually(is_told)


@pytest.mark.usefixtures("running")
async def test_a_terminating_namespace_keeps_its_bindings(
    world: Any, eventually: Callable[..., Awaitable[None]]
) -> None:
    """Owners must be able to mend what holds it up; the Tenant is done with it only when it is gone."""
    tenant = await world.tenant()
    name = await world.namespace(tenant)
    await world.ready(tenant)
    finalizer = {"metadata": {"finalizers": ["example.com/hold"]}}
    await world.admin.patch(ROLE_BINDINGS, ADMIN, name, patch=finalizer, kind="merge")
    await world.admin.delete(NAMESPACES, name)

    async def is_terminating() -> bool:
        stored = await world.stored(tenant)
        return [each.conditions[0].reason for each in stored.status.spaces] == ["Terminating"]

    await eventually(is_terminating)
    stored = await world.stored(tenant)
    assert (stored.status.size, stored.metadata.finalizers) == (1, ("controller.projectcapsule.dev/finalize",))

    await world.admin.patch(ROLE_BINDINGS, ADMIN, name, patch={"metadata": {"finalizers": None}}, kind="merge")

    async def is_gone() -> bool:
        now = await world.admin.get(TENANTS, tenant.metadata.name)
        return (now.status.size, now.status.spaces, now.metadata.finalizers) == (0, (), ())

    await eventually(is_gone)

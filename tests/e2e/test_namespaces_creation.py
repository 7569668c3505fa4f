"""New namespaces: which tenant they go into, what they carry, and what keeps them from being made (N-1 to N-22)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from tenantry.api import labels
from tenantry.kube.client import Client
from tenantry.kube.errors import ForbiddenError, NotFoundError
from tenantry.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    EVENTS,
    NAMESPACES,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    TENANTS,
)
from tenantry.testing.world import World

JSON = dict[str, Any]
OPERATOR = "system:serviceaccount:capsule-system:capsule"


def owned_by(*users: str, **spec: Any) -> JSON:
    return {"owners": [{"kind": "User", "name": user} for user in users], **spec}


def namespace(name: str = "", **metadata: Any) -> JSON:
    named = {"name": name} if name else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": named | metadata}


async def create(client: Client, name: str, **metadata: Any) -> None:
    await client.create(NAMESPACES, namespace(name, **metadata))


async def refused(client: Client, name: str, **metadata: Any) -> str:
    with pytest.raises(ForbiddenError) as caught:
        await create(client, name, **metadata)
    return caught.value.message


async def ownership(world: World, name: str) -> tuple[Mapping[str, str], Any]:
    metadata = (await world.stored(NAMESPACES, name))["metadata"]
    return metadata["labels"], metadata.get("ownerReferences")


def in_tenant(tenant: Any, name: str, **more: str) -> tuple[Mapping[str, str], Any]:
    """What a namespace of *tenant* carries, whole."""
    reference = {
        "apiVersion": "capsule.clastix.io/v1beta2",
        "kind": "Tenant",
        "name": tenant.metadata.name,
        "uid": tenant.metadata.uid,
    }
    return {labels.TENANT: tenant.metadata.name, labels.METADATA_NAME: name, **more}, [reference]


async def test_the_only_owned_tenant_is_the_one(world: World) -> None:
    """N-4, N-7: whole labels and references, and the event TenantAssigned."""
    user = world.unique("ada")
    tenant = await world.tenant(owned_by(user))
    ada, name = await world.user(user), world.unique("dev")

    await create(ada, name, labels={"app": "shop"}, annotations={"note": "mine"})

    assert await ownership(world, name) == in_tenant(tenant, name, app="shop")
    assert (await world.stored(NAMESPACES, name))["metadata"]["annotations"] == {"note": "mine"}

    async def assigned() -> JSON | None:
        events = await world.listed(EVENTS, "default")
        return next((e for e in events if e["reason"] == "TenantAssigned" and e["regarding"]["name"] == name), None)

    event = await world.eventually(assigned)
    assert (event["type"], event["action"], event["reportingController"]) == (
        "Normal",
        "Mutated",
        "controller.projectcapsule.dev",
    )
    assert event["related"]["name"] == tenant.metadata.name
    assert event["metadata"]["annotations"]["audit.projectcapsule.dev/username"] == user


async def test_owners_by_group_and_by_account(world: World) -> None:
    """A group owner, and an owner that is a ServiceAccount outside of all tenants."""
    group, home = world.unique("group"), world.unique("gitops")
    await world.admin.create(NAMESPACES, namespace(home))
    robot = f"system:serviceaccount:{home}:robot"
    owners = [{"kind": "Group", "name": group}, {"kind": "ServiceAccount", "name": robot}]
    tenant = await world.tenant({"owners": owners})
    async with world.configured(
        users=[{"kind": "Group", "name": labels.DEFAULT_USER_GROUP}, {"kind": "ServiceAccount", "name": robot}]
    ):
        for client in (
            await world.user("whoever", (labels.DEFAULT_USER_GROUP, group)),
            world.account(home, "robot"),
            world.acting(robot, ("system:serviceaccounts", labels.DEFAULT_USER_GROUP)),
        ):
            name = world.unique("dev")
            await world.eventually(lambda client=client, name=name: _made(client, name))  # type: ignore[misc]
            assert await ownership(world, name) == in_tenant(tenant, name)


async def _made(client: Client, name: str) -> bool:
    """RBAC follows the configuration a moment later."""
    await create(client, name)
    return True


async def test_who_owns_nothing_makes_nothing(world: World) -> None:
    """N-2, N-3: and a tenant that does not exist is refused in the words for one of others."""
    tenant = await world.tenant(owned_by(world.unique("ada")))
    nobody, name = await world.user(world.unique("nobody")), world.unique("dev")

    assert "You do not have any Tenant assigned: please, reach out to the system administrators" in await refused(
        nobody, name
    )
    for value in (tenant.metadata.name, "no-such-tenant", ""):
        message = await refused(nobody, name, labels={labels.TENANT: value})
        assert "can not assign the desired namespace to a non-owned Tenant" in message


async def test_one_of_several_tenants_is_found_by_prefix_or_label(world: World) -> None:
    """N-5: the longest name that fits; the label decides everything; none fits: refused."""
    user, base = world.unique("ada"), world.unique("oil")
    short = await world.tenant(owned_by(user), name=base)
    # Found by user and by group: one tenant all the same.
    both, group = owned_by(user), world.unique("group")
    both["owners"].append({"kind": "Group", "name": group})
    long = await world.tenant(both, name=f"{base}-gas")
    ada = await world.user(user, (labels.DEFAULT_USER_GROUP, group))

    for name, label, expected in (
        (f"{base}-dev", None, short),
        (f"{base}-gas-dev", None, long),
        (f"{base}-gasoline", None, short),
        (f"{base}-gas-two", base, short),
        (world.unique("anything"), f"{base}-gas", long),
    ):
        await create(ada, name, labels={labels.TENANT: label} if label else {})
        assert await ownership(world, name) == in_tenant(expected, name), name

    message = await refused(ada, world.unique("other"))
    assert "Unable to assign namespace to tenant. Please use capsule.clastix.io/tenant label" in message
    assert "Unable to assign" in await refused(ada, base)
    async with world.configured(forceTenantPrefix=True):
        assert "prefix used doesn't match any available Tenant" in await refused(ada, world.unique("other"))


async def test_names_are_generated_in_the_tenant(world: World) -> None:
    user = world.unique("ada")
    tenant = await world.tenant(
        owned_by(
            user,
            forceTenantPrefix=True,
            namespaceOptions={
                "additionalMetadataList": [{"labels": {"who": "{{tenant.name}}", "what": "{{namespace}}"}}]
            },
        )
    )
    ada = await world.user(user)

    made = await ada.create(NAMESPACES, namespace(generateName=f"{tenant.metadata.name}-"))

    name = made.metadata.name
    assert re.fullmatch(f"{tenant.metadata.name}-[a-z0-9]{{5}}", name)

    async def complete() -> bool:
        expected = in_tenant(tenant, name, who=tenant.metadata.name, what=name)
        return await ownership(world, name) == expected

    await world.eventually(complete)
    with pytest.raises(ForbiddenError, match="doesn't match the tenant prefix"):
        await ada.create(NAMESPACES, namespace(generateName="other-"))


async def test_a_dry_run_makes_and_counts_nothing(world: World) -> None:
    user = world.unique("ada")
    tenant = await world.tenant(owned_by(user, namespaceOptions={"quota": 1}))
    ada, name = await world.user(user), world.unique("dev")

    for _ in range(3):
        made = await ada.create(NAMESPACES, namespace(name), dry_run=True)
        assert (made.metadata.labels or {})[labels.TENANT] == tenant.metadata.name
    await create(ada, name)
    with pytest.raises(ForbiddenError, match="Cannot exceed Namespace quota"):
        await ada.create(NAMESPACES, namespace(world.unique("dev")), dry_run=True)


async def test_unknown_requesters_and_administrators_stay_outside(world: World) -> None:
    """N-1, N-6, N-21: a tenant is entered by its owners and, with the label, by administrators."""
    tenant = await world.tenant(owned_by(world.unique("ada")))
    label = {labels.TENANT: tenant.metadata.name}
    reference = in_tenant(tenant, "")[1]
    provisioner = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    binding, group = world.unique("outsiders"), world.unique("outsiders")
    subject = {"kind": "Group", "name": group, "apiGroup": "rbac.authorization.k8s.io"}
    await world.admin.create(
        CLUSTER_ROLE_BINDINGS, {"metadata": {"name": binding}, "roleRef": provisioner, "subjects": [subject]}
    )
    outsider, boss = world.acting("outsider", (group,)), world.acting("boss", (group,))
    try:
        bare = world.unique("bare")
        await world.eventually(lambda: _made(outsider, bare))
        assert await ownership(world, bare) == ({labels.METADATA_NAME: bare}, None)
        for metadata in (
            {"labels": label},
            {"ownerReferences": reference},
            {"labels": label, "ownerReferences": reference},
        ):
            message = await refused(outsider, world.unique("dev"), **metadata)
            assert "only tenant owners can create tenant-owned namespaces" in message
        async with world.configured(administrators=[{"kind": "User", "name": "boss"}]):
            await create(boss, bare := world.unique("bare"))
            assert await ownership(world, bare) == ({labels.METADATA_NAME: bare}, None)
            await create(boss, name := world.unique("dev"), labels=label)
            assert await ownership(world, name) == in_tenant(tenant, name)
            await refused(boss, world.unique("dev"), labels={labels.TENANT: "no-such-tenant"})
    finally:
        await world.admin.delete(CLUSTER_ROLE_BINDINGS, binding)


async def test_a_reference_of_the_owners_own_making_is_put_right(world: World) -> None:
    """CVE-2025-55205: whatever references an owner submits, exactly the tenant's is stored."""
    user = world.unique("ada")
    tenant = await world.tenant(owned_by(user))
    other = await world.tenant(owned_by(world.unique("bob")))
    ada = await world.user(user)
    foreign = in_tenant(other, "")[1]
    for references in (foreign, [*foreign, *in_tenant(tenant, "")[1]], [foreign[0] | {"uid": tenant.metadata.uid}]):
        await create(ada, name := world.unique("dev"), ownerReferences=references)
        assert await ownership(world, name) == in_tenant(tenant, name)
    message = await refused(
        ada, world.unique("dev"), ownerReferences=foreign, labels={labels.TENANT: other.metadata.name}
    )
    assert "can not assign the desired namespace to a non-owned Tenant" in message


async def test_the_operators_own_account_may_be_an_owner(world: World) -> None:
    """14.1: own identity as TenantOwner, creating namespaces with the label."""
    tenant = await world.tenant({"permissions": {"matchOwners": [{"matchLabels": {"team": "platform"}}]}})
    await world.tenant_owner({"kind": "ServiceAccount", "name": OPERATOR}, labels={"team": "platform"})
    operator, name = world.acting(OPERATOR, ("system:serviceaccounts",)), world.unique("dev")

    await create(operator, name, labels={labels.TENANT: tenant.metadata.name})

    assert await ownership(world, name) == in_tenant(tenant, name)

    async def bound() -> bool:
        found = await world.listed(ROLE_BINDINGS, name)
        subjects = [(b["roleRef"]["name"], b["subjects"]) for b in found]
        account = {"kind": "ServiceAccount", "name": "capsule", "namespace": "capsule-system"}
        return sorted(subjects) == [("admin", [account]), ("capsule-namespace-deleter", [account])]

    await world.eventually(bound)


async def test_the_quota_holds_under_parallel_creates(world: World) -> None:
    """N-13: of 20 at once as many as there is room for; the message; the room comes back with a deletion."""
    user = world.unique("ada")
    tenant = await world.tenant(owned_by(user, namespaceOptions={"quota": 3}))
    ada = await world.user(user)

    names = [world.unique("dev") for _ in range(20)]
    results = await asyncio.gather(*(create(ada, name) for name in names), return_exceptions=True)

    made = [name for name, result in zip(names, results, strict=True) if result is None]
    assert len(made) == 3
    assert all(
        isinstance(result, ForbiddenError)
        and "Cannot exceed Namespace quota: please, reach out to the system administrators" in result.message
        for result in results
        if result is not None
    )

    async def counted(size: int) -> bool:
        stored = await world.in_force(tenant.metadata.name)
        return stored.status.size == size == len(stored.status.namespaces)

    await world.eventually(lambda: counted(3))
    await world.edit_tenant(tenant.metadata.name, {"namespaceOptions": {"quota": 4}})
    await create(ada, world.unique("dev"))
    assert "Cannot exceed Namespace quota" in await refused(ada, world.unique("dev"))
    await world.edit_tenant(tenant.metadata.name, {"namespaceOptions": {"quota": 2}})
    await world.eventually(lambda: counted(4))
    await world.admin.delete(NAMESPACES, made[0])
    await world.edit_tenant(tenant.metadata.name, {"namespaceOptions": {"quota": 4}})
    await world.eventually(lambda: counted(3))
    await world.eventually(lambda: _made(ada, world.unique("dev")))


async def test_the_quota_holds_for_generated_names(world: World) -> None:
    """Admission may not see the name that a namespace will have; it takes room all the same."""
    user = world.unique("ada")
    tenant = await world.tenant(owned_by(user, namespaceOptions={"quota": 3}))
    ada = await world.user(user)
    body = namespace(generateName=f"{tenant.metadata.name}-")

    results = await asyncio.gather(*(ada.create(NAMESPACES, body) for _ in range(12)), return_exceptions=True)

    assert sorted(isinstance(each, ForbiddenError) for each in results) == [False] * 3 + [True] * 9
    selector = f"{labels.TENANT}={tenant.metadata.name}"
    assert len(await world.listed(NAMESPACES, labelSelector=selector)) == 3


async def test_protected_names_and_prefixes(world: World) -> None:
    """N-14, N-15: the tenant's own switch wins over the installation's; the bare name is no prefix."""
    user, base = world.unique("ada"), world.unique("oil")
    tenant = await world.tenant(owned_by(user), name=base)
    ada = await world.user(user)
    async with world.configured(protectedNamespaceRegex="^.*[-.]system$"):
        message = await refused(ada, f"{base}-system")
        assert "Creating namespaces with name matching ^.*[-.]system$ regexp is not allowed" in message
        await create(ada, f"{base}-systems")
    async with world.configured(forceTenantPrefix=True):
        message = await refused(ada, world.unique("dev"))
        assert f"The namespace doesn't match the tenant prefix, expected {base}-" in message
        await refused(ada, base)
        await create(ada, f"{base}-fits")
        await world.edit_tenant(base, {"forceTenantPrefix": False})
        await create(ada, name := world.unique("dev"))
        assert await ownership(world, name) == in_tenant(tenant, name)
    await world.edit_tenant(base, {"forceTenantPrefix": True})
    message = await refused(ada, world.unique("dev"))
    assert f"expected {base}-" in message


async def test_a_terminating_tenant_takes_no_namespace(world: World) -> None:
    """N-22."""
    user = world.unique("ada")
    tenant = await world.tenant(owned_by(user))
    ada, held = await world.user(user), world.unique("held")
    await create(ada, held)
    await world.admin.patch(NAMESPACES, held, patch={"metadata": {"finalizers": ["e2e.example/hold"]}}, kind="merge")

    async def finalized() -> bool:
        return "controller.projectcapsule.dev/finalize" in (
            (await world.stored(TENANTS, tenant.metadata.name))["metadata"].get("finalizers") or []
        )

    await world.eventually(finalized)
    await world.admin.delete(TENANTS, tenant.metadata.name)
    try:
        message = await refused(ada, world.unique("dev"), labels={labels.TENANT: tenant.metadata.name})
        assert "terminating" in message
        assert "terminating" in await refused(ada, world.unique("dev"))
    finally:
        await world.admin.patch(NAMESPACES, held, patch={"metadata": {"finalizers": None}}, kind="merge")


async def test_a_tenant_made_anew_is_the_one(world: World) -> None:
    """13.2: however late the news, a namespace goes into the Tenant that exists, as it is now."""
    user, name = world.unique("ada"), world.unique("oil")
    ada = await world.user(user)
    world.remember_tenant(name)
    for round_ in range(8):
        options = {"additionalMetadata": {"labels": {"round": str(round_)}}}
        body = {"metadata": {"name": name}, "spec": owned_by(user, namespaceOptions=options)}
        tenant = await world.admin.create(TENANTS, body)

        await create(ada, space := world.unique("dev"), labels={labels.TENANT: name} if round_ % 2 else {})

        assert await ownership(world, space) == in_tenant(tenant, space, round=str(round_))
        await world.admin.delete(TENANTS, name)
        with suppress(NotFoundError):
            await world.admin.patch(TENANTS, name, patch={"metadata": {"finalizers": None}}, kind="merge")


async def test_accounts_of_a_tenant_make_no_namespaces(world: World) -> None:
    """A ServiceAccount that lives in a tenant's namespace is a Capsule user, but no owner."""
    user = world.unique("ada")
    tenant = await world.tenant(owned_by(user))
    home = await world.namespace(await world.user(user), tenant.metadata.name)
    await world.admin.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot", "namespace": home}})
    reference = {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "capsule-namespace-provisioner",
    }
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": home}
    binding = world.unique("robot")
    await world.admin.create(
        CLUSTER_ROLE_BINDINGS, {"metadata": {"name": binding}, "roleRef": reference, "subjects": [subject]}
    )
    try:
        robot = world.account(home, "robot")

        async def is_known() -> bool:
            return "You do not have any Tenant assigned" in await refused(robot, world.unique("dev"))

        await world.eventually(is_known)
        message = await refused(robot, world.unique("dev"), labels={labels.TENANT: tenant.metadata.name})
        assert "non-owned Tenant" in message
    finally:
        await world.admin.delete(CLUSTER_ROLE_BINDINGS, binding)

"""How namespaces and tenants go: with what is theirs, and with nothing else (R-2, 14.1)."""

from __future__ import annotations

from typing import Any

from tenantry.api import labels
from tenantry.kube.client import Client
from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import CONFIG_MAPS, NAMESPACES, ROLE_BINDINGS, TENANTS, Resource
from tenantry.testing.world import World

JSON = dict[str, Any]
FINALIZER = "controller.projectcapsule.dev/finalize"
HOLD = {"metadata": {"finalizers": ["e2e.example/hold"]}}
RELEASE = {"metadata": {"finalizers": None}}


async def owned(world: World) -> tuple[str, Client]:
    user = world.unique("ada")
    tenant = await world.tenant({"owners": [{"kind": "User", "name": user}]})
    return tenant.metadata.name, await world.user(user)


async def gone(world: World, resource: Resource[Any], name: str, namespace: str | None = None) -> None:
    async def is_so() -> bool:
        try:
            await world.admin.get(resource, name, namespace)
        except NotFoundError:
            return True
        return False

    await world.eventually(is_so)


async def tenant_is(world: World, name: str, size: int, finalizers: list[str]) -> None:
    """Wait until size, names and finalizers are these."""

    async def is_so() -> bool:
        stored = await world.stored(TENANTS, name)
        status = stored["status"]
        assert (status["size"], len(status.get("namespaces", [])), len(status.get("spaces", []))) == (size,) * 3
        assert stored["metadata"].get("finalizers", []) == finalizers
        return True

    await world.eventually(is_so)


async def test_a_terminating_namespace_keeps_its_bindings(world: World) -> None:
    """14.1: we take none away; the tenant counts it and keeps its finalizer until it is gone, and no longer."""
    tenant, ada = await owned(world)
    await tenant_is(world, tenant, 0, [])
    name = await world.namespace(ada, tenant)

    async def bound() -> bool:
        await ada.create(CONFIG_MAPS, {"metadata": {"name": "held", **HOLD["metadata"]}}, name)
        return len(await world.listed(ROLE_BINDINGS, name)) == 2

    await world.eventually(bound)
    before = await world.listed(ROLE_BINDINGS, name)
    await ada.delete(NAMESPACES, name)

    async def told() -> bool:
        spaces = (await world.admin.get(TENANTS, tenant)).status.spaces
        conditions = [(each.type, each.status, each.reason) for space in spaces for each in space.conditions]
        return conditions == [("Ready", "False", "Terminating")]

    await world.eventually(told)

    # The API server's own controller waits five seconds, and only then takes them with all else.
    assert await world.listed(ROLE_BINDINGS, name) == before
    await tenant_is(world, tenant, 1, [FINALIZER])

    async def emptied() -> bool:
        conditions = (await world.stored(NAMESPACES, name))["status"].get("conditions", [])
        return any(each["type"] == "NamespaceFinalizersRemaining" and each["status"] == "True" for each in conditions)

    await world.eventually(emptied)
    await tenant_is(world, tenant, 1, [FINALIZER])
    await world.admin.patch(CONFIG_MAPS, "held", name, patch=RELEASE, kind="merge")
    await gone(world, NAMESPACES, name)
    await tenant_is(world, tenant, 0, [])


async def test_a_deleted_tenant_takes_its_namespaces_and_no_others(world: World) -> None:
    """R-2: Terminating is told; what merely carries the label stays, and others' finalizers are theirs to take off."""
    tenant, ada = await owned(world)
    names = [await world.namespace(ada, tenant) for _ in range(2)]
    lookalike = world.unique("lookalike")
    await world.admin.create(NAMESPACES, {"metadata": {"name": lookalike, "labels": {labels.TENANT: tenant}}})
    await tenant_is(world, tenant, 2, [FINALIZER])
    await world.admin.patch(NAMESPACES, names[0], patch=HOLD, kind="merge")
    theirs = HOLD["metadata"]["finalizers"]
    await world.admin.patch(TENANTS, tenant, patch={"metadata": {"finalizers": [FINALIZER, *theirs]}}, kind="merge")

    await world.admin.delete(TENANTS, tenant)

    async def told() -> bool:
        status = (await world.admin.get(TENANTS, tenant)).status
        ready = [(each.status, each.reason) for each in status.conditions if each.type == "Ready"]
        assert (status.state, ready) == ("Terminating", [("False", "Terminating")])
        return True

    await world.eventually(told)
    await gone(world, NAMESPACES, names[1])
    await tenant_is(world, tenant, 1, [FINALIZER, *theirs])
    await world.admin.patch(NAMESPACES, names[0], patch=RELEASE, kind="merge")
    await gone(world, NAMESPACES, names[0])
    await tenant_is(world, tenant, 0, theirs)
    await world.admin.patch(TENANTS, tenant, patch=RELEASE, kind="merge")
    await gone(world, TENANTS, tenant)
    metadata = (await world.stored(NAMESPACES, lookalike))["metadata"]
    assert "deletionTimestamp" not in metadata
    await world.admin.delete(NAMESPACES, lookalike)


async def test_an_empty_tenant_goes_at_once(world: World) -> None:
    tenant, _ = await owned(world)
    await world.admin.delete(TENANTS, tenant)
    await gone(world, TENANTS, tenant)


async def test_what_left_a_tenant_keeps_nothing_of_it(world: World) -> None:
    """14.1: after migrate and unjoin the old tenant's RoleBindings and metadata go, the user's own stay."""
    options = {"additionalMetadataList": [{"labels": {"team": "{{tenant.name}}"}}]}
    tenants = []
    for _ in range(2):
        owner = {"kind": "User", "name": world.unique("ada"), "clusterRoles": ["admin"]}
        tenants.append(await world.tenant({"owners": [owner], "namespaceOptions": options}))
    first, second = tenants
    ada = await world.user(first.spec.owners[0].name)
    name = await world.namespace(ada, first.metadata.name, labels={"own": "1"})

    async def holds(labelled: JSON, users: list[str]) -> None:
        async def is_so() -> bool:
            bindings = await world.listed(ROLE_BINDINGS, name)
            assert sorted(each["subjects"][0]["name"] for each in bindings) == sorted(users)
            found = (await world.stored(NAMESPACES, name))["metadata"]["labels"]
            assert found == {labels.METADATA_NAME: name, **labelled}
            return True

        await world.eventually(is_so)

    async with world.configured(administrators=[{"kind": "User", "name": "boss"}]):
        boss = world.acting("boss", ("system:masters",))

        def own(tenant: Any) -> JSON:
            return {labels.TENANT: tenant.metadata.name, "team": tenant.metadata.name, "own": "1"}

        await holds(own(first), ["boss", first.spec.owners[0].name])
        reference = {
            "apiVersion": "capsule.clastix.io/v1beta2",
            "kind": "Tenant",
            "name": second.metadata.name,
            "uid": second.metadata.uid,
        }
        patch = {"metadata": {"labels": {labels.TENANT: second.metadata.name}, "ownerReferences": [reference]}}
        await boss.patch(NAMESPACES, name, patch=patch, kind="merge")
        await holds(own(second), ["boss", second.spec.owners[0].name])
        await boss.patch(
            NAMESPACES,
            name,
            patch={"metadata": {"labels": {labels.TENANT: None}, "ownerReferences": None}},
            kind="merge",
        )
        await holds({"own": "1"}, [])

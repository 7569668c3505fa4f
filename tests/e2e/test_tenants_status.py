"""What Tenants and the configuration report, whole: status, conditions, classes, columns (R-1, R-5, 14.1)."""

from __future__ import annotations

import re
from typing import Any

from tenantry.api import labels
from tenantry.foundation.codec import decode_any
from tenantry.kube.resources import (
    CONFIGURATIONS,
    DEVICE_CLASSES,
    NAMESPACES,
    PRIORITY_CLASSES,
    RUNTIME_CLASSES,
    STORAGE_CLASSES,
    TENANT_OWNERS,
    TENANTS,
    Resource,
)
from tenantry.testing.world import World

JSON = dict[str, Any]
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def timeless(value: Any) -> Any:
    """Return *value* without transition times, after a look at their form, and without messages."""
    if isinstance(value, list):
        return [timeless(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "lastTransitionTime" in value:
        assert TIME.match(value["lastTransitionTime"])
        assert isinstance(value["message"], str)
        value = {key: each for key, each in value.items() if key not in {"lastTransitionTime", "message"}}
    return {key: timeless(each) for key, each in value.items()}


def condition(kind: str, status: str, reason: str, generation: int = 0) -> JSON:
    return {"type": kind, "status": status, "reason": reason, "observedGeneration": generation}


async def reports(world: World, resource: Resource[Any], name: str, expected: JSON, *, without: str = "") -> None:
    """Wait until the whole status is as *expected*, besides one field."""

    async def is_so() -> bool:
        stored = await world.stored(resource, name)
        status = {key: each for key, each in timeless(stored.get("status", {})).items() if key != without}
        assert status == expected
        return True

    await world.eventually(is_so)


async def columns(world: World, resource: Resource[Any], name: str) -> list[tuple[str, Any]]:
    """Return what `kubectl get` prints: names of the columns with the cells, the wide ones too."""
    body = decode_any(await world.admin.request("GET", resource.path(name=name), headers={"Accept": TABLE}))
    (row,) = body["rows"]
    return list(zip([each["name"] for each in body["columnDefinitions"]], row["cells"], strict=True))


async def test_a_tenants_whole_status(world: World) -> None:
    """Empty, with namespaces, edited; sorted; observedGeneration and conditions of the present generation."""
    user = world.unique("ada")
    owner = {"kind": "User", "name": user, "clusterRoles": ["admin", "capsule-namespace-deleter"]}
    tenant = (await world.tenant({"owners": [{"kind": "User", "name": user}]})).metadata.name
    generation = (await world.stored(TENANTS, tenant))["metadata"]["generation"]
    empty = {
        "state": "Active",
        "size": 0,
        "owners": [owner],
        "observedGeneration": generation,
        "conditions": [
            condition("Ready", "True", "Succeeded", generation),
            condition("Cordoned", "False", "Active", generation),
        ],
    }
    await reports(world, TENANTS, tenant, empty, without="classes")
    ada = await world.user(user)
    names = sorted([await world.namespace(ada, tenant) for _ in range(3)], reverse=True)
    uids = {name: (await world.stored(NAMESPACES, name))["metadata"]["uid"] for name in names}

    def space(name: str, **metadata: Any) -> JSON:
        ready = condition("Ready", "True", "Succeeded")
        return {"name": name, "uid": uids[name], "conditions": [ready], "metadata": metadata}

    await reports(
        world,
        TENANTS,
        tenant,
        empty | {"size": 3, "namespaces": sorted(names), "spaces": [space(name) for name in sorted(names)]},
        without="classes",
    )
    await ada.delete(NAMESPACES, names.pop())
    await world.edit_tenant(
        tenant,
        {
            "namespaceOptions": {"additionalMetadata": {"annotations": {"n": "1"}}},
            "rules": [{"enforce": {"action": "allow", "workloads": {"registries": [{"exact": ["quay.io/x"]}]}}}],
        },
    )
    generation = (await world.stored(TENANTS, tenant))["metadata"]["generation"]
    enforce = {"registry": [{"exact": ["quay.io/x"], "negate": False}]}
    await reports(
        world,
        TENANTS,
        tenant,
        empty
        | {
            "size": 2,
            "namespaces": sorted(names),
            "spaces": [space(name, annotations={"n": "1"}) | {"enforce": enforce} for name in sorted(names)],
            "observedGeneration": generation,
            "conditions": [
                condition("Ready", "True", "Succeeded", generation),
                condition("Cordoned", "False", "Active", generation),
            ],
        },
        without="classes",
    )


async def test_a_namespace_of_the_same_name_is_another_one(world: World) -> None:
    """14.1: spaces are matched by name and uid."""
    user, name = world.unique("ada"), world.unique("dev")
    tenant = (await world.tenant({"owners": [{"kind": "User", "name": user}]})).metadata.name
    ada, uids = await world.user(user), []
    for _ in range(2):

        async def made() -> str:
            return (await ada.create(NAMESPACES, {"metadata": {"name": name}})).metadata.uid

        uids.append(await world.eventually(made))

        async def told() -> bool:
            status = (await world.admin.get(TENANTS, tenant)).status
            assert [(each.name, each.uid) for each in status.spaces] == [(name, uids[-1])]
            return status.size == 1

        await world.eventually(told)

        async def deletable() -> bool:
            await ada.delete(NAMESPACES, name)
            return True

        await world.eventually(deletable)
    assert len(set(uids)) == 2


async def test_conditions_change_their_time_with_their_status_alone(world: World) -> None:
    tenant = (await world.tenant({})).metadata.name

    async def times() -> dict[str, str]:
        return {each.type: each.last_transition_time for each in (await world.in_force(tenant)).status.conditions}

    before = await times()
    await world.edit_tenant(tenant, {"namespaceOptions": {"quota": 3}})
    assert await times() == before


async def test_a_failure_is_told_and_mends(world: World) -> None:
    """What the API server refuses makes Ready False with words, and does not stop the rest."""
    user = world.unique("ada")
    spec = {
        "owners": [{"kind": "User", "name": user}],
        "additionalRoleBindings": [
            {"clusterRoleName": "e2e-not-bindable", "subjects": [{"kind": "User", "name": "x"}]}
        ],
    }
    await world.admin.create(TENANTS, {"metadata": {"name": (name := world.unique("team"))}, "spec": spec})
    world.remember_tenant(name)
    ada = await world.user(user)

    async def made() -> str:
        return await world.namespace(ada, name)

    namespace = await world.eventually(made)

    async def failed() -> bool:
        status = (await world.admin.get(TENANTS, name)).status
        ready = [each for each in status.conditions if each.type == "Ready"]
        assert [(each.status, each.reason) for each in ready] == [("False", "Failed")]
        assert namespace in ready[0].message
        assert "e2e-not-bindable" in ready[0].message
        return status.size == 1

    await world.eventually(failed)
    await world.edit_tenant(name, {"additionalRoleBindings": None})

    async def mended() -> bool:
        status = (await world.admin.get(TENANTS, name)).status
        return [(each.type, each.status) for each in status.conditions] == [("Ready", "True"), ("Cordoned", "False")]

    await world.eventually(mended)


async def test_class_lists_follow_classes_and_spec(world: World) -> None:
    """All where unrestricted, the system's too; created, relabelled, deleted; by name, expression and labels."""
    mark = world.unique("class")
    tenant = (await world.tenant({})).metadata.name
    bodies: list[tuple[Resource[Any], JSON]] = [
        (STORAGE_CLASSES, {"provisioner": "example.com/none"}),
        (PRIORITY_CLASSES, {"value": 100}),
        (RUNTIME_CLASSES, {"handler": "fake"}),
        (DEVICE_CLASSES, {"spec": {}}),
    ]

    async def shows(**expected: list[str]) -> None:
        async def is_so() -> bool:
            classes = (await world.stored(TENANTS, tenant))["status"].get("classes", {})
            mine = {kind: [each for each in names if each.startswith(mark)] for kind, names in classes.items()}
            assert {kind: names for kind, names in mine.items() if names} == expected
            return True

        await world.eventually(is_so)

    for resource, body in bodies:
        for name in (f"{mark}-b", f"{mark}-a"):
            await world.admin.create(resource, {"metadata": {"name": name, "labels": {"made-by": mark}}, **body})
    try:
        both = [f"{mark}-a", f"{mark}-b"]
        await shows(storage=both, priority=both, runtime=both, device=both)
        everything = (await world.stored(TENANTS, tenant))["status"]["classes"]["priority"]
        assert {"system-cluster-critical", "system-node-critical"} <= set(everything)
        await world.edit_tenant(
            tenant,
            {
                "storageClasses": {"allowed": [f"{mark}-b", "no-such-class"]},
                "priorityClasses": {"allowedRegex": f"^{mark}-a$"},
                "runtimeClasses": {"matchLabels": {"tenancy": mark}},
                "deviceClasses": {"matchLabels": {"tenancy": mark}},
            },
        )
        await shows(storage=both[1:], priority=both[:1])
        patch = {"metadata": {"labels": {"tenancy": mark}}}
        await world.admin.patch(RUNTIME_CLASSES, both[0], patch=patch, kind="merge")
        await world.admin.patch(DEVICE_CLASSES, both[1], patch=patch, kind="merge")
        await shows(storage=both[1:], priority=both[:1], runtime=both[:1], device=both[1:])
        await world.admin.delete(STORAGE_CLASSES, both[1])
        await world.admin.patch(
            RUNTIME_CLASSES, both[0], patch={"metadata": {"labels": {"tenancy": None}}}, kind="merge"
        )
        await shows(priority=both[:1], device=both[1:])
    finally:
        for resource, _ in bodies:
            await world.admin.delete_collection(resource, label_selector=f"made-by={mark}")


async def test_the_configuration_reports_tenants_and_users(world: World) -> None:
    """R-5: sorted names; they come and go with the Tenants; conditions, observedGeneration."""
    names = sorted([(await world.tenant({})).metadata.name for _ in range(2)], reverse=True)

    async def told(present: list[str], absent: list[str]) -> None:
        async def is_so() -> bool:
            stored = await world.stored(CONFIGURATIONS, "default")
            status = timeless(stored["status"])
            assert status["tenants"] == sorted(status["tenants"])
            assert [name for name in (*present, *absent) if name in status["tenants"]] == present
            assert status["observedGeneration"] == stored["metadata"]["generation"]
            ready = condition("Ready", "True", "Succeeded", stored["metadata"]["generation"])
            assert ready in status["conditions"]
            return True

        await world.eventually(is_so)

    await told(names, [])
    await world.admin.delete(TENANTS, names[0])
    await told(names[1:], names[:1])


async def test_a_tenant_owners_whole_status(world: World) -> None:
    """TO-3: Ready also with no tenant."""
    owner = await world.tenant_owner({"kind": "User", "name": world.unique("ada")}, labels={"who": "me"})
    await reports(
        world,
        TENANT_OWNERS,
        owner,
        {"observedGeneration": 1, "conditions": [condition("Ready", "True", "Succeeded", 1)]},
    )
    spec = {"permissions": {"matchOwners": [{"matchLabels": {"who": "me"}}]}}
    tenants = sorted([(await world.tenant(spec)).metadata.name for _ in range(2)])
    await reports(
        world,
        TENANT_OWNERS,
        owner,
        {"observedGeneration": 1, "conditions": [condition("Ready", "True", "Succeeded", 1)], "tenants": tenants},
    )
    await world.edit_tenant(tenants[0], {"permissions": None})
    await world.admin.delete(TENANTS, tenants[1])
    await reports(
        world,
        TENANT_OWNERS,
        owner,
        {"observedGeneration": 1, "conditions": [condition("Ready", "True", "Succeeded", 1)]},
    )


async def test_what_kubectl_prints(world: World) -> None:
    """K-1 to K-3, K-8: columns in order, with their values."""
    user = world.unique("ada")
    tenant = await world.tenant(
        {
            "owners": [{"kind": "User", "name": user}],
            "namespaceOptions": {"quota": 7},
            "nodeSelector": {"kubernetes.io/os": "linux"},
        }
    )
    name = tenant.metadata.name
    namespace = await world.namespace(await world.user(user), name)

    async def printed() -> bool:
        cells = await columns(world, TENANTS, name)
        assert [column for column, _ in cells] == [
            "Name",
            "State",
            "Namespace quota",
            "Namespace count",
            "Node selector",
            "Ready",
            "Status",
            "Age",
        ]
        assert [str(cell) for _, cell in cells[:6]] == [
            name,
            "Active",
            "7",
            "1",
            '{"kubernetes.io/os":"linux"}',
            "True",
        ]
        return True

    await world.eventually(printed)
    assert [each for each, _ in await columns(world, CONFIGURATIONS, "default")] == ["Name", "Ready", "Status", "Age"]
    owner = await world.tenant_owner({"kind": "User", "name": user})
    assert [each for each, _ in await columns(world, TENANT_OWNERS, owner)] == ["Name", "Ready", "Age"]
    for short, full in (("tnt", "tenants"), ("to", "tenantowners")):
        done = await world.platform.kubectl("get", short, "-o", "name")
        assert done.stdout.splitlines()
        assert all(line.startswith(full.removesuffix("s")) for line in done.stdout.splitlines())
    done = await world.platform.kubectl("get", "rulestatuses", "-n", namespace)
    assert done.stdout.splitlines()[0].split() == ["NAME", "READY", "MESSAGE", "AGE"]
    assert labels.RULE_STATUS_NAME in done.stdout

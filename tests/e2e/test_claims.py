"""PersistentVolumeClaims and the volumes they may get (L-5 to L-7, L-15, R-9)."""

from __future__ import annotations

from tenantry.testing.plain import (
    Json,
    Plain,
    any_object,
    claim,
    refused,
    standing,
    storage_class,
    team,
    told,
    volume,
)
from tenantry.testing.world import World

TENANT = "capsule.clastix.io/tenant"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"


async def test_a_class_is_required_and_must_be_allowed(world: World) -> None:
    """L-5: by name, expression or labels of the class; the old annotation counts as the field does."""
    names = {role: world.unique(role) for role in ("cephfs", "oil", "labelled", "other")}
    classes = [storage_class(names[role]) for role in ("cephfs", "oil", "other")]
    classes.append(storage_class(names["labelled"], metadata={"labels": {"env": "customer"}}))
    allowed = {"allowed": [names["cephfs"]], "allowedRegex": "^oil-", "matchLabels": {"env": "customer"}}
    team_ = await team(world, {"storageClasses": allowed})
    owner, ns = team_.owner, team_.namespace
    listed = f"use one from the following list ({names['cephfs']})"
    forbidden = f"Storage Class {names['other']} is forbidden for the current Tenant"
    async with standing(team_.admin, *classes):
        for role in ("cephfs", "oil", "labelled"):
            body = claim(ns, role, storageClassName=names[role])
            await world.eventually(lambda body=body: owner.create(body, dry_run=True))  # type: ignore[misc]
        await refused(owner.create(claim(ns, "no")), "Storage Class", listed)
        await refused(owner.create(claim(ns, "no", storageClassName="")), "Storage Class", listed)
        await refused(owner.create(claim(ns, "no", storageClassName=names["other"])), forbidden, listed)
        old = {"annotations": {BETA_CLASS: names["other"]}}
        await refused(owner.create(claim(ns, "no", metadata=old)), forbidden)
        await refused(owner.create(claim(ns, "no", metadata=old, storageClassName=names["cephfs"])), forbidden)
        await owner.create(claim(ns, "yes", metadata={"annotations": {BETA_CLASS: names["cephfs"]}}), dry_run=True)
        await told(world, ns, "ForbiddenStorageClass", names["other"])
        await told(world, ns, "MissingStorageClass")


async def test_the_default_class_stands_in_also_for_the_clusters_own(world: World) -> None:
    """L-15: whether the cluster's default is allowed or not; an empty class is a choice, no lack."""
    mine, global_ = world.unique("mine"), world.unique("global")
    is_default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    teams = [
        await team(world, {"storageClasses": {"allowed": allowed, "default": mine}})
        for allowed in ([mine], [mine, global_])
    ]
    for one in teams:
        made = await one.owner.create(claim(one.namespace, "none"), dry_run=True)
        assert made["spec"]["storageClassName"] == mine
    async with standing(Plain(world.admin), storage_class(mine), storage_class(global_, metadata=is_default)):
        for one in teams:

            async def replaced(one=one) -> bool:  # type: ignore[no-untyped-def] # noqa: ANN001
                made = await one.owner.create(claim(one.namespace, "none"), dry_run=True)
                return bool(made["spec"]["storageClassName"] == mine)

            await world.eventually(replaced)
    await refused(teams[0].owner.create(claim(teams[0].namespace, "empty", storageClassName="")), mine)


async def test_claims_that_select_or_name_volumes_are_held_to_the_tenants_own(world: World) -> None:
    """L-7, 14.1: exactly one requirement on the tenant label; all other requirements stay."""
    team_ = await team(world, {})
    ours = {"key": TENANT, "operator": "In", "values": [team_.tenant]}
    fast = {"key": "speed", "operator": "In", "values": ["fast"]}
    for given, wanted in (
        ({"matchLabels": {"a": "b"}}, {"matchLabels": {"a": "b"}, "matchExpressions": [ours]}),
        ({"matchLabels": {TENANT: "gas", "a": "b"}}, {"matchLabels": {"a": "b"}, "matchExpressions": [ours]}),
        ({"matchExpressions": [{**ours, "values": ["gas"]}, fast]}, {"matchExpressions": [fast, ours]}),
        ({"matchExpressions": [{"key": TENANT, "operator": "Exists"}, ours]}, {"matchExpressions": [ours]}),
        ({}, {"matchExpressions": [ours]}),
    ):
        made = await team_.owner.create(claim(team_.namespace, "web", selector=given), dry_run=True)
        assert made["spec"]["selector"] == wanted
    plain = await team_.owner.create(claim(team_.namespace, "plain"))
    assert "selector" not in plain["spec"]
    changed = await team_.owner.change(
        claim(team_.namespace, "plain"), lambda o: o["metadata"].update(labels={"a": "b"})
    )
    assert "selector" not in changed["spec"]


async def test_a_named_volume_must_be_the_tenants(world: World) -> None:
    """L-6: another's, an unlabelled and a missing one are refused alike."""
    team_ = await team(world, {})
    names = {role: world.unique(role) for role in ("mine", "theirs", "nobodys")}
    labels = {"mine": {TENANT: team_.tenant}, "theirs": {TENANT: "gas"}, "nobodys": {}}
    volumes = [volume(names[role], storageClassName="", metadata={"labels": labels[role]}) for role in names]

    def mount(name: str) -> Json:
        return claim(team_.namespace, "web", storageClassName="", volumeName=name)

    async with standing(team_.admin, *volumes):
        for name in (names["theirs"], names["nobodys"], "missing"):
            await refused(
                team_.owner.create(mount(name)), f"Preventing a cross-tenant mount for PersistentVolume {name}"
            )
        await told(world, team_.namespace, "CrossTenantReference", names["theirs"])
        await world.eventually(lambda: team_.owner.create(mount(names["mine"])))

        async def bound() -> bool:
            found = await team_.owner.get(mount(names["mine"]))
            return bool(found["status"]["phase"] == "Bound")

        await world.eventually(bound)
        # A bound claim can still be labelled, and told about by its controllers.
        changed = await team_.owner.change(mount(""), lambda o: o["metadata"].setdefault("labels", {}).update(a="b"))
        assert changed["metadata"]["labels"]["a"] == "b"
        await team_.owner.delete(mount(""))


async def test_volumes_are_labelled_by_the_namespace_that_claims_them(world: World) -> None:
    """R-9, 14.1: before the claim exists, and over empty, foreign and missing values; repaired after edits."""
    team_ = await team(world, {})
    reference = {"namespace": team_.namespace, "name": "later", "apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    volumes = [
        volume(world.unique(role), storageClassName="", claimRef=reference, metadata={"labels": labels})
        for role, labels in (("none", {}), ("empty", {TENANT: ""}), ("foreign", {TENANT: "gas", "keep": "me"}))
    ]
    free = volume(world.unique("free"), storageClassName="", metadata={"labels": {TENANT: "gas"}})
    async with standing(team_.admin, *volumes, free):

        async def labelled() -> bool:
            found = [(await team_.admin.get(one))["metadata"].get("labels") for one in volumes]
            assert found == [{TENANT: team_.tenant}] * 2 + [{TENANT: team_.tenant, "keep": "me"}]
            return True

        await world.eventually(labelled)
        for patch in ({"labels": {TENANT: None}}, {"labels": {TENANT: "gas"}}):
            await team_.admin.patch(volumes[2], {"metadata": patch})
            await world.eventually(labelled)
        # Set aside by the platform for a tenant, and claimed by nobody: not ours to change.
        assert (await team_.admin.get(free))["metadata"]["labels"] == {TENANT: "gas"}


async def test_device_classes(world: World) -> None:
    """L-14, D-2: every request is judged, in each form."""
    good, labelled, bad = (world.unique(name) for name in ("gpu", "labelled", "bad"))
    version = "resource.k8s.io/v1"
    classes = [any_object(version, "DeviceClass", name, spec={}) for name in (good, labelled, bad)]
    classes[1]["metadata"]["labels"] = {"env": "customer"}
    team_ = await team(world, {"deviceClasses": {"allowed": [good], "matchLabels": {"env": "customer"}}})

    def devices(*requests: Json) -> list[Json]:
        spec = {"devices": {"requests": list(requests)}}
        return [
            any_object(version, "ResourceClaim", "web", team_.namespace, spec=spec),
            any_object(version, "ResourceClaimTemplate", "web", team_.namespace, spec={"spec": spec}),
        ]

    def exactly(name: str, of: str) -> Json:
        return {"name": name, "exactly": {"deviceClassName": of}}

    def first(name: str, *classes: str) -> Json:
        return {
            "name": name,
            "firstAvailable": [{"name": f"n{i}", "deviceClassName": c} for i, c in enumerate(classes)],
        }

    async with standing(team_.admin, *classes):
        for body in devices(exactly("a", good), exactly("b", labelled), first("c", good, labelled)):
            await world.eventually(lambda body=body: team_.admin.create(body, dry_run=True))  # type: ignore[misc]
        listed = f"use one from the following list ({good})"
        for requests in ([exactly("a", bad)], [exactly("a", good), exactly("b", bad)], [first("a", good, bad)]):
            for body in devices(*requests):
                await refused(
                    team_.admin.create(body), f"Device Class {bad}", "is forbidden for the current Tenant", listed
                )
        await told(world, team_.namespace, "ForbiddenDeviceClass", bad)

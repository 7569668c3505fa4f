"""Capsule's own configuration, with its 24 validating and 11 mutating entries, works unchanged (W-1, 2.2, 13.7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tenantry.kube.resources import CONFIGURATIONS, MUTATING_WEBHOOKS, ROLE_BINDINGS, TENANTS, VALIDATING_WEBHOOKS
from tenantry.testing.breakable import Breakable, readiness
from tenantry.testing.plain import (
    Json,
    Plain,
    Team,
    any_object,
    claim,
    config_map,
    ingress,
    owned_labels,
    pod,
    priority_class,
    refused,
    service,
    standing,
    team,
)
from tenantry.testing.world import World

DATA = Path(__file__).parent / "data" / "capsule-configuration.yaml"
CAPSULE = "capsule.clastix.io/v1beta2"
DEFAULT: Json = any_object(CAPSULE, "CapsuleConfiguration", "default")
SIDES = (("mutating", MUTATING_WEBHOOKS), ("validating", VALIDATING_WEBHOOKS))
SPEC: dict[str, Any] = {
    "namespaceOptions": {"forbiddenLabels": {"denied": ["secret"]}},
    "imagePullPolicies": ["Never"],
    "serviceOptions": {"allowedServices": {"nodePort": False}},
    "ingressOptions": {"allowedHostnames": {"allowed": ["shop.example.com"]}},
    "storageClasses": {"allowed": ["fast"]},
    "deviceClasses": {"allowed": ["gpu"]},
    "rules": [
        {
            "enforce": {
                "action": "allow",
                "services": {"types": ["ClusterIP", "NodePort"]},
                "metadata": [
                    {
                        "kinds": ["ConfigMap"],
                        "labels": {"team": {"default": "blue", "values": [{"exact": ["blue"]}]}},
                    }
                ],
            }
        }
    ],
}


def capsule_configuration() -> Json:
    """Return the file's object."""
    found: Json = yaml.safe_load(DATA.read_text())
    return found


def entries_of(configuration: Json, side: str) -> list[Json]:
    """Return the entries of one side."""
    entries: list[Json] = configuration["spec"]["admission"][side]["webhooks"]
    return entries


@asynccontextmanager
async def configured(world: World, configuration: Json) -> AsyncIterator[None]:
    """Have *configuration* in force in the body, served by this installation; the default's entries after it."""
    url = world.platform.settings.webhook_url
    for side, _ in SIDES:
        configuration["spec"]["admission"][side]["client"] = {"url": url}
    admin = Plain(world.admin)
    stored = await admin.get(DEFAULT)
    await admin.update({**stored, "spec": {**stored["spec"], **configuration["spec"]}})
    try:
        for side, kind in SIDES:
            await registered(world, kind, [each["name"] for each in entries_of(configuration, side)])
        yield
    finally:
        none = {"webhooks": None}
        await admin.patch(DEFAULT, {"spec": {"admission": {"mutating": none, "validating": none}}})
        await world.eventually(lambda: has_defaults(world))


async def registered(world: World, kind: Any, names: list[str]) -> None:
    """Wait until the one configuration of *kind* has exactly the entries *names*."""

    async def attempt() -> bool:
        found = [[each["name"] for each in stored["webhooks"]] for stored in await world.listed(kind)]
        assert found == [names]
        return True

    await world.eventually(attempt)


async def has_defaults(world: World) -> bool:
    """Return whether only entries of our own are registered."""
    found = [each["name"] for _, kind in SIDES for stored in await world.listed(kind) for each in stored["webhooks"]]
    return bool(found) and all(name.endswith(".tenantry.io") for name in found)


async def by(world: World, entry: str, attempt: Any, *parts: str) -> None:
    """Check that what *attempt* starts is refused by *entry*; the API server may have to hear of the entry first."""

    async def answered() -> bool:
        await refused(attempt(), f'"{entry}.projectcapsule.dev"', *parts)
        return True

    await world.eventually(answered)


async def test_every_path_does_its_part(breakable_world: World) -> None:
    """One representative refusal or change for each path, by the entry that Capsule has for it."""
    world = breakable_world
    team_ = await team(world, SPEC)
    async with configured(world, capsule_configuration()):
        await check_namespaces(world, team_)
        await check_own_kinds(world, team_)
        await check_objects(world, team_)
        await check_changes(world, team_)
        await check_cordoning(world, team_)
    # Our own entries again, and no gap.
    wrong = pod(team_.namespace, "wrong", container={"imagePullPolicy": "Always"})
    await world.edit_tenant(team_.tenant, {"cordoned": False, "priorityClasses": None})

    async def ours() -> bool:
        await refused(team_.owner.create(wrong), '"objects.validating.tenantry.io"', "Never")
        return True

    await world.eventually(ours)


async def check_namespaces(world: World, team_: Team) -> None:
    """Both hooks of Namespaces."""
    space = any_object("v1", "Namespace", world.unique("space"))
    del space["metadata"]["creationTimestamp"]
    made = any_object("v1", "Namespace", team_.namespace)
    secret = {"metadata": {"labels": {"secret": "yes"}}}
    await by(world, "namespaces.validating", lambda: team_.owner.patch(made, secret), "secret")
    mallory = Plain(await world.user("mallory"))
    await by(world, "namespaces.mutating", lambda: mallory.create(space), "do not have any Tenant assigned")
    stored = await team_.owner.create(space)
    assert [each["name"] for each in stored["metadata"]["ownerReferences"]] == [team_.tenant]


async def check_own_kinds(world: World, team_: Team) -> None:
    """Tenants, TenantOwners, the configuration, RuleStatuses, managed objects, promoted accounts."""
    admin = team_.admin
    broken = {"metadata": {"name": "broken"}, "spec": {"containerRegistries": {"allowedRegex": "("}}}
    tenant = {"apiVersion": CAPSULE, "kind": "Tenant", **broken}
    await by(world, "tenants.validating", lambda: admin.create(tenant), "unable to compile regex")
    owner = any_object(CAPSULE, "TenantOwner", "broken", spec={"kind": "ServiceAccount", "name": "robot"})
    await by(world, "tenantowners.validating", lambda: admin.create(owner))
    protected = {"spec": {"protectedNamespaceRegex": "("}}
    await by(world, "config.validating", lambda: admin.patch(DEFAULT, protected), "spec.protectedNamespaceRegex")
    rule = {"enforce": {"services": {"externalNames": {"hostnames": [{"exp": "("}]}}}}
    status = any_object(CAPSULE, "RuleStatus", "mine", team_.namespace, spec=[rule])
    await by(world, "rulestatus.validating", lambda: admin.create(status))
    binding = (await world.listed(ROLE_BINDINGS, team_.namespace))[0]
    await by(world, "managed.validating", lambda: team_.owner.delete(_typed(binding, "RoleBinding")))
    robot = any_object("v1", "ServiceAccount", "robot", team_.namespace)
    robot["metadata"]["labels"] = {"owner.projectcapsule.dev/promote": "true"}
    await by(world, "serviceaccounts.validating", lambda: team_.owner.create(robot))


def _typed(item: Json, kind: str) -> Json:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, **item}


async def check_objects(world: World, team_: Team) -> None:
    """What the Tenant's fields and rules limit."""
    ns, owner = team_.namespace, team_.owner
    device = {"devices": {"requests": [{"name": "one", "exactly": {"deviceClassName": "tpu"}}]}}
    cases: tuple[tuple[str, Json, tuple[str, ...]], ...] = (
        ("pods.validating", pod(ns, "wrong", container={"imagePullPolicy": "Always"}), ("Never",)),
        ("services.validating", service(ns, "wrong", type="NodePort"), ("NodePort",)),
        ("generic.rules.validating", service(ns, "wrong", type="LoadBalancer"), ("service type", "LoadBalancer")),
        ("ingress.validating", ingress(ns, "wrong", "evil.example.com"), ("evil.example.com",)),
        ("pvc.validating", claim(ns, "wrong", storageClassName="slow"), ("slow",)),
        ("devices.validating", any_object("resource.k8s.io/v1", "ResourceClaim", "wrong", ns, spec=device), ("tpu",)),
    )
    for entry, obj, parts in cases:
        await by(world, entry, lambda obj=obj: owner.create(obj), *parts)
    # Beside these, each of the later parts' catch-alls was asked and let this pass.
    await owner.create(pod(ns, "fine", container={"imagePullPolicy": "Never"}))


async def check_changes(world: World, team_: Team) -> None:
    """Defaults, labels, and the metadata that rules give."""
    ns, owner = team_.namespace, team_.owner
    made = await owner.create(config_map(ns, "notes"))
    assert made["metadata"]["labels"] == {"team": "blue", **owned_labels(team_.tenant)}
    name = world.unique("urgent")
    async with standing(team_.admin, priority_class(name, 7)):
        await world.edit_tenant(team_.tenant, {"priorityClasses": {"default": name, "allowed": [name]}})
        stored = await owner.create(pod(ns, "urgent", container={"imagePullPolicy": "Never"}))
    assert (stored["spec"]["priorityClassName"], stored["spec"]["priority"]) == (name, 7)
    tenant = await world.stored(TENANTS, team_.tenant)
    assert tenant["metadata"]["labels"] == {"kubernetes.io/metadata.name": team_.tenant}


async def check_cordoning(world: World, team_: Team) -> None:
    """A cordoned tenant stands still for its users."""
    await world.edit_tenant(team_.tenant, {"cordoned": True})
    frozen = config_map(team_.namespace, "frozen")
    await by(world, "cordoning.validating", lambda: team_.owner.create(frozen), "is cordoned")
    await team_.admin.create(frozen)


async def test_opts_let_only_some_requesters_reach_an_entry(breakable_world: World) -> None:
    """W-5: with capsuleUsers, what others do is not judged by the entry."""
    world = breakable_world
    team_ = await team(world, SPEC)
    configuration = capsule_configuration()
    for entry in entries_of(configuration, "validating"):
        if entry["path"] == "/pods/validating":
            entry["opts"] = {"capsuleUsers": True, "administrators": False}
    wrong = pod(team_.namespace, "wrong", container={"imagePullPolicy": "Always"})
    async with configured(world, configuration):
        await by(world, "pods.validating", lambda: team_.owner.create(wrong), "Never")
        await team_.admin.create(wrong)


@pytest.mark.parametrize("side", ["mutating", "validating"])
async def test_a_client_has_a_url_or_a_service(breakable_world: World, side: str) -> None:
    """CN-1: both at once are refused, and nothing changes."""
    admin = Plain(breakable_world.admin)
    service_ = {"name": "capsule-webhook-service", "namespace": "capsule-system"}
    both = {"spec": {"admission": {side: {"client": {"url": "https://127.0.0.1:1", "service": service_}}}}}
    before = await admin.get(DEFAULT)
    await refused(admin.patch(DEFAULT, both), f"spec.admission.{side}.client", "url", "service")
    assert (await admin.get(DEFAULT))["spec"] == before["spec"]


async def test_what_is_deleted_comes_back_and_nobody_stops_serving_for_it(
    breakable: Breakable, breakable_world: World
) -> None:
    """R-10, K-2, 13.6: the webhook configurations, and the CapsuleConfiguration itself."""
    world, platform = breakable_world, breakable.platform
    parts = (platform.operator, platform.admission)
    team_ = await team(world, SPEC)
    wrong = pod(team_.namespace, "wrong", container={"imagePullPolicy": "Always"})
    for _, kind in SIDES:
        await world.admin.delete(kind, "capsule-dynamic-webhook")
    assert [await readiness(part) for part in parts] == [(200, "ok\n")] * 2
    await world.eventually(lambda: has_defaults(world))
    await world.eventually(lambda: judged(team_.owner.create(wrong, dry_run=True)))

    before = await Plain(world.admin).get(DEFAULT)
    await world.admin.delete(CONFIGURATIONS, "default")

    async def is_back() -> Json | None:
        found = await Plain(world.admin).get(DEFAULT)
        return found if found["metadata"]["uid"] != before["metadata"]["uid"] else None

    made = await world.eventually(is_back)
    assert [await readiness(part) for part in parts] == [(200, "ok\n")] * 2
    assert made["spec"]["users"] == [{"kind": "Group", "name": "projectcapsule.dev"}]
    # This installation is outside the cluster: without its URL nobody finds it, and the way back is open.
    await Plain(world.admin).patch(DEFAULT, {"spec": before["spec"]})
    await world.eventually(lambda: judged(team_.owner.create(wrong, dry_run=True)))


async def judged(attempt: Awaitable[object]) -> bool:
    """Return whether *attempt* is refused by admission's own word."""
    await refused(attempt, "Never")
    return True

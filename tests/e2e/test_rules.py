"""How rules work whatever they are about: order, actions, audiences, templates, edits (E-1 to E-4, E-12, 13.18)."""

from __future__ import annotations

from typing import Any

import yaml

from tenantry.kube.errors import ForbiddenError
from tenantry.kube.resources import TENANTS
from tenantry.testing.plain import (
    Json,
    Plain,
    any_object,
    config_map,
    owned_labels,
    pod,
    refused,
    service,
    team,
    told,
    usable,
)
from tenantry.testing.world import World

AUDIT = "NamespaceRuleAudit"
STATUS = ("capsule.clastix.io/v1beta2", "RuleStatus", "capsule-managed-rules")


def registries(action: str | None, exp: str, **parts: Any) -> Json:
    """Return a rule about images; None leaves the action out."""
    enforce = {"workloads": {"registries": [{"exp": exp}]}, **({"action": action} if action else {})}
    return {"enforce": enforce, **parts}


def labelled(action: str, value: str, **parts: Any) -> Json:
    """Return a rule about the label tier of ConfigMaps."""
    policy = {"values": [{"exact": [value]}]}
    return {"enforce": {"action": action, "metadata": [{"kinds": ["ConfigMap"], "labels": {"tier": policy}}]}, **parts}


async def test_the_last_match_wins_and_an_allow_makes_a_list(world: World) -> None:
    """E-1, E-2: in the tenant's order; to deny is what a block does that names no action."""
    rules = [
        registries("allow", "^quay\\.io/"),
        registries(None, "^quay\\.io/acme/"),
        registries("allow", "^quay\\.io/acme/web:"),
        registries("audit", "web"),
    ]
    team_ = await team(world, {"rules": rules})

    def create(image: str) -> Any:
        return team_.owner.create(pod(team_.namespace, "web", image=image), dry_run=True)

    await create("quay.io/other/x:1")
    await refused(create("quay.io/acme/db:1"), "is denied by namespace rule", "exp: ^quay\\.io/acme/")
    await create("quay.io/acme/web:1")
    await refused(
        create("docker.io/web"), "is not allowed by namespace rule", "exp: ^quay\\.io/; exp: ^quay\\.io/acme/web:"
    )
    await world.edit_tenant(team_.tenant, {"rules": rules[1:2]})
    await create("docker.io/web")
    await refused(create("quay.io/acme/web:1"), "is denied by namespace rule")


async def test_audits_tell_by_event_and_by_warning_and_never_decide(world: World) -> None:
    """E-3, D-12: an event in the namespace about the object, an API warning, none of both for a dry run."""
    team_ = await team(world, {"rules": [registries("audit", "^quay\\.io/")]})
    alice = world.platform.user("alice")
    text = 'registry "quay.io/acme/web:1" at containers[0] matched audit registry rule: exp: ^quay\\.io/'
    for name, arguments in (("dry", ["--dry-run=server"]), ("real", [])):
        done = await world.platform.kubectl(
            "create", "-f", "-", *arguments, user=alice, stdin=yaml.safe_dump(pod(team_.namespace, name))
        )
        assert f"Warning: {text}" in done.stderr
    event = await told(world, team_.namespace, AUDIT, text)
    assert event["regarding"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "real",
        "namespace": team_.namespace,
        **({"uid": event["regarding"]["uid"]} if "uid" in event["regarding"] else {}),
    }
    assert (event["type"], event["action"], event["related"]["name"]) == ("Normal", "RuleAudit", team_.tenant)
    assert event["metadata"]["labels"] == {"projectcapsule.dev/tenant": team_.tenant}
    audits = [e for e in await team_.admin.list("events.k8s.io/v1", "Event", team_.namespace) if e["reason"] == AUDIT]
    assert [e["regarding"]["name"] for e in audits] == ["real"]


async def test_audiences(world: World) -> None:
    """RL-4, E-4: any of the entries; users, groups, ServiceAccounts, and the classes of requesters."""
    rules = [
        labelled("deny", "user", audience=[{"kind": "User", "name": "bob"}, {"kind": "User", "name": "carol"}]),
        labelled("deny", "group", audience=[{"kind": "Group", "name": "night-shift"}]),
        labelled("deny", "capsule", audience=[{"kind": "Custom", "name": "CapsuleUser"}]),
        labelled("deny", "owner", audience=[{"kind": "Custom", "name": "TenantOwner"}]),
        labelled("deny", "boss", audience=[{"kind": "Custom", "name": "Administrator"}]),
        labelled("deny", "nobody", audience=[{"kind": "Custom", "name": "Controller"}]),
        labelled("deny", "all"),
    ]
    team_ = await team(world, {})
    robot_name = f"system:serviceaccount:{team_.namespace}:default"
    rules.append(labelled("deny", "robot", audience=[{"kind": "ServiceAccount", "name": robot_name}]))
    await world.edit_tenant(team_.tenant, {"rules": rules})
    masters = ("system:masters",)
    everyone = {
        "alice": (team_.owner, {"capsule", "owner", "all"}),
        "bob": (Plain(world.acting("bob", (*masters, "projectcapsule.dev"))), {"user", "capsule", "all"}),
        "carol": (Plain(world.acting("carol", (*masters, "night-shift"))), {"user", "group", "all"}),
        "robot": (
            Plain(world.account(team_.namespace, "default", (*masters, "system:serviceaccounts"))),
            {"robot", "capsule", "all"},
        ),
        "boss": (Plain(world.acting("the-boss", masters)), {"boss", "owner", "all"}),
        "admin": (team_.admin, {"all"}),
    }
    tiers = ("user", "group", "capsule", "owner", "boss", "nobody", "robot", "all")
    async with world.configured(administrators=[{"kind": "User", "name": "the-boss"}]):
        found: dict[str, set[str]] = {}
        for name, (who, _) in everyone.items():
            found[name] = set()
            for tier in tiers:
                try:
                    await who.create(config_map(team_.namespace, "it", labels={"tier": tier}), dry_run=True)
                except ForbiddenError:
                    found[name].add(tier)
        assert found == {name: bound for name, (_, bound) in everyone.items()}


async def test_deletions_are_never_ruled_and_statuses_neither(world: World) -> None:
    """E-12: what a rule came too late for can go, and be reported on."""
    team_ = await team(world, {})
    settings, running = config_map(team_.namespace, "settings", labels={"tier": "x"}), pod(team_.namespace, "running")
    await team_.owner.create(settings)
    await team_.owner.create(running)
    await world.edit_tenant(team_.tenant, {"rules": [labelled("allow", "y"), registries("allow", "^none$")]})
    await refused(team_.owner.create(config_map(team_.namespace, "x", labels={"tier": "x"})), "not allowed")
    status = {"status": {"conditions": [{"type": "acme.io/Seen", "status": "True"}]}}
    await team_.admin.patch(running, status, "strategic", "status")
    # As it is stored it stays, also with finalizers coming and going.
    await team_.owner.patch(running, {"metadata": {"finalizers": ["acme.io/x"]}})
    await team_.owner.patch(settings, {"data": {"other": "1"}})
    await team_.owner.delete(settings)
    await team_.owner.delete(running)
    await team_.owner.patch(running, {"metadata": {"finalizers": None}})


async def test_rules_are_templates_of_tenant_and_namespace(world: World) -> None:
    """13.18: rendered for each namespace; a key that is missing is an error and refuses, never a literal."""
    rules = [
        registries("allow", "^harbor/{{ tenant.name }}/"),
        registries("allow", "^harbor/{{ tenant.data.shared }}/"),
        registries(
            "allow",
            '^harbor/{{ index .namespace.metadata.labels "acme.io/env" }}/',
            namespaceSelector={"matchLabels": {"acme.io/env": "prod"}},
        ),
    ]
    team_ = await team(world, {"rules": rules, "data": {"shared": "library"}})
    alice = team_.owner.client
    prod = await world.namespace(alice, team_.tenant, labels={"acme.io/env": "prod"})
    await usable(world, alice, prod)

    def create(namespace: str, image: str) -> Any:
        return team_.owner.create(pod(namespace, "web", image=image), dry_run=True)

    for namespace in (team_.namespace, prod):
        for part in (team_.tenant, "library"):
            await create(namespace, f"harbor/{part}/web")
    await create(prod, "harbor/prod/web")
    await refused(
        create(team_.namespace, "harbor/prod/web"),
        "is not allowed",
        f"exp: ^harbor/{team_.tenant}/; exp: ^harbor/library/",
    )

    unknown = {"spec": {"rules": [registries("allow", "^{{ .tenant.data.missing }}/")]}}
    await refused(world.admin.patch(TENANTS, team_.tenant, patch=unknown, kind="merge"), "spec.rules[0]", "missing")
    everywhere = [{**rules[2], "namespaceSelector": {}}]
    await world.admin.patch(TENANTS, team_.tenant, patch={"spec": {"rules": everywhere}}, kind="merge")

    async def unenforceable() -> bool:
        await refused(create(team_.namespace, "harbor/library/web"), "spec.rules[0]", "acme.io/env")
        return True

    await world.eventually(unenforceable)
    await create(prod, "harbor/prod/web")
    await refused(create(prod, "harbor/library/web"), "is not allowed")
    # Other kinds are not concerned by a rule about images that can't be rendered.
    await team_.owner.create(config_map(team_.namespace, "it"))


async def test_the_rule_status_shows_what_holds(world: World) -> None:
    """RS-1, 13.18, 14.1: rules with something to enforce, in order, without selector, permissions and quota."""
    rules = [
        {"permissions": {"promotions": [{"clusterRoles": ["view"], "selector": {"matchLabels": {"a": "b"}}}]}},
        registries(None, "^harbor/{{ tenant.name }}/"),
        registries("allow", "^prod/", namespaceSelector={"matchLabels": {"env": "prod"}}),
        {**labelled("audit", "x", audience=[{"kind": "User", "name": "bob"}]), "namespaceSelector": {}},
    ]
    team_ = await team(world, {"rules": rules})
    status = any_object(*STATUS, team_.namespace)

    async def shown(*expected: Json) -> bool:
        found = await team_.admin.get(status)
        assert found.get("status", {}).get("rules") == list(expected)
        assert found["spec"] == list(expected)
        return bool(found["status"]["observedGeneration"] == found["metadata"]["generation"])

    denied = registries("deny", f"^harbor/{team_.tenant}/")
    audited = labelled("audit", "x", audience=[{"kind": "User", "name": "bob"}])
    _complete(denied, audited)
    await world.eventually(lambda: shown(denied, audited))
    found = await team_.admin.get(status)
    assert found["metadata"]["labels"] == {
        "projectcapsule.dev/managed-by": "controller",
        "projectcapsule.dev/name": "capsule-managed-rules",
        **owned_labels(team_.tenant),
    }
    assert [(o["kind"], o["name"], o["controller"]) for o in found["metadata"]["ownerReferences"]] == [
        ("Tenant", team_.tenant, True)
    ]
    ready = [c for c in found["status"]["conditions"] if c["type"] == "Ready"]
    assert [(c["status"], c["reason"]) for c in ready] == [("True", "Succeeded")]

    allowed = registries("allow", "^prod/")
    _complete(allowed)
    namespace = any_object("v1", "Namespace", team_.namespace)
    await team_.owner.patch(namespace, {"metadata": {"labels": {"env": "prod"}}})
    await world.eventually(lambda: shown(denied, allowed, audited))
    await world.edit_tenant(team_.tenant, {"rules": []})
    await world.eventually(lambda: _is_bare(team_.admin, status))


async def _is_bare(admin: Plain, status: Json) -> bool:
    found = await admin.get(status)
    assert "rules" not in found["status"] or found["status"]["rules"] == []
    return not found.get("spec")


def _complete(*rules: Json) -> None:
    """Put in what the schema puts into a stored rule."""
    for rule in rules:
        for registry in rule["enforce"].get("workloads", {}).get("registries", ()):
            registry["negate"] = False
        for entry in rule["enforce"].get("metadata", ()):
            for policy in entry["labels"].values():
                policy["required"] = False
                for value in policy["values"]:
                    value["negate"] = False


async def test_an_edit_that_is_in_force_holds_at_once(world: World) -> None:
    """13.2: once the Tenant's status tells of a generation, nothing is decided by older rules."""
    team_ = await team(world, {})
    for turn in range(5):
        await world.edit_tenant(team_.tenant, {"rules": [registries("deny", f"^turn-{turn}/")]})
        await refused(team_.owner.create(pod(team_.namespace, "web", image=f"turn-{turn}/web")), f"^turn-{turn}/")
        await team_.owner.create(pod(team_.namespace, "web", image=f"turn-{turn - 1}/web"), dry_run=True)
    await world.edit_tenant(team_.tenant, {"rules": [labelled("deny", "x")]})
    # The first rule about a kind that had none.
    await refused(team_.owner.create(config_map(team_.namespace, "it", labels={"tier": "x"})), "denied")
    await world.edit_tenant(team_.tenant, {"rules": []})
    await team_.owner.create(config_map(team_.namespace, "it", labels={"tier": "x"}))
    await team_.owner.create(service(team_.namespace, "web"), dry_run=True)

"""Rules about labels and annotations of any object (RL-18, E-9, E-10, R-3)."""

from __future__ import annotations

from typing import Any

from tenantry.testing.plain import (
    Json,
    Plain,
    Team,
    any_object,
    config_map,
    owned_labels,
    pod,
    refused,
    service,
    standing,
    team,
    told,
    usable,
)
from tenantry.testing.world import World

AUDIT = "NamespaceRuleAudit"


def metadata(action: str, *kinds: str, groups: tuple[str, ...] = (), **fields: Any) -> Json:
    """Return a rule about metadata of *kinds*; *fields* are labels and annotations."""
    return {"enforce": {"action": action, "metadata": [{"apiGroups": list(groups), "kinds": list(kinds), **fields}]}}


def may_manage(world: World, group: str, plural: str) -> Json:
    """Return the rights that the platform adds for managed metadata of a kind (13.13)."""
    rule = {"apiGroups": [group], "resources": [plural], "verbs": ["list", "patch"]}
    name = world.unique("managed-metadata")
    role = any_object("rbac.authorization.k8s.io/v1", "ClusterRole", name, rules=[rule])
    role["metadata"]["labels"] = {"projectcapsule.dev/aggregate-to-controller": "true"}
    return role


async def test_required_and_allowed_values(world: World) -> None:
    """14.3: a missing key is named with its path, a wrong value with the key."""
    values = [{"exact": ["gold", "silver"], "exp": "^bronze-[0-9]+$"}]
    rules = [
        metadata(
            "allow",
            "ConfigMap",
            labels={"acme.io/tier": {"required": True, "values": values}},
            annotations={"acme.io/contact": {"required": True}},
        ),
        metadata("deny", "ConfigMap", labels={"acme.io/tier": {"values": [{"exact": ["bronze-13"]}]}}),
        metadata("audit", "ConfigMap", labels={"acme.io/tier": {"values": [{"exact": ["silver"]}]}}),
    ]
    team_ = await team(world, {"rules": rules})
    ns, owner = team_.namespace, team_.owner

    def labelled(tier: str | None, contact: str | None = "me") -> Json:
        return config_map(
            ns,
            "settings",
            labels={"acme.io/tier": tier} if tier is not None else {},
            annotations={"acme.io/contact": contact} if contact is not None else {},
        )

    await owner.create(labelled("gold"), dry_run=True)
    await owner.create(labelled("bronze-7"), dry_run=True)
    await refused(owner.create(labelled(None)), "metadata", "acme.io/tier", "required", "metadata.labels")
    await refused(
        owner.create(labelled("gold", None)), "metadata", "acme.io/contact", "required", "metadata.annotations"
    )
    await refused(
        owner.create(labelled("lead")),
        "acme.io/tier",
        "lead",
        "not allowed",
        "exact: gold, silver; exp: ^bronze-[0-9]+$",
    )
    await refused(owner.create(labelled("bronze-13")), "acme.io/tier", "bronze-13", "denied")
    await owner.create(labelled("silver"))
    await told(world, ns, AUDIT, "metadata", "acme.io/tier", "silver")
    await told(world, ns, "ForbiddenMetadata", "acme.io/tier", "lead")
    # Other kinds and later changes.
    await owner.create(any_object("v1", "Secret", "free", ns))
    await refused(owner.patch(labelled("silver"), {"metadata": {"labels": {"acme.io/tier": None}}}), "required")
    await refused(
        owner.change(labelled("silver"), lambda o: o["metadata"]["labels"].update({"acme.io/tier": "x"})), "not allowed"
    )


async def test_kinds_groups_and_key_selectors(world: World) -> None:
    """Kinds and groups may be globs, keys globs or expressions; the product's own labels are never meant by those."""
    rules = [
        metadata("deny", "Deploy*", groups=("apps/v1",), labels={"forbidden-*": {}}),
        metadata("deny", "*", groups=("*",), annotations={"^secret\\.acme\\.io/.+$": {}}),
        metadata("deny", "Service", labels={"*": {"values": [{"exp": "^internal$"}]}}),
    ]
    team_ = await team(world, {"rules": rules})
    ns, owner = team_.namespace, team_.owner
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    deployment = any_object(
        "apps/v1",
        "Deployment",
        "web",
        ns,
        spec={"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": template},
    )
    deployment["metadata"]["labels"] = {"forbidden-one": "1"}
    await refused(owner.create(deployment), "forbidden-one", "denied")
    secret = config_map(ns, "s", annotations={"secret.acme.io/a": "1"})
    await refused(owner.create(secret), "secret.acme.io/a", "denied")
    await refused(
        owner.create(service(ns, "web", metadata={"labels": {"scope": "internal"}})), "scope", "internal", "denied"
    )
    made = await owner.create(service(ns, "web", metadata={"labels": {"forbidden-one": "fine"}}))
    assert made["metadata"]["labels"] == {"forbidden-one": "fine", **owned_labels(team_.tenant)}


async def test_defaults_fill_and_managed_values_win(world: World) -> None:
    """E-10: a default where the user says nothing, the managed value whatever the user says."""
    rules = [
        metadata(
            "allow",
            "ConfigMap",
            labels={"acme.io/default": {"default": "blue"}, "acme.io/cost": {"managed": "42"}},
            annotations={"acme.io/note": {"default": "none"}, "acme.io/rule": {"managed": "on"}},
        )
    ]
    team_ = await team(world, {"rules": rules})
    ns, owner, tenant = team_.namespace, team_.owner, team_.tenant
    made = await owner.create(config_map(ns, "empty"))
    assert made["metadata"]["labels"] == {"acme.io/default": "blue", "acme.io/cost": "42", **owned_labels(tenant)}
    assert made["metadata"]["annotations"] == {"acme.io/note": "none", "acme.io/rule": "on"}
    given = config_map(
        ns, "given", labels={"acme.io/default": "red", "acme.io/cost": "1"}, annotations={"acme.io/rule": "off"}
    )
    made = await owner.create(given)
    assert made["metadata"]["labels"] == {"acme.io/default": "red", "acme.io/cost": "42", **owned_labels(tenant)}
    changed = await owner.patch(given, {"metadata": {"labels": {"acme.io/cost": None, "acme.io/default": None}}})
    assert changed["metadata"]["labels"] == {"acme.io/default": "blue", "acme.io/cost": "42", **owned_labels(tenant)}


async def test_managed_metadata_comes_to_existing_objects_and_goes_with_the_rule(world: World) -> None:
    """R-3: for what existed before, for what came under the rule, and nothing of the user's is taken."""
    team_ = await team(world, {})
    async with standing(team_.admin, may_manage(world, "", "configmaps")):
        await _managed_comes_and_goes(world, team_)


async def _managed_comes_and_goes(world: World, team_: Team) -> None:
    ns, owner, tenant = team_.namespace, team_.owner, team_.tenant
    old = config_map(ns, "old", labels={"mine": "1"}, annotations={"mine": "1"})
    await owner.create(old)
    managed = metadata(
        "allow",
        "ConfigMap",
        labels={"acme.io/cost": {"managed": "42"}, "acme.io/kept": {"managed": "same"}},
        annotations={"acme.io/rule": {"managed": "on"}},
    )
    await world.edit_tenant(tenant, {"rules": [managed]})
    new = config_map(ns, "new")
    await owner.create(new)

    async def both_have(labels: Json, annotations: Json) -> bool:
        for obj, mine in ((old, {"mine": "1"}), (new, {})):
            found = (await owner.get(obj))["metadata"]
            assert found["labels"] == {**mine, **labels, **owned_labels(tenant)}
            assert found.get("annotations", {}) == {**mine, **annotations}
        return True

    await world.eventually(lambda: both_have({"acme.io/cost": "42", "acme.io/kept": "same"}, {"acme.io/rule": "on"}))
    changed = metadata("allow", "ConfigMap", labels={"acme.io/cost": {"managed": "43"}})
    await world.edit_tenant(tenant, {"rules": [changed]})
    await world.eventually(lambda: both_have({"acme.io/cost": "43"}, {}))
    await world.edit_tenant(tenant, {"rules": []})
    await world.eventually(lambda: both_have({}, {}))


async def test_managed_metadata_of_other_groups(world: World) -> None:
    """R-3 for kinds of any group, and only in namespaces that the rule selects."""
    team_ = await team(world, {})
    alice = await world.user("alice")
    prod = await world.namespace(alice, team_.tenant, labels={"env": "prod"})
    leases = [any_object("coordination.k8s.io/v1", "Lease", "it", ns, spec={}) for ns in (team_.namespace, prod)]
    for lease in leases:
        await team_.admin.create(lease)
    rule = metadata("allow", "Lease", groups=("coordination.k8s.io",), labels={"acme.io/cost": {"managed": "42"}})
    rule["namespaceSelector"] = {"matchLabels": {"env": "prod"}}
    await world.edit_tenant(team_.tenant, {"rules": [rule]})
    status = any_object("capsule.clastix.io/v1beta2", "RuleStatus", "capsule-managed-rules", prod)

    async def is_told() -> bool:
        ready = (await team_.admin.get(status))["status"]["conditions"][0]
        return ready["status"] == "False" and "managed metadata of Lease needs list and patch" in ready["message"]

    await world.eventually(is_told)
    role = may_manage(world, "coordination.k8s.io", "leases")

    async def only_prod() -> bool:
        found = [(await team_.admin.get(lease))["metadata"]["labels"].get("acme.io/cost") for lease in leases]
        return found == [None, "42"]

    async with standing(team_.admin, role):
        await world.eventually(only_prod)


async def test_what_controllers_made_or_made_for_others_is_left_alone(world: World) -> None:
    """E-9: objects labelled as managed by the controller or by replications are not ruled, nor are subresources."""
    rules = [metadata("allow", "*", groups=("*",), labels={"acme.io/tier": {"required": True}})]
    team_ = await team(world, {})
    running = pod(team_.namespace, "running")
    await team_.owner.create(running)
    spec = {"rules": rules, "limitRanges": {"items": [{"limits": [{"type": "Pod", "max": {"cpu": "4"}}]}]}}
    await world.edit_tenant(team_.tenant, spec)
    await refused(team_.owner.create(config_map(team_.namespace, "none")), "acme.io/tier", "required")
    await team_.owner.create(config_map(team_.namespace, "copy", labels={"projectcapsule.dev/managed-by": "resources"}))
    status = {"status": {"conditions": [{"type": "acme.io/Seen", "status": "True"}]}}
    await team_.admin.patch(running, status, "strategic", "status")

    async def copied() -> bool:
        found = await team_.owner.list("v1", "LimitRange", team_.namespace)
        return [one["metadata"]["name"] for one in found] == [f"capsule-{team_.tenant}-0"]

    await world.eventually(copied)


async def test_namespaces_are_ruled_where_they_are_named(world: World) -> None:
    """N-16, RL-18: at creation, by update and by /status; managed and default values are put on."""
    namespace_rule = metadata(
        "allow",
        "Namespace",
        labels={
            "acme.io/env": {"required": True, "values": [{"exact": ["dev", "prod"]}]},
            "acme.io/tier": {"default": "silver"},
            "acme.io/bill": {"managed": "oil"},
        },
    )
    tenant = await world.tenant({"owners": [{"kind": "User", "name": "alice"}], "rules": [namespace_rule]})
    alice = await world.user("alice")
    name = tenant.metadata.name
    await refused(world.namespace(alice, name), "acme.io/env", "required", "metadata.labels")
    await refused(world.namespace(alice, name, labels={"acme.io/env": "test"}), "acme.io/env", "test", "not allowed")
    namespace = await world.namespace(alice, name, labels={"acme.io/env": "dev"})
    owner = Plain(alice)
    await usable(world, alice, namespace)
    obj = any_object("v1", "Namespace", namespace)
    assert (await owner.get(obj))["metadata"]["labels"] == {
        "acme.io/env": "dev",
        "acme.io/tier": "silver",
        "acme.io/bill": "oil",
        "capsule.clastix.io/tenant": name,
        "kubernetes.io/metadata.name": namespace,
    }
    await refused(owner.patch(obj, {"metadata": {"labels": {"acme.io/env": "test"}}}), "not allowed")


async def test_managed_metadata_of_namespaces_comes_and_goes_with_the_rule(world: World) -> None:
    """R-3, N-7: for namespaces that were there before; their owner can't take it off, nor is anything else taken."""
    team_ = await team(world, {}, labels={"mine": "1"})
    obj = any_object("v1", "Namespace", team_.namespace)
    base = {
        "mine": "1",
        "capsule.clastix.io/tenant": team_.tenant,
        "kubernetes.io/metadata.name": team_.namespace,
    }

    async def has(labels: Json, annotations: Json) -> bool:
        found = (await team_.owner.get(obj))["metadata"]
        assert found["labels"] == {**base, **labels}
        assert found.get("annotations", {}) == annotations
        return True

    policies: Json = {
        "labels": {"acme.io/bill": {"managed": "oil"}},
        "annotations": {"acme.io/note": {"managed": "{{ .tenant.metadata.name }}"}},
    }
    await world.edit_tenant(team_.tenant, {"rules": [metadata("allow", "Namespace", **policies)]})
    wanted = ({"acme.io/bill": "oil"}, {"acme.io/note": team_.tenant})
    await world.eventually(lambda: has(*wanted))
    await team_.owner.patch(obj, {"metadata": {"labels": {"acme.io/bill": None}, "annotations": {"acme.io/note": "x"}}})
    await has(*wanted)
    await world.edit_tenant(team_.tenant, {"rules": []})
    await world.eventually(lambda: has({}, {}))

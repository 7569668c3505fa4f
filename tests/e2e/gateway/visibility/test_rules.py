"""R-033, R-036, 8.2: ProxySettings and GlobalProxySettings, from their status to what they show."""

from __future__ import annotations

from typing import Any

import pytest
from caller import JSON, within
from stage import GLOBAL_SETTINGS, NAMESPACES, Stage, account, group, resource, user

from tenantry.api import labels

NODES = "/api/v1/nodes"
CLUSTER_ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
STORAGE = "/apis/storage.k8s.io/v1/storageclasses"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
RBAC = ["rbac.authorization.k8s.io/*"]


async def a_role(stage: Stage, **match_labels: str) -> str:
    """Make a ClusterRole; return its name."""
    return str((await stage.make(CLUSTER_ROLES, {"metadata": {"labels": match_labels}}))["metadata"]["name"])


def definition(group_name: str, plural: str, **match_labels: str) -> JSON:
    """A cluster-scoped kind."""
    kind = plural.rstrip("s").capitalize()
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "metadata": {"name": f"{plural}.{group_name}", "labels": match_labels},
        "spec": {
            "group": group_name,
            "scope": "Cluster",
            "names": {"plural": plural, "singular": plural.rstrip("s"), "kind": kind, "listKind": f"{kind}List"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def missing(kind: str, name: str) -> tuple[int, str, str]:
    """The API server's refusal of what is not there."""
    return 404, "NotFound", f'{kind} "{name}" not found'


async def test_status_and_columns_say_that_a_rule_is_in_force(stage: Stage) -> None:
    """Condition, generation, and what kubectl prints; again after an edit."""
    space = await stage.namespace(await stage.tenant(user(stage.unique("owner"))))
    entry = resource(RBAC, ["clusterroles"], a="b")
    paths = [
        await stage.setting(space, {**user("somebody"), "clusterResources": [entry]}),
        await stage.global_rule([user("somebody")], entry),
    ]
    for path in paths:
        status = (await stage.admin.ask(path)).body["status"]
        (condition,) = [each for each in status["conditions"] if each["type"] == "Ready"]
        assert {**condition, "lastTransitionTime": ""} == {
            "type": "Ready",
            "status": "True",
            "reason": "Succeeded",
            "message": "reconciled",
            "observedGeneration": 1,
            "lastTransitionTime": "",
        }
        assert status["observedGeneration"] == 1
    names = [path.rsplit("/", 1)[1] for path in paths]
    kubectl = stage.world.platform.kubectl
    for command in (("proxysetting", names[0], "-n", space), ("globalproxysettings", names[1])):
        lines = (await kubectl("get", *command)).stdout.splitlines()
        assert [line.split()[:2] for line in lines] == [["NAME", "READY"], [command[1], "True"]]
    await stage.edit(
        paths[1], {"rules": [{"subjects": [user("else")], "clusterResources": [resource(RBAC, ["clusterroles"])]}]}
    )
    assert (await stage.admin.ask(paths[1])).body["status"]["observedGeneration"] == 2


@pytest.mark.parametrize("kind", ["User", "Group", "ServiceAccount"])
async def test_global_rules_act_for_subjects_of_every_kind(stage: Stage, kind: str) -> None:
    """Without any tenant: ClusterRoles by label, in name order, and nobody else's."""
    name, team, mark = stage.unique("user"), stage.unique("group"), stage.unique("mark")
    space = await stage.namespace(await stage.tenant(user(stage.unique("owner"))))
    subject = {"User": user(name), "Group": group(team), "ServiceAccount": account(space, name)}[kind]
    shown = sorted([await a_role(stage, pool=mark) for _ in range(2)])
    hidden = await a_role(stage, pool="other")
    caller = await stage.account(space, name) if kind == "ServiceAccount" else stage.user(name, _groups(team))
    assert (await caller.refused(CLUSTER_ROLES))[:2] == (403, "Forbidden")

    path = await stage.global_rule([subject], resource(RBAC, ["clusterroles"], pool=mark))

    await stage.shows(lambda: _seen(caller.ask(CLUSTER_ROLES)), shown)
    assert (await caller.ask(f"{CLUSTER_ROLES}/{shown[0]}")).status == 200
    assert (await caller.refused(f"{CLUSTER_ROLES}/{hidden}"))[0] in {403, 404}
    other = await stage.account(await _another_namespace(stage), name) if kind == "ServiceAccount" else stage.user()
    assert (await other.refused(CLUSTER_ROLES))[:2] == (403, "Forbidden")
    assert (await caller.delete(f"{CLUSTER_ROLES}/{shown[0]}")).refusal[:2] == (403, "Forbidden")
    await stage.remove(path)
    await within(2, lambda: _seen(caller.ask(CLUSTER_ROLES)), 403)


def _groups(*more: str) -> tuple[str, ...]:
    return (labels.DEFAULT_USER_GROUP, *more)


async def _another_namespace(stage: Stage) -> str:
    return await stage.namespace(await stage.tenant(user(stage.unique("owner"))))


async def _seen(asked: Any) -> list[str] | int:
    reply = await asked
    return reply.names if reply.status == 200 else int(reply.status)


async def test_a_proxy_setting_shows_its_tenant_and_what_it_says(stage: Stage) -> None:
    """A subject that owns nothing: the tenant, its namespaces, the legacy kinds, the rules; while it is there."""
    name, mark = stage.unique("user"), stage.unique("mark")
    tenant = await stage.tenant(user(stage.unique("owner")), nodeSelector={"pool": mark})
    spaces = sorted([await stage.namespace(tenant) for _ in range(2)])
    node = (await stage.make(NODES, {"metadata": {"labels": {"pool": mark}}}))["metadata"]["name"]
    role = await a_role(stage, pool=mark)
    caller = stage.user(name)
    assert await caller.names(NAMESPACES) == []
    subject = {
        **user(name),
        "proxySettings": [{"kind": "Nodes", "operations": ["List"]}],
        "clusterResources": [resource(RBAC, ["clusterroles"], pool=mark)],
    }

    path = await stage.setting(spaces[0], subject)

    await stage.shows(lambda: caller.names(NAMESPACES), spaces)
    await stage.shows(lambda: caller.names(NODES), [node])
    await stage.shows(lambda: _seen(caller.ask(CLUSTER_ROLES)), [role])
    assert await caller.names("/apis/capsule.clastix.io/v1beta2/tenants") == [tenant]
    await stage.edit(path, {"subjects": [{**subject, "proxySettings": []}]})
    await stage.shows(lambda: caller.names(NODES), [])
    await stage.shows(lambda: caller.refused(f"{NODES}/{node}"), missing("nodes", node))
    await stage.remove(path)
    await within(2, lambda: caller.names(NAMESPACES), [])
    await within(2, lambda: _seen(caller.ask(CLUSTER_ROLES)), 403)


async def test_a_proxy_setting_outside_tenants_grants_nothing(stage: Stage) -> None:
    """It is Ready all the same."""
    name = stage.unique("user")
    await a_role(stage, pool="x")
    subject = {**user(name), "clusterResources": [resource(RBAC, ["clusterroles"], pool="x")]}

    await stage.setting("default", subject)

    caller = stage.user(name)
    assert await caller.names(NAMESPACES) == []
    assert (await caller.refused(CLUSTER_ROLES))[:2] == (403, "Forbidden")


async def test_rules_do_not_combine(stage: Stage) -> None:
    """1.18 p: neither two rules of one object nor those of two, by list or by name."""
    name, mark = stage.unique("user"), stage.unique("mark")
    made = {
        (env, tier): await a_role(stage, run=mark, env=env, tier=tier)
        for env in ("prod", "dev")
        for tier in ("gold", "silver")
    }
    await stage.global_rule([user(name)], resource(RBAC, ["clusterroles"], run=mark, env="prod", tier="gold"))
    await stage.global_rule([user(name)], resource(RBAC, ["clusterroles"], run=mark, env="dev", tier="silver"))
    caller = stage.user(name)

    shown = sorted([made["prod", "gold"], made["dev", "silver"]])
    assert await caller.names(CLUSTER_ROLES) == shown
    for kind in (("prod", "silver"), ("dev", "gold")):
        reply = await caller.ask(f"{CLUSTER_ROLES}/{made[kind]}")
        assert reply.refusal == missing("clusterroles.rbac.authorization.k8s.io", made[kind])


async def test_selectors_with_expressions(stage: Stage) -> None:
    """In, NotIn, Exists, DoesNotExist, all of one rule together."""
    name, mark = stage.unique("user"), stage.unique("mark")
    gold = await a_role(stage, run=mark, tier="gold")
    silver = await a_role(stage, run=mark, tier="silver")
    await a_role(stage, run=mark, tier="gold", hidden="yes")
    await a_role(stage, run=mark)
    expressions = [
        {"key": "run", "operator": "In", "values": [mark]},
        {"key": "tier", "operator": "Exists"},
        {"key": "tier", "operator": "NotIn", "values": ["iron"]},
        {"key": "hidden", "operator": "DoesNotExist"},
    ]
    entry = {"apiGroups": RBAC, "resources": ["clusterroles"], "selector": {"matchExpressions": expressions}}
    await stage.global_rule([user(name)], entry)
    caller = stage.user(name)

    assert await caller.names(CLUSTER_ROLES) == sorted([gold, silver])
    assert await caller.names(CLUSTER_ROLES, labelSelector="tier=gold") == [gold]


async def test_a_get_only_rule_lists_nothing(stage: Stage) -> None:
    """Get: by name alone.  List: the list, and by name as well."""
    name, mark = stage.unique("user"), stage.unique("mark")
    by_name, listed = await a_role(stage, a=mark), await a_role(stage, b=mark)
    read = await stage.global_rule([user(name)], resource(RBAC, ["clusterroles"], "Get", a=mark))
    caller = stage.user(name)

    assert (await caller.ask(f"{CLUSTER_ROLES}/{by_name}")).status == 200
    assert (await caller.refused(CLUSTER_ROLES))[:2] == (403, "Forbidden")
    await stage.global_rule([user(name)], resource(RBAC, ["clusterroles"], "List", b=mark))
    await stage.shows(lambda: _seen(caller.ask(CLUSTER_ROLES)), [listed])
    assert [(await caller.ask(f"{CLUSTER_ROLES}/{each}")).status for each in (by_name, listed)] == [200, 200]
    await stage.remove(read)
    await within(2, lambda: _seen_one(caller.ask(f"{CLUSTER_ROLES}/{by_name}")), 404)
    nodes = await stage.make(NODES, {"metadata": {"labels": {"a": mark}}})
    await stage.global_rule([user(name)], resource([""], ["nodes"], "Get", a=mark))
    await stage.shows(lambda: _seen_one(caller.ask(f"{NODES}/{nodes['metadata']['name']}")), 200)
    assert await caller.names(NODES) == []


async def _seen_one(asked: Any) -> int:
    return int((await asked).status)


@pytest.mark.parametrize(
    ("groups", "kinds", "is_shown"),
    [
        (["rbac.authorization.k8s.io"], ["clusterroles"], True),
        (["rbac.authorization.k8s.io/v1"], ["clusterroles"], True),
        (["rbac.authorization.k8s.io/*"], ["*"], True),
        (["*"], ["clusterroles"], True),
        (["*"], ["*"], True),
        (["rbac.*"], ["clusterroles"], True),
        (["*.k8s.io"], ["clusterroles"], True),
        (["r*authorization*io"], ["clusterroles"], True),
        (["", "rbac.authorization.k8s.io"], ["nodes", "clusterroles"], True),
        (["rbac.authorization.k8s.io/v1beta1"], ["clusterroles"], False),
        (["rbac"], ["clusterroles"], False),
        ([""], ["*"], False),
        (["authorization*"], ["clusterroles"], False),
        (["*"], ["clusterrole"], False),
    ],
)
async def test_patterns_of_groups(stage: Stage, groups: list[str], kinds: list[str], *, is_shown: bool) -> None:
    """Exact, ``*`` at any place, ``group/version``; the core group is the empty one."""
    name, mark = stage.unique("user"), stage.unique("mark")
    role = await a_role(stage, run=mark)

    await stage.global_rule([user(name)], resource(groups, kinds, run=mark))

    assert await _seen(stage.user(name).ask(CLUSTER_ROLES)) == ([role] if is_shown else 403)


async def test_everything_of_a_group_at_once(stage: Stage) -> None:
    """Definitions, nodes, namespaces, classes and roles by one rule of stars; namespaced kinds are no part of it."""
    name, mark = stage.unique("user"), stage.unique("mark")
    wanted = {}
    plural = f"things{mark.replace('-', '')}"
    bodies: dict[str, JSON] = {
        NODES: {},
        CLUSTER_ROLES: {},
        STORAGE: {"provisioner": "example.org/none"},
        NAMESPACES: {},
    }
    for path, body in bodies.items():
        wanted[path] = [(await stage.make(path, {**body, "metadata": {"labels": {"run": mark}}}))["metadata"]["name"]]
    defined = definition("example.org", plural, run=mark)
    wanted[DEFINITIONS] = [
        (await stage.make(DEFINITIONS, defined, name=defined["metadata"]["name"]))["metadata"]["name"]
    ]
    await stage.global_rule([user(name)], resource(["*"], ["*"], run=mark))
    caller = stage.user(name)

    for path, names in wanted.items():
        await within(2, lambda path=path: _seen(caller.ask(path)), names)  # type: ignore[misc]
        assert (await caller.ask(f"{path}/{names[0]}")).status == 200
    assert await caller.names("/api/v1/pods") == []
    assert (await caller.refused("/api/v1/namespaces/default/pods"))[:2] == (403, "Forbidden")


async def test_a_definition_that_comes_later_is_under_the_rule_that_named_it(stage: Stage) -> None:
    """1.18 h: a CRD added at run time is listed, read and watched without a restart; and goes again."""
    name, mark = stage.unique("user"), stage.unique("mark")
    api, plural = f"{mark}.example.org", "gadgets"
    path = f"/apis/{api}/v1/{plural}"
    await stage.global_rule([user(name)], resource([f"{mark}.*"], [plural], run=mark))
    await stage.readable(api, plural)
    caller = stage.user(name)
    assert (await caller.refused(path))[0] in {403, 404}

    await stage.make(DEFINITIONS, definition(api, plural), name=f"{plural}.{api}")

    async def is_served() -> bool:
        return (await stage.admin.ask(path)).status == 200

    await stage.world.eventually(is_served)
    objects = [
        {"apiVersion": f"{api}/v1", "kind": "Gadget", "metadata": {"name": each, "labels": {"run": run}}}
        for each, run in (("b", mark), ("a", mark), ("c", "other"))
    ]
    for each in objects:
        assert (await stage.admin.create(path, each)).status == 201
    await within(5, lambda: _seen(caller.ask(path)), ["a", "b"])
    assert (await caller.ask(f"{path}/a")).status == 200
    assert await caller.refused(f"{path}/c") == missing(f"{plural}.{api}", "c")
    version = (await caller.ask(path)).body["metadata"]["resourceVersion"]
    async with caller.watching(path, resourceVersion=version) as watch:
        await stage.change(f"{path}/c", {"metadata": {"labels": {"run": mark}}})
        assert await watch.told() == ("ADDED", "c")
        await stage.change(f"{path}/a", {"metadata": {"labels": {"run": "other"}}})
        assert await watch.told() == ("DELETED", "a")
        await stage.remove(f"{path}/b")
        assert await watch.told() == ("DELETED", "b")
    listed = (await stage.gateway.kubectl("get", f"{plural}.{api}", "-o", "name", user=caller.kubeconfig)).stdout
    assert listed.split() == [f"gadget.{api}/c"]


async def test_edits_and_deletions_of_rules_reach_lists_and_open_watches(stage: Stage) -> None:
    """A watch tells what comes and goes by the rule, in one stream."""
    name, mark = stage.unique("user"), stage.unique("mark")
    one, two = await a_role(stage, a=mark), await a_role(stage, b=mark)
    entries = {each: resource(RBAC, ["clusterroles"], **{each: mark}) for each in ("a", "b")}
    path = await stage.global_rule([user(name)], entries["a"])
    caller = stage.user(name)
    version = (await caller.ask(CLUSTER_ROLES)).body["metadata"]["resourceVersion"]

    async with caller.watching(CLUSTER_ROLES, resourceVersion=version) as watch:
        await stage.edit(
            path, {"rules": [{"subjects": [user(name)], "clusterResources": [entries["a"], entries["b"]]}]}
        )
        assert await watch.told() == ("ADDED", two)
        await stage.shows(lambda: caller.names(CLUSTER_ROLES), sorted([one, two]))
        await stage.edit(path, {"rules": [{"subjects": [user(name)], "clusterResources": [entries["b"]]}]})
        assert await watch.told() == ("DELETED", one)
        await stage.shows(lambda: caller.names(CLUSTER_ROLES), [two])
        await stage.change(f"{CLUSTER_ROLES}/{two}", {"metadata": {"labels": {"more": "yes"}}})
        assert await watch.told() == ("MODIFIED", two)
        await stage.remove(path)
        assert await watch.told() == ("DELETED", two)


async def test_an_empty_selector_takes_all(stage: Stage) -> None:
    """Every object of the kind, and those that come."""
    name = stage.unique("user")
    await stage.global_rule([user(name)], resource(["apiextensions.k8s.io"], ["customresourcedefinitions"]))
    caller = stage.user(name)

    async def all_of_them() -> bool:
        return await caller.names(DEFINITIONS) == sorted(await stage.admin.names(DEFINITIONS))

    await stage.world.eventually(all_of_them)
    kubectl = stage.gateway.kubectl
    assert "tenants.capsule.clastix.io" in (await kubectl("get", "crd", user=caller.kubeconfig)).stdout


async def test_subjects_that_are_no_capsule_users_go_as_themselves(stage: Stage) -> None:
    """8.1: a rule that names a stranger changes nothing."""
    name = stage.unique("stranger")
    await a_role(stage, run="stranger")

    await stage.global_rule([user(name)], resource(RBAC, ["clusterroles"], run="stranger"))

    caller = stage.user(name, ("visitors",))
    assert (await caller.refused(CLUSTER_ROLES))[:2] == (403, "Forbidden")
    assert (await caller.refused(NAMESPACES))[:2] == (403, "Forbidden")


@pytest.mark.parametrize(
    "spec",
    [
        {"rules": []},
        {"rules": [{"subjects": [{"kind": "Nobody", "name": "x"}]}]},
        {"rules": [{"subjects": [user("x")], "clusterResources": [{"apiGroups": ["*"], "resources": ["*"]}]}]},
        {"rules": [{"subjects": [user("x")], "clusterResources": [resource(["*"], ["*"], "Delete")]}]},
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_schema(stage: Stage, spec: JSON) -> None:
    """422 from the API server, so nothing half-true is ever in force."""
    body = {"apiVersion": "capsule.clastix.io/v1beta1", "kind": "GlobalProxySettings", "spec": spec}
    reply = await stage.admin.create(GLOBAL_SETTINGS, {**body, "metadata": {"name": stage.unique("wrong")}})
    assert (reply.status, reply.body["reason"]) == (422, "Invalid")


async def test_an_invalid_selector_shows_nothing_and_says_so(stage: Stage) -> None:
    """Not Ready with the place of the mistake; other rules of the object hold."""
    name, mark = stage.unique("user"), stage.unique("mark")
    role = await a_role(stage, run=mark)
    wrong = {
        "apiGroups": ["*"],
        "resources": ["*"],
        "selector": {"matchExpressions": [{"key": "a", "operator": "Sometimes"}]},
    }
    rules = [{"subjects": [user(name)], "clusterResources": [wrong, resource(RBAC, ["clusterroles"], run=mark)]}]
    body = {"apiVersion": "capsule.clastix.io/v1beta1", "kind": "GlobalProxySettings", "spec": {"rules": rules}}
    made = await stage.make(GLOBAL_SETTINGS, body)

    async def condition() -> tuple[str, str]:
        stored = (await stage.admin.ask(f"{GLOBAL_SETTINGS}/{made['metadata']['name']}")).body
        conditions = stored.get("status", {}).get("conditions") or [{"type": "Ready", "status": "", "message": ""}]
        (ready,) = [each for each in conditions if each["type"] == "Ready"]
        return ready["status"], ready["message"].split(":", maxsplit=1)[0].split(" ")[0].split("matchE")[0]

    await within(5, condition, ("False", "spec.rules[0].clusterResources[0].selector."))
    assert await stage.user(name).names(CLUSTER_ROLES) == [role]

"""R-037: what users are told about their rights is what the gateway does."""

from __future__ import annotations

import pytest
from caller import Caller
from stage import NAMESPACES, Stage, rbac, resource, user

ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
READS = ("get", "list", "watch")


async def can(caller: Caller, verb: str, plural: str, **more: str) -> bool:
    """Ask a SelfSubjectAccessReview."""
    spec = {"resourceAttributes": {"verb": verb, "resource": plural, **more}}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    reply = await caller.create(ACCESS, body)
    assert reply.status == 201, reply
    status = reply.body["status"]
    assert not (status["allowed"] and status.get("denied"))
    return bool(status["allowed"])


async def test_reads_are_told_as_they_are(stage: Stage) -> None:
    """Namespaces, -A and nodes may be listed; mutating verbs never because of the gateway."""
    name = stage.unique("user")
    nodes = [{"kind": "Nodes", "operations": ["List"]}]
    tenant = await stage.tenant({**user(name), "proxySettings": nodes})
    space = await stage.namespace(tenant)
    caller = stage.user(name)

    async def may_list_pods() -> bool:
        return await can(caller, "list", "pods")

    await stage.world.eventually(may_list_pods)
    told = {
        "list namespaces": await can(caller, "list", "namespaces"),
        "watch namespaces": await can(caller, "watch", "namespaces"),
        "get own": await can(caller, "get", "namespaces", name=space, namespace=space),
        "get foreign": await can(caller, "get", "namespaces", name="kube-system"),
        "list nodes": await can(caller, "list", "nodes"),
        "delete nodes": await can(caller, "delete", "nodes"),
        "watch pods": await can(caller, "watch", "pods"),
        "list deployments": await can(caller, "list", "deployments", group="apps"),
        "delete pods": await can(caller, "delete", "pods"),
        "deletecollection pods": await can(caller, "deletecollection", "pods"),
        "create pods": await can(caller, "create", "pods"),
        "create pods in own": await can(caller, "create", "pods", namespace=space),
        "list pods in foreign": await can(caller, "list", "pods", namespace="kube-system"),
        "create namespaces": await can(caller, "create", "namespaces"),
        "list clusterroles": await can(caller, "list", "clusterroles", group="rbac.authorization.k8s.io"),
        "everything": await can(caller, "*", "*", group="*"),
    }
    allowed = {
        "list namespaces",
        "watch namespaces",
        "get own",
        "list nodes",
        "watch pods",
        "list deployments",
        "create pods in own",
        "create namespaces",
    }
    assert {each for each, is_allowed in told.items() if is_allowed} == allowed


async def test_one_open_namespace_among_many_is_enough(stage: Stage) -> None:
    """A list over all namespaces shows what any of them allows, the last one too."""
    tenant = await stage.tenant(user(stage.unique("owner")))
    spaces = sorted([await stage.namespace(tenant) for _ in range(9)])
    name = stage.unique("user")
    await stage.setting(spaces[0], user(name))
    caller = stage.user(name)
    await stage.shows(lambda: caller.names(NAMESPACES), spaces)
    assert not await can(caller, "list", "configmaps")

    await stage.bind(spaces[-1], rbac(user(name)))

    async def may() -> bool:
        return await can(caller, "list", "configmaps")

    await stage.world.eventually(may)
    assert await can(caller, "watch", "configmaps")
    assert not await can(caller, "list", "secrets")
    assert not await can(caller, "delete", "configmaps")


async def test_rules_are_told_within_a_second(stage: Stage) -> None:
    """The review turns with the list."""
    name, mark = stage.unique("user"), stage.unique("mark")
    caller = stage.user(name)
    group = "rbac.authorization.k8s.io"

    async def told() -> list[bool]:
        return [await can(caller, verb, "clusterroles", group=group) for verb in (*READS, "delete")]

    assert await told() == [False] * 4
    path = await stage.global_rule([user(name)], resource([group], ["clusterroles"], run=mark))
    await stage.shows(told, [False, True, True, False])
    await stage.remove(path)
    await stage.shows(told, [False] * 4)


async def test_lists_of_rules(stage: Stage) -> None:
    """`auth can-i --list`: own rules stay, the gateway's come on top, paths are kept."""
    name = stage.unique("user")
    tenant = await stage.tenant(user(name))
    space = await stage.namespace(tenant)
    caller = stage.user(name)
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": space},
    }

    reply = await caller.create(RULES, body)

    assert reply.status == 201, reply
    status = reply.body["status"]
    rules = status["resourceRules"]
    assert status["nonResourceRules"]
    assert "incomplete" in status
    listing = [
        each
        for each in rules
        if "namespaces" in each["resources"] and "list" in each["verbs"] and "" in each["apiGroups"]
    ]
    assert listing
    mutating = [each for each in rules if set(each["verbs"]) - set(READS) and "nodes" in each["resources"]]
    assert mutating == []
    printed = (await stage.gateway.kubectl("auth", "can-i", "--list", "-n", space, user=caller.kubeconfig)).stdout
    assert any(line.startswith("namespaces ") and "list" in line for line in printed.splitlines())


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (("list", "namespaces"), "yes"),
        (("watch", "namespaces"), "yes"),
        (("list", "pods", "-A"), "yes"),
        (("list", "nodes"), "yes"),
        (("delete", "namespaces"), "no"),
        (("delete", "nodes"), "no"),
        (("create", "pods", "-A"), "no"),
    ],
)
async def test_kubectl_can_i(stage: Stage, question: tuple[str, ...], answer: str) -> None:
    """What people type."""
    name = stage.unique("user")
    tenant = await stage.tenant(user(name))
    await stage.namespace(tenant)
    caller = stage.user(name)

    async def is_so() -> bool:
        done = await stage.gateway.kubectl("auth", "can-i", *question, user=caller.kubeconfig, check=False)
        return done.stdout.strip() == answer

    await stage.world.eventually(is_so)


async def test_strangers_are_told_what_rbac_says(stage: Stage) -> None:
    """Nothing is added for who is not filtered."""
    caller = stage.user(groups=("visitors",))

    assert [
        await can(caller, "list", "namespaces"),
        await can(caller, "list", "pods"),
        await can(caller, "list", "nodes"),
    ] == [False] * 3

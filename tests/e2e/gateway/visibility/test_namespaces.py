"""R-030: namespaces and tenants, listed and read, for whoever owns, is bound, or is a stranger."""

from __future__ import annotations

import pytest
from caller import Caller, within
from stage import CAPSULE, NAMESPACES, Stage, account, group, rbac, resource, user

from tenantry.api import labels

TENANTS = f"{CAPSULE.removesuffix('v1beta1')}v1beta2/tenants"
PROMOTE = "owner.projectcapsule.dev/promote"
FORBIDDEN = 'namespaces is forbidden: User "{}" cannot list resource "namespaces" in API group "" at the cluster scope'


def missing(name: str, kind: str = "namespaces") -> tuple[int, str, str]:
    """The API server's refusal of what is not there."""
    return 404, "NotFound", f'{kind} "{name}" not found'


async def a_place(stage: Stage) -> tuple[str, str]:
    """A user and a namespace of a tenant of somebody else's."""
    foreign = await stage.tenant(user(stage.unique("other")))
    return stage.unique("user"), await stage.namespace(foreign)


@pytest.mark.parametrize("kind", ["user", "group", "account", "tenant owner"])
async def test_owners_of_every_kind_see_their_own(stage: Stage, kind: str) -> None:
    """Namespaces and the tenant: listed, read one by one; those of others are not there."""
    name, foreign = await a_place(stage)
    team, home = stage.unique("group"), stage.world.platform.settings.namespace
    owner = {
        "user": user(name),
        "group": group(team),
        "account": account(home, name),
        "tenant owner": user(stage.unique("nobody")),
    }[kind]
    selectors = [{"matchLabels": {"owns": name}}] if kind == "tenant owner" else []
    tenant = await stage.tenant(owner, permissions={"matchOwners": selectors})
    own = sorted([await stage.namespace(tenant) for _ in range(2)])
    caller = await _caller(stage, kind, name=name, team=team, home=home)

    async def listed() -> bool:
        return await caller.names(NAMESPACES) == own

    await stage.world.eventually(listed)
    await within(20, lambda: caller.names(TENANTS), [tenant])
    assert [(await caller.ask(f"{NAMESPACES}/{each}")).body["metadata"]["name"] for each in own] == own
    assert (await caller.ask(f"{TENANTS}/{tenant}")).status == 200
    assert await caller.refused(f"{NAMESPACES}/{foreign}") == missing(foreign)
    assert await caller.refused(f"{NAMESPACES}/kube-system") == missing("kube-system")
    assert await caller.refused(f"{TENANTS}/nobodys") == missing("nobodys", "tenants.capsule.clastix.io")


async def _caller(stage: Stage, kind: str, *, name: str, team: str, home: str) -> Caller:
    match kind:
        case "account":
            # Outside tenants an account is a Capsule user because it is named one.
            await stage.world.tenant_owner(account(home, name))
            return await stage.account(home, name)
        case "tenant owner":
            await stage.world.tenant_owner(user(name), labels={"owns": name})
            return stage.user(name)
        case _:
            return stage.user(name, (labels.DEFAULT_USER_GROUP, team))


async def test_promoted_accounts_see_their_tenants(stage: Stage) -> None:
    """A ServiceAccount that an owner promotes is an owner itself, until it is demoted."""
    name, robot = stage.unique("user"), stage.unique("robot")
    tenant = await stage.tenant(user(name))
    own = sorted([await stage.namespace(tenant) for _ in range(2)])
    async with stage.world.configured(allowServiceAccountPromotion=True):
        caller, owner = await stage.account(own[0], robot), stage.user(name)
        path = f"{NAMESPACES}/{own[0]}/serviceaccounts/{robot}"
        assert await caller.names(NAMESPACES) == []
        reply = await owner.patch(path, {"metadata": {"labels": {PROMOTE: "true"}}})
        assert reply.status == 200, reply

        await within(20, lambda: caller.names(NAMESPACES), own)
        await within(20, lambda: caller.names(TENANTS), [tenant])

        reply = await owner.patch(path, {"metadata": {"labels": {PROMOTE: None}}})
        assert reply.status == 200, reply

        await within(20, lambda: caller.names(TENANTS), [])
        await within(20, lambda: caller.names(NAMESPACES), [])


async def test_a_capsule_user_without_a_tenant_sees_an_empty_list(stage: Stage) -> None:
    """An empty list, not 403; single namespaces are not there."""
    caller = stage.user()

    reply = await caller.ask(NAMESPACES)
    assert (reply.status, reply.body["kind"], reply.body["apiVersion"], reply.body["items"]) == (
        200,
        "NamespaceList",
        "v1",
        [],
    )
    assert int(reply.body["metadata"]["resourceVersion"]) > 0
    assert await caller.names(TENANTS) == []
    assert await caller.refused(f"{NAMESPACES}/default") == missing("default")


async def test_strangers_get_the_api_servers_own_answer(stage: Stage) -> None:
    """Who is no Capsule user is not filtered: 403 from RBAC, on list and get alike."""
    name = stage.unique("stranger")
    caller = stage.user(name, ("visitors",))

    assert await caller.refused(NAMESPACES) == (403, "Forbidden", FORBIDDEN.format(name))
    reply = await caller.ask(f"{NAMESPACES}/default")
    assert reply.status == 403
    assert reply.body["message"].startswith(f'namespaces "default" is forbidden: User "{name}" cannot get resource')


async def test_a_cluster_admin_sees_all(stage: Stage) -> None:
    """Whoever RBAC lets read everything reads everything."""
    caller = stage.user(groups=("ops",))
    await _bind_cluster_wide(stage, group("ops"), "cluster-admin")

    async def all_of_them() -> bool:
        return await caller.names(NAMESPACES) == await stage.admin.names(NAMESPACES)

    await stage.world.eventually(all_of_them)


async def test_own_rights_and_what_the_gateway_shows_are_united(stage: Stage) -> None:
    """8.1: a Capsule user whose own RBAC allows the cluster-wide read sees everything."""
    name = stage.unique("user")
    caller = stage.user(name)
    tenant = await stage.tenant(user(name))
    own = await stage.namespace(tenant)
    assert await caller.names(NAMESPACES) == [own]

    binding = await _bind_cluster_wide(stage, user(name), "view")

    async def sees(wanted: set[str]) -> bool:
        return set(await caller.names(NAMESPACES)) >= wanted

    await stage.world.eventually(lambda: sees({own, "kube-system", "default"}))
    assert (await caller.ask(f"{NAMESPACES}/kube-system")).status == 200
    await stage.remove(binding)

    async def is_filtered() -> bool:
        return await caller.names(NAMESPACES) == [own]

    await stage.world.eventually(is_filtered)


async def _bind_cluster_wide(stage: Stage, subject: dict[str, str], role: str) -> str:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    made = await stage.make(path, {"roleRef": reference, "subjects": [rbac(subject)]})
    return f"{path}/{made['metadata']['name']}"


async def test_several_tenants_add_up(stage: Stage) -> None:
    """As a user of one, by a group of another, as a co-owner of a third."""
    name, team = stage.unique("user"), stage.unique("group")
    tenants = [
        await stage.tenant(user(name)),
        await stage.tenant(group(team)),
        await stage.tenant(user(stage.unique("other")), user(name)),
    ]
    own = sorted([await stage.namespace(each) for each in tenants])
    caller = stage.user(name, (labels.DEFAULT_USER_GROUP, team))

    assert await caller.names(NAMESPACES) == own
    assert await caller.names(TENANTS) == sorted(tenants)
    assert await stage.user(name).names(NAMESPACES) == sorted(each for each in own if not each.startswith(tenants[1]))


async def test_cve_2023_46254_accounts_of_the_same_name_are_apart(stage: Stage) -> None:
    """A ServiceAccount owns nothing because a namesake in another namespace does."""
    one, other = [await stage.tenant(user(stage.unique("owner"))) for _ in range(2)]
    here, there = await stage.namespace(one), await stage.namespace(other)
    name = stage.unique("robot")
    owned = await stage.tenant(account(here, name))
    inside = await stage.namespace(owned)
    await stage.bind(there, rbac(account(there, name)))
    right, namesake = await stage.account(here, name), await stage.account(there, name)

    assert await right.names(NAMESPACES) == [inside]
    assert await namesake.names(NAMESPACES) == [there]
    assert await namesake.names(TENANTS) == []
    assert await namesake.refused(f"{NAMESPACES}/{inside}") == missing(inside)


async def test_any_rolebinding_makes_its_namespace_visible(stage: Stage) -> None:
    """By user, group, and group of the whole world; while it is there and no longer."""
    name, team = stage.unique("user"), stage.unique("group")
    tenant = await stage.tenant(user(stage.unique("other")))
    spaces = [await stage.namespace(tenant) for _ in range(4)]
    caller = stage.user(name, (labels.DEFAULT_USER_GROUP, team))
    by_user = await stage.bind(spaces[0], rbac(user(name)))
    await stage.bind(spaces[1], rbac(group(team)))
    everybody = rbac(group("system:authenticated"))
    await stage.bind(spaces[2], everybody, role="capsule-namespace-deleter")

    await stage.shows(lambda: caller.names(NAMESPACES), sorted(spaces[:2]))
    assert (await caller.ask(f"{NAMESPACES}/{spaces[0]}")).status == 200
    assert await caller.refused(f"{NAMESPACES}/{spaces[2]}") == missing(spaces[2])
    assert await caller.names(TENANTS) == []

    await stage.remove(by_user)

    await stage.shows(lambda: caller.names(NAMESPACES), [spaces[1]])
    await stage.shows(lambda: caller.refused(f"{NAMESPACES}/{spaces[0]}"), missing(spaces[0]))


async def test_a_tenant_called_global_is_a_tenant_like_any(stage: Stage) -> None:
    """1.18 n: GlobalProxySettings are no tenant, whatever its name."""
    name, ruled = stage.unique("user"), stage.unique("ruled")
    await stage.tenant(user(name), name="global")
    own = await stage.namespace("global")
    await stage.global_rule([user(ruled)], resource([""], ["nodes"]))
    owner, subject = stage.user(name), stage.user(ruled)

    assert await owner.names(NAMESPACES) == [own]
    assert await owner.names(TENANTS) == ["global"]
    assert await subject.names(NAMESPACES) == []
    assert await subject.names(TENANTS) == []


async def test_a_namespace_that_is_just_made_is_there(stage: Stage) -> None:
    """8.3, 4: whoever creates a namespace reads it at once, and lists it within a moment."""
    name = stage.unique("user")
    tenant = await stage.tenant(user(name))
    caller, made = stage.user(name), []
    for _ in range(10):
        new = stage.unique(f"{tenant}-ns")
        reply = await caller.create(NAMESPACES, {"metadata": {"name": new, "labels": {labels.TENANT: tenant}}})
        assert reply.status == 201, reply
        made.append(new)
        assert (await caller.ask(f"{NAMESPACES}/{new}")).status == 200
        await stage.shows(lambda: caller.names(NAMESPACES), sorted(made))


async def test_a_namespace_goes_and_comes_back(stage: Stage) -> None:
    """Deleted, it is not there; made again, it is."""
    name = stage.unique("user")
    tenant = await stage.tenant(user(name))
    space = await stage.namespace(tenant)
    caller = stage.user(name)

    await stage.remove(f"{NAMESPACES}/{space}")

    async def is_gone() -> bool:
        return await caller.names(NAMESPACES) == []

    await stage.world.eventually(is_gone)
    assert await caller.refused(f"{NAMESPACES}/{space}") == missing(space)
    reply = await caller.create(NAMESPACES, {"metadata": {"name": space, "labels": {labels.TENANT: tenant}}})
    assert reply.status == 201, reply
    assert (await caller.ask(f"{NAMESPACES}/{space}")).status == 200
    await stage.shows(lambda: caller.names(NAMESPACES), [space])


async def test_a_namespace_that_changes_hands_changes_eyes(stage: Stage) -> None:
    """The administrator moves it to another tenant: the old owner loses it, the new one has it."""
    names = [stage.unique("user") for _ in range(2)]
    tenants = [await stage.tenant(user(each)) for each in names]
    old, new = [stage.user(each) for each in names]
    space = await stage.namespace(tenants[0])
    assert [await old.names(NAMESPACES), await new.names(NAMESPACES)] == [[space], []]
    references = [
        {
            "apiVersion": "capsule.clastix.io/v1beta2",
            "kind": "Tenant",
            "name": tenants[1],
            "uid": (await stage.admin.ask(f"{TENANTS}/{tenants[1]}")).body["metadata"]["uid"],
        }
    ]

    await stage.change(
        f"{NAMESPACES}/{space}", {"metadata": {"labels": {labels.TENANT: tenants[1]}, "ownerReferences": references}}
    )

    async def seen() -> bool:
        return [await old.names(NAMESPACES), await new.names(NAMESPACES)] == [[], [space]]

    await stage.world.eventually(seen)


async def test_owners_come_and_go(stage: Stage) -> None:
    """Ownership that the administrator gives or takes acts on lists and reads."""
    first, second = stage.unique("user"), stage.unique("user")
    tenant = await stage.tenant(user(first))
    space = await stage.namespace(tenant)
    callers = [stage.user(first), stage.user(second)]

    await stage.world.edit_tenant(tenant, {"owners": [user(second)]})

    await stage.shows(lambda: callers[1].names(NAMESPACES), [space])
    await stage.shows(lambda: callers[0].names(NAMESPACES), [])
    await stage.shows(lambda: callers[0].refused(f"{NAMESPACES}/{space}"), missing(space))
    assert (await callers[1].ask(f"{NAMESPACES}/{space}")).status == 200


async def test_selectors_of_the_client_narrow_what_is_seen(stage: Stage) -> None:
    """Labels and the name as a field; foreign names and labels give nothing."""
    name, foreign = await a_place(stage)
    tenant = await stage.tenant(user(name))
    gold, silver = [await stage.namespace(tenant, labels={"tier": each}) for each in ("gold", "silver")]
    caller = stage.user(name)
    names = "kubernetes.io/metadata.name"

    assert await caller.names(NAMESPACES, labelSelector="tier=gold") == [gold]
    assert await caller.names(NAMESPACES, labelSelector="tier in (gold,silver),tier!=gold") == [silver]
    assert await caller.names(NAMESPACES, labelSelector="!tier") == []
    assert await caller.names(NAMESPACES, labelSelector=f"{names} in ({gold},{foreign},kube-system)") == [gold]
    assert await caller.names(NAMESPACES, fieldSelector=f"metadata.name={silver}") == [silver]
    assert await caller.names(NAMESPACES, fieldSelector=f"metadata.name={foreign}") == []
    assert await caller.names(NAMESPACES, fieldSelector="status.phase=Active") == sorted([gold, silver])
    for query in ({"labelSelector": "a=b=c"}, {"fieldSelector": "nonsense=x"}, {"limit": "x"}):
        ours, theirs = await caller.ask(NAMESPACES, query=query), await stage.admin.ask(NAMESPACES, query=query)
        assert (ours.status, ours.body["reason"]) == (theirs.status, theirs.body["reason"])


async def test_kubectl_shows_the_same(stage: Stage) -> None:
    """Names, columns, a single name, a foreign name."""
    name, foreign = await a_place(stage)
    tenant = await stage.tenant(user(name))
    spaces = sorted([await stage.namespace(tenant) for _ in range(3)])
    kubeconfig = stage.user(name).kubeconfig
    kubectl = stage.gateway.kubectl

    assert (await kubectl("get", "ns", "-o", "name", user=kubeconfig)).stdout.split() == [
        f"namespace/{each}" for each in spaces
    ]
    table = (await kubectl("get", "ns", user=kubeconfig)).stdout.splitlines()
    assert table[0].split() == ["NAME", "STATUS", "AGE"]
    assert [line.split()[:2] for line in table[1:]] == [[each, "Active"] for each in spaces]
    columns = (await kubectl("get", "tenants", user=kubeconfig)).stdout.splitlines()
    direct = (await stage.world.platform.kubectl("get", "tenant", tenant)).stdout.splitlines()
    assert [line.split()[:3] for line in columns] == [line.split()[:3] for line in direct]
    wide = (await kubectl("get", "ns", spaces[0], "--show-labels", user=kubeconfig)).stdout
    assert f"capsule.clastix.io/tenant={tenant}" in wide
    refused = await kubectl("get", "ns", spaces[0], foreign, user=kubeconfig, check=False)
    assert (refused.code, refused.stderr) == (
        1,
        f'Error from server (NotFound): namespaces "{foreign}" not found\n',
    )
    described = (await kubectl("describe", "ns", spaces[0], user=kubeconfig)).stdout
    assert described.splitlines()[0].split() == ["Name:", spaces[0]]

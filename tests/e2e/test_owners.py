"""Who owns a tenant, and what that gives: TenantOwners, administrators, ignored groups, promotions (I-1 to I-10)."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.api import labels
from tenantry.kube.client import Client
from tenantry.kube.errors import ForbiddenError
from tenantry.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    CONFIGURATIONS,
    NAMESPACES,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    TENANT_OWNERS,
    TENANTS,
)
from tenantry.testing.world import World

JSON = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
PROMOTE_OWNER, PROMOTE = "owner.projectcapsule.dev/promote", "projectcapsule.dev/promote"
DEFAULT_ROLES = ["admin", "capsule-namespace-deleter"]
GROUP = {"kind": "Group", "name": labels.DEFAULT_USER_GROUP}


def subject(user: JSON) -> JSON:
    """The RBAC subject of a user, group or account."""
    if user["kind"] == "ServiceAccount":
        namespace, name = user["name"].removeprefix("system:serviceaccount:").split(":")
        return {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    return {"apiGroup": RBAC, "kind": user["kind"], "name": user["name"]}


async def shows_owners(world: World, tenant: str, owners: list[JSON]) -> None:
    """Wait until status.owners is exactly this, in this order."""

    async def is_so() -> bool:
        status = (await world.stored(TENANTS, tenant))["status"]
        assert status.get("owners", []) == owners
        return True

    await world.eventually(is_so)


async def binds(world: World, namespace: str, expected: list[tuple[str, JSON]]) -> None:
    """Wait until the namespace's RoleBindings are these pairs of role and subject, and no others."""

    async def is_so() -> bool:
        found = await world.listed(ROLE_BINDINGS, namespace)
        pairs = [(each["roleRef"]["name"], each["subjects"]) for each in found]
        wanted = [(role, [who]) for role, who in expected]
        assert sorted(pairs, key=_by_names) == sorted(wanted, key=_by_names)
        return True

    await world.eventually(is_so)


def _by_names(pair: tuple[str, list[JSON]]) -> tuple[str, str]:
    return pair[0], pair[1][0]["name"]


async def configuration_users(world: World, users: list[JSON]) -> None:
    """Wait until status.users is exactly this, and the provisioner's binding has the same subjects at least."""

    async def is_so() -> bool:
        found = await world.stored(CONFIGURATIONS, "default")
        assert found["status"]["users"] == users
        binding = await world.stored(CLUSTER_ROLE_BINDINGS, "capsule-namespace-provisioner")
        missing = [subject(user) for user in users if subject(user) not in binding["subjects"]]
        assert missing == []
        return True

    await world.eventually(is_so)


async def creates(world: World, client: Client, tenant: str) -> str:
    """Create a namespace as soon as rights and caches allow; return its name."""

    async def made() -> str:
        return await world.namespace(client, tenant)

    return await world.eventually(made)


async def test_the_installation_starts_with_its_group_alone(world: World) -> None:
    """14.1: users, no administrators, spec.rbac persisted; the two ClusterRoles and the binding, whole."""
    spec = (await world.stored(CONFIGURATIONS, "default"))["spec"]
    assert spec["users"] == [GROUP]
    assert spec.get("administrators", []) == []
    assert spec["rbac"] == {
        "administrationClusterRoles": ["capsule-namespace-deleter"],
        "promotionClusterRoles": ["capsule-namespace-provisioner", "capsule-namespace-deleter"],
        "deleter": "capsule-namespace-deleter",
        "provisioner": "capsule-namespace-provisioner",
    }
    await configuration_users(world, [GROUP])
    rules = {
        name: (await world.stored(CLUSTER_ROLES, f"capsule-namespace-{name}"))["rules"]
        for name in ("provisioner", "deleter")
    }
    assert rules == {
        "provisioner": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create", "patch"]}],
        "deleter": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["delete"]}],
    }
    binding = await world.stored(CLUSTER_ROLE_BINDINGS, "capsule-namespace-provisioner")
    assert binding["roleRef"] == {"apiGroup": RBAC, "kind": "ClusterRole", "name": "capsule-namespace-provisioner"}
    assert binding["subjects"] == [subject(GROUP)]
    assert binding["metadata"]["labels"] == {"projectcapsule.dev/created-by": "rbac-controller"}


async def test_drift_of_the_provisioner_is_repaired(world: World) -> None:
    """R-4: by anybody who may."""
    name = "capsule-namespace-provisioner"
    await world.admin.patch(CLUSTER_ROLES, name, patch={"rules": []}, kind="merge")
    await world.admin.patch(CLUSTER_ROLE_BINDINGS, name, patch={"subjects": []}, kind="merge")
    await world.admin.delete(CLUSTER_ROLES, "capsule-namespace-deleter")

    async def repaired() -> bool:
        role = await world.stored(CLUSTER_ROLES, name)
        assert role["rules"] == [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create", "patch"]}]
        binding = await world.stored(CLUSTER_ROLE_BINDINGS, name)
        assert binding.get("subjects") == [subject(GROUP)]
        return bool(await world.stored(CLUSTER_ROLES, "capsule-namespace-deleter"))

    await world.eventually(repaired)


async def test_users_come_from_settings_new_and_old(world: World) -> None:
    """I-2, CF-17: sorted by kind and name, each once; all of them may create namespaces."""
    robot = {"kind": "ServiceAccount", "name": "system:serviceaccount:default:robot"}
    users = [{"kind": "User", "name": "zoe"}, GROUP, robot]
    async with world.configured(users=users, userNames=["old", "zoe"], userGroups=["older"]):
        await configuration_users(
            world,
            [
                {"kind": "Group", "name": "older"},
                GROUP,
                robot,
                {"kind": "User", "name": "old"},
                {"kind": "User", "name": "zoe"},
            ],
        )
        for name, groups in (("old", ()), ("anybody", ("older",)), ("system:serviceaccount:default:robot", ())):
            with pytest.raises(ForbiddenError, match="You do not have any Tenant assigned"):
                await world.acting(name, groups).create(NAMESPACES, {"metadata": {"name": world.unique("dev")}})
    await configuration_users(world, [GROUP])


async def test_another_group_of_users(world: World) -> None:
    """Who is no Capsule user any more has no right, and is no owner by admission either."""
    user = world.unique("ada")
    tenant = (await world.tenant({"owners": [{"kind": "User", "name": user}]})).metadata.name
    async with world.configured(users=[{"kind": "Group", "name": "custom"}, {"kind": "Group", "name": "second"}]):
        for group in ("custom", "second"):
            await creates(world, world.acting(user, (group,)), tenant)
        with pytest.raises(ForbiddenError):
            await world.namespace(world.acting(user), tenant)
    await creates(world, world.acting(user), tenant)


async def test_tenant_owners_are_taken_in_by_selector_and_by_label(world: World) -> None:
    """I-4, T-2, TO-1: united roles are sorted, lone ones keep their order; leaving is as quick as coming."""
    ada, bob, crew = world.unique("ada"), world.unique("bob"), world.unique("crew")
    spec = {
        "owners": [
            {"kind": "User", "name": ada, "clusterRoles": ["view", "edit"]},
            {"kind": "Group", "name": crew, "clusterRoles": ["view", "admin"]},
        ],
        "permissions": {"matchOwners": [{"matchLabels": {"team": ada}}, {"matchLabels": {"team": bob}}]},
    }
    tenant = (await world.tenant(spec)).metadata.name
    namespace = await creates(world, world.acting(ada), tenant)
    await world.tenant_owner({"kind": "User", "name": ada, "clusterRoles": ["admin", "edit"]}, labels={"team": ada})
    by_selector = await world.tenant_owner({"kind": "User", "name": bob}, labels={"team": bob})
    robot = {"kind": "ServiceAccount", "name": "system:serviceaccount:default:gitops"}
    by_label = await world.tenant_owner(
        robot | {"clusterRoles": ["zz-last", "admin"]}, labels={"projectcapsule.dev/tenant": tenant}
    )
    await shows_owners(
        world,
        tenant,
        [
            {"kind": "Group", "name": crew, "clusterRoles": ["view", "admin"]},
            robot | {"clusterRoles": ["zz-last", "admin"]},
            {"kind": "User", "name": ada, "clusterRoles": ["admin", "edit", "view"]},
            {"kind": "User", "name": bob, "clusterRoles": DEFAULT_ROLES},
        ],
    )

    async def status(name: str, tenants: list[str]) -> None:
        async def is_so() -> bool:
            found = (await world.stored(TENANT_OWNERS, name))["status"]
            assert found.get("tenants", []) == tenants
            conditions = [(c["type"], c["status"], c["reason"]) for c in found["conditions"]]
            assert conditions == [("Ready", "True", "Succeeded")]
            return True

        await world.eventually(is_so)

    for owner in (by_selector, by_label):
        await status(owner, [tenant])
    await creates(world, world.acting(bob, ()), tenant)
    await creates(world, world.acting(robot["name"], ()), tenant)

    await world.admin.patch(TENANT_OWNERS, by_selector, patch={"metadata": {"labels": {"team": "x"}}}, kind="merge")
    await world.admin.delete(TENANT_OWNERS, by_label)
    await shows_owners(
        world,
        tenant,
        [
            {"kind": "Group", "name": crew, "clusterRoles": ["view", "admin"]},
            {"kind": "User", "name": ada, "clusterRoles": ["admin", "edit", "view"]},
        ],
    )
    await status(by_selector, [])
    group = subject({"kind": "Group", "name": crew})
    user = subject({"kind": "User", "name": ada})
    roles = [("view", group), ("admin", group), ("admin", user), ("edit", user), ("view", user)]
    await binds(world, namespace, roles)
    with pytest.raises(ForbiddenError):
        await world.namespace(world.acting(bob), tenant)


async def test_tenant_owners_are_users_unless_they_say_otherwise(world: World) -> None:
    """TO-2, I-2: aggregate follows the object; without it the subject has to be a user by other means."""
    ada, bob = world.unique("ada"), world.unique("bob")
    first = await world.tenant_owner({"kind": "User", "name": ada})
    await world.tenant_owner({"kind": "User", "name": bob, "aggregate": False})
    await configuration_users(world, [GROUP, {"kind": "User", "name": ada}])

    await world.admin.patch(TENANT_OWNERS, first, patch={"spec": {"aggregate": False}}, kind="merge")
    await configuration_users(world, [GROUP])
    await world.admin.patch(TENANT_OWNERS, first, patch={"spec": {"aggregate": True, "kind": "Group"}}, kind="merge")
    await configuration_users(world, sorted([GROUP, {"kind": "Group", "name": ada}], key=lambda one: one["name"]))
    await world.admin.delete(TENANT_OWNERS, first)
    await configuration_users(world, [GROUP])


async def test_a_tenant_owner_must_be_named_as_accounts_are(world: World) -> None:
    """CN-2."""
    for name in ("robot", "system:serviceaccount:default", "system:serviceaccount::robot", "system:serviceaccount:a:B"):
        with pytest.raises(ForbiddenError, match=r"ServiceAccount|account of|namespace of"):
            await world.tenant_owner({"kind": "ServiceAccount", "name": name})


async def test_administrators_own_every_tenant(world: World) -> None:
    """I-6: in status.owners and in every namespace by the configured roles; not among status.users."""
    ada, boss = world.unique("ada"), world.unique("boss")
    tenant = (await world.tenant({"owners": [{"kind": "User", "name": ada}]})).metadata.name
    namespace = await creates(world, world.acting(ada), tenant)
    own = [(role, subject({"kind": "User", "name": ada})) for role in DEFAULT_ROLES]
    async with world.configured(administrators=[{"kind": "User", "name": boss}, {"kind": "Group", "name": "bosses"}]):
        await shows_owners(
            world,
            tenant,
            [
                {"kind": "Group", "name": "bosses", "clusterRoles": ["capsule-namespace-deleter"]},
                {"kind": "User", "name": ada, "clusterRoles": DEFAULT_ROLES},
                {"kind": "User", "name": boss, "clusterRoles": ["capsule-namespace-deleter"]},
            ],
        )
        group = subject({"kind": "Group", "name": "bosses"})
        user = subject({"kind": "User", "name": boss})
        deleter = "capsule-namespace-deleter"
        await binds(world, namespace, [*own, (deleter, group), (deleter, user)])
        await configuration_users(world, [GROUP])
        for client in (world.acting(boss, ()), world.acting("whoever", ("bosses",))):
            made = await creates(world, client, tenant)

            async def deleted(client: Client = client, made: str = made) -> bool:
                await client.delete(NAMESPACES, made)
                return True

            await world.eventually(deleted)
    await shows_owners(world, tenant, [{"kind": "User", "name": ada, "clusterRoles": DEFAULT_ROLES}])
    await binds(world, namespace, own)


async def test_ignored_groups_are_no_users(world: World) -> None:
    """CF-3, I-1: the group cancels a match by group; who is listed by name is one all the same."""
    ada, name = world.unique("ada"), world.unique("dev")
    tenant = await world.tenant({"owners": [{"kind": "User", "name": ada}]})
    async with world.configured(ignoreUserWithGroups=["ignored"], users=[GROUP, {"kind": "User", "name": "by-name"}]):
        ignored = world.acting(ada, (labels.DEFAULT_USER_GROUP, "ignored"))
        await ignored.create(NAMESPACES, {"metadata": {"name": name}})
        metadata = (await world.stored(NAMESPACES, name))["metadata"]
        assert (metadata["labels"], metadata.get("ownerReferences")) == ({labels.METADATA_NAME: name}, None)
        with pytest.raises(ForbiddenError):  # Unknown to us, so not into a tenant either.
            await world.namespace(ignored, tenant.metadata.name)

        async def refused_by_name() -> bool:
            by_name = world.acting("by-name", (labels.DEFAULT_USER_GROUP, "ignored"))
            with pytest.raises(ForbiddenError, match="You do not have any Tenant assigned"):
                await by_name.create(NAMESPACES, {"metadata": {"name": world.unique("dev")}})
            return True

        await world.eventually(refused_by_name)


async def promoted(client: Client, namespace: str, name: str, **values: str) -> None:
    """Create a ServiceAccount with labels."""
    await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": name, "labels": values}}, namespace)


async def usable(world: World, owner: Client, *namespaces: str) -> None:
    """Wait until the owner's rights are there."""

    async def is_so() -> bool:
        for namespace in namespaces:
            await owner.list(SERVICE_ACCOUNTS, namespace)
        return True

    await world.eventually(is_so)


async def test_promotion_needs_both_switches_and_an_owner(world: World) -> None:
    """I-7, CN-8: any value is judged; accounts and users with plain rights are refused; words."""
    ada = world.unique("ada")
    spec = {"owners": [{"kind": "User", "name": ada}], "permissions": {"allowOwnerPromotion": False}}
    tenant = (await world.tenant(spec)).metadata.name
    owner = world.acting(ada)
    namespace = await creates(world, owner, tenant)
    await usable(world, owner, namespace)
    pairs = [{key: value} for key in (PROMOTE_OWNER, PROMOTE) for value in ("true", "false", "")]
    for pair in pairs:
        with pytest.raises(ForbiddenError, match="allowServiceAccountPromotion"):
            await promoted(owner, namespace, "robot", **pair)
    async with world.configured(allowServiceAccountPromotion=True):
        with pytest.raises(ForbiddenError, match="allowOwnerPromotion"):
            await promoted(owner, namespace, "robot", **pairs[0])
        await world.edit_tenant(tenant, {"permissions": None})
        binding = {
            "metadata": {"name": "plain"},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"},
            "subjects": [
                subject({"kind": "User", "name": "plain"}),
                subject({"kind": "Group", "name": "system:serviceaccounts"}),
            ],
        }
        await owner.create(ROLE_BINDINGS, binding, namespace)
        await promoted(owner, namespace, "robot")
        for client in (
            world.acting("plain"),
            world.acting("plain", ("anything",)),
            world.account(namespace, "robot"),
        ):
            for pair in pairs:

                async def refused(client: Client = client, pair: dict[str, str] = pair) -> bool:
                    with pytest.raises(ForbiddenError, match="Promotion of ServiceAccount"):
                        await promoted(client, namespace, "other", **pair)
                    with pytest.raises(ForbiddenError, match="Promotion of ServiceAccount"):
                        await client.patch(
                            SERVICE_ACCOUNTS, "robot", namespace, patch={"metadata": {"labels": pair}}, kind="merge"
                        )
                    return True

                await world.eventually(refused)


async def test_a_promoted_account_owns_the_tenant_and_promotes_nobody(world: World) -> None:
    """I-7, I-9: owner with the configured roles in all namespaces, creates namespaces; all goes with the label."""
    ada = world.unique("ada")
    tenant = (await world.tenant({"owners": [{"kind": "User", "name": ada, "clusterRoles": ["admin"]}]})).metadata.name
    owner = world.acting(ada)
    home, other = await creates(world, owner, tenant), await creates(world, owner, tenant)
    await usable(world, owner, home, other)
    name = f"system:serviceaccount:{home}:robot"
    me, it = {"kind": "User", "name": ada, "clusterRoles": ["admin"]}, {"kind": "ServiceAccount", "name": name}
    roles = ["capsule-namespace-provisioner", "capsule-namespace-deleter"]
    async with world.configured(allowServiceAccountPromotion=True):
        await promoted(owner, home, "robot", **{PROMOTE_OWNER: "true"})
        await promoted(owner, home, "idle", **{PROMOTE_OWNER: "false"})

        await shows_owners(world, tenant, [it | {"clusterRoles": roles}, me])
        everywhere = [("admin", subject(me)), *((role, subject(it)) for role in roles)]
        for namespace in (home, other):
            await binds(world, namespace, everywhere)

        async def provisions() -> bool:
            binding = await world.stored(CLUSTER_ROLE_BINDINGS, "capsule-namespace-provisioner")
            assert binding["subjects"] == [subject(GROUP), subject(it)]
            return True

        await world.eventually(provisions)
        robot = world.account(home, "robot")
        made = await creates(world, robot, tenant)
        metadata = (await world.stored(NAMESPACES, made))["metadata"]
        assert metadata["ownerReferences"][0]["name"] == tenant
        await robot.patch(NAMESPACES, made, patch={"metadata": {"annotations": {"by": "robot"}}}, kind="merge")

        binding = {
            "metadata": {"name": "more"},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"},
            "subjects": [subject(it)],
        }
        await owner.create(ROLE_BINDINGS, binding, home)
        await usable(world, robot, home)
        with pytest.raises(ForbiddenError, match="Promotion of ServiceAccount"):
            await promoted(robot, home, "friend", **{PROMOTE_OWNER: "true"})
        await robot.delete(NAMESPACES, made)

        await owner.patch(
            SERVICE_ACCOUNTS, "robot", home, patch={"metadata": {"labels": {PROMOTE_OWNER: None}}}, kind="merge"
        )
        await shows_owners(world, tenant, [me])
        await owner.delete(ROLE_BINDINGS, "more", home)
        await binds(world, home, [("admin", subject(me))])
        await binds(world, other, [("admin", subject(me))])

        async def stripped() -> bool:
            binding = await world.stored(CLUSTER_ROLE_BINDINGS, "capsule-namespace-provisioner")
            assert binding["subjects"] == [subject(GROUP)]
            return True

        await world.eventually(stripped)
        with pytest.raises(ForbiddenError):
            await world.namespace(robot, tenant)

        await owner.patch(
            SERVICE_ACCOUNTS, "robot", home, patch={"metadata": {"labels": {PROMOTE_OWNER: "true"}}}, kind="merge"
        )
        await shows_owners(world, tenant, [it | {"clusterRoles": roles}, me])
        await world.edit_tenant(tenant, {"permissions": {"allowOwnerPromotion": False}})
        await shows_owners(world, tenant, [me])
        await world.edit_tenant(tenant, {"permissions": {"allowOwnerPromotion": True}})
        await shows_owners(world, tenant, [it | {"clusterRoles": roles}, me])
    await shows_owners(world, tenant, [me])
    await binds(world, home, [("admin", subject(me))])


async def test_rules_promote_accounts_where_they_say(world: World) -> None:
    """I-8: by selector on the account; everywhere, or where the rule matches and at home; status.promotions, whole."""
    ada = world.unique("ada")
    rules = [
        {
            "permissions": {
                "promotions": [
                    {"clusterRoles": ["view"]},
                    {"clusterRoles": ["edit"], "selector": {"matchLabels": {"kind": "deployer"}}},
                ]
            }
        },
        {
            "namespaceSelector": {"matchLabels": {"env": "prod"}},
            "permissions": {"promotions": [{"clusterRoles": ["admin"], "selector": {"matchLabels": {"kind": "ops"}}}]},
        },
    ]
    spec = {"owners": [{"kind": "User", "name": ada, "clusterRoles": ["admin"]}], "rules": rules}
    tenant = (await world.tenant(spec)).metadata.name
    owner = world.acting(ada)
    home, dev = await creates(world, owner, tenant), await creates(world, owner, tenant)

    async def made_prod() -> str:
        return await world.namespace(owner, tenant, labels={"env": "prod"})

    prod = await world.eventually(made_prod)
    await usable(world, owner, home)
    mine = ("admin", subject({"kind": "User", "name": ada}))

    def account(name: str) -> JSON:
        return {"kind": "ServiceAccount", "name": f"system:serviceaccount:{home}:{name}"}

    async def shows(*promotions: JSON) -> None:
        async def is_so() -> bool:
            status = (await world.stored(TENANTS, tenant))["status"]
            assert status.get("promotions", []) == list(promotions)
            return True

        await world.eventually(is_so)

    async with world.configured(allowServiceAccountPromotion=True):
        everywhere = sorted([home, dev, prod])
        await promoted(owner, home, "deployer", **{PROMOTE: "true", "kind": "deployer"})
        await promoted(owner, home, "other", kind="deployer")
        await shows(account("deployer") | {"clusterRoles": ["view", "edit"], "targets": everywhere})
        deployer = [(role, subject(account("deployer"))) for role in ("view", "edit")]
        for namespace in everywhere:
            await binds(world, namespace, [mine, *deployer])

        await promoted(owner, home, "ops", **{PROMOTE: "true", "kind": "ops"})
        ops = subject(account("ops"))
        await binds(world, prod, [mine, *deployer, ("view", ops), ("admin", ops)])
        await binds(world, home, [mine, *deployer, ("view", ops), ("admin", ops)])
        await binds(world, dev, [mine, *deployer, ("view", ops)])
        await shows(
            account("deployer") | {"clusterRoles": ["view", "edit"], "targets": everywhere},
            *sorted(
                [
                    account("ops") | {"clusterRoles": ["view"], "targets": everywhere},
                    account("ops") | {"clusterRoles": ["admin"], "targets": sorted([home, prod])},
                ],
                key=lambda one: one["targets"],
            ),
        )
        assert [each["name"] for each in (await world.stored(TENANTS, tenant))["status"]["owners"]] == [ada]

        new = await creates(world, owner, tenant)
        await binds(world, new, [mine, *deployer, ("view", ops)])
        await world.admin.patch(NAMESPACES, dev, patch={"metadata": {"labels": {"env": "prod"}}}, kind="merge")
        await binds(world, dev, [mine, *deployer, ("view", ops), ("admin", ops)])
        await owner.delete(SERVICE_ACCOUNTS, "ops", home)
        await binds(world, dev, [mine, *deployer])
        await owner.patch(
            SERVICE_ACCOUNTS, "deployer", home, patch={"metadata": {"labels": {"kind": "x"}}}, kind="merge"
        )
        await binds(world, dev, [mine, ("view", subject(account("deployer")))])
    await binds(world, dev, [mine])
    await shows()


async def test_owners_work_in_their_namespaces_and_nobody_else(world: World) -> None:
    """What the bindings give is what the API server lets pass."""
    ada = world.unique("ada")
    tenant = (await world.tenant({"owners": [{"kind": "User", "name": ada}]})).metadata.name
    owner = await world.user(ada)
    namespace = await creates(world, owner, tenant)
    await usable(world, owner, namespace)

    await owner.create(CONFIG_MAPS, {"metadata": {"name": "mine"}}, namespace)
    with pytest.raises(ForbiddenError):
        await (await world.user("bob")).create(CONFIG_MAPS, {"metadata": {"name": "his"}}, namespace)
    with pytest.raises(ForbiddenError):
        await owner.create(CONFIG_MAPS, {"metadata": {"name": "mine"}}, "default")
    await owner.delete(NAMESPACES, namespace)

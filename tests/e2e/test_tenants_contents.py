"""What every namespace of a tenant receives, as whole objects, and that it stays so (R-1, T-25 to T-28, 14.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tenantry.api import labels
from tenantry.kube.client import Client
from tenantry.kube.errors import ForbiddenError
from tenantry.kube.resources import (
    LIMIT_RANGES,
    NETWORK_POLICIES,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    RULE_STATUSES,
    TENANTS,
    Resource,
)
from tenantry.testing.world import World

JSON = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
SERVER_FIELDS = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation")


def binding_hash(role: str, *subjects: Mapping[str, str]) -> str:
    """FNV-1a 64 as hex without zero padding, over 8-byte little-endian lengths and bytes: written down once more."""
    fields = [role]
    for subject in subjects:
        fields += [subject.get(key, "") for key in ("apiGroup", "kind", "namespace", "name")]
    data = b"".join(len(each.encode()).to_bytes(8, "little") + each.encode() for each in fields)
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    return f"{digest:x}"


def user(name: str, kind: str = "User") -> dict[str, str]:
    return {"apiGroup": RBAC, "kind": kind, "name": name}


def account(namespace: str, name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


class Tenanted:
    """A tenant with one namespace, and what is expected in it."""

    def __init__(self, world: World, tenant: Any, namespace: str, owner: Client) -> None:
        self.world, self.namespace, self.owner = world, namespace, owner
        self.name, self.uid = tenant.metadata.name, tenant.metadata.uid

    def metadata(self, name: str, *, own: Mapping[str, str], **more: Any) -> JSON:
        return {
            "name": name,
            "namespace": self.namespace,
            "labels": {
                **own,
                labels.NEW_TENANT: self.name,
                labels.CAPSULE_MANAGED_BY: self.name,
                labels.MANAGED_BY: "controller",
            },
            "ownerReferences": [
                {
                    "apiVersion": "capsule.clastix.io/v1beta2",
                    "kind": "Tenant",
                    "name": self.name,
                    "uid": self.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
            **more,
        }

    def binding(self, role: str, *subjects: dict[str, str], own: Mapping[str, str] | None = None, **more: Any) -> JSON:
        digest = binding_hash(role, *subjects)
        return {
            "metadata": self.metadata(
                f"capsule:managed:{digest}", own={**(own or {}), "capsule.clastix.io/role-binding": digest}, **more
            ),
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": list(subjects),
        }

    def numbered(self, label: str, index: int, spec: JSON, **more: Any) -> JSON:
        own = {f"capsule.clastix.io/{label}": str(index)}
        return {"metadata": self.metadata(f"capsule-{self.name}-{index}", own=own, **more), "spec": spec}

    async def has(self, resource: Resource[Any], expected: Sequence[JSON], namespace: str | None = None) -> None:
        """Wait until exactly the *expected* objects are there, whole but for what the server fills in."""

        async def is_so() -> bool:
            found = [_stripped(each) for each in await self.world.listed(resource, namespace or self.namespace)]
            assert found == sorted(expected, key=lambda each: str(each["metadata"]["name"]))
            return True

        await self.world.eventually(is_so)


def _stripped(found: JSON) -> JSON:
    metadata = {key: value for key, value in found["metadata"].items() if key not in SERVER_FIELDS}
    return {key: value for key, value in found.items() if key not in {"apiVersion", "kind", "status"}} | {
        "metadata": metadata
    }


async def tenanted(world: World, spec: Mapping[str, Any] | None = None, **owner: Any) -> Tenanted:
    name = world.unique("ada")
    owners = [{"kind": "User", "name": name, **owner}, *(spec or {}).get("owners", ())]
    tenant = await world.tenant({**(spec or {}), "owners": owners})
    ada = await world.user(name)
    return Tenanted(world, tenant, await world.namespace(ada, tenant.metadata.name), ada)


async def test_each_owner_gets_one_binding_for_each_role(world: World) -> None:
    """I-5: default roles, own roles, groups, accounts, declared labels and annotations; the spec is not altered."""
    owners = [
        {"kind": "Group", "name": "team:oil", "clusterRoles": ["view"]},
        {"kind": "ServiceAccount", "name": "system:serviceaccount:gitops:robot", "clusterRoles": ["edit", "admin"]},
    ]
    declared = {"labels": {"a": "1", labels.NEW_TENANT: "other"}, "annotations": {"n": "1"}}
    t = await tenanted(world, {"owners": owners}, **declared)
    ada = (await world.in_force(t.name)).spec.owners[0]

    robot = account("gitops", "robot")
    await t.has(
        ROLE_BINDINGS,
        [
            t.binding("admin", user(ada.name), own={"a": "1"}, annotations={"n": "1"}),
            t.binding("capsule-namespace-deleter", user(ada.name), own={"a": "1"}, annotations={"n": "1"}),
            t.binding("view", user("team:oil", "Group")),
            t.binding("edit", robot),
            t.binding("admin", robot),
        ],
    )
    assert (ada.labels, ada.annotations) == (declared["labels"], declared["annotations"])

    roles = [{"kind": "User", "name": ada.name, "clusterRoles": ["edit"], "labels": {"b": "1"}}]
    await world.edit_tenant(t.name, {"owners": roles})
    await t.has(ROLE_BINDINGS, [t.binding("edit", user(ada.name), own={"b": "1"})])
    await world.edit_tenant(t.name, {"owners": []})
    await t.has(ROLE_BINDINGS, [])


async def test_additional_bindings_and_those_of_rules(world: World) -> None:
    """T-25, RL-2: all subjects as given, one object for an identical hash, rules where their selector matches."""
    everybody = [user("bob"), user("crew", "Group"), account("other", "bot")]
    additional = {"clusterRoleName": "view", "subjects": everybody, "labels": {"a": "1"}, "annotations": {"n": "1"}}
    rules = [
        {"permissions": {"bindings": [{"clusterRoleName": "edit", "subjects": [user("carol")]}]}},
        {
            "namespaceSelector": {"matchLabels": {"env": "prod"}},
            "permissions": {
                "bindings": [
                    {"clusterRoleName": "view", "subjects": everybody},
                    {"clusterRoleName": "admin", "subjects": [user("carol"), user("dave")]},
                ]
            },
        },
    ]
    t = await tenanted(world, {"additionalRoleBindings": [additional], "rules": rules}, clusterRoles=["admin"])
    prod = await world.namespace(t.owner, t.name, labels={"env": "prod"})
    ada = (await world.in_force(t.name)).spec.owners[0].name
    shared = [
        t.binding("admin", user(ada)),
        t.binding("view", *everybody, own={"a": "1"}, annotations={"n": "1"}),
        t.binding("edit", user("carol")),
    ]
    await t.has(ROLE_BINDINGS, shared)
    for each in (everywhere := [*shared, t.binding("admin", user("carol"), user("dave"))]):
        each["metadata"] = {**each["metadata"], "namespace": prod}
    await t.has(ROLE_BINDINGS, everywhere, prod)

    await world.edit_tenant(t.name, {"additionalRoleBindings": None, "rules": None})
    await t.has(ROLE_BINDINGS, [t.binding("admin", user(ada))])


LIMITS: JSON = {
    "limits": [
        {"type": "Pod", "min": {"cpu": "50m", "memory": "5Mi"}, "max": {"cpu": "1", "memory": "1Gi"}},
        {
            "type": "Container",
            "default": {"cpu": "200m", "memory": "100Mi"},
            "defaultRequest": {"cpu": "100m", "memory": "10Mi"},
            "min": {"cpu": "50m", "memory": "5Mi"},
            "max": {"cpu": "1", "memory": "1Gi"},
        },
        {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "10Gi"}},
    ]
}
POLICY: JSON = {
    "podSelector": {},
    "policyTypes": ["Ingress", "Egress"],
    "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["192.168.0.0/16"]}}]}],
    "ingress": [
        {
            "from": [
                {"namespaceSelector": {"matchLabels": {"capsule.clastix.io/tenant": "oil"}}},
                {"podSelector": {}},
                {"ipBlock": {"cidr": "192.168.0.0/16"}},
            ]
        }
    ],
}
QUOTA: JSON = {
    "hard": {"limits.cpu": "8", "limits.memory": "16Gi", "requests.cpu": "8", "requests.memory": "16Gi", "pods": "10"}
}
SCOPED: JSON = {"hard": {"pods": "2"}, "scopes": ["NotTerminating"]}


async def test_limits_policies_and_quotas_follow_the_spec(world: World) -> None:
    """T-26 to T-28: names, labels, owner; edited, added, removed, as Capsule's users update Tenants: whole."""
    spec: JSON = {
        "limitRanges": {"items": [LIMITS]},
        "networkPolicies": {"items": [POLICY]},
        "resourceQuotas": {"scope": "Namespace", "items": [QUOTA, SCOPED]},
    }
    t = await tenanted(world, spec)
    await t.has(LIMIT_RANGES, [t.numbered("limit-range", 0, LIMITS)])
    await t.has(NETWORK_POLICIES, [t.numbered("network-policy", 0, POLICY)])
    await t.has(RESOURCE_QUOTAS, [t.numbered("resource-quota", 0, QUOTA), t.numbered("resource-quota", 1, SCOPED)])

    stored = await world.stored(TENANTS, t.name)
    smaller = {"limits": [{"type": "Pod", "max": {"cpu": "1500m", "memory": "1.5Gi"}}]}
    stored["spec"]["limitRanges"]["items"] = [smaller, LIMITS]
    stored["spec"]["networkPolicies"]["items"][0]["policyTypes"] = ["Ingress"]
    stored["spec"]["networkPolicies"]["items"][0].pop("egress")
    stored["spec"]["resourceQuotas"]["items"] = [{"hard": {"limits.cpu": "4", "memory": "1024Mi"}}]
    await world.admin.request("PUT", TENANTS.path(name=t.name), body=stored)

    canonical = {"limits": [{"type": "Pod", "max": {"cpu": "1500m", "memory": "1536Mi"}}]}
    await t.has(LIMIT_RANGES, [t.numbered("limit-range", 0, canonical), t.numbered("limit-range", 1, LIMITS)])
    ingress_only = {key: value for key, value in POLICY.items() if key != "egress"} | {"policyTypes": ["Ingress"]}
    await t.has(NETWORK_POLICIES, [t.numbered("network-policy", 0, ingress_only)])
    await t.has(RESOURCE_QUOTAS, [t.numbered("resource-quota", 0, {"hard": {"limits.cpu": "4", "memory": "1Gi"}})])

    await world.edit_tenant(t.name, {"limitRanges": None, "networkPolicies": {"items": []}, "resourceQuotas": None})
    for resource in (LIMIT_RANGES, NETWORK_POLICIES, RESOURCE_QUOTAS):
        await t.has(resource, [])


async def test_what_others_change_is_put_back(world: World) -> None:
    """R-1: edited, relabelled, disowned, deleted by an administrator, whom nothing stops; an obsolete label goes."""
    spec: JSON = {
        "limitRanges": {"items": [LIMITS]},
        "networkPolicies": {"items": [POLICY]},
        "resourceQuotas": {"scope": "Namespace", "items": [QUOTA]},
    }
    t = await tenanted(world, spec, clusterRoles=["admin"])
    ada = (await world.in_force(t.name)).spec.owners[0].name
    binding = t.binding("admin", user(ada))
    kept: list[tuple[Resource[Any], JSON, JSON]] = [
        (LIMIT_RANGES, t.numbered("limit-range", 0, LIMITS), {"spec": {"limits": []}}),
        (NETWORK_POLICIES, t.numbered("network-policy", 0, POLICY), {"spec": {"ingress": None}}),
        (RESOURCE_QUOTAS, t.numbered("resource-quota", 0, QUOTA), {"spec": {"hard": {"pods": "100", "secrets": "1"}}}),
        (ROLE_BINDINGS, binding, {"subjects": [user("mallory"), user(ada)]}),
    ]
    bosses = [{"kind": "User", "name": "boss"}]
    async with world.configured(administrators=bosses):
        boss, bound = world.acting("boss", ("system:masters",)), t.binding("capsule-namespace-deleter", user("boss"))
        for resource, expected, edit in kept:
            everything = [expected, bound] if resource is ROLE_BINDINGS else [expected]
            await t.has(resource, everything)
            name = expected["metadata"]["name"]
            for patch in (
                edit,
                {"metadata": {"labels": {labels.NEW_TENANT: "other", labels.TENANT: "other"}}},
                {"metadata": {"labels": {labels.MANAGED_BY: None}}},
                {"metadata": {"ownerReferences": None}},
            ):
                await boss.patch(resource, name, t.namespace, patch=patch, kind="merge")
                await t.has(resource, everything)
            await boss.delete(resource, name, t.namespace)
            await t.has(resource, everything)
    await t.has(ROLE_BINDINGS, [binding])


async def test_owners_keep_their_hands_off_what_is_managed(world: World) -> None:
    """14.1, CN-4: not deleted, changed or imitated by owners, who have policies of their own beside them."""
    spec = {"networkPolicies": {"items": [POLICY]}, "limitRanges": {"items": [LIMITS]}}
    t = await tenanted(world, spec)
    expected = t.numbered("network-policy", 0, POLICY)
    await t.has(NETWORK_POLICIES, [expected])
    name = expected["metadata"]["name"]
    words = "Labeling resources as controller managed can only be done by the controller or administrators"

    async def permitted() -> bool:
        await t.owner.get(NETWORK_POLICIES, name, t.namespace)
        return True

    await world.eventually(permitted)
    with pytest.raises(ForbiddenError, match=words):
        await t.owner.delete(NETWORK_POLICIES, name, t.namespace)
    with pytest.raises(ForbiddenError, match=words):
        await t.owner.patch(NETWORK_POLICIES, name, t.namespace, patch={"spec": {"ingress": None}}, kind="merge")
    with pytest.raises(ForbiddenError, match=words):
        await t.owner.patch(
            NETWORK_POLICIES, name, t.namespace, patch={"metadata": {"labels": {labels.MANAGED_BY: None}}}, kind="merge"
        )
    with pytest.raises(ForbiddenError, match=words):
        await t.owner.delete_collection(NETWORK_POLICIES, t.namespace)
    mine = {"metadata": {"name": "mine", "labels": {labels.MANAGED_BY: "controller"}}, "spec": {"podSelector": {}}}
    with pytest.raises(ForbiddenError, match=words):
        await t.owner.create(NETWORK_POLICIES, mine, t.namespace)
    await t.owner.create(NETWORK_POLICIES, {"metadata": {"name": "mine"}, "spec": {"podSelector": {}}}, t.namespace)
    await t.owner.patch(NETWORK_POLICIES, "mine", t.namespace, patch={"spec": {"ingress": [{}]}}, kind="merge")
    await t.owner.delete(NETWORK_POLICIES, "mine", t.namespace)
    await t.has(NETWORK_POLICIES, [expected])


async def test_every_namespace_shows_its_rules(world: World) -> None:
    """RS-1: also without rules; one block each, action filled in, quota and selectors left out."""
    t = await tenanted(world)
    own = {"projectcapsule.dev/name": "capsule-managed-rules"}

    async def shows(expected: Any) -> None:
        async def is_so() -> bool:
            found = await world.stored(RULE_STATUSES, "capsule-managed-rules", t.namespace)
            assert _stripped(found)["metadata"] == t.metadata("capsule-managed-rules", own=own)
            assert found["spec"] == expected
            status = found.get("status", {"observedGeneration": 0})
            assert status.get("rules", []) == expected
            assert status["observedGeneration"] == found["metadata"]["generation"]
            conditions = [(c["type"], c["status"], c["reason"]) for c in status["conditions"]]
            assert conditions == [("Ready", "True", "Succeeded")]
            return True

        await world.eventually(is_so)

    await shows([])
    registries = {"workloads": {"registries": [{"exact": ["quay.io/{{ .tenant.metadata.name }}"]}]}}
    services = {"action": "allow", "services": {"types": ["ClusterIP"]}}
    await world.edit_tenant(
        t.name,
        {
            "rules": [
                {"enforce": registries, "audience": [{"kind": "Custom", "name": "TenantOwner"}]},
                {"namespaceSelector": {"matchLabels": {"env": "prod"}}, "enforce": services},
                {"permissions": {"bindings": [{"clusterRoleName": "view", "subjects": [user("bob")]}]}},
                {"quota": [{"name": "q", "hard": {"pods": "1"}}], "enforce": services},
            ]
        },
    )
    first = {
        "audience": [{"kind": "Custom", "name": "TenantOwner"}],
        "enforce": {
            "action": "deny",
            "workloads": {"registries": [{"exact": [f"quay.io/{t.name}"], "negate": False}]},
        },
    }
    await shows([first, {"enforce": services}])
    async with world.configured(administrators=[{"kind": "User", "name": "boss"}]):
        boss = world.acting("boss", ("system:masters",))
        await boss.patch(RULE_STATUSES, "capsule-managed-rules", t.namespace, patch={"spec": []}, kind="merge")
        await shows([first, {"enforce": services}])
        await boss.delete(RULE_STATUSES, "capsule-managed-rules", t.namespace)
        await shows([first, {"enforce": services}])
    await world.edit_tenant(t.name, {"rules": None})
    await shows([])

"""What a tenant manages on its namespaces, from the first write to the last (T-10 to T-14, N-16 to N-19, 13.11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tenantry.api import labels
from tenantry.kube.client import Client
from tenantry.kube.errors import ForbiddenError
from tenantry.kube.resources import NAMESPACES, TENANTS
from tenantry.testing.world import World

JSON = dict[str, Any]
NODE_SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"


async def made(world: World, spec: Mapping[str, Any], **metadata: Any) -> tuple[str, str, Client]:
    """Return a new tenant, a namespace in it, and its owner."""
    user = world.unique("ada")
    tenant = await world.tenant({"owners": [{"kind": "User", "name": user}], **spec})
    ada = await world.user(user)
    return tenant.metadata.name, await world.namespace(ada, tenant.metadata.name, **metadata), ada


async def carries(world: World, tenant: str, name: str, found: Mapping[str, str], **annotations: str) -> None:
    """Wait until labels and annotations of the namespace are these, besides the identity labels, and no others."""
    identity = {labels.TENANT: tenant, labels.METADATA_NAME: name}

    async def is_so() -> bool:
        metadata = (await world.stored(NAMESPACES, name))["metadata"]
        assert metadata.get("labels") == identity | dict(found)
        assert metadata.get("annotations", {}) == annotations
        return True

    await world.eventually(is_so)


async def reports(world: World, tenant: str, name: str, metadata: JSON) -> None:
    """Wait until status.spaces[].metadata is this, as a whole."""

    async def is_so() -> bool:
        status = (await world.stored(TENANTS, tenant))["status"]
        spaces = {space["name"]: space for space in status.get("spaces", ())}
        assert spaces.get(name, {}).get("metadata") == metadata
        return True

    await world.eventually(is_so)


async def patch(client: Client, name: str, **metadata: Any) -> None:
    await client.patch(NAMESPACES, name, patch={"metadata": metadata}, kind="merge")


async def test_additional_metadata_lives_with_the_tenant(world: World) -> None:
    """Added, changed, removed; the user's own keys stay, and what others change is put back."""
    spec: JSON = {"additionalMetadata": {"labels": {"a": "1", "b": "1"}, "annotations": {"n": "1"}}}
    tenant, name, ada = await made(world, {"namespaceOptions": spec}, labels={"own": "x", "a": "mine"})
    await carries(world, tenant, name, {"a": "1", "b": "1", "own": "x"}, n="1")
    await reports(world, tenant, name, {"labels": {"a": "1", "b": "1"}, "annotations": {"n": "1"}})

    spec = {"additionalMetadata": {"labels": {"a": "2", "b": None, "c": "1"}, "annotations": {"m": "1", "n": None}}}
    await world.edit_tenant(tenant, {"namespaceOptions": spec})
    await carries(world, tenant, name, {"a": "2", "c": "1", "own": "x"}, m="1")
    await reports(world, tenant, name, {"labels": {"a": "2", "c": "1"}, "annotations": {"m": "1"}})

    await patch(ada, name, labels={"a": "mine", "c": None, "own": "y"}, annotations={"m": None, "note": "1"})
    await carries(world, tenant, name, {"a": "2", "c": "1", "own": "y"}, m="1", note="1")
    await patch(world.admin, name, labels={"a": "changed", "c": None}, annotations={"m": "changed"})
    await carries(world, tenant, name, {"a": "2", "c": "1", "own": "y"}, m="1", note="1")

    await world.edit_tenant(tenant, {"namespaceOptions": None})
    await carries(world, tenant, name, {"own": "y"}, note="1")
    await reports(world, tenant, name, {})


async def test_an_edit_right_after_the_creation_takes_away_what_went_before(world: World) -> None:
    """13.11: no status told of the namespace yet; what admission put there goes all the same, not the user's own."""
    labelled = {f"k{index}": "1" for index in range(5)}
    spec = {"namespaceOptions": {"additionalMetadata": {"labels": labelled}}}
    user = world.unique("ada")
    tenant = (await world.tenant({"owners": [{"kind": "User", "name": user}], **spec})).metadata.name
    ada = await world.user(user)

    name = await world.namespace(ada, tenant, labels={"own": "x"})
    for key in labelled:
        change = {"spec": {"namespaceOptions": {"additionalMetadata": {"labels": {key: None}}}}}
        await world.admin.patch(TENANTS, tenant, patch=change, kind="merge")

    await carries(world, tenant, name, {"own": "x"})
    await reports(world, tenant, name, {})


async def test_conditional_metadata_follows_the_labels(world: World) -> None:
    """T-11: templates, selectors; a namespace that no longer matches loses what it had by that."""
    entries = [
        {"labels": {"who": "{{tenant.name}}", "where": "{{ namespace }}"}},
        {
            "namespaceSelector": {"matchLabels": {"env": "prod"}},
            "labels": {"tier": "1"},
            "annotations": {"contact": "{{tenant.name}}@example.com"},
        },
        {
            "namespaceSelector": {"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["prod"]}]},
            "labels": {"tier": "2"},
        },
    ]
    tenant, name, ada = await made(world, {"namespaceOptions": {"additionalMetadataList": entries}})
    always = {"who": tenant, "where": name}
    await carries(world, tenant, name, always | {"tier": "2"})

    await patch(ada, name, labels={"env": "prod"})
    await carries(world, tenant, name, always | {"tier": "1", "env": "prod"}, contact=f"{tenant}@example.com")
    await reports(
        world,
        tenant,
        name,
        {"labels": always | {"tier": "1"}, "annotations": {"contact": f"{tenant}@example.com"}},
    )
    await patch(world.admin, name, labels={"env": "dev"})
    await carries(world, tenant, name, always | {"tier": "2", "env": "dev"})


async def test_identity_labels_are_nobodys_to_set(world: World) -> None:
    """14.1: additional metadata naming them is ignored without an error, and ours win."""
    identity = {labels.TENANT: "other", labels.METADATA_NAME: "other"}
    spec = {
        "additionalMetadata": {"labels": {**identity, "a": "1"}},
        "additionalMetadataList": [{"labels": {**identity, "b": "1"}}],
    }
    tenant, name, ada = await made(world, {"namespaceOptions": spec})
    await carries(world, tenant, name, {"a": "1", "b": "1"})
    await reports(world, tenant, name, {"labels": {"a": "1", "b": "1"}})
    await patch(ada, name, labels={labels.METADATA_NAME: "other", "own": "1"})
    await carries(world, tenant, name, {"a": "1", "b": "1", "own": "1"})


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"additionalMetadata": {"labels": {"bad key!": "1"}}}, id="label key"),
        pytest.param({"additionalMetadata": {"labels": {"a": "no spaces please"}}}, id="label value"),
        pytest.param({"additionalMetadata": {"annotations": {"bad key!": "1"}}}, id="annotation key"),
        pytest.param({"additionalMetadataList": [{"labels": {"a": "{{tenant.name"}}]}, id="open template"),
        pytest.param({"additionalMetadataList": [{"labels": {"a": "{{unknown}}"}}]}, id="unknown variable"),
        pytest.param({"forbiddenLabels": {"deniedRegex": "("}}, id="forbidden expression"),
        pytest.param({"requiredMetadata": {"labels": {"a": "*"}}}, id="required expression"),
    ],
)
async def test_bad_metadata_is_refused_and_the_old_stays(world: World, options: JSON) -> None:
    """TN-3, TN-4."""
    good = {"additionalMetadata": {"labels": {"a": "1"}}}
    tenant, name, _ = await made(world, {"namespaceOptions": good})

    with pytest.raises(ForbiddenError) as caught:
        await world.admin.patch(TENANTS, tenant, patch={"spec": {"namespaceOptions": options}}, kind="merge")

    if "Regex" in str(options) or "required" in str(options):
        assert "unable to compile regex" in caught.value.message
    assert (await world.stored(TENANTS, tenant))["spec"]["namespaceOptions"] == good | {"managedMetadataOnly": False}
    await carries(world, tenant, name, {"a": "1"})


async def test_managed_metadata_only_drops_the_rest(world: World) -> None:
    """T-14: at creation, at updates by anybody, and when it is switched on; the cordon is the owner's all the same."""
    spec: JSON = {"additionalMetadata": {"labels": {"a": "1"}, "annotations": {"n": "1"}}, "managedMetadataOnly": True}
    tenant, name, ada = await made(
        world, {"namespaceOptions": spec}, labels={"own": "x"}, annotations={"note": "mine", "n": "2"}
    )
    await carries(world, tenant, name, {"a": "1"}, n="1")

    await patch(ada, name, labels={"own": "x", "a": "2"}, annotations={"note": "mine"})
    await carries(world, tenant, name, {"a": "1"}, n="1")
    await patch(world.admin, name, labels={"own": "x"}, annotations={"note": "mine"})
    await carries(world, tenant, name, {"a": "1"}, n="1")
    await patch(ada, name, labels={labels.CORDONED: "true"})
    await carries(world, tenant, name, {"a": "1", labels.CORDONED: "true"}, n="1")

    await world.edit_tenant(tenant, {"namespaceOptions": {"managedMetadataOnly": False}})
    await patch(ada, name, labels={"own": "x", labels.CORDONED: None})
    await carries(world, tenant, name, {"a": "1", "own": "x"}, n="1")
    await world.edit_tenant(tenant, {"namespaceOptions": {"managedMetadataOnly": True}})
    await carries(world, tenant, name, {"a": "1"}, n="1")
    await reports(world, tenant, name, {"labels": {"a": "1"}, "annotations": {"n": "1"}})


async def test_a_lost_status_comes_back(world: World) -> None:
    """13.11: as after a restore; what is managed stays managed, what was managed before stays as the user's own."""
    tenant, name, _ = await made(world, {"namespaceOptions": {"additionalMetadata": {"labels": {"a": "1"}}}})
    await reports(world, tenant, name, {"labels": {"a": "1"}})
    before = (await world.in_force(tenant)).status

    await world.admin.patch(
        TENANTS,
        tenant,
        patch={"status": {"spaces": None, "owners": None, "namespaces": None, "size": 0, "conditions": []}},
        kind="merge",
        subresource="status",
    )

    async def restored() -> bool:
        after = (await world.admin.get(TENANTS, tenant)).status
        assert after.size == before.size
        assert (after.owners, after.namespaces) == (before.owners, before.namespaces)
        assert [(one.name, one.uid, one.metadata) for one in after.spaces] == [
            (one.name, one.uid, one.metadata) for one in before.spaces
        ]
        assert [(one.type, one.status, one.reason) for one in after.conditions] == [
            (one.type, one.status, one.reason) for one in before.conditions
        ]
        return True

    await world.eventually(restored)
    await world.edit_tenant(tenant, {"namespaceOptions": {"additionalMetadata": {"labels": {"a": None, "b": "1"}}}})
    await carries(world, tenant, name, {"b": "1"})


async def test_forbidden_keys_are_refused_where_they_change(world: World) -> None:
    """N-18, T-13: by list and expression; managed keys pass, administrators pass, keys that stay pass."""
    spec = {
        "namespaceOptions": {
            "forbiddenLabels": {"denied": ["foo", "bar"], "deniedRegex": "^secret-.*$"},
            "forbiddenAnnotations": {"denied": ["foo"], "deniedRegex": "^secret-.*$"},
            "additionalMetadata": {"labels": {"secret-team": "1"}, "annotations": {"secret-note": "1"}},
        }
    }
    tenant, name, ada = await made(world, spec)
    await carries(world, tenant, name, {"secret-team": "1"}, **{"secret-note": "1"})

    for metadata, noun in (
        ({"labels": {"foo": "1"}}, "label foo is forbidden for the current tenant"),
        ({"labels": {"bar": "1", "ok": "1"}}, "label bar is forbidden for the current tenant"),
        ({"labels": {"secret-other": "1"}}, "label secret-other is forbidden for the current tenant"),
        ({"annotations": {"foo": "1"}}, "annotation foo is forbidden for the current tenant"),
        ({"annotations": {"secret-other": "1"}}, "annotation secret-other is forbidden for the current tenant"),
    ):
        with pytest.raises(ForbiddenError) as caught:
            await patch(ada, name, **metadata)
        assert noun in caught.value.message
        with pytest.raises(ForbiddenError, match=noun.split(" is ", maxsplit=1)[0]):
            await world.namespace(ada, tenant, **metadata)
    await patch(ada, name, labels={"ok": "1", "secret-team": "2"})
    await carries(world, tenant, name, {"secret-team": "1", "ok": "1"}, **{"secret-note": "1"})

    async with world.configured(administrators=[{"kind": "User", "name": "boss"}]):
        await patch(world.acting("boss", ("system:masters",)), name, labels={"foo": "1"})
    await patch(ada, name, labels={"ok": "2"})
    await carries(world, tenant, name, {"secret-team": "1", "ok": "2", "foo": "1"}, **{"secret-note": "1"})
    for value in ("2", None):
        with pytest.raises(ForbiddenError, match="label foo is forbidden"):
            await patch(ada, name, labels={"foo": value})


async def test_required_metadata(world: World) -> None:
    """N-19, T-12: the key and what its value must match are named; a label is called a label."""
    required = {"labels": {"env": "^(prod|dev)$"}, "annotations": {"cost": "^[0-9]{3}$"}}
    spec = {"namespaceOptions": {"requiredMetadata": required}}
    tenant, name, ada = await made(world, spec, labels={"env": "prod"}, annotations={"cost": "123"})
    await carries(world, tenant, name, {"env": "prod"}, cost="123")

    for metadata, words in (
        ({"annotations": {"cost": "123"}}, "required label env is missing"),
        ({"labels": {"env": "test"}, "annotations": {"cost": "123"}}, "required label env has the value 'test'"),
        ({"labels": {"env": "dev"}}, "required annotation cost is missing"),
        ({"labels": {"env": "dev"}, "annotations": {"cost": "1"}}, "required annotation cost has the value '1'"),
    ):
        with pytest.raises(ForbiddenError) as caught:
            await world.namespace(ada, tenant, **metadata)
        assert words in caught.value.message
    for change, words in (
        ({"labels": {"env": None}}, "required label env is missing"),
        ({"annotations": {"cost": "12345"}}, "required annotation cost has the value '12345'"),
    ):
        with pytest.raises(ForbiddenError) as caught:
            await patch(ada, name, **change)
        assert words in caught.value.message
    await patch(ada, name, labels={"env": "dev"})


async def test_the_node_selector_is_everybodys(world: World) -> None:
    """N-17, T-24: sorted, whoever changes or removes it is refused; the tenant's edits reach the namespace."""
    tenant, name, ada = await made(world, {"nodeSelector": {"zone": "b", "kubernetes.io/os": "linux"}})
    wanted = "kubernetes.io/os=linux,zone=b"
    await carries(world, tenant, name, {}, **{NODE_SELECTOR: wanted})
    await reports(world, tenant, name, {"annotations": {NODE_SELECTOR: wanted}})

    async with world.configured(administrators=[{"kind": "User", "name": "boss"}]):
        for client in (ada, world.admin, world.acting("boss", ("system:masters",))):
            for value in ("zone=a", "", None):
                with pytest.raises(ForbiddenError, match=NODE_SELECTOR):
                    await patch(client, name, annotations={NODE_SELECTOR: value})
        with pytest.raises(ForbiddenError, match=NODE_SELECTOR):
            await world.admin.patch(NAMESPACES, name, patch={"metadata": {"annotations": None}}, kind="merge")
    other = await world.namespace(ada, tenant, annotations={NODE_SELECTOR: "zone=a"})
    for each in (name, other):
        await carries(world, tenant, each, {}, **{NODE_SELECTOR: wanted})

    await world.edit_tenant(tenant, {"nodeSelector": {"kubernetes.io/os": None, "disk": "ssd"}})
    await carries(world, tenant, name, {}, **{NODE_SELECTOR: "disk=ssd,zone=b"})
    await world.edit_tenant(tenant, {"nodeSelector": None})
    await carries(world, tenant, name, {})


async def test_settings_are_told_as_annotations(world: World) -> None:
    """14.1: exact lists in the order of the spec, expressions, the Tenant's own annotations; absent when unset."""
    spec = {
        "containerRegistries": {"allowed": ["quay.io", "docker.io"], "allowedRegex": "^.*example.com$"},
        "storageClasses": {"allowed": ["fast", "cold"], "allowedRegex": "^vol-.*$"},
        "ingressOptions": {"allowedClasses": {"allowed": ["nginx", "haproxy"], "allowedRegex": "^in-.*$"}},
    }
    tenant, name, _ = await made(world, spec)
    told = {
        "capsule.clastix.io/allowed-registries": "quay.io,docker.io",
        "capsule.clastix.io/allowed-registries-regexp": "^.*example.com$",
        "capsule.clastix.io/storage-classes": "fast,cold",
        "capsule.clastix.io/storage-classes-regexp": "^vol-.*$",
        "capsule.clastix.io/ingress-classes": "nginx,haproxy",
        "capsule.clastix.io/ingress-classes-regexp": "^in-.*$",
    }
    await carries(world, tenant, name, {}, **told)

    copied = {
        f"capsule.clastix.io/forbidden-namespace-{kind}{form}": value
        for kind in ("labels", "annotations")
        for form, value in (("", "foo,bar"), ("-regexp", "^x-.*$"))
    }
    other = {"example.com/other": "stays on the Tenant"}
    await world.admin.patch(TENANTS, tenant, patch={"metadata": {"annotations": copied | other}}, kind="merge")
    await carries(world, tenant, name, {}, **told, **copied)

    gone = {"containerRegistries": {"allowed": ["quay.io"], "allowedRegex": None}, "storageClasses": None}
    await world.edit_tenant(tenant, gone | {"ingressOptions": None})
    await world.admin.patch(TENANTS, tenant, patch={"metadata": {"annotations": None}}, kind="merge")
    await carries(world, tenant, name, {}, **{"capsule.clastix.io/allowed-registries": "quay.io"})


async def test_rules_about_namespaces(world: World) -> None:
    """N-16, RL-18: required, allowed, default and managed labels of the kind Namespace, by name alone."""
    rules = [
        {
            "enforce": {
                "action": "allow",
                "metadata": [
                    {
                        "kinds": ["Namespace"],
                        "labels": {
                            "env": {"required": True, "values": [{"exact": ["prod", "dev"]}]},
                            "tier": {"default": "bronze"},
                            "team": {"managed": "{{ .tenant.metadata.name }}"},
                        },
                    },
                    {"kinds": ["*"], "apiGroups": ["*"], "labels": {"never": {"required": True}}},
                ],
            }
        }
    ]
    tenant, name, ada = await made(world, {"rules": rules}, labels={"env": "prod"})
    await carries(world, tenant, name, {"env": "prod", "tier": "bronze", "team": tenant})
    await reports(world, tenant, name, {"labels": {"team": tenant}})

    with pytest.raises(ForbiddenError) as caught:
        await world.namespace(ada, tenant)
    for part in ("metadata", "env", "required"):
        assert part in caught.value.message
    with pytest.raises(ForbiddenError) as caught:
        await patch(ada, name, labels={"env": "test"})
    for part in ("metadata", "env", "test"):
        assert part in caught.value.message
    await patch(ada, name, labels={"team": "other", "tier": "gold"})
    await carries(world, tenant, name, {"env": "prod", "tier": "gold", "team": tenant})
    await patch(world.admin, name, labels={"team": None})
    await carries(world, tenant, name, {"env": "prod", "tier": "gold", "team": tenant})
    await world.edit_tenant(tenant, {"rules": None})
    await carries(world, tenant, name, {"env": "prod", "tier": "gold"})

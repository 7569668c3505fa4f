"""What Tenants and the configuration may say, in the words of the refusal (TN-1 to TN-9, CN-1)."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.api import labels
from tenantry.foundation.codec import encode
from tenantry.kube.errors import ApiError, ForbiddenError
from tenantry.kube.resources import CONFIGURATIONS, EVENTS, TENANTS
from tenantry.testing.world import World

JSON = dict[str, Any]
REGEX = "unable to compile regex"


async def test_the_name_is_a_label_too(world: World) -> None:
    """TN-1: put there, put back, also where the whole object is sent without any."""
    name = (await world.tenant({})).metadata.name

    async def its_labels() -> JSON:
        return dict((await world.stored(TENANTS, name))["metadata"]["labels"])

    assert await its_labels() == {labels.METADATA_NAME: name}
    for value in ("other", "", None):
        patch = {"metadata": {"labels": {labels.METADATA_NAME: value, "own": "1"}}}
        await world.admin.patch(TENANTS, name, patch=patch, kind="merge")
        assert await its_labels() == {labels.METADATA_NAME: name, "own": "1"}
    stored = await world.stored(TENANTS, name)
    stored["metadata"]["labels"] = None
    await world.admin.request("PUT", TENANTS.path(name=name), body=stored)
    assert await its_labels() == {labels.METADATA_NAME: name}


async def test_a_generated_name_becomes_a_label_too(world: World) -> None:
    made = await world.admin.create(TENANTS, {"metadata": {"generateName": "team-"}, "spec": {}})
    world.remember_tenant(name := made.metadata.name)

    async def labelled() -> bool:
        found = (await world.stored(TENANTS, name))["metadata"].get("labels")
        return bool(found == {labels.METADATA_NAME: name})

    await world.eventually(labelled)


@pytest.mark.parametrize("name", ["oil.gas", "a" * 64, "1.2"])
async def test_names_are_labels_of_dns(world: World, name: str) -> None:
    """TN-2, D-1: the whole name; the API server alone would let it pass."""
    with pytest.raises(ApiError) as caught:
        await world.admin.create(TENANTS, {"metadata": {"name": name}, "spec": {}})
    assert caught.value.status in {403, 422}
    assert "metadata.name" in caught.value.message


BAD: dict[str, tuple[JSON, tuple[str, ...]]] = {
    "owner account": (
        {"owners": [{"kind": "ServiceAccount", "name": "robot"}]},
        ("spec.owners[0].name", "robot", "system:serviceaccount:"),
    ),
    "owner account of nowhere": (
        {"owners": [{"kind": "ServiceAccount", "name": "system:serviceaccount:Bad_Ns:robot"}]},
        ("spec.owners[0].name", "Bad_Ns"),
    ),
    "binding's account": (
        {
            "additionalRoleBindings": [
                {"clusterRoleName": "view", "subjects": [{"kind": "ServiceAccount", "name": "Bad_Name"}]}
            ]
        },
        ("spec.additionalRoleBindings[0].subjects[0].name", "Bad_Name"),
    ),
    "hostnames": ({"ingressOptions": {"allowedHostnames": {"allowedRegex": "(["}}}, (REGEX, "([")),
    "ingress classes": ({"ingressOptions": {"allowedClasses": {"allowedRegex": "(["}}}, (REGEX,)),
    "gateway classes": ({"gatewayOptions": {"allowedClasses": {"allowedRegex": "(["}}}, (REGEX,)),
    "storage classes": ({"storageClasses": {"allowedRegex": "(["}}, (REGEX,)),
    "priority classes": ({"priorityClasses": {"allowedRegex": "(["}}, (REGEX,)),
    "runtime classes": ({"runtimeClasses": {"allowedRegex": "(["}}, (REGEX,)),
    "device classes": ({"deviceClasses": {"allowedRegex": "(["}}, (REGEX,)),
    "registries": ({"containerRegistries": {"allowedRegex": "(["}}, (REGEX,)),
    "look-ahead": ({"containerRegistries": {"allowedRegex": "^(?!evil)"}}, (REGEX,)),
    "forbidden labels": ({"namespaceOptions": {"forbiddenLabels": {"deniedRegex": "(["}}}, (REGEX,)),
    "forbidden annotations": ({"namespaceOptions": {"forbiddenAnnotations": {"deniedRegex": "(["}}}, (REGEX,)),
    "forbidden on Services": ({"serviceOptions": {"forbiddenLabels": {"deniedRegex": "(["}}}, (REGEX,)),
    "required": ({"namespaceOptions": {"requiredMetadata": {"annotations": {"a": "(["}}}}, (REGEX,)),
    "audience": (
        {"rules": [{"audience": [{"kind": "Custom", "name": "Nobody"}], "enforce": {}}]},
        ("spec.rules[0].audience[0]", "Nobody"),
    ),
    "quota twice": (
        {
            "rules": [
                {"quota": [{"name": "a", "hard": {"pods": "1"}}]},
                {"quota": [{"name": "a", "hard": {"pods": "1"}}]},
            ]
        },
        ("spec.rules[1].quota", "a"),
    ),
    "negative quota": (
        {"rules": [{"quota": [{"name": "a", "hard": {"pods": "-1"}}]}]},
        ("spec.rules[0].quota[0]", "-1"),
    ),
    "rule expression": (
        {"rules": [{"enforce": {"workloads": {"registries": [{"exp": "(["}]}}}]},
        ("spec.rules[0].enforce.workloads.registries[0]", "(["),
    ),
    "cidr": (
        {"rules": [{"enforce": {"services": {"loadBalancers": {"cidrs": ["10.0.0.0/99"]}}}}]},
        ("10.0.0.0/99",),
    ),
    "ports": (
        {"rules": [{"enforce": {"services": {"nodePorts": {"ports": [{"from": 30100, "to": 30000}]}}}}]},
        ("30100", "30000"),
    ),
    "resource without a value": (
        {"rules": [{"enforce": {"workloads": {"resources": {"limits": {"cpu": {"policy": "Ratio"}}}}}}]},
        ("spec.rules[0].enforce.workloads.resources.limits", "Ratio"),
    ),
    "resource with a value": (
        {
            "rules": [
                {"enforce": {"workloads": {"resources": {"limits": {"cpu": {"policy": "MatchRequest", "value": "1"}}}}}}
            ]
        },
        ("spec.rules[0].enforce.workloads.resources.limits", "MatchRequest"),
    ),
    "managed glob": (
        {"rules": [{"enforce": {"metadata": [{"kinds": ["*"], "labels": {"a": {"managed": "1"}}}]}}]},
        ("managed",),
    ),
    "unknown kind": (
        {"rules": [{"enforce": {"metadata": [{"kinds": ["NoSuchKind"], "labels": {"a": {"required": True}}}]}}]},
        ("NoSuchKind",),
    ),
    "cluster-wide kind": (
        {
            "rules": [
                {
                    "enforce": {
                        "metadata": [
                            {
                                "apiGroups": ["rbac.authorization.k8s.io"],
                                "kinds": ["ClusterRole"],
                                "labels": {"a": {"required": True}},
                            }
                        ]
                    }
                }
            ]
        },
        ("ClusterRole", "namespace"),
    ),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_makes_no_sense_is_refused(world: World, case: str) -> None:
    """TN-3 to TN-6: at creation and at updates, naming field and value; what is stored stays."""
    spec, words = BAD[case]
    name = world.unique("bad")
    with pytest.raises(ForbiddenError) as caught:
        await world.admin.create(TENANTS, {"metadata": {"name": name}, "spec": spec})
    for word in words:
        assert word in caught.value.message
    await world.admin.create(TENANTS, {"metadata": {"name": name}, "spec": {}})
    world.remember_tenant(name)
    with pytest.raises(ForbiddenError):
        await world.admin.patch(TENANTS, name, patch={"spec": spec}, kind="merge")


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"owners": [{"kind": "Robot", "name": "x"}]}, id="owner kind"),
        pytest.param({"namespaceOptions": {"quota": 0}}, id="quota"),
        pytest.param({"imagePullPolicies": ["Sometimes"]}, id="pull policy"),
        pytest.param({"resourceQuotas": {"scope": "Cluster"}}, id="scope"),
        pytest.param({"serviceOptions": {"externalIPs": {"allowed": ["nonsense"]}}}, id="external address"),
        pytest.param({"rules": [{"enforce": {"action": "forbid"}}]}, id="action"),
    ],
)
async def test_what_the_schema_knows_is_invalid(world: World, spec: JSON) -> None:
    with pytest.raises(ApiError) as caught:
        await world.admin.create(TENANTS, {"metadata": {"name": world.unique("bad")}, "spec": spec})
    assert caught.value.status == 422


async def test_a_known_kind_and_one_of_the_product_pass(world: World) -> None:
    """TN-6: kinds by group, version and glob; Namespace by name."""
    metadata = [
        {"kinds": ["Pod", "ConfigMap", "Namespace"], "labels": {"a": {"required": False}}},
        {"apiGroups": ["apps"], "kinds": ["Deployment"], "labels": {"a": {"managed": "1"}}},
        {"apiGroups": ["apps/v1", "batch"], "kinds": ["*"], "labels": {"a": {"default": "1"}}},
        {"apiGroups": ["*"], "kinds": ["*Set"], "annotations": {"x-*": {"values": [{"exact": ["1"]}]}}},
    ]
    await world.tenant({"rules": [{"enforce": {"action": "allow", "metadata": metadata}}]})


async def test_a_protected_tenant_is_not_deleted(world: World) -> None:
    """TN-8: by anybody, alone or in a collection, dry or not; unprotected, it goes."""
    tenant = await world.tenant({"preventDeletion": True})
    name = tenant.metadata.name
    words = "tenant is protected and cannot be deleted"
    for dry_run in (False, True):
        with pytest.raises(ForbiddenError, match=words):
            await world.admin.delete(TENANTS, name, dry_run=dry_run)
    with pytest.raises(ForbiddenError, match=words):
        await world.admin.delete_collection(TENANTS, label_selector=f"{labels.METADATA_NAME}={name}")
    await world.edit_tenant(name, {"preventDeletion": False})
    await world.admin.delete(TENANTS, name)


async def test_deprecated_fields_warn(world: World) -> None:
    """TN-9: API warnings name field and successor; fields that are not set are not warned of."""
    spec: JSON = {
        "namespaceOptions": {"additionalMetadata": {"labels": {"a": "1"}}, "quota": 3},
        "limitRanges": {"items": []},
        "networkPolicies": {"items": []},
        "resourceQuotas": {"items": []},
        "imagePullPolicies": ["Always"],
        "containerRegistries": {"allowed": ["quay.io"]},
        "rules": [{"quota": [{"name": "q", "hard": {"pods": "1"}}]}],
    }
    name = world.unique("warned")
    manifest = {"apiVersion": "capsule.clastix.io/v1beta2", "kind": "Tenant", "metadata": {"name": name}, "spec": spec}
    world.remember_tenant(name)
    path = world.platform.folder / f"{name}.json"
    path.write_bytes(encode(manifest))
    done = await world.platform.kubectl("create", "-f", str(path))
    warned = [line for line in done.stderr.splitlines() if line.startswith("Warning: ")]
    fields = (
        "spec.namespaceOptions.additionalMetadata",
        "spec.limitRanges",
        "spec.networkPolicies",
        "spec.resourceQuotas",
        "spec.imagePullPolicies",
        "spec.containerRegistries",
        "spec.rules[].quota",
    )
    assert len(warned) == len(fields)
    for field in fields:
        assert any(field in line for line in warned), field


async def test_cordoning_is_told_by_events(world: World) -> None:
    """TN-9: Cordoned and UnCordoned about the Tenant; other edits tell nothing."""
    name = (await world.tenant({})).metadata.name
    await world.edit_tenant(name, {"namespaceOptions": {"quota": 3}})
    for value in (True, False):
        await world.edit_tenant(name, {"cordoned": value})

    async def told() -> bool:
        events = [each for each in await world.listed(EVENTS, "default") if each["regarding"].get("name") == name]
        found = sorted((each["regarding"]["kind"], each["reason"], each["action"], each["type"]) for each in events)
        assert found == [
            ("Tenant", "Cordoned", "Cordoned", "Normal"),
            ("Tenant", "UnCordoned", "UnCordoned", "Normal"),
        ]
        return True

    await world.eventually(told)


CONFIGURATION: dict[str, tuple[JSON, tuple[str, ...]]] = {
    "protected": (
        {"protectedNamespaceRegex": "(["},
        ("spec.protectedNamespaceRegex", "([", "not a valid regular expression"),
    ),
    "node labels": (
        {"nodeMetadata": {"forbiddenLabels": {"deniedRegex": "(["}}},
        ("spec.nodeMetadata.forbiddenLabels.regex", "([", "not a valid regular expression"),
    ),
    "node annotations": (
        {"nodeMetadata": {"forbiddenAnnotations": {"deniedRegex": "(["}}},
        ("spec.nodeMetadata.forbiddenAnnotations.regex", "([", "not a valid regular expression"),
    ),
    "url and service": (
        {
            "admission": {
                "validating": {
                    "client": {"url": "https://example.com", "service": {"name": "a", "namespace": "b"}},
                    "webhooks": [],
                }
            }
        },
        ("spec.admission.validating.client", "https://example.com"),
    ),
    "half a default": (
        {"impersonation": {"globalDefaultServiceAccount": "robot"}},
        ("spec.impersonation.globalDefaultServiceAccountNamespace",),
    ),
    "account": (
        {"users": [{"kind": "ServiceAccount", "name": "robot"}]},
        ("spec.users[0].name", "robot"),
    ),
    "administrator": (
        {"administrators": [{"kind": "ServiceAccount", "name": "robot"}]},
        ("spec.administrators[0].name", "robot"),
    ),
}


@pytest.mark.parametrize("case", CONFIGURATION)
async def test_a_wrong_configuration_is_refused_by_admission(world: World, case: str) -> None:
    """CN-1, 13.8: 403, not 422; nothing changes."""
    spec, words = CONFIGURATION[case]
    before = await world.stored(CONFIGURATIONS, "default")

    with pytest.raises(ForbiddenError) as caught:
        await world.admin.patch(CONFIGURATIONS, "default", patch={"spec": spec}, kind="merge")

    for word in words:
        assert word in caught.value.message
    assert (await world.stored(CONFIGURATIONS, "default"))["spec"] == before["spec"]


async def test_go_clients_send_configurations_whole(world: World) -> None:
    """13.8: what Go's types marshal is accepted: empty structs, lists and strings."""
    before = (await world.stored(CONFIGURATIONS, "default"))["spec"]
    spec = before | {
        "userGroups": [],
        "userNames": None,
        "protectedNamespaceRegex": "",
        "nodeMetadata": {
            "forbiddenLabels": {"deniedRegex": ""},
            "forbiddenAnnotations": {"denied": [], "deniedRegex": ""},
        },
        "impersonation": {},
        "admission": {"serviceName": "", **before.get("admission", {})},
        "administrators": [],
    }

    async def written(spec: JSON) -> bool:  # Again where a status was written in between.
        body = await world.stored(CONFIGURATIONS, "default") | {"status": {}, "spec": spec}
        await world.admin.request("PUT", CONFIGURATIONS.path(name="default"), body=body)
        return True

    await world.eventually(lambda: written(spec))
    await world.eventually(lambda: written(before))
    assert (await world.stored(CONFIGURATIONS, "default"))["spec"] == before

"""What exists once an installation: configuration, ClusterRoles, owners' status, webhooks, certificates."""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from tenantry.kube.errors import AlreadyExistsError, NotFoundError
from tenantry.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    CONFIGURATIONS,
    MUTATING_WEBHOOKS,
    SECRETS,
    TENANT_OWNERS,
    VALIDATING_WEBHOOKS,
)

SYSTEM = "capsule-system"
WEBHOOKS = (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS)
NAME = "capsule-dynamic-webhook"


async def or_none(world: Any, resource: Any, name: str, namespace: str | None = None) -> Any:
    try:
        return await world.admin.get(resource, name, namespace)
    except NotFoundError:
        return None


@pytest.mark.usefixtures("running")
async def test_the_default_configuration_exists_before_first_use(world: Any) -> None:
    """Whoever deletes it gets it anew: users exactly the one group, the names of roles written out."""
    await world.eventually(lambda: or_none(world, CONFIGURATIONS, "default"))
    await world.admin.delete(CONFIGURATIONS, "default")

    async def is_back() -> bool:
        stored = await or_none(world, CONFIGURATIONS, "default")
        return stored is not None and any(
            each.type == "Ready" and each.status == "True" for each in stored.status.conditions
        )

    await world.eventually(is_back)
    spec = (await world.plain(CONFIGURATIONS.path(name="default")))["spec"]
    assert (spec["users"], spec.get("administrators"), spec["rbac"]) == (
        [{"kind": "Group", "name": "projectcapsule.dev"}],
        None,
        {
            "administrationClusterRoles": ["capsule-namespace-deleter"],
            "promotionClusterRoles": ["capsule-namespace-provisioner", "capsule-namespace-deleter"],
            "deleter": "capsule-namespace-deleter",
            "provisioner": "capsule-namespace-provisioner",
        },
    )


@pytest.mark.usefixtures("running")
async def test_users_and_owners_are_reported_and_may_create_namespaces(world: Any, configured: Any) -> None:
    """status.users, the ClusterRoleBinding, status.owners of tenants and status.tenants of owners agree."""
    await configured(administrators=[{"kind": "User", "name": "ada"}])
    name, other = world.unique("owner"), world.unique("other")
    tenant = await world.tenant(permissions={"matchOwners": [{"matchLabels": {"team": name}}]})
    for own, labels, aggregate in ((name, {"team": name}, True), (other, {}, False)):
        spec = {"kind": "User", "name": own, "clusterRoles": ["view"], "aggregate": aggregate}
        await world.admin.create(TENANT_OWNERS, {"metadata": {"name": own, "labels": labels}, "spec": spec})

    async def are_reported() -> bool:
        configuration = await world.admin.get(CONFIGURATIONS, "default")
        users = [each.name for each in configuration.status.users]
        binding = await world.admin.get(CLUSTER_ROLE_BINDINGS, "capsule-namespace-provisioner")
        bound = [each.name for each in binding.subjects or ()]
        owners = [(each.name, each.cluster_roles) for each in (await world.stored(tenant)).status.owners]
        taken = [(await world.admin.get(TENANT_OWNERS, each)).status for each in (name, other)]
        return (
            name in users
            and other not in users
            and "ada" not in users
            and {name, "ada", "projectcapsule.dev"} <= set(bound)
            and owners == [("ada", ("capsule-namespace-deleter",)), ("alice", ("admin",)), (name, ("view",))]
            and [each.tenants for each in taken] == [(tenant.metadata.name,), ()]
            and all(each.conditions and each.conditions[0].status == "True" for each in taken)
            and tenant.metadata.name in configuration.status.tenants
        )

    await world.eventually(are_reported)
    await world.admin.patch(TENANT_OWNERS, name, patch={"metadata": {"labels": None}}, kind="merge")

    async def has_left() -> bool:
        owners = [each.name for each in (await world.stored(tenant)).status.owners]
        return owners == ["ada", "alice"] and (await world.admin.get(TENANT_OWNERS, name)).status.tenants == ()

    await world.eventually(has_left)
    for each in (name, other):
        await world.admin.delete(TENANT_OWNERS, each)


@pytest.mark.usefixtures("running")
async def test_the_roles_of_users_are_put_back(world: Any) -> None:
    """Verbs on namespaces are exactly create and patch; a binding to another role is replaced."""
    role = "capsule-namespace-provisioner"
    await world.eventually(lambda: or_none(world, CLUSTER_ROLE_BINDINGS, role))
    extra = [{"op": "add", "path": "/rules/0/verbs/-", "value": "list"}]
    await world.admin.patch(CLUSTER_ROLES, role, patch=extra, kind="json")
    await world.admin.delete(CLUSTER_ROLE_BINDINGS, role)
    group = "rbac.authorization.k8s.io"
    wrong = {"metadata": {"name": role}, "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"}}
    with suppress(AlreadyExistsError):  # Ours came back first: as good.
        await world.admin.create(CLUSTER_ROLE_BINDINGS, wrong)

    async def is_back() -> bool:
        stored = await world.admin.get(CLUSTER_ROLES, role)
        binding = await or_none(world, CLUSTER_ROLE_BINDINGS, role)
        return (
            stored.rules is not None
            and stored.rules[0].verbs == ("create", "patch")
            and binding is not None
            and binding.role_ref.name == role
        )

    await world.eventually(is_back)


@pytest.mark.usefixtures("admission")
async def test_webhooks_stand_once_a_worker_is_ready_and_until_they_are_disarmed(world: Any) -> None:
    """Before that they would only refuse; disarmed, they stay away until armed again."""

    async def stand() -> bool:
        return all([await or_none(world, each, NAME) is not None for each in WEBHOOKS])

    async def are_gone() -> bool:
        return all([await or_none(world, each, NAME) is None for each in WEBHOOKS])

    async def condition() -> tuple[str, str]:
        conditions = (await world.admin.get(CONFIGURATIONS, "default")).status.conditions
        return next((each.status, each.reason) for each in conditions if each.type == "AdmissionRegistered")

    async def is_told(*expected: str) -> bool:
        return await condition() == expected

    await world.eventually(stand)
    await world.eventually(lambda: is_told("True", "Registered"))
    secret = await world.admin.get(SECRETS, "capsule-tls", SYSTEM)
    bundles = {
        webhook["clientConfig"]["caBundle"]
        for each in WEBHOOKS
        for webhook in (await world.admin.get(each, NAME)).webhooks
    }
    assert bundles == {secret.data["ca.crt"]}

    switch = {"metadata": {"name": "tenantry-admission"}, "data": {"disarmed": "true"}}
    await world.admin.create(CONFIG_MAPS, switch, SYSTEM)
    await world.eventually(are_gone)
    await world.eventually(lambda: is_told("False", "Disarmed"))

    await world.admin.delete(CONFIG_MAPS, "tenantry-admission", SYSTEM)
    await world.eventually(stand)


@pytest.mark.usefixtures("admission")
async def test_entries_of_others_in_our_webhooks_go(world: Any) -> None:
    """Capsule's own configuration has the same name: what it lists must not be called any more."""

    async def entries() -> list[str]:
        stored = await or_none(world, VALIDATING_WEBHOOKS, NAME)
        return [each["name"] for each in stored.webhooks] if stored is not None else []

    await world.eventually(entries)
    before = await entries()
    foreign = {
        "name": "old.projectcapsule.dev",
        "clientConfig": {"url": "https://127.0.0.1:1/x"},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    patch = [
        {"op": "add", "path": "/webhooks/-", "value": foreign},
        {"op": "remove", "path": "/metadata/labels"},
    ]
    await world.admin.patch(VALIDATING_WEBHOOKS, NAME, patch=patch, kind="json")

    async def is_back() -> bool:
        return await entries() == before

    await world.eventually(is_back)


@pytest.mark.usefixtures("admission")
async def test_a_tenant_is_policed_before_its_rules_are_in_force(world: Any) -> None:
    """Idle tenants are left out of the entries for everything; with a metadata rule it is idle no more."""
    tenant = await world.tenant()
    name = tenant.metadata.name

    async def left_out() -> bool:
        stored = await or_none(world, VALIDATING_WEBHOOKS, NAME)
        return stored is not None and any(
            name in requirement.get("values", ())
            for webhook in stored.webhooks
            for requirement in webhook.get("namespaceSelector", {}).get("matchExpressions", ())
            if requirement["operator"] == "NotIn"
        )

    await world.eventually(left_out)
    await world.ready(tenant, 0)
    rule = {"enforce": {"metadata": [{"kinds": ["ConfigMap"], "labels": {"a": {"required": True}}}]}}
    await world.edit(tenant, rules=[rule])
    await world.ready(tenant, 0)

    assert not await left_out()


@pytest.mark.usefixtures("running")
async def test_the_serving_certificate_is_signed_by_the_published_ca(world: Any) -> None:
    await world.eventually(lambda: or_none(world, SECRETS, "capsule-tls", SYSTEM))
    pair, authority = await certificates(world)

    assert is_signed(pair, authority)
    names = ssl_names(pair)
    assert "capsule-webhook-service.capsule-system.svc" in names


async def test_a_new_ca_is_trusted_everywhere_before_it_signs(
    start: Any, world: Any, armed: Any, clock_ahead: Any
) -> None:
    """13.19: both are published, every configuration has both, then the new one serves, then the old one goes."""
    await world.acknowledge(world.unique("worker"), seconds=3, tenants=1 << 60)
    later = timedelta(days=3650 - 300)

    async def bundle() -> str:
        return (await certificates(world))[1]

    async with armed():
        async with start():
            await world.eventually(lambda: or_none(world, VALIDATING_WEBHOOKS, NAME))
            await world.eventually(lambda: or_none(world, MUTATING_WEBHOOKS, NAME))
        old_pair, old_bundle = await certificates(world)

        async def has_new() -> bool:
            pair, now = await certificates(world)
            return pair != old_pair and old_bundle in now and is_signed(pair, now)

        async def has_new_alone() -> bool:
            return old_bundle not in await bundle()

        async with start(clock=clock_ahead(later)):
            await world.eventually(has_new)
            registered = {
                b64decode(webhook["clientConfig"]["caBundle"]).decode()
                for each in WEBHOOKS
                for webhook in (await world.admin.get(each, NAME)).webhooks
            }
            assert registered == {await bundle()}
        async with start(clock=clock_ahead(later + timedelta(minutes=11))):
            await world.eventually(has_new_alone)
    # Nothing is left for the other tests of certificates that are not valid yet.
    for name in ("capsule-tls", "capsule-tls-ca"):
        await world.admin.delete(SECRETS, name, SYSTEM)


async def certificates(world: Any) -> tuple[str, str]:
    """Return the serving certificate and the published bundle, as PEM."""
    secret = await world.admin.get(SECRETS, "capsule-tls", SYSTEM)
    return b64decode(secret.data["tls.crt"]).decode(), b64decode(secret.data["ca.crt"]).decode()


def is_signed(pair: str, bundle: str) -> bool:
    certificate = x509.load_pem_x509_certificate(pair.encode())
    for authority in x509.load_pem_x509_certificates(bundle.encode()):
        try:
            certificate.verify_directly_issued_by(authority)
        except ValueError:
            continue
        return True
    return False


def ssl_names(pair: str) -> list[str]:
    certificate = x509.load_pem_x509_certificate(pair.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)

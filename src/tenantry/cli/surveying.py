"""Reads all that a preview of a Tenant depends on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from tenantry.admission.classes import CLASS_RESOURCES, class_entry
from tenantry.api import labels
from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.api.tenant import Tenant
from tenantry.cli.asking import found, listed, running
from tenantry.foundation.codec import to_plain
from tenantry.foundation.errors import ConfigurationError
from tenantry.kube.client import Client
from tenantry.kube.resources import (
    CONFIGURATIONS,
    INGRESSES,
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    RULE_STATUSES,
    SERVICE_ACCOUNTS,
    SERVICES,
    TENANT_OWNERS,
    TENANTS,
    Resource,
)
from tenantry.tenancy.desired.membership import tenant_of
from tenantry.tenancy.identity import capsule_users
from tenantry.tenancy.inspection.changes import Managed, Surroundings
from tenantry.tenancy.inspection.judging import Running, Shelf, ingress_index
from tenantry.tenancy.owners import PromotedCandidate
from tenantry.tenancy.views import ClassEntry, ClassKind, Installation

JUDGED: Final[tuple[Resource[Any], ...]] = (PODS, SERVICES, INGRESSES, PERSISTENT_VOLUME_CLAIMS)
_MANAGED: Final[tuple[Resource[Any], ...]] = (
    ROLE_BINDINGS,
    LIMIT_RANGES,
    NETWORK_POLICIES,
    RESOURCE_QUOTAS,
    RULE_STATUSES,
)
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Everything read."""

    edited: Tenant
    """With the status of the stored one."""
    stored: Tenant | None
    surroundings: Surroundings
    installation: Installation
    shelf: Shelf
    objects: tuple[Running, ...]


async def validated(client: Client, body: Mapping[str, Any]) -> tuple[Tenant, Tenant | None]:
    """Return the Tenant of *body* as the API server would store it in place of the present one, and that one.

    Raises:
        ApiError: The API server refuses it.
    """
    name = body["metadata"]["name"]
    stored = await found(client, TENANTS, name)
    metadata = {key: body["metadata"][key] for key in ("name", "labels", "annotations") if key in body["metadata"]}
    wanted = {"metadata": metadata, "spec": body.get("spec") or {}}
    if stored is None:
        return await client.create(TENANTS, wanted, dry_run=True), None
    kept = to_plain(stored.metadata)
    wanted["metadata"] |= {key: kept[key] for key in ("resourceVersion", "finalizers") if key in kept}
    edited = await client.update(TENANTS, wanted, dry_run=True)
    return Tenant(metadata=edited.metadata, spec=edited.spec, status=stored.status), stored


async def surveyed(client: Client, edited: Tenant, stored: Tenant | None) -> Survey:
    """Read what the edition depends on, and the objects that it would judge.

    Raises:
        ApiError: A right is missing; a preview of half the objects would mislead.
    """
    everyone = {each.metadata.name: each for each in (await client.list(TENANTS)).items}
    namespaces = [each.metadata for each in (await client.list(NAMESPACES.metadata_only())).items]
    homes = {each.name: home.metadata.name for each in namespaces if (home := tenant_of(each, everyone.get))}
    name = edited.metadata.name
    members = [each for each in namespaces if stored is not None and homes.get(each.name) == name]
    configuration, owners, accounts, managed = await asyncio.gather(
        _configuration(client),
        listed(client, TENANT_OWNERS),
        _promoted(client, {each.name for each in members}),
        _managed(client, name),
    )
    return Survey(
        edited=edited,
        stored=stored,
        surroundings=Surroundings(
            configuration=configuration,
            tenant_owners=owners,
            promoted=accounts,
            members=members,
            managed=managed,
        ),
        installation=Installation(configuration=configuration, users=capsule_users(configuration, owners)),
        shelf=await _shelf(client, homes) if members else Shelf(),
        objects=await _objects(client, members),
    )


async def _configuration(client: Client) -> CapsuleConfigurationSpec:
    configurations = await listed(client, CONFIGURATIONS)
    if len(configurations) > 1:
        chosen = [each for each in configurations if each.metadata.name == "default"]
        if not chosen:
            raise ConfigurationError("there are several CapsuleConfigurations, and none is called default")
        configurations = chosen
    return configurations[0].spec if configurations else CapsuleConfigurationSpec()


async def _promoted(client: Client, members: set[str]) -> tuple[PromotedCandidate, ...]:
    kind = SERVICE_ACCOUNTS.metadata_only()
    accounts: dict[tuple[str, str], PartialObject] = {}
    for label in (labels.PROMOTE, labels.OWNER_PROMOTE):
        for each in await listed(client, kind, label_selector=label):
            accounts[each.metadata.namespace, each.metadata.name] = each
    return tuple(
        PromotedCandidate(namespace=namespace, name=name, labels=each.metadata.labels or {})
        for (namespace, name), each in sorted(accounts.items())
        if namespace in members
    )


async def _managed(client: Client, tenant: str) -> tuple[Managed, ...]:
    selector = f"{labels.MANAGED_BY}={labels.MANAGED_BY_CONTROLLER},{labels.NEW_TENANT}={tenant}"
    parts = await asyncio.gather(*(listed(client, each, label_selector=selector) for each in _MANAGED))
    return tuple(
        cast("Managed", _with_kind(resource, each))
        for resource, part in zip(_MANAGED, parts, strict=True)
        for each in part
    )


def _with_kind(resource: Resource[Any], obj: Any) -> Any:
    """Return *obj* as it is: items of lists carry no kind, and the struct's default is the right one."""
    assert obj.kind == resource.kind
    return obj


async def _shelf(client: Client, homes: Mapping[str, str]) -> Shelf:
    kinds = list(CLASS_RESOURCES)
    parts = await asyncio.gather(*(listed(client, CLASS_RESOURCES[kind]) for kind in kinds))
    classes: dict[ClassKind, list[ClassEntry]] = {
        kind: [class_entry(each) for each in part] for kind, part in zip(kinds, parts, strict=True)
    }
    volumes = await listed(client, PERSISTENT_VOLUMES.metadata_only())
    return Shelf(
        classes=classes,
        volumes={each.metadata.name: each.metadata.labels or {} for each in volumes},
        ingresses=ingress_index(await listed(client, INGRESSES), homes),
    )


async def _objects(client: Client, members: list[ObjectMeta]) -> tuple[Running, ...]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def read(resource: Resource[Any], namespace: str) -> list[Running]:
        async with slots:
            return await running(client, resource, namespace)

    names = sorted(each.name for each in members)
    parts = await asyncio.gather(*(read(resource, name) for name in names for resource in JUDGED))
    return tuple(each for part in parts for each in part)

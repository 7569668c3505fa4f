"""What the controllers know of the cluster: one cache a kind, kept warm on standbys too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from tenantry.api.core import (
    ClusterRole,
    ClusterRoleBinding,
    ConfigMap,
    Lease,
    LimitRange,
    NetworkPolicy,
    ResourceQuota,
    RoleBinding,
    Secret,
    WebhookConfiguration,
)
from tenantry.api.labels import (
    CREATED_BY,
    CREATED_BY_RBAC,
    MANAGED_BY,
    MANAGED_BY_CONTROLLER,
    NEW_TENANT,
    OWNER_PROMOTE,
    PROMOTE,
)
from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.api.rule_status import RuleStatus
from tenantry.kube import resources as kinds
from tenantry.kube.cache import Cache
from tenantry.kube.client import Client
from tenantry.kube.resources import KubernetesObject, Resource
from tenantry.operator.settings import OperatorSettings
from tenantry.operator.sharing import Pool
from tenantry.tenancy.desired import acknowledgement
from tenantry.tenancy.desired.membership import referenced_tenants

T = TypeVar("T", bound=KubernetesObject)
ADMISSION_SWITCH: Final = "tenantry-admission"
"""ConfigMap in the installation's namespace: ``disarmed: "true"`` keeps the webhooks off."""
BY_NAMESPACE: Final = "namespace"
BY_TENANT: Final = "tenant"
_MANAGED: Final = f"{MANAGED_BY}={MANAGED_BY_CONTROLLER}"
_BY_RBAC: Final = f"{CREATED_BY}={CREATED_BY_RBAC}"


def _namespace(obj: KubernetesObject) -> Iterable[str]:
    return (obj.metadata.namespace,)


def _tenant_label(obj: KubernetesObject) -> Iterable[str]:
    tenant = (obj.metadata.labels or {}).get(NEW_TENANT)
    return (tenant,) if tenant else ()


def _references(obj: KubernetesObject) -> Iterable[str]:
    return referenced_tenants(obj.metadata)


def _only_certificates(secret: Secret) -> Secret:
    """Drop the values of Secrets that are none of ours to read."""
    if secret.data is None or "tls.crt" in secret.data:
        return secret
    return Secret(metadata=secret.metadata, type=secret.type)


def _of_metadata(obj: PartialObject) -> PartialObject:
    """Drop what nothing asks of objects that are held for their labels alone."""
    meta = obj.metadata
    return PartialObject(
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            resource_version=meta.resource_version,
            labels=meta.labels,
        )
    )


class Caches:
    """All caches that every controller may read; those on demand are :mod:`tenantry.operator.on_demand`."""

    def __init__(self, client: Client, settings: OperatorSettings) -> None:
        own = settings.namespace
        self._all: list[Cache[Any]] = []
        add = self._adder(client)
        by_namespace = {BY_NAMESPACE: _namespace}
        pool = Pool()
        self.tenants = add(kinds.TENANTS, transform=pool.tenant)
        self.tenant_owners = add(kinds.TENANT_OWNERS)
        self.configurations = add(kinds.CONFIGURATIONS, field_selector=f"metadata.name={settings.configuration_name}")
        self.namespaces: Cache[PartialObject] = add(
            kinds.NAMESPACES.metadata_only(), indexes={BY_TENANT: _references}, transform=pool.partial
        )
        managed: dict[str, Any] = {"label_selector": _MANAGED, "indexes": by_namespace}
        self.role_bindings: Cache[RoleBinding] = add(kinds.ROLE_BINDINGS, transform=pool.role_binding, **managed)
        self.limit_ranges: Cache[LimitRange] = add(kinds.LIMIT_RANGES, transform=pool.limit_range, **managed)
        self.network_policies: Cache[NetworkPolicy] = add(
            kinds.NETWORK_POLICIES, transform=pool.network_policy, **managed
        )
        self.resource_quotas: Cache[ResourceQuota] = add(
            kinds.RESOURCE_QUOTAS,
            label_selector=_MANAGED,
            indexes=by_namespace | {BY_TENANT: _tenant_label},
            transform=pool.resource_quota,
        )
        self.rule_statuses: Cache[RuleStatus] = add(
            kinds.RULE_STATUSES, indexes=by_namespace, transform=pool.rule_status
        )
        accounts = kinds.SERVICE_ACCOUNTS.metadata_only()
        promoted: dict[str, Any] = {"indexes": by_namespace, "transform": _of_metadata}
        self.promoted: Cache[PartialObject] = add(accounts, label_selector=PROMOTE, **promoted)
        self.promoted_owners: Cache[PartialObject] = add(accounts, label_selector=OWNER_PROMOTE, **promoted)
        self.cluster_roles: Cache[ClusterRole] = add(kinds.CLUSTER_ROLES, label_selector=_BY_RBAC)
        self.cluster_role_bindings: Cache[ClusterRoleBinding] = add(
            kinds.CLUSTER_ROLE_BINDINGS, label_selector=_BY_RBAC
        )
        self.mutating_webhooks: Cache[WebhookConfiguration] = add(kinds.MUTATING_WEBHOOKS, label_selector=_MANAGED)
        self.validating_webhooks: Cache[WebhookConfiguration] = add(kinds.VALIDATING_WEBHOOKS, label_selector=_MANAGED)
        self.acknowledgements: Cache[Lease] = add(
            kinds.LEASES, namespace=own, label_selector=f"{acknowledgement.LABEL}={acknowledgement.LABEL_VALUE}"
        )
        self.secrets: Cache[Secret] = add(kinds.SECRETS, namespace=own, transform=_only_certificates)
        self.switches: Cache[ConfigMap] = add(
            kinds.CONFIG_MAPS, namespace=own, field_selector=f"metadata.name={ADMISSION_SWITCH}"
        )

    def _adder(self, client: Client) -> Callable[..., Cache[Any]]:
        def add(resource: Resource[T], **options: Any) -> Cache[T]:
            cache = Cache(client, resource, **options)
            self._all.append(cache)
            return cache

        return add

    def __iter__(self) -> Iterator[Cache[Any]]:
        return iter(self._all)

    @property
    def managed(self) -> Mapping[str, Cache[Any]]:
        """The caches of what is made in tenant namespaces, by kind."""
        return {
            "ResourceQuota": self.resource_quotas,
            "LimitRange": self.limit_ranges,
            "NetworkPolicy": self.network_policies,
            "RuleStatus": self.rule_statuses,
            "RoleBinding": self.role_bindings,
        }

    @property
    def unsynced(self) -> list[str]:
        """What was not listed yet: plurals, and why not where that is known."""
        return sorted(
            {
                f"{cache.resource.plural} ({cache.last_error})" if cache.last_error else cache.resource.plural
                for cache in self._all
                if not cache.synced
            }
        )

    async def run(self) -> None:
        """Keep all up to date until cancelled."""
        async with asyncio.TaskGroup() as group:
            for cache in self._all:
                group.create_task(cache.run(), name=f"cache-{cache.resource.plural}")

    async def wait_synced(self) -> None:
        """Return once all were listed."""
        for cache in self._all:
            await cache.wait_synced()

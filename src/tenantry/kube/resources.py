"""The kinds that are read and written: where the API serves them, and their types."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar, cast
from urllib.parse import quote

from tenantry.api import core, workloads
from tenantry.api.configuration import CapsuleConfiguration
from tenantry.api.meta import CAPSULE_GROUP, CAPSULE_VERSION, ObjectMeta, PartialObject
from tenantry.api.proxy import PROXY_VERSION, GlobalProxySettings, ProxySetting
from tenantry.api.rule_status import RuleStatus
from tenantry.api.tenant import Tenant
from tenantry.api.tenant_owner import TenantOwner
from tenantry.foundation.errors import InvalidError


class KubernetesObject(Protocol):
    """What every typed struct of a kind has."""

    @property
    def metadata(self) -> ObjectMeta:
        """Name, version, labels and so on."""
        ...


T = TypeVar("T", bound=KubernetesObject)
Body = Mapping[str, Any] | KubernetesObject
"""What can be sent: plain JSON, or a struct.  ``apiVersion`` and ``kind`` are filled in."""


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """A kind as one version of the API serves it, decoded as *type*."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    kind: str
    namespaced: bool
    type: builtins.type[T]
    is_metadata_only: bool = False

    @property
    def api_version(self) -> str:
        """As in a manifest: ``v1``, ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_path(self) -> str:
        """The URL path below which this version of the API is."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the URL path, escaped: of the collection, of one object, or of its subresource.

        Without *namespace*, the collection of a namespaced kind is that of all namespaces.

        Raises:
            InvalidError: A name would step out of its segment, or an object of a
                namespaced kind has no namespace.
        """
        path = self.group_path
        if self.namespaced and namespace:
            path += f"/namespaces/{_segment(namespace)}"
        path += f"/{self.plural}"
        if name is None:
            return path
        if self.namespaced and not namespace:
            raise InvalidError("metadata.namespace", "", f"{self.kind} {name!r} needs the name of its namespace")
        path += f"/{_segment(name)}"
        return f"{path}/{subresource}" if subresource else path

    def metadata_only(self) -> Resource[PartialObject]:
        """Return this kind, listed and watched as PartialObjectMetadata."""
        return cast("Resource[PartialObject]", replace(self, type=PartialObject, is_metadata_only=True))  # type: ignore[arg-type]


def _segment(name: str) -> str:
    if name in {"", ".", ".."}:
        raise InvalidError("metadata.name", name, "a name is one segment of a URL path")
    return quote(name, safe=":@")


def _namespaced(group: str, version: str, plural: str, kind: str, struct: type[T]) -> Resource[T]:
    return Resource(group, version, plural, kind, namespaced=True, type=struct)


def _cluster_wide(group: str, version: str, plural: str, kind: str, struct: type[T]) -> Resource[T]:
    return Resource(group, version, plural, kind, namespaced=False, type=struct)


TENANTS = _cluster_wide(CAPSULE_GROUP, CAPSULE_VERSION, "tenants", "Tenant", Tenant)
TENANT_OWNERS = _cluster_wide(CAPSULE_GROUP, CAPSULE_VERSION, "tenantowners", "TenantOwner", TenantOwner)
CONFIGURATIONS = _cluster_wide(
    CAPSULE_GROUP, CAPSULE_VERSION, "capsuleconfigurations", "CapsuleConfiguration", CapsuleConfiguration
)
RULE_STATUSES = _namespaced(CAPSULE_GROUP, CAPSULE_VERSION, "rulestatuses", "RuleStatus", RuleStatus)
GLOBAL_PROXY_SETTINGS = _cluster_wide(
    CAPSULE_GROUP, PROXY_VERSION, "globalproxysettings", "GlobalProxySettings", GlobalProxySettings
)
PROXY_SETTINGS = _namespaced(CAPSULE_GROUP, PROXY_VERSION, "proxysettings", "ProxySetting", ProxySetting)

NAMESPACES = _cluster_wide("", "v1", "namespaces", "Namespace", core.Namespace)
NODES = _cluster_wide("", "v1", "nodes", "Node", core.Node)
PERSISTENT_VOLUMES = _cluster_wide("", "v1", "persistentvolumes", "PersistentVolume", core.PersistentVolume)
CONFIG_MAPS = _namespaced("", "v1", "configmaps", "ConfigMap", core.ConfigMap)
LIMIT_RANGES = _namespaced("", "v1", "limitranges", "LimitRange", core.LimitRange)
PERSISTENT_VOLUME_CLAIMS = _namespaced(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", workloads.PersistentVolumeClaim
)
PODS = _namespaced("", "v1", "pods", "Pod", workloads.Pod)
RESOURCE_QUOTAS = _namespaced("", "v1", "resourcequotas", "ResourceQuota", core.ResourceQuota)
SECRETS = _namespaced("", "v1", "secrets", "Secret", core.Secret)
SERVICES = _namespaced("", "v1", "services", "Service", workloads.Service)
SERVICE_ACCOUNTS = _namespaced("", "v1", "serviceaccounts", "ServiceAccount", core.ServiceAccount)

_RBAC = "rbac.authorization.k8s.io"
CLUSTER_ROLES = _cluster_wide(_RBAC, "v1", "clusterroles", "ClusterRole", core.ClusterRole)
CLUSTER_ROLE_BINDINGS = _cluster_wide(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", core.ClusterRoleBinding)
ROLE_BINDINGS = _namespaced(_RBAC, "v1", "rolebindings", "RoleBinding", core.RoleBinding)

NETWORK_POLICIES = _namespaced("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", core.NetworkPolicy)
INGRESSES = _namespaced("networking.k8s.io", "v1", "ingresses", "Ingress", workloads.Ingress)
INGRESS_CLASSES = _cluster_wide("networking.k8s.io", "v1", "ingressclasses", "IngressClass", core.IngressClass)
ENDPOINT_SLICES = _namespaced(
    "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", PartialObject
).metadata_only()
LEASES = _namespaced("coordination.k8s.io", "v1", "leases", "Lease", core.Lease)
EVENTS = _namespaced("events.k8s.io", "v1", "events", "Event", core.Event)

STORAGE_CLASSES = _cluster_wide("storage.k8s.io", "v1", "storageclasses", "StorageClass", core.StorageClass)
PRIORITY_CLASSES = _cluster_wide("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", core.PriorityClass)
RUNTIME_CLASSES = _cluster_wide("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", core.RuntimeClass)
GATEWAY_CLASSES = _cluster_wide("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass", core.GatewayClass)
DEVICE_CLASSES = _cluster_wide("resource.k8s.io", "v1", "deviceclasses", "DeviceClass", core.DeviceClass)

_ADMISSION = "admissionregistration.k8s.io"
VALIDATING_WEBHOOKS = _cluster_wide(
    _ADMISSION, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", core.WebhookConfiguration
)
MUTATING_WEBHOOKS = _cluster_wide(
    _ADMISSION, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", core.WebhookConfiguration
)
CRDS = _cluster_wide(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", core.CustomResourceDefinition
)

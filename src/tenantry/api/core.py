"""Built-in kinds that the controllers cache or write: only the fields that something here reads."""

from __future__ import annotations

from typing import Any

from tenantry.api.meta import Condition, ObjectMeta, ObjectReference
from tenantry.api.shared import Subject
from tenantry.foundation.codec import Model, field


class NamespaceStatus(Model):
    """v1.NamespaceStatus."""

    phase: str = ""


class Namespace(Model):
    """v1.Namespace."""

    api_version: str = "v1"
    kind: str = "Namespace"
    metadata: ObjectMeta = ObjectMeta()
    status: NamespaceStatus = NamespaceStatus()


class ServiceAccount(Model):
    """v1.ServiceAccount."""

    api_version: str = "v1"
    kind: str = "ServiceAccount"
    metadata: ObjectMeta = ObjectMeta()


class RoleRef(Model):
    """rbac.authorization.k8s.io/v1 RoleRef."""

    api_group: str = "rbac.authorization.k8s.io"
    kind: str = ""
    name: str = ""


class RoleBinding(Model):
    """rbac.authorization.k8s.io/v1 RoleBinding."""

    api_version: str = "rbac.authorization.k8s.io/v1"
    kind: str = "RoleBinding"
    metadata: ObjectMeta = ObjectMeta()
    role_ref: RoleRef = RoleRef()
    subjects: tuple[Subject, ...] | None = None


class ClusterRoleBinding(Model):
    """rbac.authorization.k8s.io/v1 ClusterRoleBinding."""

    api_version: str = "rbac.authorization.k8s.io/v1"
    kind: str = "ClusterRoleBinding"
    metadata: ObjectMeta = ObjectMeta()
    role_ref: RoleRef = RoleRef()
    subjects: tuple[Subject, ...] | None = None


class PolicyRule(Model):
    """rbac.authorization.k8s.io/v1 PolicyRule."""

    verbs: tuple[str, ...] | None = None
    api_groups: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    resource_names: tuple[str, ...] | None = None
    non_resource_urls: tuple[str, ...] | None = field(name="nonResourceURLs", default=None)


class ClusterRole(Model):
    """rbac.authorization.k8s.io/v1 ClusterRole."""

    api_version: str = "rbac.authorization.k8s.io/v1"
    kind: str = "ClusterRole"
    metadata: ObjectMeta = ObjectMeta()
    rules: tuple[PolicyRule, ...] | None = None


class LimitRange(Model):
    """v1.LimitRange; its spec is compared as plain JSON."""

    api_version: str = "v1"
    kind: str = "LimitRange"
    metadata: ObjectMeta = ObjectMeta()
    spec: dict[str, Any] | None = None


class NetworkPolicy(Model):
    """networking.k8s.io/v1 NetworkPolicy; its spec is compared as plain JSON."""

    api_version: str = "networking.k8s.io/v1"
    kind: str = "NetworkPolicy"
    metadata: ObjectMeta = ObjectMeta()
    spec: dict[str, Any] | None = None


class ResourceQuotaStatus(Model):
    """v1.ResourceQuotaStatus."""

    hard: dict[str, str | int] | None = None
    used: dict[str, str | int] | None = None


class ResourceQuota(Model):
    """v1.ResourceQuota; its spec is compared as plain JSON."""

    api_version: str = "v1"
    kind: str = "ResourceQuota"
    metadata: ObjectMeta = ObjectMeta()
    spec: dict[str, Any] | None = None
    status: ResourceQuotaStatus = ResourceQuotaStatus()


class Secret(Model):
    """v1.Secret; values are base64."""

    api_version: str = "v1"
    kind: str = "Secret"
    metadata: ObjectMeta = ObjectMeta()
    type: str = ""
    data: dict[str, str] | None = None


class ConfigMap(Model):
    """v1.ConfigMap."""

    api_version: str = "v1"
    kind: str = "ConfigMap"
    metadata: ObjectMeta = ObjectMeta()
    data: dict[str, str] | None = None


class LeaseSpec(Model):
    """coordination.k8s.io/v1 LeaseSpec; times are metav1.MicroTime text."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(Model):
    """coordination.k8s.io/v1 Lease."""

    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"
    metadata: ObjectMeta = ObjectMeta()
    spec: LeaseSpec = LeaseSpec()


class EventSeries(Model):
    """events.k8s.io/v1 EventSeries."""

    count: int = 0
    last_observed_time: str = ""


class Event(Model):
    """events.k8s.io/v1 Event."""

    api_version: str = "events.k8s.io/v1"
    kind: str = "Event"
    metadata: ObjectMeta = ObjectMeta()
    event_time: str | None = None
    series: EventSeries | None = None
    reporting_controller: str = ""
    reporting_instance: str = ""
    action: str = ""
    reason: str = ""
    regarding: ObjectReference = ObjectReference()
    related: ObjectReference | None = None
    note: str = ""
    type: str = ""


class StorageClass(Model):
    """storage.k8s.io/v1 StorageClass."""

    api_version: str = "storage.k8s.io/v1"
    kind: str = "StorageClass"
    metadata: ObjectMeta = ObjectMeta()


class PriorityClass(Model):
    """scheduling.k8s.io/v1 PriorityClass."""

    api_version: str = "scheduling.k8s.io/v1"
    kind: str = "PriorityClass"
    metadata: ObjectMeta = ObjectMeta()
    value: int = 0
    global_default: bool = False
    preemption_policy: str | None = None


class RuntimeClass(Model):
    """node.k8s.io/v1 RuntimeClass."""

    api_version: str = "node.k8s.io/v1"
    kind: str = "RuntimeClass"
    metadata: ObjectMeta = ObjectMeta()


class IngressClass(Model):
    """networking.k8s.io/v1 IngressClass."""

    api_version: str = "networking.k8s.io/v1"
    kind: str = "IngressClass"
    metadata: ObjectMeta = ObjectMeta()


class GatewayClass(Model):
    """gateway.networking.k8s.io/v1 GatewayClass."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: str = "GatewayClass"
    metadata: ObjectMeta = ObjectMeta()


class DeviceClass(Model):
    """resource.k8s.io/v1 DeviceClass."""

    api_version: str = "resource.k8s.io/v1"
    kind: str = "DeviceClass"
    metadata: ObjectMeta = ObjectMeta()


class ClaimReference(Model):
    """The part of a PersistentVolume's claimRef that tells its namespace."""

    namespace: str = ""
    name: str = ""
    uid: str = ""


class PersistentVolumeSpec(Model):
    """v1.PersistentVolumeSpec."""

    claim_ref: ClaimReference | None = None


class PersistentVolume(Model):
    """v1.PersistentVolume."""

    api_version: str = "v1"
    kind: str = "PersistentVolume"
    metadata: ObjectMeta = ObjectMeta()
    spec: PersistentVolumeSpec = PersistentVolumeSpec()


class Node(Model):
    """v1.Node."""

    api_version: str = "v1"
    kind: str = "Node"
    metadata: ObjectMeta = ObjectMeta()


class WebhookConfiguration(Model):
    """Either WebhookConfiguration; its entries are compared as plain JSON."""

    api_version: str = "admissionregistration.k8s.io/v1"
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()
    webhooks: list[dict[str, Any]] | None = None


class CustomResourceDefinitionStatus(Model):
    """apiextensions.k8s.io/v1 CustomResourceDefinitionStatus."""

    stored_versions: tuple[str, ...] | None = None
    """None while the API server has not looked at the definition yet; conditions likewise."""
    conditions: tuple[Condition, ...] | None = None


class CustomResourceDefinition(Model):
    """apiextensions.k8s.io/v1 CustomResourceDefinition; its spec is plain JSON."""

    api_version: str = "apiextensions.k8s.io/v1"
    kind: str = "CustomResourceDefinition"
    metadata: ObjectMeta = ObjectMeta()
    spec: dict[str, Any] | None = None
    status: CustomResourceDefinitionStatus = CustomResourceDefinitionStatus()

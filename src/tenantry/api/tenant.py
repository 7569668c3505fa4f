"""Tenant: a group of namespaces and the policies in them (K-1, T-1 to T-35)."""

from __future__ import annotations

from typing import Annotated, Any

from tenantry.api.meta import CAPSULE_API_VERSION, Condition, LabelSelector, ObjectMeta
from tenantry.api.rules import RegistryMatch, TenantRule
from tenantry.api.schema import Schema
from tenantry.api.shared import (
    AdditionalMetadata,
    AdditionalRoleBinding,
    AllowedList,
    CoreOwner,
    DefaultAllowedList,
    ForbiddenList,
    OwnerSpec,
    PromotedOwner,
    RequiredMetadata,
    SelectedMetadata,
    SelectorAllowedList,
)
from tenantry.foundation.codec import Model, field

IPV4_OR_CIDR = r"^([0-9]{1,3}.){3}[0-9]{1,3}(/([0-9]|[1-2][0-9]|3[0-2]))?$"
FreeObjects = Annotated[tuple[dict[str, Any], ...], Schema(preserve_unknown=True)]


class Permissions(Model):
    """Who else owns the tenant (T-2, T-3)."""

    allow_owner_promotion: Annotated[bool, Schema(default=True)] = True
    match_owners: tuple[LabelSelector, ...] = ()


class NamespaceOptions(Model):
    """Limits and metadata of the tenant's namespaces (T-9 to T-14)."""

    quota: Annotated[int | None, Schema(minimum=1, format="int32")] = None
    additional_metadata: AdditionalMetadata | None = None
    additional_metadata_list: tuple[SelectedMetadata, ...] = ()
    required_metadata: RequiredMetadata | None = None
    forbidden_labels: ForbiddenList | None = None
    forbidden_annotations: ForbiddenList | None = None
    managed_metadata_only: Annotated[bool, Schema(default=False)] = False


class GatewayOptions(Model):
    """Which gateway classes are allowed (T-19)."""

    allowed_classes: DefaultAllowedList | None = None


class IngressOptions(Model):
    """Which ingress classes and hosts are allowed (T-20 to T-23)."""

    allowed_classes: DefaultAllowedList | None = None
    allowed_hostnames: AllowedList | None = None
    hostname_collision_scope: Annotated[
        str, Schema(default="Disabled", enum=("Cluster", "Tenant", "Namespace", "Disabled"))
    ] = "Disabled"
    allow_wildcard_hostnames: bool = False


class ResourceQuotas(Model):
    """ResourceQuotas of the namespaces, or shared by them (T-26)."""

    scope: Annotated[str, Schema(default="Tenant", enum=("Tenant", "Namespace"))] = "Tenant"
    items: FreeObjects = ()


class LimitRanges(Model):
    """LimitRangeSpecs that every namespace gets (T-27)."""

    items: FreeObjects = ()


class NetworkPolicies(Model):
    """NetworkPolicySpecs that every namespace gets (T-28)."""

    items: FreeObjects = ()


class AllowedServices(Model):
    """Which Service types are allowed (T-29)."""

    node_port: Annotated[bool, Schema(default=True)] = True
    external_name: Annotated[bool, Schema(default=True)] = True
    load_balancer: Annotated[bool, Schema(default=True)] = True


class ExternalIPs(Model):
    """Which external addresses Services may name (T-30)."""

    allowed: Annotated[tuple[str, ...], Schema(required=True, item_pattern=IPV4_OR_CIDR)] = ()


class ServiceOptions(Model):
    """Limits and metadata of Services (T-29 to T-32)."""

    allowed_services: AllowedServices | None = None
    external_ips: ExternalIPs | None = field(name="externalIPs", default=None)
    additional_metadata: AdditionalMetadata | None = None
    forbidden_labels: ForbiddenList | None = None
    forbidden_annotations: ForbiddenList | None = None


class PodOptions(Model):
    """Metadata of Pods (T-33)."""

    additional_metadata: AdditionalMetadata | None = None


class TenantSpec(Model):
    """What the platform sets."""

    owners: tuple[OwnerSpec, ...] = ()
    permissions: Permissions | None = None
    rules: tuple[TenantRule, ...] = ()
    data: Annotated[Any, Schema(any_value=True)] = None
    cordoned: Annotated[bool, Schema(default=False)] = False
    prevent_deletion: Annotated[bool, Schema(default=False)] = False
    force_tenant_prefix: bool | None = None
    namespace_options: NamespaceOptions | None = None
    storage_classes: DefaultAllowedList | None = None
    priority_classes: DefaultAllowedList | None = None
    runtime_classes: DefaultAllowedList | None = None
    device_classes: SelectorAllowedList | None = None
    gateway_options: GatewayOptions | None = None
    ingress_options: IngressOptions | None = None
    node_selector: dict[str, str] | None = None
    additional_role_bindings: tuple[AdditionalRoleBinding, ...] = ()
    resource_quotas: ResourceQuotas | None = None
    limit_ranges: LimitRanges | None = None
    network_policies: NetworkPolicies | None = None
    service_options: ServiceOptions | None = None
    pod_options: PodOptions | None = None
    container_registries: AllowedList | None = None
    image_pull_policies: Annotated[tuple[str, ...], Schema(item_enum=("Always", "Never", "IfNotPresent"))] = ()


class SpaceEnforce(Model):
    """What is enforced in one namespace."""

    registry: tuple[RegistryMatch, ...] = ()


class Space(Model):
    """One namespace of the tenant."""

    name: Annotated[str, Schema(required=True)] = ""
    uid: str = ""
    conditions: Annotated[tuple[Condition, ...], Schema(required=True)] = ()
    metadata: AdditionalMetadata | None = None
    """Managed keys only, without the tenant and metadata.name labels."""
    enforce: SpaceEnforce | None = None


class AvailableClasses(Model):
    """Names of classes that the tenant may use; all where it is not restricted."""

    storage: tuple[str, ...] = ()
    priority: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()
    gateway: tuple[str, ...] = ()
    device: tuple[str, ...] = ()


class TenantStatus(Model, omit_defaults=True):
    """What the controllers report."""

    state: Annotated[
        str, Schema(required=True, default="Active", enum=("Cordoned", "Active", "Terminating"))
    ] = "Active"
    size: Annotated[int, Schema(required=True)] = 0
    namespaces: tuple[str, ...] = ()
    spaces: tuple[Space, ...] = ()
    owners: tuple[CoreOwner, ...] = ()
    promotions: tuple[PromotedOwner, ...] = ()
    classes: AvailableClasses | None = None
    observed_generation: Annotated[int, Schema(format="int64")] = 0
    conditions: Annotated[tuple[Condition, ...], Schema(required=True)] = ()


class Tenant(Model):
    """The stored object."""

    api_version: str = CAPSULE_API_VERSION
    kind: str = "Tenant"
    metadata: ObjectMeta = ObjectMeta()
    spec: TenantSpec = TenantSpec()
    status: TenantStatus = TenantStatus()

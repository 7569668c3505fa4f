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
    """Whether ServiceAccounts of the tenant can be made owners; the configuration must allow it too."""
    match_owners: tuple[LabelSelector, ...] = ()
    """Takes in TenantOwners whose labels match one of these."""


class NamespaceOptions(Model):
    """Limits and metadata of the tenant's namespaces (T-9 to T-14)."""

    quota: Annotated[int | None, Schema(minimum=1, format="int32")] = None
    """How many namespaces the tenant may have."""
    additional_metadata: AdditionalMetadata | None = None
    """Put on every namespace; deprecated, use rules."""
    additional_metadata_list: tuple[SelectedMetadata, ...] = ()
    """Put on the namespaces that match; deprecated, use rules."""
    required_metadata: RequiredMetadata | None = None
    """What namespaces must carry; deprecated, use rules."""
    forbidden_labels: ForbiddenList | None = None
    """Label keys that owners may not set on namespaces; deprecated, use rules."""
    forbidden_annotations: ForbiddenList | None = None
    """Annotation keys that owners may not set on namespaces; deprecated, use rules."""
    managed_metadata_only: Annotated[bool, Schema(default=False)] = False
    """Whether namespaces keep only the labels and annotations that the tenant manages."""


class GatewayOptions(Model):
    """Which gateway classes are allowed (T-19)."""

    allowed_classes: DefaultAllowedList | None = None
    """GatewayClasses that Gateways may name."""


class IngressOptions(Model):
    """Which ingress classes and hosts are allowed (T-20 to T-23)."""

    allowed_classes: DefaultAllowedList | None = None
    """IngressClasses that Ingresses may name."""
    allowed_hostnames: AllowedList | None = None
    """Hosts that Ingresses may name."""
    hostname_collision_scope: Annotated[
        str, Schema(default="Disabled", enum=("Cluster", "Tenant", "Namespace", "Disabled"))
    ] = "Disabled"
    """Where a host and path may be used by one Ingress only."""
    allow_wildcard_hostnames: bool = False
    """Whether hosts may begin with ``*.``."""


class ResourceQuotas(Model):
    """ResourceQuotas of the namespaces, or shared by them (T-26)."""

    scope: Annotated[str, Schema(default="Tenant", enum=("Tenant", "Namespace"))] = "Tenant"
    """Whether each namespace gets the whole amount or all of them share it."""
    items: FreeObjects = ()
    """ResourceQuotaSpecs."""


class LimitRanges(Model):
    """LimitRangeSpecs that every namespace gets (T-27)."""

    items: FreeObjects = ()
    """LimitRangeSpecs."""


class NetworkPolicies(Model):
    """NetworkPolicySpecs that every namespace gets (T-28)."""

    items: FreeObjects = ()
    """NetworkPolicySpecs."""


class AllowedServices(Model):
    """Which Service types are allowed (T-29)."""

    node_port: Annotated[bool, Schema(default=True)] = True
    """Whether NodePort is allowed."""
    external_name: Annotated[bool, Schema(default=True)] = True
    """Whether ExternalName is allowed."""
    load_balancer: Annotated[bool, Schema(default=True)] = True
    """Whether LoadBalancer is allowed."""


class ExternalIPs(Model):
    """Which external addresses Services may name (T-30)."""

    allowed: Annotated[tuple[str, ...], Schema(required=True, item_pattern=IPV4_OR_CIDR)] = ()
    """IPv4 addresses and networks."""


class ServiceOptions(Model):
    """Limits and metadata of Services (T-29 to T-32)."""

    allowed_services: AllowedServices | None = None
    """Service types; deprecated, use rules."""
    external_ips: ExternalIPs | None = field(name="externalIPs", default=None)
    """Addresses that spec.externalIPs may name; deprecated, use rules."""
    additional_metadata: AdditionalMetadata | None = None
    """Put on Services and EndpointSlices; deprecated, use rules."""
    forbidden_labels: ForbiddenList | None = None
    """Label keys that Services may not have; deprecated, use rules."""
    forbidden_annotations: ForbiddenList | None = None
    """Annotation keys that Services may not have; deprecated, use rules."""


class PodOptions(Model):
    """Metadata of Pods (T-33)."""

    additional_metadata: AdditionalMetadata | None = None
    """Put on Pods; deprecated, use rules."""


class TenantSpec(Model):
    """What the platform sets."""

    owners: tuple[OwnerSpec, ...] = ()
    """Who owns the tenant."""
    permissions: Permissions | None = None
    """Who else owns it."""
    rules: tuple[TenantRule, ...] = ()
    """Policies of the tenant's namespaces, in order: of the blocks that match a value, the last decides."""
    data: Annotated[Any, Schema(any_value=True)] = None
    """Data of any shape, for templates."""
    cordoned: Annotated[bool, Schema(default=False)] = False
    """Whether the tenant is frozen: Capsule users can't change what is in it."""
    prevent_deletion: Annotated[bool, Schema(default=False)] = False
    """Whether the deletion of the Tenant is refused."""
    force_tenant_prefix: bool | None = None
    """Whether names of namespaces must begin with the tenant's name and a dash; where it is unset, as configured."""
    namespace_options: NamespaceOptions | None = None
    """Limits and metadata of namespaces."""
    storage_classes: DefaultAllowedList | None = None
    """StorageClasses that PersistentVolumeClaims may name."""
    priority_classes: DefaultAllowedList | None = None
    """PriorityClasses that Pods may name."""
    runtime_classes: DefaultAllowedList | None = None
    """RuntimeClasses that Pods may name."""
    device_classes: SelectorAllowedList | None = None
    """DeviceClasses that ResourceClaims may name."""
    gateway_options: GatewayOptions | None = None
    """Limits of Gateways."""
    ingress_options: IngressOptions | None = None
    """Limits of Ingresses."""
    node_selector: dict[str, str] | None = None
    """Node labels that the tenant's Pods are bound to, through the PodNodeSelector admission plugin."""
    additional_role_bindings: tuple[AdditionalRoleBinding, ...] = ()
    """RoleBindings that every namespace gets."""
    resource_quotas: ResourceQuotas | None = None
    """ResourceQuotas; deprecated, use rules."""
    limit_ranges: LimitRanges | None = None
    """LimitRanges that every namespace gets; deprecated."""
    network_policies: NetworkPolicies | None = None
    """NetworkPolicies that every namespace gets; deprecated."""
    service_options: ServiceOptions | None = None
    """Limits and metadata of Services."""
    pod_options: PodOptions | None = None
    """Metadata of Pods."""
    container_registries: AllowedList | None = None
    """Registries that images may come from; deprecated, use rules."""
    image_pull_policies: Annotated[tuple[str, ...], Schema(item_enum=("Always", "Never", "IfNotPresent"))] = ()
    """Pull policies that containers may have; deprecated, use rules."""


class SpaceEnforce(Model):
    """What is enforced in one namespace."""

    registry: tuple[RegistryMatch, ...] = ()
    """Registries by the rules in force."""


class Space(Model):
    """One namespace of the tenant."""

    name: Annotated[str, Schema(required=True)] = ""
    """The namespace's name."""
    uid: str = ""
    """The namespace's uid."""
    conditions: Annotated[tuple[Condition, ...], Schema(required=True)] = ()
    """Ready."""
    metadata: AdditionalMetadata | None = None
    """Managed keys only, without the tenant and metadata.name labels."""
    enforce: SpaceEnforce | None = None
    """What is enforced in it."""


class AvailableClasses(Model):
    """Names of classes that the tenant may use; all where it is not restricted."""

    storage: tuple[str, ...] = ()
    """StorageClasses."""
    priority: tuple[str, ...] = ()
    """PriorityClasses."""
    runtime: tuple[str, ...] = ()
    """RuntimeClasses."""
    gateway: tuple[str, ...] = ()
    """GatewayClasses."""
    device: tuple[str, ...] = ()
    """DeviceClasses."""


class TenantStatus(Model, omit_defaults=True):
    """What the controllers report."""

    state: Annotated[str, Schema(required=True, default="Active", enum=("Cordoned", "Active", "Terminating"))] = (
        "Active"
    )
    """Whether the tenant works, is frozen, or goes."""
    size: Annotated[int, Schema(required=True)] = 0
    """How many namespaces the tenant has."""
    namespaces: tuple[str, ...] = ()
    """Their names, sorted."""
    spaces: tuple[Space, ...] = ()
    """What holds for each of them."""
    owners: tuple[CoreOwner, ...] = ()
    """Effective owners: those of the spec and the TenantOwners that were taken in."""
    promotions: tuple[PromotedOwner, ...] = ()
    """Promoted ServiceAccounts, with their roles."""
    classes: AvailableClasses | None = None
    """Classes that the tenant may use."""
    observed_generation: Annotated[int, Schema(format="int64")] = 0
    """The metadata.generation that the status was made for."""
    conditions: Annotated[tuple[Condition, ...], Schema(required=True)] = ()
    """Ready and Cordoned."""


class Tenant(Model):
    """A group of namespaces with common owners, and the policies in them."""

    api_version: str = CAPSULE_API_VERSION
    kind: str = "Tenant"
    metadata: ObjectMeta = ObjectMeta()
    spec: TenantSpec = TenantSpec()
    """What the platform sets."""
    status: TenantStatus = TenantStatus()
    """What the controllers report."""

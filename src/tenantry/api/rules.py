"""Rule blocks: the second generation of policies (spec 1.3, RL-1 to RL-18)."""

from __future__ import annotations

from typing import Annotated, Any

from tenantry.api.meta import LabelSelector
from tenantry.api.schema import RFC1123_LABEL, Schema
from tenantry.api.shared import AdditionalRoleBinding, Quantity
from tenantry.foundation.codec import Model, field

WORKLOAD_TARGETS = ("pod", "pod/initcontainers", "pod/ephemeralcontainers", "pod/containers", "pod/volumes")
INGRESS_TYPES = ("Ingress", "Route", "ListenerSet", "HTTPRoute", "Gateway", "TLSRoute", "GRPCRoute")
SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
REQUEST_POLICIES = ("Preserve", "Default", "Remove")
LIMIT_POLICIES = ("Preserve", "Default", "Remove", "MatchRequest", "Ratio")


class ExpressionMatch(Model):
    """A value matches if it is one of *exact* or matches *exp*; *negate* then turns that."""

    exact: Annotated[tuple[str, ...], Schema(min_items=1)] = ()
    """Values that match as they stand."""
    exp: Annotated[str, Schema(min_length=1)] = ""
    """Expression (RE2) that matches every value in which it is found."""
    negate: Annotated[bool, Schema(default=False)] = False
    """Whether what did not match counts as matching, and the other way round."""


class RegistryMatch(ExpressionMatch):
    """As ExpressionMatch, over whole image references; with pull policies to demand."""

    policy: tuple[str, ...] = ()
    """Pull policies that matching images may have; any where it is empty."""


class MetadataPolicy(Model):
    """What holds for one label or annotation key."""

    required: Annotated[bool, Schema(default=False)] = False
    """Whether the key must be there."""
    values: tuple[ExpressionMatch, ...] = ()
    """What the value must match, where the key is there: one of these."""
    default: str | None = None
    """Value that is put on objects without the key."""
    managed: str | None = None
    """Value that is put on all objects and kept there."""


class MetadataRule(Model):
    """Label and annotation policies of the listed kinds (RL-18)."""

    api_groups: tuple[str, ...] = ()
    """API groups of the kinds, as ``apps``, ``apps/v1`` or ``*``; core v1 where it is empty."""
    kinds: Annotated[tuple[str, ...], Schema(required=True, min_items=1, item_min_length=1)] = ()
    """Kinds, globs allowed; Namespace must be named in full."""
    labels: dict[str, MetadataPolicy] | None = None
    """Policies by label key; a key may be a glob or an expression."""
    annotations: dict[str, MetadataPolicy] | None = None
    """Policies by annotation key; a key may be a glob or an expression."""


class RequestPolicy(Model):
    """What happens to one resource of ``requests`` (RL-11)."""

    policy: Annotated[str, Schema(required=True, enum=REQUEST_POLICIES)] = ""
    """Preserve leaves it, Default fills it in where it is missing, Remove takes it away."""
    value: Quantity | None = None
    """The request to fill in, for Default."""


class LimitPolicy(Model):
    """What happens to one resource of ``limits`` (RL-12)."""

    policy: Annotated[str, Schema(required=True, enum=LIMIT_POLICIES)] = ""
    """As for requests; MatchRequest sets it to the request, Ratio to at most so many times the request."""
    value: Quantity | None = None
    """The limit to fill in, for Default, or the factor, for Ratio."""


class ResourcePolicies(Model):
    """Policies of container and Pod resources, by resource name."""

    requests: dict[str, RequestPolicy] | None = None
    """Policies of requests, by resource name."""
    limits: dict[str, LimitPolicy] | None = None
    """Policies of limits, by resource name."""


class WorkloadRules(Model):
    """Rules for Pods (RL-7 to RL-12)."""

    targets: Annotated[tuple[str, ...], Schema(item_enum=WORKLOAD_TARGETS)] = ()
    """Where in a Pod the checks look; everywhere where it is empty."""
    registries: tuple[RegistryMatch, ...] = ()
    """Images, by their whole reference."""
    qos_classes: tuple[str, ...] = ()
    """QoS classes: Guaranteed, Burstable, BestEffort."""
    schedulers: tuple[ExpressionMatch, ...] = ()
    """Values of spec.schedulerName."""
    resources: ResourcePolicies | None = None
    """What happens to requests and limits."""


class LoadBalancerRules(Model):
    """Where load balancer addresses and source ranges must lie (RL-14)."""

    cidrs: tuple[str, ...] = ()
    """Networks in which spec.loadBalancerIP and spec.loadBalancerSourceRanges must lie."""


class ExternalNameRules(Model):
    """Which hosts ExternalName Services may name (RL-15)."""

    hostnames: tuple[ExpressionMatch, ...] = ()
    """Values of spec.externalName."""


class PortRange(Model):
    """A range of node ports, both ends included."""

    from_: Annotated[int, Schema(required=True, minimum=1, maximum=65535, format="int32")] = field(
        name="from", default=0
    )
    """The first port."""
    to: Annotated[int, Schema(required=True, minimum=1, maximum=65535, format="int32")] = 0
    """The last port."""


class NodePortRules(Model):
    """Which node ports Services may ask for (RL-16)."""

    ports: tuple[PortRange, ...] = ()
    """Ranges of node ports."""


class ServiceRules(Model):
    """Rules for Services (RL-13 to RL-16)."""

    types: Annotated[tuple[str, ...], Schema(item_enum=SERVICE_TYPES)] = ()
    """Service types."""
    load_balancers: LoadBalancerRules | None = None
    """Addresses of LoadBalancer Services."""
    external_names: ExternalNameRules | None = None
    """Hosts of ExternalName Services."""
    node_ports: NodePortRules | None = None
    """Ports of NodePort Services."""


class IngressRules(Model):
    """Rules for hostnames of ingress kinds (RL-17)."""

    types: Annotated[tuple[str, ...], Schema(min_items=1, item_enum=INGRESS_TYPES)] = ()
    """Kinds that the hostnames are checked on."""
    hostnames: Annotated[tuple[ExpressionMatch, ...], Schema(min_items=1)] = ()
    """Hostnames."""


class Enforce(Model):
    """What a block enforces, and with which action (RL-6)."""

    action: Annotated[str, Schema(default="deny", enum=("allow", "deny", "audit"))] = "deny"
    """What happens to a request with a matching value: it is refused, allowed, or recorded as an event."""
    workloads: WorkloadRules | None = None
    """Rules for Pods."""
    services: ServiceRules | None = None
    """Rules for Services."""
    ingress: IngressRules | None = None
    """Rules for hostnames."""
    metadata: tuple[MetadataRule, ...] = ()
    """Rules for labels and annotations."""


class Audience(Model):
    """Whom a block applies to (RL-4)."""

    kind: Annotated[str, Schema(required=True, enum=("User", "Group", "ServiceAccount", "Custom"))] = ""
    """What the requester is; Custom stands for one of the product's roles."""
    name: Annotated[str, Schema(required=True)] = ""
    """The requester's name; for Custom CapsuleUser, Administrator, TenantOwner or Controller."""


class RuleQuota(Model):
    """A ResourceQuota shared by the selected namespaces (RL-5)."""

    name: Annotated[str, Schema(required=True, min_length=1, max_length=63, pattern=RFC1123_LABEL)] = ""
    """Name of the quota, unique in the tenant."""
    hard: dict[str, Quantity] | None = None
    """Limits by resource name, as in a ResourceQuota."""
    scopes: tuple[str, ...] = ()
    """Scopes, as in a ResourceQuota."""
    scope_selector: Annotated[dict[str, Any] | None, Schema(preserve_unknown=True)] = None
    """Scope selector, as in a ResourceQuota."""


class NamespaceRule(Model):
    """A block as it stands in a RuleStatus: no selector, no permissions."""

    audience: tuple[Audience, ...] = ()
    """Whose requests the block judges; everybody's where it is empty."""
    enforce: Enforce | None = None
    """What is allowed, refused or recorded."""
    quota: Annotated[tuple[RuleQuota, ...], Schema(list_map_key="name")] = ()
    """ResourceQuotas that the selected namespaces share; not enforced yet."""


class Promotion(Model):
    """Roles for promoted ServiceAccounts that match (RL-3)."""

    cluster_roles: tuple[str, ...] = ()
    """ClusterRoles that they get."""
    selector: LabelSelector | None = None
    """Labels of the promoted ServiceAccounts; all of them where it is empty."""


class RulePermissions(Model):
    """RoleBindings in the selected namespaces (RL-2, RL-3)."""

    bindings: tuple[AdditionalRoleBinding, ...] = ()
    """RoleBindings to make."""
    promotions: tuple[Promotion, ...] = ()
    """Roles of promoted ServiceAccounts."""


class TenantRule(NamespaceRule):
    """A block of a Tenant."""

    namespace_selector: LabelSelector | None = None
    """Which of the tenant's namespaces the block is for; all where it is empty."""
    permissions: RulePermissions | None = None
    """RoleBindings in those namespaces."""

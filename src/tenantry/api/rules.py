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
    exp: Annotated[str, Schema(min_length=1)] = ""
    negate: Annotated[bool, Schema(default=False)] = False


class RegistryMatch(ExpressionMatch):
    """As ExpressionMatch, over whole image references; with pull policies to demand."""

    policy: tuple[str, ...] = ()


class MetadataPolicy(Model):
    """What holds for one label or annotation key."""

    required: Annotated[bool, Schema(default=False)] = False
    values: tuple[ExpressionMatch, ...] = ()
    default: str | None = None
    managed: str | None = None


class MetadataRule(Model):
    """Label and annotation policies of the listed kinds (RL-18)."""

    api_groups: tuple[str, ...] = ()
    kinds: Annotated[tuple[str, ...], Schema(required=True, min_items=1, item_min_length=1)] = ()
    labels: dict[str, MetadataPolicy] | None = None
    annotations: dict[str, MetadataPolicy] | None = None


class RequestPolicy(Model):
    """What happens to one resource of ``requests`` (RL-11)."""

    policy: Annotated[str, Schema(required=True, enum=REQUEST_POLICIES)] = ""
    value: Quantity | None = None


class LimitPolicy(Model):
    """What happens to one resource of ``limits`` (RL-12)."""

    policy: Annotated[str, Schema(required=True, enum=LIMIT_POLICIES)] = ""
    value: Quantity | None = None


class ResourcePolicies(Model):
    """Policies of container and Pod resources, by resource name."""

    requests: dict[str, RequestPolicy] | None = None
    limits: dict[str, LimitPolicy] | None = None


class WorkloadRules(Model):
    """Rules for Pods (RL-7 to RL-12)."""

    targets: Annotated[tuple[str, ...], Schema(item_enum=WORKLOAD_TARGETS)] = ()
    registries: tuple[RegistryMatch, ...] = ()
    qos_classes: tuple[str, ...] = ()
    schedulers: tuple[ExpressionMatch, ...] = ()
    resources: ResourcePolicies | None = None


class LoadBalancerRules(Model):
    """Where load balancer addresses and source ranges must lie (RL-14)."""

    cidrs: tuple[str, ...] = ()


class ExternalNameRules(Model):
    """Which hosts ExternalName Services may name (RL-15)."""

    hostnames: tuple[ExpressionMatch, ...] = ()


class PortRange(Model):
    """A range of node ports, both ends included."""

    from_: Annotated[int, Schema(required=True, minimum=1, maximum=65535, format="int32")] = field(
        name="from", default=0
    )
    to: Annotated[int, Schema(required=True, minimum=1, maximum=65535, format="int32")] = 0


class NodePortRules(Model):
    """Which node ports Services may ask for (RL-16)."""

    ports: tuple[PortRange, ...] = ()


class ServiceRules(Model):
    """Rules for Services (RL-13 to RL-16)."""

    types: Annotated[tuple[str, ...], Schema(item_enum=SERVICE_TYPES)] = ()
    load_balancers: LoadBalancerRules | None = None
    external_names: ExternalNameRules | None = None
    node_ports: NodePortRules | None = None


class IngressRules(Model):
    """Rules for hostnames of ingress kinds (RL-17)."""

    types: Annotated[tuple[str, ...], Schema(min_items=1, item_enum=INGRESS_TYPES)] = ()
    hostnames: Annotated[tuple[ExpressionMatch, ...], Schema(min_items=1)] = ()


class Enforce(Model):
    """What a block enforces, and with which action (RL-6)."""

    action: Annotated[str, Schema(default="deny", enum=("allow", "deny", "audit"))] = "deny"
    workloads: WorkloadRules | None = None
    services: ServiceRules | None = None
    ingress: IngressRules | None = None
    metadata: tuple[MetadataRule, ...] = ()


class Audience(Model):
    """Whom a block applies to (RL-4)."""

    kind: Annotated[str, Schema(required=True, enum=("User", "Group", "ServiceAccount", "Custom"))] = ""
    name: Annotated[str, Schema(required=True)] = ""


class RuleQuota(Model):
    """A ResourceQuota shared by the selected namespaces (RL-5)."""

    name: Annotated[str, Schema(required=True, min_length=1, max_length=63, pattern=RFC1123_LABEL)] = ""
    hard: dict[str, Quantity] | None = None
    scopes: tuple[str, ...] = ()
    scope_selector: Annotated[dict[str, Any] | None, Schema(preserve_unknown=True)] = None


class NamespaceRule(Model):
    """A block as it stands in a RuleStatus: no selector, no permissions."""

    audience: tuple[Audience, ...] = ()
    enforce: Enforce | None = None
    quota: Annotated[tuple[RuleQuota, ...], Schema(list_map_key="name")] = ()


class Promotion(Model):
    """Roles for promoted ServiceAccounts that match (RL-3)."""

    cluster_roles: tuple[str, ...] = ()
    selector: LabelSelector | None = None


class RulePermissions(Model):
    """RoleBindings in the selected namespaces (RL-2, RL-3)."""

    bindings: tuple[AdditionalRoleBinding, ...] = ()
    promotions: tuple[Promotion, ...] = ()


class TenantRule(NamespaceRule):
    """A block of a Tenant."""

    namespace_selector: LabelSelector | None = None
    permissions: RulePermissions | None = None

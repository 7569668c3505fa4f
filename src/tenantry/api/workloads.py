"""Namespaced kinds as admission judges them: only the fields that a rule reads."""

from __future__ import annotations

from tenantry.api.meta import LabelSelector, ObjectMeta
from tenantry.foundation.codec import Model, field

QuantityText = str | int | float
"""A submitted quantity: YAML lets people write bare numbers."""


class ResourceRequirements(Model):
    """v1.ResourceRequirements."""

    requests: dict[str, QuantityText] | None = None
    limits: dict[str, QuantityText] | None = None


class Container(Model):
    """v1.Container, v1.EphemeralContainer."""

    name: str = ""
    image: str = ""
    image_pull_policy: str = ""
    restart_policy: str | None = None
    """``Always`` makes an init container a sidecar."""
    resources: ResourceRequirements | None = None


class ImageVolumeSource(Model):
    """v1.ImageVolumeSource."""

    reference: str = ""
    pull_policy: str = ""


class Volume(Model):
    """v1.Volume."""

    name: str = ""
    image: ImageVolumeSource | None = None


class PodSpec(Model):
    """v1.PodSpec."""

    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None
    ephemeral_containers: tuple[Container, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    resources: ResourceRequirements | None = None
    """Pod-level resources (KEP-2837)."""
    scheduler_name: str = ""
    priority_class_name: str = ""
    priority: int | None = None
    preemption_policy: str | None = None
    runtime_class_name: str | None = None
    service_account_name: str = ""


class Pod(Model):
    """v1.Pod."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class ServicePort(Model):
    """v1.ServicePort."""

    name: str = ""
    port: int = 0
    node_port: int = 0


class ServiceSpec(Model):
    """v1.ServiceSpec."""

    type: str = ""
    """Empty means ClusterIP."""
    ports: tuple[ServicePort, ...] | None = None
    external_name: str = ""
    external_ips: tuple[str, ...] | None = field(name="externalIPs", default=None)
    load_balancer_ip: str = field(name="loadBalancerIP", default="")
    load_balancer_source_ranges: tuple[str, ...] | None = None
    allocate_load_balancer_node_ports: bool | None = None


class Service(Model):
    """v1.Service."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec = ServiceSpec()


class ClaimSpec(Model):
    """v1.PersistentVolumeClaimSpec."""

    storage_class_name: str | None = None
    volume_name: str = ""
    selector: LabelSelector | None = None


class ClaimStatus(Model):
    """v1.PersistentVolumeClaimStatus."""

    phase: str = ""


class PersistentVolumeClaim(Model):
    """v1.PersistentVolumeClaim."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class HTTPIngressPath(Model):
    """networking.k8s.io/v1 HTTPIngressPath."""

    path: str = ""


class HTTPIngressRule(Model):
    """networking.k8s.io/v1 HTTPIngressRuleValue."""

    paths: tuple[HTTPIngressPath, ...] | None = None


class IngressRule(Model):
    """networking.k8s.io/v1 IngressRule."""

    host: str = ""
    http: HTTPIngressRule | None = None


class IngressTLS(Model):
    """networking.k8s.io/v1 IngressTLS."""

    hosts: tuple[str, ...] | None = None
    secret_name: str = ""


class IngressSpec(Model):
    """networking.k8s.io/v1 IngressSpec."""

    ingress_class_name: str | None = None
    rules: tuple[IngressRule, ...] | None = None
    tls: tuple[IngressTLS, ...] | None = None


class Ingress(Model):
    """networking.k8s.io/v1 Ingress, and the older versions as far as they agree."""

    metadata: ObjectMeta = ObjectMeta()
    spec: IngressSpec = IngressSpec()


class Listener(Model):
    """gateway.networking.k8s.io Listener, ListenerEntry."""

    name: str = ""
    hostname: str | None = None


class GatewaySpec(Model):
    """gateway.networking.k8s.io GatewaySpec, ListenerSetSpec."""

    gateway_class_name: str = ""
    listeners: tuple[Listener, ...] | None = None


class Gateway(Model):
    """gateway.networking.k8s.io Gateway, ListenerSet."""

    metadata: ObjectMeta = ObjectMeta()
    spec: GatewaySpec = GatewaySpec()


class RouteSpec(Model):
    """Hosts of gateway.networking.k8s.io routes (*hostnames*) and of route.openshift.io Routes (*host*)."""

    hostnames: tuple[str, ...] | None = None
    host: str = ""


class Route(Model):
    """HTTPRoute, TLSRoute, GRPCRoute, OpenShift Route."""

    metadata: ObjectMeta = ObjectMeta()
    spec: RouteSpec = RouteSpec()


class ExactDeviceRequest(Model):
    """resource.k8s.io/v1 ExactDeviceRequest, DeviceSubRequest."""

    name: str = ""
    device_class_name: str = ""


class DeviceRequest(Model):
    """resource.k8s.io DeviceRequest: *exactly* or *first_available* in v1, *device_class_name* in v1beta1."""

    name: str = ""
    device_class_name: str = ""
    exactly: ExactDeviceRequest | None = None
    first_available: tuple[ExactDeviceRequest, ...] | None = None


class DeviceClaim(Model):
    """resource.k8s.io DeviceClaim."""

    requests: tuple[DeviceRequest, ...] | None = None


class ResourceClaimSpec(Model):
    """resource.k8s.io ResourceClaimSpec."""

    devices: DeviceClaim | None = None


class ResourceClaim(Model):
    """resource.k8s.io ResourceClaim."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ResourceClaimSpec = ResourceClaimSpec()


class ResourceClaimTemplateSpec(Model):
    """resource.k8s.io ResourceClaimTemplateSpec."""

    spec: ResourceClaimSpec = ResourceClaimSpec()


class ResourceClaimTemplate(Model):
    """resource.k8s.io ResourceClaimTemplate."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ResourceClaimTemplateSpec = ResourceClaimTemplateSpec()


class MetadataOnly(Model):
    """Any object, as far as its metadata goes."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()

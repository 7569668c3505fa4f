"""CapsuleConfiguration: the settings of the installation that live in the cluster (K-2, CF-1 to CF-17)."""

from __future__ import annotations

from typing import Annotated

from tenantry.api.meta import CAPSULE_API_VERSION, Condition, LabelSelector, ObjectMeta
from tenantry.api.schema import RFC1123_LABEL, RFC1123_SUBDOMAIN, Schema
from tenantry.api.shared import ForbiddenList, UserSpec
from tenantry.foundation.codec import Model, field

MUTATING_NAME = "capsule-mutating-webhook-configuration"
VALIDATING_NAME = "capsule-validating-webhook-configuration"
Label63 = Annotated[str, Schema(max_length=63, pattern=RFC1123_LABEL)]
Name253 = Annotated[str, Schema(max_length=253, pattern=RFC1123_SUBDOMAIN)]


class NodeMetadata(Model):
    """Keys on nodes that users may not touch (CF-7)."""

    forbidden_labels: ForbiddenList | None = None
    """Label keys."""
    forbidden_annotations: ForbiddenList | None = None
    """Annotation keys."""


class Overrides(Model):
    """Names of objects outside the API group (CF-10)."""

    tls_secret_name: Annotated[str, Schema(required=True, default="capsule-tls")] = field(
        name="TLSSecretName", default="capsule-tls"
    )
    """The Secret with the certificate of the webhook server."""
    mutating_webhook_configuration_name: Annotated[str, Schema(required=True, default=MUTATING_NAME)] = MUTATING_NAME
    """The MutatingWebhookConfiguration; deprecated, use admission.mutating.name."""
    validating_webhook_configuration_name: Annotated[str, Schema(required=True, default=VALIDATING_NAME)] = (
        VALIDATING_NAME
    )
    """The ValidatingWebhookConfiguration; deprecated, use admission.validating.name."""


class ServiceReference(Model):
    """Where the API server finds the webhook server inside the cluster."""

    name: Annotated[str, Schema(required=True)] = ""
    """The Service's name."""
    namespace: Annotated[str, Schema(required=True)] = ""
    """The Service's namespace."""
    path: str | None = None
    """Path that comes before each webhook's own."""
    port: Annotated[int | None, Schema(format="int32")] = None
    """The Service's port; 443 where it is unset."""


class WebhookClient(Model):
    """How the API server reaches the webhook server: *url* or *service*, not both."""

    url: str | None = None
    """Address of a webhook server outside the cluster."""
    service: ServiceReference | None = None
    """The Service of a webhook server inside the cluster."""
    ca_bundle: Annotated[str | None, Schema(format="byte")] = None
    """PEM certificates, base64, that the server's certificate must come from; ours are used where it is unset."""


class WebhookRule(Model):
    """admissionregistration.k8s.io/v1 RuleWithOperations."""

    api_groups: tuple[str, ...] = ()
    """API groups; ``*`` is all."""
    api_versions: tuple[str, ...] = ()
    """API versions; ``*`` is all."""
    operations: tuple[str, ...] = ()
    """CREATE, UPDATE, DELETE, CONNECT or ``*``."""
    resources: tuple[str, ...] = ()
    """Resources, with subresources after a slash."""
    scope: str | None = None
    """Cluster, Namespaced or ``*``."""


class MatchCondition(Model):
    """A CEL expression that must hold for the call to be made."""

    name: Annotated[str, Schema(required=True)] = ""
    """The condition's name."""
    expression: Annotated[str, Schema(required=True)] = ""
    """The CEL expression."""


class WebhookOptions(Model):
    """Only these requesters reach the webhook, where any is set (W-5)."""

    capsule_users: Annotated[bool, Schema(required=True, default=False)] = False
    """Whether only Capsule users reach the webhook."""
    administrators: Annotated[bool, Schema(required=True, default=False)] = False
    """Whether only administrators reach the webhook."""


class ValidatingWebhook(Model):
    """One entry of the ValidatingWebhookConfiguration to render (CF-13)."""

    name: Annotated[str, Schema(required=True)] = ""
    """The entry's name, made a domain name where it is none."""
    path: Annotated[str, Schema(required=True)] = ""
    """Path on the webhook server."""
    rules: tuple[WebhookRule, ...] = ()
    """Which requests are sent."""
    failure_policy: str | None = None
    """Fail or Ignore: what happens to requests while the server does not answer."""
    match_policy: str | None = None
    """Exact or Equivalent."""
    namespace_selector: LabelSelector | None = None
    """Namespaces whose objects are sent."""
    object_selector: LabelSelector | None = None
    """Labels of objects that are sent."""
    match_conditions: tuple[MatchCondition, ...] = ()
    """CEL expressions that must all hold for a request to be sent."""
    side_effects: Annotated[str, Schema(required=True)] = "None"
    """None or NoneOnDryRun."""
    timeout_seconds: Annotated[int | None, Schema(format="int32")] = None
    """How long the API server waits, from 1 to 30."""
    admission_review_versions: Annotated[tuple[str, ...], Schema(required=True)] = ()
    """Versions of AdmissionReview, the preferred first."""
    opts: WebhookOptions | None = None
    """Who reaches the webhook."""


class MutatingWebhook(ValidatingWebhook):
    """One entry of the MutatingWebhookConfiguration to render."""

    reinvocation_policy: str | None = None
    """Never or IfNeeded."""


class ValidatingAdmission(Model):
    """The ValidatingWebhookConfiguration to render (CF-12)."""

    name: Label63 = ""
    """The configuration's name."""
    labels: dict[str, str] | None = None
    """Labels of the configuration."""
    annotations: dict[str, str] | None = None
    """Annotations of the configuration."""
    client: Annotated[WebhookClient, Schema(required=True)] = WebhookClient()
    """How the API server reaches the webhook server."""
    webhooks: tuple[ValidatingWebhook, ...] = ()
    """The entries, in order."""


class MutatingAdmission(Model):
    """The MutatingWebhookConfiguration to render (CF-12)."""

    name: Label63 = ""
    """The configuration's name."""
    labels: dict[str, str] | None = None
    """Labels of the configuration."""
    annotations: dict[str, str] | None = None
    """Annotations of the configuration."""
    client: Annotated[WebhookClient, Schema(required=True)] = WebhookClient()
    """How the API server reaches the webhook server."""
    webhooks: tuple[MutatingWebhook, ...] = ()
    """The entries, in order."""


class DynamicAdmission(Model):
    """The webhook configurations, as data (W-1)."""

    service_name: Annotated[str, Schema(default="capsule-webhook-service")] = "capsule-webhook-service"
    """The Service of the webhook server."""
    mutating: MutatingAdmission | None = None
    """The MutatingWebhookConfiguration to render."""
    validating: ValidatingAdmission | None = None
    """The ValidatingWebhookConfiguration to render."""


class RBAC(Model):
    """Names of the ClusterRoles that users and administrators get (CF-14)."""

    administration_cluster_roles: Annotated[tuple[str, ...], Schema(default=["capsule-namespace-deleter"])] = (
        "capsule-namespace-deleter",
    )
    """ClusterRoles that administrators get in the namespaces of tenants."""
    promotion_cluster_roles: Annotated[
        tuple[str, ...], Schema(default=["capsule-namespace-provisioner", "capsule-namespace-deleter"])
    ] = ("capsule-namespace-provisioner", "capsule-namespace-deleter")
    """ClusterRoles that a ServiceAccount gets which is promoted to owner."""
    deleter: Annotated[str, Schema(default="capsule-namespace-deleter")] = "capsule-namespace-deleter"
    """The ClusterRole that lets owners delete their namespaces."""
    provisioner: Annotated[str, Schema(default="capsule-namespace-provisioner")] = "capsule-namespace-provisioner"
    """The ClusterRole, and its binding, that lets Capsule users create namespaces."""


class Impersonation(Model):
    """The identity that replications use (CF-15)."""

    endpoint: str = ""
    """Address of the API server; the usual one where it is empty."""
    ca_secret_namespace: Name253 = ""
    """Namespace of the Secret with the endpoint's CA."""
    ca_secret_name: Label63 = ""
    """Name of that Secret."""
    ca_secret_key: Annotated[str, Schema(default="ca.crt")] = "ca.crt"  # noqa: S105 - a key, no secret
    """Key in that Secret."""
    skip_tls_verify: Annotated[bool, Schema(default=False)] = False
    """Whether the endpoint's certificate is not verified."""
    global_default_service_account: Label63 = ""
    """ServiceAccount for global replications that name none; needs its namespace too."""
    global_default_service_account_namespace: Name253 = ""
    """Namespace of that ServiceAccount."""
    tenant_default_service_account: Label63 = ""
    """ServiceAccount for a tenant's replications that name none."""


class EventOptions(Model):
    """Where events about cluster-scoped objects go (CF-16)."""

    namespace: Annotated[str, Schema(default="default")] = "default"
    """The namespace."""


class CapsuleConfigurationSpec(Model):
    """What the platform sets."""

    users: tuple[UserSpec, ...] = ()
    """Who is subject to tenancy, beside TenantOwners with aggregate."""
    administrators: tuple[UserSpec, ...] = ()
    """Who may do in every tenant what its owners may."""
    ignore_user_with_groups: tuple[str, ...] = ()
    """Groups whose members are not subject to tenancy."""
    allow_service_account_promotion: Annotated[bool, Schema(default=False)] = False
    """Whether ServiceAccounts can be made owners at all."""
    force_tenant_prefix: Annotated[bool, Schema(default=False)] = False
    """Whether names of namespaces must begin with the tenant's name and a dash."""
    protected_namespace_regex: str = ""
    """Expression (RE2): namespaces in whose name it is found can't be created by Capsule users."""
    node_metadata: NodeMetadata | None = None
    """Keys on nodes that Capsule users may not touch."""
    cache_invalidation: Annotated[str, Schema(required=True, default="24h")] = "24h"
    """How often caches are built anew."""
    enable_tls_reconciler: Annotated[bool, Schema(required=True, default=False)] = field(
        name="enableTLSReconciler", default=False
    )
    """Whether the product makes its own CA and certificates."""
    overrides: Annotated[
        Overrides,
        Schema(
            default={
                "TLSSecretName": "capsule-tls",
                "mutatingWebhookConfigurationName": MUTATING_NAME,
                "validatingWebhookConfigurationName": VALIDATING_NAME,
            }
        ),
    ] = Overrides()
    """Names of objects of the installation."""
    admission: DynamicAdmission | None = None
    """The webhook configurations; our own defaults where it is unset."""
    rbac: Annotated[RBAC, Schema(required=True, default={})] = RBAC()
    """Names of the ClusterRoles that users and administrators get."""
    impersonation: Impersonation | None = None
    """The identity that replications use."""
    events: Annotated[EventOptions, Schema(default={"namespace": "default"})] = EventOptions()
    """Where events about cluster-scoped objects go."""
    user_names: tuple[str, ...] = ()
    """User names of Capsule users; deprecated, use users."""
    user_groups: tuple[str, ...] = ()
    """Groups of Capsule users; deprecated, use users."""


class CapsuleConfigurationStatus(Model):
    """What the controllers report."""

    users: tuple[UserSpec, ...] = ()
    """Effective Capsule users: those of the spec and the TenantOwners with aggregate."""
    tenants: tuple[str, ...] = ()
    """Names of the tenants, sorted."""
    observed_generation: Annotated[int, Schema(format="int64")] = 0
    """The metadata.generation that the status was made for."""
    conditions: tuple[Condition, ...] = ()
    """Ready."""


class CapsuleConfiguration(Model):
    """Settings of the installation; the object whose name the installation was given counts, ``default`` at first."""

    api_version: str = CAPSULE_API_VERSION
    kind: str = "CapsuleConfiguration"
    metadata: ObjectMeta = ObjectMeta()
    spec: CapsuleConfigurationSpec = CapsuleConfigurationSpec()
    """What the platform sets."""
    status: CapsuleConfigurationStatus = CapsuleConfigurationStatus()
    """What the controllers report."""

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
    forbidden_annotations: ForbiddenList | None = None


class Overrides(Model):
    """Names of objects outside the API group (CF-10)."""

    tls_secret_name: Annotated[str, Schema(required=True, default="capsule-tls")] = field(
        name="TLSSecretName", default="capsule-tls"
    )
    mutating_webhook_configuration_name: Annotated[str, Schema(required=True, default=MUTATING_NAME)] = MUTATING_NAME
    validating_webhook_configuration_name: Annotated[str, Schema(required=True, default=VALIDATING_NAME)] = (
        VALIDATING_NAME
    )


class ServiceReference(Model):
    """Where the API server finds the webhook server inside the cluster."""

    name: Annotated[str, Schema(required=True)] = ""
    namespace: Annotated[str, Schema(required=True)] = ""
    path: str | None = None
    port: Annotated[int | None, Schema(format="int32")] = None


class WebhookClient(Model):
    """How the API server reaches the webhook server: *url* or *service*, not both."""

    url: str | None = None
    service: ServiceReference | None = None
    ca_bundle: Annotated[str | None, Schema(format="byte")] = None


class WebhookRule(Model):
    """admissionregistration.k8s.io/v1 RuleWithOperations."""

    api_groups: tuple[str, ...] = ()
    api_versions: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    scope: str | None = None


class MatchCondition(Model):
    """A CEL expression that must hold for the call to be made."""

    name: Annotated[str, Schema(required=True)] = ""
    expression: Annotated[str, Schema(required=True)] = ""


class WebhookOptions(Model):
    """Only these requesters reach the webhook, where any is set (W-5)."""

    capsule_users: Annotated[bool, Schema(required=True, default=False)] = False
    administrators: Annotated[bool, Schema(required=True, default=False)] = False


class ValidatingWebhook(Model):
    """One entry of the ValidatingWebhookConfiguration to render (CF-13)."""

    name: Annotated[str, Schema(required=True)] = ""
    path: Annotated[str, Schema(required=True)] = ""
    rules: tuple[WebhookRule, ...] = ()
    failure_policy: str | None = None
    match_policy: str | None = None
    namespace_selector: LabelSelector | None = None
    object_selector: LabelSelector | None = None
    match_conditions: tuple[MatchCondition, ...] = ()
    side_effects: Annotated[str, Schema(required=True)] = "None"
    timeout_seconds: Annotated[int | None, Schema(format="int32")] = None
    admission_review_versions: Annotated[tuple[str, ...], Schema(required=True)] = ()
    opts: WebhookOptions | None = None


class MutatingWebhook(ValidatingWebhook):
    """One entry of the MutatingWebhookConfiguration to render."""

    reinvocation_policy: str | None = None


class ValidatingAdmission(Model):
    """The ValidatingWebhookConfiguration to render (CF-12)."""

    name: Label63 = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    client: Annotated[WebhookClient, Schema(required=True)] = WebhookClient()
    webhooks: tuple[ValidatingWebhook, ...] = ()


class MutatingAdmission(Model):
    """The MutatingWebhookConfiguration to render (CF-12)."""

    name: Label63 = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    client: Annotated[WebhookClient, Schema(required=True)] = WebhookClient()
    webhooks: tuple[MutatingWebhook, ...] = ()


class DynamicAdmission(Model):
    """The webhook configurations, as data (W-1)."""

    service_name: Annotated[str, Schema(default="capsule-webhook-service")] = "capsule-webhook-service"
    mutating: MutatingAdmission | None = None
    validating: ValidatingAdmission | None = None


class RBAC(Model):
    """Names of the ClusterRoles that users and administrators get (CF-14)."""

    administration_cluster_roles: Annotated[tuple[str, ...], Schema(default=["capsule-namespace-deleter"])] = (
        "capsule-namespace-deleter",
    )
    promotion_cluster_roles: Annotated[
        tuple[str, ...], Schema(default=["capsule-namespace-provisioner", "capsule-namespace-deleter"])
    ] = ("capsule-namespace-provisioner", "capsule-namespace-deleter")
    deleter: Annotated[str, Schema(default="capsule-namespace-deleter")] = "capsule-namespace-deleter"
    provisioner: Annotated[str, Schema(default="capsule-namespace-provisioner")] = "capsule-namespace-provisioner"


class Impersonation(Model):
    """The identity that replications use (CF-15)."""

    endpoint: str = ""
    ca_secret_namespace: Name253 = ""
    ca_secret_name: Label63 = ""
    ca_secret_key: Annotated[str, Schema(default="ca.crt")] = "ca.crt"
    skip_tls_verify: Annotated[bool, Schema(default=False)] = False
    global_default_service_account: Label63 = ""
    global_default_service_account_namespace: Name253 = ""
    tenant_default_service_account: Label63 = ""


class EventOptions(Model):
    """Where events about cluster-scoped objects go (CF-16)."""

    namespace: Annotated[str, Schema(default="default")] = "default"


class CapsuleConfigurationSpec(Model):
    """What the platform sets."""

    users: tuple[UserSpec, ...] = ()
    administrators: tuple[UserSpec, ...] = ()
    ignore_user_with_groups: tuple[str, ...] = ()
    allow_service_account_promotion: Annotated[bool, Schema(default=False)] = False
    force_tenant_prefix: Annotated[bool, Schema(default=False)] = False
    protected_namespace_regex: str = ""
    node_metadata: NodeMetadata | None = None
    cache_invalidation: Annotated[str, Schema(required=True, default="24h")] = "24h"
    enable_tls_reconciler: Annotated[bool, Schema(required=True, default=False)] = field(
        name="enableTLSReconciler", default=False
    )
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
    admission: DynamicAdmission | None = None
    rbac: Annotated[RBAC, Schema(required=True, default={})] = RBAC()
    impersonation: Impersonation | None = None
    events: Annotated[EventOptions, Schema(default={"namespace": "default"})] = EventOptions()
    user_names: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()


class CapsuleConfigurationStatus(Model):
    """What the controllers report."""

    users: tuple[UserSpec, ...] = ()
    tenants: tuple[str, ...] = ()
    observed_generation: Annotated[int, Schema(format="int64")] = 0
    conditions: tuple[Condition, ...] = ()


class CapsuleConfiguration(Model):
    """The stored object; the one whose name is a setting counts (``default``)."""

    api_version: str = CAPSULE_API_VERSION
    kind: str = "CapsuleConfiguration"
    metadata: ObjectMeta = ObjectMeta()
    spec: CapsuleConfigurationSpec = CapsuleConfigurationSpec()
    status: CapsuleConfigurationStatus = CapsuleConfigurationStatus()

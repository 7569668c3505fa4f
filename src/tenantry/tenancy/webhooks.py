"""The two WebhookConfigurations that must exist: spec.admission of the CapsuleConfiguration, rendered (W-1)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tenantry.api import labels
from tenantry.api.configuration import (
    CapsuleConfiguration,
    DynamicAdmission,
    MatchCondition,
    MutatingAdmission,
    MutatingWebhook,
    ServiceReference,
    ValidatingAdmission,
    ValidatingWebhook,
    WebhookClient,
    WebhookRule,
)
from tenantry.api.meta import LabelSelector
from tenantry.foundation.codec import decode_any, encode
from tenantry.tenancy.webhook_conditions import by_capsule_users_or_administrators
from tenantry.tenancy.webhook_defaults import mutating_webhooks, validating_webhooks

DEFAULT_NAME: Final = "capsule-dynamic-webhook"
"""Capsule's own name for both, so that ours takes them over (spec 13.20)."""
SERVICE_PORT: Final = 443
DEFAULT_TIMEOUT_SECONDS: Final = 10


def webhook_configurations(  # what the answer depends on
    configuration: CapsuleConfiguration,
    *,
    ca_bundle: str,
    namespace: str,
    service_name: str,
    own_accounts: Collection[str],
    idle_tenants: Sequence[str],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the mutating and the validating configuration, as the API server will store them.

    All that the server would fill in is there, so what is stored may be compared with it.
    Entries come from ``spec.admission`` where it lists any, else from
    :mod:`tenantry.tenancy.webhook_defaults`; each of the two sides by itself.

    Args:
        configuration: Its status names the effective Capsule users, for ``opts.capsuleUsers``.
        ca_bundle: Base64 of the PEM certificates that sign the webhook server's; empty leaves
            it out, and the API server then trusts its system's roots.  The client of the
            CapsuleConfiguration wins.
        namespace: Where the Service is.
        service_name: The Service's name, unless the CapsuleConfiguration names one.
        own_accounts: User names of the installation's ServiceAccounts.
        idle_tenants: Names of the tenants for which ``is_idle`` holds, in any order.
    """
    spec = configuration.spec
    admission = spec.admission or DynamicAdmission()
    mutating = admission.mutating or MutatingAdmission()
    validating = admission.validating or ValidatingAdmission()
    service = ServiceReference(
        # Go clients send an unset name as an empty one.
        name=(admission.service_name if spec.admission is not None else "") or service_name,
        namespace=namespace,
    )
    return (
        _rendered(
            "MutatingWebhookConfiguration",
            mutating,
            mutating.webhooks or mutating_webhooks(spec, own_accounts=own_accounts, idle_tenants=idle_tenants),
            _Setting(configuration, _client(mutating.client, service, ca_bundle)),
        ),
        _rendered(
            "ValidatingWebhookConfiguration",
            validating,
            validating.webhooks or validating_webhooks(spec, own_accounts=own_accounts, idle_tenants=idle_tenants),
            _Setting(configuration, _client(validating.client, service, ca_bundle)),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Setting:
    configuration: CapsuleConfiguration
    client: WebhookClient


def _client(given: WebhookClient, service: ServiceReference, ca_bundle: str) -> WebhookClient:
    bundle = given.ca_bundle or ca_bundle or None
    if given.url:
        return WebhookClient(url=given.url, ca_bundle=bundle)
    return WebhookClient(service=given.service or service, ca_bundle=bundle)


def _rendered(
    kind: str,
    side: MutatingAdmission | ValidatingAdmission,
    webhooks: Sequence[ValidatingWebhook],
    setting: _Setting,
) -> dict[str, Any]:
    rendered = [_webhook(one, setting) for one in webhooks]
    state = hashlib.sha256(encode(rendered)).hexdigest()[:16]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {
            "name": side.name or DEFAULT_NAME,
            "labels": {**(side.labels or {}), labels.MANAGED_BY: labels.MANAGED_BY_CONTROLLER},
            "annotations": {**(side.annotations or {}), labels.ADMISSION_STATE_HASH: state},
        },
        "webhooks": rendered,
    }


def _webhook(webhook: ValidatingWebhook, setting: _Setting) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "name": webhook.name,
        "clientConfig": _client_config(setting.client, webhook.path),
        "rules": [_rule(rule) for rule in webhook.rules],
        "failurePolicy": webhook.failure_policy or "Fail",
        "matchPolicy": webhook.match_policy or "Equivalent",
        "namespaceSelector": _plain(webhook.namespace_selector),
        "objectSelector": _plain(webhook.object_selector),
        "sideEffects": webhook.side_effects,
        "timeoutSeconds": webhook.timeout_seconds or DEFAULT_TIMEOUT_SECONDS,
        "admissionReviewVersions": list(webhook.admission_review_versions) or ["v1"],
    }
    conditions = (*webhook.match_conditions, *_requesters(webhook, setting.configuration))
    if conditions:
        rendered["matchConditions"] = [
            {"name": condition.name, "expression": condition.expression} for condition in conditions
        ]
    if isinstance(webhook, MutatingWebhook):
        rendered["reinvocationPolicy"] = webhook.reinvocation_policy or "Never"
    return rendered


def _client_config(client: WebhookClient, path: str) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if client.url is not None:
        config["url"] = client.url.rstrip("/") + path
    elif client.service is not None:
        config["service"] = {
            "namespace": client.service.namespace,
            "name": client.service.name,
            "path": (client.service.path or "").rstrip("/") + path,
            "port": client.service.port or SERVICE_PORT,
        }
    if client.ca_bundle is not None:
        config["caBundle"] = client.ca_bundle
    return config


def _rule(rule: WebhookRule) -> dict[str, Any]:
    return {
        "apiGroups": list(rule.api_groups),
        "apiVersions": list(rule.api_versions),
        "operations": list(rule.operations),
        "resources": list(rule.resources),
        "scope": rule.scope or "*",
    }


def _requesters(webhook: ValidatingWebhook, configuration: CapsuleConfiguration) -> tuple[MatchCondition, ...]:
    """Return the gate that ``opts`` asks for (W-5)."""
    opts = webhook.opts
    if opts is None or not (opts.capsule_users or opts.administrators):
        return ()
    return (
        by_capsule_users_or_administrators(
            configuration.status.users if opts.capsule_users else None,
            configuration.spec.administrators if opts.administrators else None,
        ),
    )


def _plain(selector: LabelSelector | None) -> Any:
    """Return *selector* as it comes back from the API server: lists, no tuples."""
    return decode_any(encode(selector or LabelSelector()))

"""Everything an installation needs, in the order to apply it."""

from __future__ import annotations

from typing import Any, Final

from tenantry.api import labels
from tenantry.api.crds import crd_manifests
from tenantry.api.meta import CAPSULE_API_VERSION
from tenantry.install.certificates import certificates
from tenantry.install.gateway import gateway_workloads
from tenantry.install.gateway_rights import gateway_rights
from tenantry.install.monitoring import monitoring
from tenantry.install.rbac import rights
from tenantry.install.settings import InstallSettings
from tenantry.install.workloads import workloads

DEFAULTS: Final = InstallSettings()


def manifests(
    settings: InstallSettings, *, with_crds: bool = True, with_configuration: bool = True
) -> list[dict[str, Any]]:
    """Return all objects of an installation.

    The CapsuleConfiguration comes last: its kind exists only once the CRDs are established.
    """
    return [
        *(crd_manifests() if with_crds else []),
        _namespace(settings),
        *rights(settings),
        *(gateway_rights(settings.gateway, settings.namespace) if settings.gateway is not None else []),
        *(certificates(settings) if settings.cert_manager else []),
        *workloads(settings),
        *(gateway_workloads(settings, settings.gateway) if settings.gateway is not None else []),
        *monitoring(settings),
        *([configuration(settings)] if with_configuration else []),
    ]


def configuration(settings: InstallSettings) -> dict[str, Any]:
    """Return the default CapsuleConfiguration: one group of users, the built-in webhook entries."""
    spec: dict[str, Any] = {
        "users": [{"kind": "Group", "name": labels.DEFAULT_USER_GROUP}],
        "enableTLSReconciler": not settings.cert_manager,
    }
    if settings.tls_secret != DEFAULTS.tls_secret:
        spec["overrides"] = {"TLSSecretName": settings.tls_secret}
    if settings.webhook_url is not None:
        client = {"client": {"url": settings.webhook_url}}
        spec["admission"] = {"mutating": client, "validating": client}
    elif settings.service_name != DEFAULTS.service_name:
        spec["admission"] = {"serviceName": settings.service_name}
    return {
        "apiVersion": CAPSULE_API_VERSION,
        "kind": "CapsuleConfiguration",
        "metadata": {"name": settings.configuration_name},
        "spec": spec,
    }


def _namespace(settings: InstallSettings) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": settings.namespace,
            "labels": {
                "app.kubernetes.io/part-of": "tenantry",
                "pod-security.kubernetes.io/enforce": "restricted",
            },
        },
    }

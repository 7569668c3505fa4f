"""Admission's certificate by cert-manager, where the operator is not to make it itself."""

from __future__ import annotations

from typing import Any

from tenantry.install.settings import InstallSettings
from tenantry.install.workloads import metadata

_API = "cert-manager.io/v1"


def certificates(settings: InstallSettings) -> list[dict[str, Any]]:
    """Return a self-signed Issuer and the Certificate; the webhooks trust the ``ca.crt`` of its Secret."""
    name, namespace = settings.service_name, settings.namespace
    names = [name, f"{name}.{namespace}", f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local"]
    return [
        {
            "apiVersion": _API,
            "kind": "Issuer",
            "metadata": metadata(settings, "tenantry-webhook", "admission"),
            "spec": {"selfSigned": {}},
        },
        {
            "apiVersion": _API,
            "kind": "Certificate",
            "metadata": metadata(settings, "tenantry-webhook", "admission"),
            "spec": {
                "secretName": settings.tls_secret,
                "dnsNames": names,
                "issuerRef": {"kind": "Issuer", "name": "tenantry-webhook"},
            },
        },
    ]

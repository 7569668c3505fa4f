"""What the admission server may do: the installer prints these rules, least privilege as spec 13.13."""

from __future__ import annotations

from typing import Any, Final

_READ: Final = ["get", "list", "watch"]

CLUSTER_RULES: Final[tuple[dict[str, Any], ...]] = (
    {
        "apiGroups": ["capsule.clastix.io"],
        "resources": ["tenants", "tenantowners", "capsuleconfigurations"],
        "verbs": _READ,
    },
    # Namespaces: which tenant each is in.  ServiceAccounts: the promoted ones.
    {"apiGroups": [""], "resources": ["namespaces", "serviceaccounts", "persistentvolumes"], "verbs": _READ},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": _READ},
    {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": _READ},
    {"apiGroups": ["scheduling.k8s.io"], "resources": ["priorityclasses"], "verbs": _READ},
    {"apiGroups": ["node.k8s.io"], "resources": ["runtimeclasses"], "verbs": _READ},
    {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["gatewayclasses"], "verbs": _READ},
    {"apiGroups": ["resource.k8s.io"], "resources": ["deviceclasses"], "verbs": _READ},
    # Refusals and audits are told where the object is.
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
)
"""Rights in the whole cluster, as plain PolicyRules."""

NAMESPACE_RULES: Final[tuple[dict[str, Any], ...]] = (
    # Acknowledgements and reservations.
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "list", "create", "update", "delete"],
    },
)
"""Rights in the installation's own namespace, besides :func:`certificate_rule`."""


def certificate_rule(secret: str) -> dict[str, Any]:
    """Return the right to read the serving certificate in *secret*, and no other Secret: the CA's key is in one."""
    return {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [secret], "verbs": _READ}

"""What the controllers may do: the installer prints these rules, least privilege as spec 13.13."""

from __future__ import annotations

from typing import Any, Final

_READ: Final = ["get", "list", "watch"]
_WRITE: Final = [*_READ, "create", "update", "patch", "delete"]

CLUSTER_RULES: Final[tuple[dict[str, Any], ...]] = (
    # Tenants: finalizers.  The configuration: the default one is created.
    {"apiGroups": ["capsule.clastix.io"], "resources": ["tenants"], "verbs": [*_READ, "patch"]},
    {"apiGroups": ["capsule.clastix.io"], "resources": ["tenantowners"], "verbs": _READ},
    {"apiGroups": ["capsule.clastix.io"], "resources": ["capsuleconfigurations"], "verbs": [*_READ, "create"]},
    {
        "apiGroups": ["capsule.clastix.io"],
        "resources": ["tenants/status", "tenantowners/status", "capsuleconfigurations/status", "rulestatuses/status"],
        "verbs": ["patch"],
    },
    # To be the Tenant's dependents with blockOwnerDeletion, where the API server checks that.
    {"apiGroups": ["capsule.clastix.io"], "resources": ["tenants/finalizers"], "verbs": ["update"]},
    {"apiGroups": ["capsule.clastix.io"], "resources": ["rulestatuses"], "verbs": _WRITE},
    # Create and delete are not used, but what is handed to users must be held.
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": [*_READ, "create", "patch", "delete"]},
    {"apiGroups": [""], "resources": ["limitranges", "resourcequotas"], "verbs": _WRITE},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": _WRITE},
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": _WRITE},
    # Without bind or escalate no role can be made here that says more than this one.
    {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["clusterroles", "clusterrolebindings"],
        "verbs": _WRITE,
    },
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": _READ},
    # Additional metadata of tenants, and the tenant's label of volumes.
    {"apiGroups": [""], "resources": ["pods", "services", "persistentvolumes"], "verbs": [*_READ, "patch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": [*_READ, "patch"]},
    {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": _READ},
    {"apiGroups": ["scheduling.k8s.io"], "resources": ["priorityclasses"], "verbs": _READ},
    {"apiGroups": ["node.k8s.io"], "resources": ["runtimeclasses"], "verbs": _READ},
    {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["gatewayclasses"], "verbs": _READ},
    {"apiGroups": ["resource.k8s.io"], "resources": ["deviceclasses"], "verbs": _READ},
    {
        "apiGroups": ["admissionregistration.k8s.io"],
        "resources": ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
        "verbs": _WRITE,
    },
    {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["get"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
)
"""Rights in the whole cluster, as plain PolicyRules; the right to bind roles is the installer's to add."""

NAMESPACE_RULES: Final[tuple[dict[str, Any], ...]] = (
    # The leader's lease, and the acknowledgements of admission.
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": [*_READ, "create", "update"]},
    # The serving certificate and its CA.
    {"apiGroups": [""], "resources": ["secrets"], "verbs": [*_READ, "create", "update"]},
    # Whether admission was disarmed.
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": _READ},
)
"""Rights in the installation's own namespace."""

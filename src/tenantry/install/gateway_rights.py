"""What the gateway's account may do, made from its configuration: what that does not need is not granted.

Reads under this account are of cluster-scoped kinds and of what says who sees what; Secrets and what
tenants run are read as the user who asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tenantry.access.guards import ORIGINAL_USER
from tenantry.access.writes import WRITABLE_KINDS, virtual_group
from tenantry.gateway.settings import GatewaySettings
from tenantry.install.gateway_settings import GatewayInstall

JSON = dict[str, Any]
RBAC_API: Final = "rbac.authorization.k8s.io"
AGGREGATE_TO_READER: Final = "gateway.tenantry.dev/aggregate-to-reader"
"""Label of ClusterRoles that let the gateway read more cluster-scoped kinds, for rules about them."""
CLIENT_CA: Final = "extension-apiserver-authentication"
ROLE: Final = "tenantry-gateway"
READER: Final = "tenantry-gateway-reader"
LEASES_ROLE: Final = "tenantry-gateway-node-leases"
CLIENT_CA_ROLE: Final = "tenantry-gateway-client-ca"
_READ: Final = ["get", "list", "watch"]
_VERBS: Final = {"update": ["update", "patch"], "delete": ["delete"]}
_LABELS: Final = {"app.kubernetes.io/name": "tenantry", "app.kubernetes.io/part-of": "tenantry"}

CLUSTER_SCOPED: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("namespaces", "nodes", "persistentvolumes"),
    "admissionregistration.k8s.io": (
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    ),
    # Also for the gateway itself: the columns of a custom resource's table are in its definition alone.
    "apiextensions.k8s.io": ("customresourcedefinitions",),
    "apiregistration.k8s.io": ("apiservices",),
    "certificates.k8s.io": ("certificatesigningrequests", "clustertrustbundles"),
    "flowcontrol.apiserver.k8s.io": ("flowschemas", "prioritylevelconfigurations"),
    "gateway.networking.k8s.io": ("gatewayclasses",),
    "networking.k8s.io": ("ingressclasses", "ipaddresses", "servicecidrs"),
    "node.k8s.io": ("runtimeclasses",),
    RBAC_API: ("clusterrolebindings", "clusterroles"),
    "resource.k8s.io": ("deviceclasses", "devicetaintrules", "resourceslices"),
    "scheduling.k8s.io": ("priorityclasses",),
    "storage.k8s.io": ("csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses"),
}
"""Kubernetes's own cluster-scoped kinds, which a rule may name as it is; none of them holds a secret.

Of custom resources nobody can tell that beforehand: see :data:`AGGREGATE_TO_READER`."""

CLUSTER_RULES: Final[tuple[JSON, ...]] = (
    # Each request is made as whoever asks. Names can't be listed: they are the users'.
    {"apiGroups": [""], "resources": ["users", "groups", "serviceaccounts"], "verbs": ["impersonate"]},
    {"apiGroups": ["authentication.k8s.io"], "resources": ["uids"], "verbs": ["impersonate"]},
    # What somebody's own rights allow; who may impersonate whom.
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    # Who sees what.
    {
        "apiGroups": ["capsule.clastix.io"],
        "resources": ["tenants", "tenantowners", "capsuleconfigurations", "proxysettings", "globalproxysettings"],
        "verbs": _READ,
    },
    {
        "apiGroups": ["capsule.clastix.io"],
        "resources": ["proxysettings/status", "globalproxysettings/status"],
        "verbs": ["patch"],
    },
    {"apiGroups": [RBAC_API], "resources": ["rolebindings"], "verbs": _READ},
    # What is listed for users: what tenants select from, and what rules may name.  Secrets, and all else that is
    # in namespaces, is read as whoever asks.
    *(
        {"apiGroups": [group], "resources": list(resources), "verbs": _READ}
        for group, resources in CLUSTER_SCOPED.items()
    ),
    {"apiGroups": ["metrics.k8s.io"], "resources": ["nodes"], "verbs": ["get", "list"]},
)
"""What every configuration needs, as plain PolicyRules."""

TOKEN_RULE: Final[JSON] = {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
LEASE_RULES: Final[tuple[JSON, ...]] = (
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"]},
)
"""In kube-node-lease: `kubectl describe node` shows the lease."""
CLIENT_CA_RULES: Final[tuple[JSON, ...]] = (
    {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [CLIENT_CA], "verbs": ["get"]},
)
"""In kube-system: the CA of client certificates."""


def cluster_rules(configuration: GatewaySettings) -> list[JSON]:
    """Return what the account may do in the whole cluster."""
    identities = [each.identity for each in configuration.clusters]
    keys = dict.fromkeys([ORIGINAL_USER, *(key for each in identities for key in each.forwarded_extra)])
    is_reviewing = any(each.token_review and "BearerToken" in each.authenticators for each in identities)
    return [*CLUSTER_RULES, extra_rule(keys), *([TOKEN_RULE] if is_reviewing else [])]


def extra_rule(keys: dict[str, None]) -> JSON:
    """Return the right to pass on extras with these keys, and no others."""
    resources = [f"userextras/{key}" for key in sorted(keys)]
    return {"apiGroups": ["authentication.k8s.io"], "resources": resources, "verbs": ["impersonate"]}


def reads_client_ca(configuration: GatewaySettings) -> bool:
    """Return whether the cluster's own CA of client certificates is needed."""
    return any(
        {"TLSCertificate", "XForwardedClientCert"} & {*each.identity.authenticators}
        and each.identity.certificates.ca is None
        for each in configuration.clusters
    )


def gateway_rights(gateway: GatewayInstall, namespace: str) -> list[JSON]:
    """Return the ServiceAccount, its roles and bindings, in the order to apply them."""
    subject = {"kind": "ServiceAccount", "name": gateway.name, "namespace": namespace}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(gateway.name, namespace)}
    objects = [
        account,
        _role("ClusterRole", ROLE, rules=cluster_rules(gateway.configuration)),
        _binding("ClusterRoleBinding", ROLE, subject),
        # No rules: Kubernetes fills them in, and whoever applies the manifests again must not take them away.
        {
            "apiVersion": f"{RBAC_API}/v1",
            "kind": "ClusterRole",
            "metadata": _metadata(READER),
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {AGGREGATE_TO_READER: "true"}}]},
        },
        _binding("ClusterRoleBinding", READER, subject),
        _role("Role", LEASES_ROLE, "kube-node-lease", rules=list(LEASE_RULES)),
        _binding("RoleBinding", LEASES_ROLE, subject, "kube-node-lease"),
    ]
    if reads_client_ca(gateway.configuration):
        objects += [
            _role("Role", CLIENT_CA_ROLE, "kube-system", rules=list(CLIENT_CA_RULES)),
            _binding("RoleBinding", CLIENT_CA_ROLE, subject, "kube-system"),
        ]
    return [*objects, *writers()]


def writers() -> list[JSON]:
    """Return the roles of the virtual groups: one a kind and operation.

    The gateway adds a group to a single request, after it has checked the object; nobody can bring one along.
    """
    objects: list[JSON] = []
    for group, resource in sorted(WRITABLE_KINDS):
        for operation in ("update", "delete"):
            name = virtual_group(resource, operation)
            rule = {"apiGroups": [group], "resources": [resource], "verbs": _VERBS[operation]}
            subject = {"apiGroup": RBAC_API, "kind": "Group", "name": name}
            objects += [_role("ClusterRole", name, rules=[rule]), _binding("ClusterRoleBinding", name, subject)]
    return objects


def _role(kind: str, name: str, namespace: str | None = None, *, rules: list[JSON]) -> JSON:
    return {"apiVersion": f"{RBAC_API}/v1", "kind": kind, "metadata": _metadata(name, namespace), "rules": rules}


def _binding(kind: str, name: str, subject: JSON, namespace: str | None = None) -> JSON:
    role = "ClusterRole" if kind == "ClusterRoleBinding" else "Role"
    return {
        "apiVersion": f"{RBAC_API}/v1",
        "kind": kind,
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": RBAC_API, "kind": role, "name": name},
        "subjects": [subject],
    }


def _metadata(name: str, namespace: str | None = None) -> JSON:
    place = {} if namespace is None else {"namespace": namespace}
    return {"name": name, **place, "labels": dict(_LABELS)}

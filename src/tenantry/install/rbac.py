"""ServiceAccounts and least-privilege rights of the two processes (spec 13.13)."""

from __future__ import annotations

from typing import Any

from tenantry.admission import permissions as admission
from tenantry.api import labels
from tenantry.install.settings import InstallSettings
from tenantry.operator import permissions as operator

RBAC_API = "rbac.authorization.k8s.io"
OWN_CLUSTER_ROLES = ("capsule-namespace-provisioner", "capsule-namespace-deleter")


def rights(settings: InstallSettings) -> list[dict[str, Any]]:
    """Return ServiceAccounts, ClusterRoles, Roles and their bindings, in the order to apply them."""
    objects: list[dict[str, Any]] = []
    for account, module in ((settings.operator_account, operator), (settings.admission_account, admission)):
        name = f"tenantry-{'operator' if module is operator else 'admission'}"
        rules = [*module.CLUSTER_RULES]
        extra = [] if module is operator else [admission.certificate_rule(settings.tls_secret)]
        if module is operator:
            rules.append(_bind(settings))
        objects += [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(account, settings.namespace)},
            {"apiVersion": f"{RBAC_API}/v1", "kind": "ClusterRole", "metadata": _meta(name), "rules": rules},
            _binding("ClusterRoleBinding", name, "ClusterRole", account, settings.namespace),
            {
                "apiVersion": f"{RBAC_API}/v1",
                "kind": "Role",
                "metadata": _meta(name, settings.namespace),
                "rules": [*module.NAMESPACE_RULES, *extra],
            },
            _binding("RoleBinding", name, "Role", account, settings.namespace),
        ]
    return [*objects, _aggregated(), _binding_of_aggregated(settings)]


def _bind(settings: InstallSettings) -> dict[str, Any]:
    """Return the right to hand out roles without holding them.

    ``*`` among the roles makes that every role: as good as cluster-admin, and the
    platform's own choice.
    """
    names = dict.fromkeys((*OWN_CLUSTER_ROLES, *settings.bindable_cluster_roles))
    rule: dict[str, Any] = {"apiGroups": [RBAC_API], "resources": ["clusterroles"], "verbs": ["bind"]}
    return rule if "*" in names else {**rule, "resourceNames": list(names)}


def _aggregated() -> dict[str, Any]:
    """Return the ClusterRole that collects what the platform adds by label for its tenants' sake."""
    return {
        "apiVersion": f"{RBAC_API}/v1",
        "kind": "ClusterRole",
        "metadata": _meta("tenantry-operator-aggregated"),
        # No rules: Kubernetes fills them in, and whoever applies the manifests again must not take them away.
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {labels.AGGREGATE_TO_CONTROLLER: "true"}}]},
    }


def _binding_of_aggregated(settings: InstallSettings) -> dict[str, Any]:
    name = "tenantry-operator-aggregated"
    return _binding("ClusterRoleBinding", name, "ClusterRole", settings.operator_account, settings.namespace)


def _binding(kind: str, name: str, role_kind: str, account: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{RBAC_API}/v1",
        "kind": kind,
        "metadata": _meta(name, namespace if kind == "RoleBinding" else None),
        "roleRef": {"apiGroup": RBAC_API, "kind": role_kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }


def _meta(name: str, namespace: str | None = None) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name}
    if namespace is not None:
        meta["namespace"] = namespace
    return {**meta, "labels": {"app.kubernetes.io/name": "tenantry", "app.kubernetes.io/part-of": "tenantry"}}

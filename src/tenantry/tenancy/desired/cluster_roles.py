"""The ClusterRoles and the ClusterRoleBinding that Capsule users get (R-4, I-3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tenantry.api.configuration import RBAC
from tenantry.api.labels import CREATED_BY, CREATED_BY_RBAC
from tenantry.api.shared import UserSpec
from tenantry.tenancy.desired.manifests import Manifest
from tenantry.tenancy.desired.role_bindings import RBAC_GROUP, plain_subject, subject_of

_API_VERSION: Final = f"{RBAC_GROUP}/v1"


def cluster_roles(rbac: RBAC) -> list[Manifest]:
    """Return the roles that *rbac* names: one creates and patches namespaces, one deletes them."""
    verbs = {rbac.deleter: ["delete"]} | {rbac.provisioner: ["create", "patch"]}
    if rbac.deleter == rbac.provisioner:
        verbs = {rbac.provisioner: ["create", "patch", "delete"]}
    return [
        {
            "apiVersion": _API_VERSION,
            "kind": "ClusterRole",
            "metadata": {"name": name, "labels": {CREATED_BY: CREATED_BY_RBAC}},
            "rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": verbs[name]}],
        }
        for name in sorted(verbs)
    ]


def cluster_role_binding(rbac: RBAC, users: Iterable[UserSpec]) -> Manifest:
    """Return the binding of the provisioner role to *users*, each once, sorted by kind and name.

    Args:
        rbac: The names.
        users: Capsule users, administrators and promoted ServiceAccounts.
    """
    unique = {(user.kind, user.name): user for user in users}
    return {
        "apiVersion": _API_VERSION,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": rbac.provisioner, "labels": {CREATED_BY: CREATED_BY_RBAC}},
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": rbac.provisioner},
        "subjects": [plain_subject(subject_of(unique[key])) for key in sorted(unique)],
    }

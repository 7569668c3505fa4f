"""Which requests, and whose, the checks do not judge."""

from __future__ import annotations

from typing import Final

from tenantry.tenancy.identity import KUBE_SYSTEM_GROUP, NODES_GROUP
from tenantry.tenancy.request import Operation, Request, Requester, Role
from tenantry.tenancy.views import ObjectContext

_WRITES: Final = frozenset({Operation.CREATE, Operation.UPDATE})
_COMPONENT_NAMES: Final = frozenset(
    {
        # The API server itself: it writes the status of ResourceQuotas.
        "system:apiserver",
        # Controllers that run without ServiceAccounts of their own.
        "system:kube-controller-manager",
        "system:kube-scheduler",
        "system:cloud-controller-manager",
    }
)
_COMPONENT_GROUPS: Final = frozenset({KUBE_SYSTEM_GROUP, NODES_GROUP})
OBJECT_AND_STATUS: Final = ("", "status")
"""A write of ``status`` carries the whole object, and for most kinds its labels and annotations count."""


def is_judged_write(
    request: Request, context: ObjectContext, *, subresources: tuple[str, ...] = OBJECT_AND_STATUS
) -> bool:
    """Return whether *request* creates or updates such an object, and is not the installation's own (E-12)."""
    return request.operation in _WRITES and request.subresource in subresources and context.role is not Role.CONTROLLER


def is_cluster_component(requester: Requester) -> bool:
    """Return whether *requester* is a part of Kubernetes: the garbage collector, the volume binder, a kubelet."""
    return requester.username in _COMPONENT_NAMES or not _COMPONENT_GROUPS.isdisjoint(requester.groups)

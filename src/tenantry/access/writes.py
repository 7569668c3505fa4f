"""Changes of cluster-scoped objects that a tenant may make because it sees them (R-035, 8.4)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from tenantry.access.classes_seen import PROXIED_KINDS, WRITABLE
from tenantry.access.guards import VIRTUAL_GROUP_PREFIX
from tenantry.access.requests import RequestInfo
from tenantry.access.visibility import PrincipalView, WriteOperation

WRITABLE_KINDS: Final = frozenset(kind for kind in PROXIED_KINDS if kind[1] in WRITABLE and kind[0] != "metrics.k8s.io")
"""Group and plural of the kinds that Update and Delete are about."""
_OPERATIONS: Final[Mapping[str, WriteOperation]] = {"update": "update", "patch": "update", "delete": "delete"}


class WriteDecision(Enum):
    """How a change goes on."""

    AS_THEMSELVES = "as themselves"
    """The cluster's RBAC decides."""
    WITH_GROUP = "with group"
    """Under their own name, with the one group that may do just this."""
    NOT_VISIBLE = "not visible"
    """To them there is no such object, unless the cluster's RBAC lets them change it."""


def write_operation(verb: str) -> WriteOperation | None:
    """Return the operation that *verb* needs; None for verbs that change no single object."""
    return _OPERATIONS.get(verb)


def is_guarded_write(info: RequestInfo) -> bool:
    """Return whether a request changes one object of the kinds that tenants select from."""
    return (
        (info.api_group, info.resource) in WRITABLE_KINDS
        and not info.namespace
        and bool(info.name)
        and not info.is_verb_in_path
        and write_operation(info.verb) is not None
    )


def write_decision(view: PrincipalView, info: RequestInfo, labels: Mapping[str, str] | None) -> WriteDecision:
    """Return how the guarded write *info* goes on.

    Args:
        view: What the principal sees.
        info: See :func:`is_guarded_write`.
        labels: Those of the very object, read just now; None where it does not exist.
    """
    operation = write_operation(info.verb)
    sight = view.sight(info.api_group, info.api_version, info.resource, "get")
    if labels is None or operation is None or not sight.shows(info.name, labels):
        return WriteDecision.NOT_VISIBLE
    # A status or a binding is the cluster's own to write: the operations are about the object itself.
    if not info.subresource and view.writes(info.resource, operation).shows(info.name, labels):
        return WriteDecision.WITH_GROUP
    return WriteDecision.AS_THEMSELVES


def virtual_group(resource: str, operation: WriteOperation) -> str:
    """Return the group that may do *operation* with a kind's objects; nobody has it for longer than a request."""
    return f"{VIRTUAL_GROUP_PREFIX}{resource}:{operation}"

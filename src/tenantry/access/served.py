"""Which reads of a filtered principal the gateway answers itself, and what the cluster's RBAC is asked about others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tenantry.access.classes_seen import PROXIED_KINDS
from tenantry.access.requests import RequestInfo
from tenantry.access.reviews import ResourceAttributes
from tenantry.access.visibility import PrincipalView
from tenantry.api.meta import CAPSULE_GROUP

ALWAYS_SERVED: Final = frozenset({("", "namespaces"), (CAPSULE_GROUP, "tenants"), *PROXIED_KINDS})
"""Group and plural of the kinds that are filtered for whoever is filtered, if only to an empty list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KindFacts:
    """A kind as the server serves it."""

    group: str
    version: str
    resource: str
    kind: str
    is_namespaced: bool
    verbs: frozenset[str]


def is_self_review(info: RequestInfo) -> bool:
    """Return whether somebody asks about their own rights."""
    return (
        (info.api_group, info.api_version, info.verb) == ("authorization.k8s.io", "v1", "create")
        and info.resource in {"selfsubjectaccessreviews", "selfsubjectrulesreviews"}
        and not info.namespace
        and len(info.parts) == 1
    )


def is_node_lease(info: RequestInfo) -> bool:
    """Return whether one lease of a node is read, which ``kubectl describe node`` does (R-043)."""
    return (
        (info.api_group, info.api_version, info.resource) == ("coordination.k8s.io", "v1", "leases")
        and (info.method, info.verb, info.namespace) == ("GET", "get", "kube-node-lease")
        and len(info.parts) == 2
        and not info.is_verb_in_path
    )


def is_wide_read(info: RequestInfo) -> bool:
    """Return whether a request reads a cluster-scoped kind, or a namespaced one in all namespaces."""
    return (
        info.method == "GET"
        and info.is_read
        and not info.is_verb_in_path
        and not info.subresource
        and (not info.namespace or info.resource == "namespaces")
    )


def operation_of(verb: str) -> Literal["list", "get"]:
    """Return which of a rule's operations a reading verb needs."""
    return "get" if verb == "get" else "list"


def is_served(view: PrincipalView, facts: KindFacts, verb: str) -> bool:
    """Return whether a read over all namespaces, or of a cluster-scoped kind, is answered from what *view* shows.

    Of other cluster-scoped kinds only those are that a rule speaks of: without one, the
    API server's own refusal is the honest answer.
    """
    if verb not in facts.verbs:
        return False
    if facts.is_namespaced:
        return verb in {"list", "watch"}
    if (facts.group, facts.resource) in ALWAYS_SERVED:
        return True
    return not view.sight(facts.group, facts.version, facts.resource, operation_of(verb)).is_nothing


def question(info: RequestInfo) -> ResourceAttributes:
    """Return what the API server asks its authorizers about a request.

    Selectors are left out: no rule of RBAC looks at them.
    """
    return ResourceAttributes(
        verb=info.verb,
        group=info.api_group,
        version=info.api_version,
        resource=info.resource,
        subresource=info.subresource,
        namespace=info.namespace,
        name=info.name,
    )

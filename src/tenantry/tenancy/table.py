"""The one ordered table of everything that admission checks and changes.

Read top to bottom it is the behaviour: a row says what runs, on which requests, and at which
of Capsule's paths (spec 2.2).  Our own two endpoints run every row of their stage that
applies; each of Capsule's paths runs its own rows.  The first denial wins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from tenantry.api.meta import CAPSULE_GROUP
from tenantry.api.rule_status import RuleStatus
from tenantry.tenancy.checks import (
    claims,
    cordoning,
    defaults,
    devices,
    gateways,
    ingresses,
    labelling,
    managed,
    nodes,
    pods,
    promotion,
    services,
)
from tenantry.tenancy.namespaces import mutation as namespace_mutation
from tenantry.tenancy.namespaces import validation as namespace_validation
from tenantry.tenancy.request import Operation, Request, Role
from tenantry.tenancy.rules import ingress as ingress_rules
from tenantry.tenancy.rules import metadata as metadata_rules
from tenantry.tenancy.rules import qos, registries, resources, schedulers
from tenantry.tenancy.rules import services as service_rules
from tenantry.tenancy.validation import configuration, tenant, tenant_owner
from tenantry.tenancy.validation.rules import rule_problems
from tenantry.tenancy.verdict import ALLOWED, Mutation, Verdict, denied
from tenantry.tenancy.views import ObjectContext
from tenantry.tenancy.webhook_defaults import CORDONED_PATH, GATEWAY_GROUP, MUTATING_PATH, VALIDATING_PATH


class Stage(StrEnum):
    """When a row runs."""

    MUTATING = "mutating"
    VALIDATING = "validating"


class Subject(StrEnum):
    """What a request is about; it decides which view its rows read."""

    NAMESPACE = "namespace"
    TENANT = "tenant"
    TENANT_OWNER = "tenant owner"
    CONFIGURATION = "configuration"
    NODE = "node"
    OBJECT = "object"
    """Something in a namespace."""
    NOTHING = "nothing"
    """Anything else: not judged."""


_RULES: Final = "/rules/generic/validating"
Pairs = frozenset[tuple[str, str]]
"""API groups (empty for the core group) and plurals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that runs: its function takes the request and the view of its subject."""

    name: str
    stage: Stage
    path: str
    """Capsule's."""
    subject: Subject
    function: Callable[[Request, Any], Any]
    """Returns a Mutation or a Verdict, by stage."""
    on_evidence: Callable[[Request, Any], Any] | None = None
    """Instead of *function*, at an endpoint that the API server calls for cordoned namespaces alone,
    until a refusal is confirmed."""
    resources: Pairs | None = None
    """None: all."""
    subresources: frozenset[str] | None = frozenset({""})
    """None: all."""
    operations: frozenset[Operation] = frozenset({Operation.CREATE, Operation.UPDATE})
    outside_tenants: bool = False
    """Whether it runs for objects that are in no tenant's namespace, too."""

    @property
    def audits(self) -> bool:
        """Whether it may have something to tell without refusing: the rules of a namespace, with action audit."""
        return self.path == _RULES

    def applies(self, group: str, resource: str, subresource: str, operation: Operation) -> bool:
        """Return whether the row is about such requests."""
        return (
            operation in self.operations
            and (self.resources is None or (group, resource) in self.resources)
            and (self.subresources is None or subresource in self.subresources)
        )


def _pairs(group: str, *plurals: str) -> Pairs:
    return frozenset((group, plural) for plural in plurals)


_ALL: Final = frozenset({Operation.CREATE, Operation.UPDATE, Operation.DELETE})
_ANY: Final = None
_PODS: Final = _pairs("", "pods")
_NEW_CONTAINERS: Final = frozenset({"", "ephemeralcontainers", "resize"})
_CLAIMS: Final = _pairs("", "persistentvolumeclaims")
_SERVICES: Final = _pairs("", "services")
_INGRESSES: Final = _pairs("networking.k8s.io", "ingresses") | _pairs("extensions", "ingresses")
_GATEWAYS: Final = _pairs(GATEWAY_GROUP, "gateways")
_ROUTED: Final = (
    _INGRESSES
    | _GATEWAYS
    | _pairs(GATEWAY_GROUP, "listenersets", "httproutes", "tlsroutes", "grpcroutes")
    | _pairs("gateway.networking.x-k8s.io", "xlistenersets")
    | _pairs("route.openshift.io", "routes")
)
_DEVICES: Final = _pairs("resource.k8s.io", "resourceclaims", "resourceclaimtemplates")
_NAMESPACES: Final = _pairs("", "namespaces")
_RULE_STATUSES: Final = _pairs(CAPSULE_GROUP, "rulestatuses")


def _without_view(function: Callable[[Request], Any]) -> Callable[[Request, Any], Any]:
    return lambda request, _: function(request)


def _rule_status(request: Request, context: ObjectContext) -> Verdict:
    """Judge the body of a RuleStatus (CN-3); what it says decides nothing, Tenants do."""
    if context.role is Role.CONTROLLER:
        return ALLOWED
    problems = rule_problems(request.new(RuleStatus).spec, path="spec")
    return denied("AdmissionFailed", f"RuleStatus {request.name!r}: {'; '.join(problems)}") if problems else ALLOWED


def _mutating(name: str, path: str, subject: Subject, function: Callable[..., Mutation], **where: Any) -> Row:
    return Row(name=name, stage=Stage.MUTATING, path=path, subject=subject, function=function, **where)


def _validating(name: str, path: str, subject: Subject, function: Callable[..., Verdict], **where: Any) -> Row:
    return Row(name=name, stage=Stage.VALIDATING, path=path, subject=subject, function=function, **where)


_OBJECT: Final = Subject.OBJECT
TABLE: Final = (
    # What a request is changed to.
    _mutating("namespaces", "/namespaces/mutating", Subject.NAMESPACE, namespace_mutation.mutate),
    _mutating("tenants", "/tenants/mutating", Subject.TENANT, _without_view(tenant.mutate)),
    _mutating("defaults", "/defaults", _OBJECT, defaults.mutate, resources=_PODS | _CLAIMS | _INGRESSES | _GATEWAYS),
    _mutating("claims", "/persistentvolumeclaims/mutating", _OBJECT, claims.mutate, resources=_CLAIMS),
    _mutating("rules.resources", "/rules/generic/mutating", _OBJECT, resources.mutate, resources=_PODS),
    _mutating("rules.services", "/rules/generic/mutating", _OBJECT, service_rules.mutate, resources=_SERVICES),
    _mutating("rules.metadata", "/rules/generic/mutating", _OBJECT, metadata_rules.mutate),
    _mutating("labels", "/generic/metadata", _OBJECT, labelling.mutate),
    # What is refused: the installation's own kinds.
    _validating(
        "namespaces",
        "/namespaces/validating",
        Subject.NAMESPACE,
        namespace_validation.check,
        operations=_ALL,
        subresources=frozenset({"", "status", "finalize"}),
    ),
    _validating("tenants", "/tenants/validating", Subject.TENANT, tenant.check, operations=_ALL),
    _validating("tenantowners", "/tenantowners/validating", Subject.TENANT_OWNER, _without_view(tenant_owner.check)),
    _validating("config", "/config/validating", Subject.CONFIGURATION, _without_view(configuration.check)),
    _validating("nodes", "/nodes/validating", Subject.NODE, nodes.check),
    _validating(
        "rulestatus", "/rulestatus/validating", _OBJECT, _rule_status, resources=_RULE_STATUSES, outside_tenants=True
    ),
    # Any object.
    _validating(
        "cordoning",
        "/generic/cordoning",
        _OBJECT,
        cordoning.check,
        on_evidence=cordoning.check_in_cordoned,
        subresources=_ANY,
        operations=_ALL,
    ),
    _validating("managed", "/generic/managed", _OBJECT, managed.check, operations=_ALL, outside_tenants=True),
    # Kinds that a Tenant's fields limit.
    _validating("pods", "/pods/validating", _OBJECT, pods.check, resources=_PODS, subresources=_NEW_CONTAINERS),
    _validating("claims", "/persistentvolumeclaims/validating", _OBJECT, claims.check, resources=_CLAIMS),
    _validating("services", "/services/validating", _OBJECT, services.check, resources=_SERVICES),
    _validating("ingresses", "/ingresses/validating", _OBJECT, ingresses.check, resources=_INGRESSES),
    _validating("gateways", "/gateways/validating", _OBJECT, gateways.check, resources=_GATEWAYS),
    _validating("devices", "/devices/validating", _OBJECT, devices.check, resources=_DEVICES),
    _validating(
        "promotion",
        "/serviceaccounts/validating",
        _OBJECT,
        promotion.check,
        resources=_pairs("", "serviceaccounts"),
    ),
    # The rules of the namespace.
    _validating("rules.registries", _RULES, _OBJECT, registries.check, resources=_PODS, subresources=_NEW_CONTAINERS),
    _validating("rules.qos", _RULES, _OBJECT, qos.check, resources=_PODS, subresources=_NEW_CONTAINERS),
    _validating("rules.schedulers", _RULES, _OBJECT, schedulers.check, resources=_PODS),
    _validating("rules.resources", _RULES, _OBJECT, resources.check, resources=_PODS, subresources=_NEW_CONTAINERS),
    _validating("rules.services", _RULES, _OBJECT, service_rules.check, resources=_SERVICES),
    _validating("rules.ingress", _RULES, _OBJECT, ingress_rules.check, resources=_ROUTED),
    _validating("rules.metadata", _RULES, _OBJECT, metadata_rules.check),
)

LATER_PATHS: Final[Mapping[str, Stage]] = {
    "/generic/customresources": Stage.VALIDATING,
    "/generic/replications": Stage.VALIDATING,
    "/global-resource-quotas/calculations": Stage.VALIDATING,
    "/custom-quotas/namespaced/validating": Stage.VALIDATING,
    "/custom-quotas/cluster/validating": Stage.VALIDATING,
    "/custom-quotas/calculations": Stage.VALIDATING,
    "/resourcepools/validating": Stage.VALIDATING,
    "/resourcepools/claim/validating": Stage.VALIDATING,
    "/resourcepools/mutating": Stage.MUTATING,
    "/resourcepools/claim/mutating": Stage.MUTATING,
}
"""Paths of Capsule's whose behaviour is not built yet: they allow everything, so that its configuration
works unchanged (spec 13.7)."""

OWN_PATHS: Final[Mapping[str, Stage]] = {
    MUTATING_PATH: Stage.MUTATING,
    VALIDATING_PATH: Stage.VALIDATING,
    CORDONED_PATH: Stage.VALIDATING,
}
STAGES: Final[Mapping[str, Stage]] = {**{row.path: row.stage for row in TABLE}, **LATER_PATHS, **OWN_PATHS}
"""The stage of every path that is served."""
EVIDENCE_PATHS: Final = frozenset({CORDONED_PATH, "/generic/cordoning"})
"""Paths that the API server calls only for namespaces that it sees as cordoned."""

_SUBJECTS: Final[Mapping[tuple[str, str], Subject]] = {
    ("", "namespaces"): Subject.NAMESPACE,
    ("", "nodes"): Subject.NODE,
    (CAPSULE_GROUP, "tenants"): Subject.TENANT,
    (CAPSULE_GROUP, "tenantowners"): Subject.TENANT_OWNER,
    (CAPSULE_GROUP, "capsuleconfigurations"): Subject.CONFIGURATION,
}


def subject_of(request: Request) -> Subject:
    """Return what *request* is about."""
    found = _SUBJECTS.get((request.group, request.resource))
    if found is not None:
        return found
    return Subject.OBJECT if request.namespace else Subject.NOTHING


def rows_of(path: str, request: Request) -> tuple[Row, ...]:
    """Return the rows to run for *request* at *path*, in order.

    Raises:
        KeyError: No such path is served.
    """
    return _rows(path, subject_of(request), request.group, request.resource, request.subresource, request.operation)


@lru_cache(maxsize=4096)
def _rows(
    path: str, subject: Subject, group: str, resource: str, subresource: str, operation: Operation
) -> tuple[Row, ...]:
    stage = STAGES[path]
    return tuple(
        row
        for row in TABLE
        if row.stage is stage
        and row.subject is subject
        and (path in OWN_PATHS or row.path == path)
        and row.applies(group, resource, subresource, operation)
    )

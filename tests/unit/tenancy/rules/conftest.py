"""A tenant oil whose rules each test writes, and requests in its namespace oil-dev."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import Raw, encode, from_plain
from tenantry.tenancy.request import Operation, Request, Requester, Role
from tenantry.tenancy.rules.effective import effective_rules
from tenantry.tenancy.verdict import Denial, Notice, Verdict
from tenantry.tenancy.views import ClassEntry, ClassKind, IngressUse, Installation, ObjectContext

ALICE = Requester(username="alice", groups=frozenset({"projectcapsule.dev", "system:authenticated"}))
_GROUPS = {
    "Ingress": "networking.k8s.io",
    "Gateway": "gateway.networking.k8s.io",
    "ListenerSet": "gateway.networking.k8s.io",
    "HTTPRoute": "gateway.networking.k8s.io",
    "TLSRoute": "gateway.networking.k8s.io",
    "GRPCRoute": "gateway.networking.k8s.io",
    "Route": "route.openshift.io",
    "Deployment": "apps",
}


class NoLookups:
    """Rules look nothing up."""

    def cluster_class(self, kind: ClassKind, name: str) -> ClassEntry | None:
        raise AssertionError((kind, name))

    def cluster_classes(self, kind: ClassKind) -> Iterable[ClassEntry]:
        raise AssertionError(kind)

    def volume_labels(self, name: str) -> Mapping[str, str] | None:
        raise AssertionError(name)

    def ingresses_using(self, host: str, path: str) -> Iterable[IngressUse]:
        raise AssertionError((host, path))


def _tenant(*rules: Mapping[str, Any], data: Any = None) -> Tenant:
    return from_plain({"metadata": {"name": "oil", "uid": "1"}, "spec": {"rules": list(rules), "data": data}}, Tenant)


def _context(
    *rules: Mapping[str, Any],
    role: Role = Role.CAPSULE_USER,
    is_owner: bool = True,
    labels: Mapping[str, str] | None = None,
    data: Any = None,
) -> ObjectContext:
    tenant = _tenant(*rules, data=data)
    namespace = ObjectMeta(name="oil-dev", labels=dict(labels or {}))
    return ObjectContext(
        installation=Installation(),
        role=role,
        tenant=tenant,
        owners=(),
        is_owner=is_owner,
        namespace=namespace,
        rules=effective_rules(tenant, namespace),
        lookups=NoLookups(),
    )


def _ask(
    kind: str,
    obj: Mapping[str, Any] | None,
    *,
    old: Mapping[str, Any] | None = None,
    subresource: str = "",
    requester: Requester = ALICE,
    group: str | None = None,
) -> Request:
    written = Operation.CREATE if old is None else Operation.UPDATE
    return Request(
        operation=Operation.DELETE if obj is None else written,
        group=_GROUPS.get(kind, "") if group is None else group,
        kind=kind,
        resource=f"{kind.lower()}s",
        subresource=subresource,
        namespace="oil-dev",
        name="it",
        requester=requester,
        object=None if obj is None else Raw(encode(obj)),
        old_object=None if old is None else Raw(encode(old)),
    )


def _refused(reason: str, message: str, *audits: str) -> Verdict:
    return Verdict(denial=Denial(reason=reason, message=message), notices=_notices(audits), warnings=audits)


def _audited(*audits: str) -> Verdict:
    return Verdict(notices=_notices(audits), warnings=audits)


def _notices(audits: Iterable[str]) -> tuple[Notice, ...]:
    return tuple(Notice(reason="NamespaceRuleAudit", action="RuleAudit", message=audit) for audit in audits)


@pytest.fixture(scope="session")
def tenant() -> Callable[..., Tenant]:
    """Make the tenant oil with these rules."""
    return _tenant


@pytest.fixture(scope="session")
def context() -> Callable[..., ObjectContext]:
    """Make what a decision reads, with these rules in force."""
    return _context


@pytest.fixture(scope="session")
def ask() -> Callable[..., Request]:
    """Make alice's request to write an object of a kind; no object: to delete it."""
    return _ask


@pytest.fixture(scope="session")
def refused() -> Callable[..., Verdict]:
    """Make a refusal: its reason and message, then the audits told with it."""
    return _refused


@pytest.fixture(scope="session")
def audited() -> Callable[..., Verdict]:
    """Make a verdict that only tells audits."""
    return _audited

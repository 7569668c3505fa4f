"""Requests and contexts for tests of the checks: alice's tenant oil, in its namespace oil-dev."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import CoreOwner
from tenantry.api.tenant import Tenant, TenantSpec
from tenantry.foundation.codec import Raw, encode, from_plain
from tenantry.tenancy.request import Operation, Request, Requester, Role
from tenantry.tenancy.rules.effective import effective_rules
from tenantry.tenancy.views import ClassEntry, ClassKind, IngressUse, Installation, ObjectContext

ALICE = Requester(username="alice", groups=frozenset({"projectcapsule.dev", "system:authenticated"}))
_KINDS = {
    "pods": ("", "Pod"),
    "services": ("", "Service"),
    "configmaps": ("", "ConfigMap"),
    "serviceaccounts": ("", "ServiceAccount"),
    "events": ("events.k8s.io", "Event"),
    "nodes": ("", "Node"),
    "persistentvolumeclaims": ("", "PersistentVolumeClaim"),
    "ingresses": ("networking.k8s.io", "Ingress"),
    "gateways": ("gateway.networking.k8s.io", "Gateway"),
    "resourceclaims": ("resource.k8s.io", "ResourceClaim"),
    "resourceclaimtemplates": ("resource.k8s.io", "ResourceClaimTemplate"),
    "localsubjectaccessreviews": ("authorization.k8s.io", "LocalSubjectAccessReview"),
}


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Lookups in what a test lays out."""

    classes: Mapping[ClassKind, tuple[ClassEntry, ...]] = field(default_factory=dict)
    volumes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ingresses: Mapping[tuple[str, str], tuple[IngressUse, ...]] = field(default_factory=dict)

    def cluster_class(self, kind: ClassKind, name: str) -> ClassEntry | None:
        return next((entry for entry in self.cluster_classes(kind) if entry.name == name), None)

    def cluster_classes(self, kind: ClassKind) -> Iterable[ClassEntry]:
        return self.classes.get(kind, ())

    def volume_labels(self, name: str) -> Mapping[str, str] | None:
        return self.volumes.get(name)

    def ingresses_using(self, host: str, path: str) -> Iterable[IngressUse]:
        return self.ingresses.get((host, path), ())


def _ask(
    resource: str,
    obj: Mapping[str, Any] | None = None,
    *,
    old: Mapping[str, Any] | None = None,
    subresource: str = "",
    requester: Requester = ALICE,
    operation: Operation | None = None,
) -> Request:
    group, kind = _KINDS[resource]
    implied = Operation.DELETE if obj is None else Operation.CREATE if old is None else Operation.UPDATE
    metadata = (obj or old or {}).get("metadata", {})
    return Request(
        operation=operation or implied,
        group=group,
        kind=kind,
        resource=resource,
        subresource=subresource,
        namespace="oil-dev",
        name=metadata.get("name", ""),
        requester=requester,
        object=None if obj is None else Raw(encode(obj)),
        old_object=None if old is None else Raw(encode(old)),
    )


def _situation(
    spec: Mapping[str, Any] | None = None,
    *,
    role: Role = Role.CAPSULE_USER,
    is_owner: bool = True,
    lookups: Shelf = Shelf(),
    configuration: Mapping[str, Any] | None = None,
    namespace: ObjectMeta = ObjectMeta(name="oil-dev"),  # noqa: B008 -- frozen
) -> ObjectContext:
    tenant = Tenant(metadata=ObjectMeta(name="oil"), spec=from_plain(spec or {}, TenantSpec))
    return ObjectContext(
        installation=Installation(configuration=from_plain(configuration or {}, CapsuleConfigurationSpec)),
        role=role,
        tenant=tenant,
        owners=(CoreOwner(kind="User", name="alice"),),
        is_owner=is_owner,
        namespace=namespace,
        rules=effective_rules(tenant, namespace),
        lookups=lookups,
    )


@pytest.fixture(scope="session")
def ask() -> Callable[..., Request]:
    """Build a request: CREATE with an object, UPDATE with an old one too, DELETE with an old one only."""
    return _ask


@pytest.fixture(scope="session")
def situation() -> Callable[..., ObjectContext]:
    """Build a context from the plain spec of the tenant oil."""
    return _situation


@pytest.fixture(scope="session")
def shelf() -> type[Shelf]:
    return Shelf

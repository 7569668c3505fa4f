"""Caches filled by hand: a tenant ``solar`` with the namespace ``solar-dev``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from tenantry.admission.catalog import Catalog
from tenantry.admission.state import BY_NAMESPACE, BY_TENANT_LABEL, Caches, State, without_status
from tenantry.api.configuration import CapsuleConfiguration
from tenantry.api.meta import PartialObject
from tenantry.api.tenant import Tenant
from tenantry.api.tenant_owner import TenantOwner
from tenantry.foundation.codec import Raw, encode, from_plain
from tenantry.kube.cache import Cache
from tenantry.kube.client import Client
from tenantry.kube.resources import CONFIGURATIONS, NAMESPACES, SERVICE_ACCOUNTS, TENANT_OWNERS, TENANTS
from tenantry.tenancy.request import Operation, Request, Requester

NO_CLIENT = cast("Client", None)
"""Nothing here talks to an API server: caches take what they are given."""
OWN = "system:serviceaccount:capsule-system:capsule"


def _tenant_label(owner: TenantOwner) -> tuple[str, ...]:
    label = (owner.metadata.labels or {}).get("projectcapsule.dev/tenant")
    return (label,) if label else ()


class World:
    """The caches of a worker, and its state; versions grow with each change."""

    def __init__(self) -> None:
        self._version = 0
        self.caches = Caches(
            tenants=Cache(NO_CLIENT, TENANTS, transform=without_status),
            tenant_owners=Cache(
                NO_CLIENT,
                TENANT_OWNERS,
                indexes={BY_TENANT_LABEL: _tenant_label},
            ),
            configurations=Cache(NO_CLIENT, CONFIGURATIONS),
            namespaces=Cache(NO_CLIENT, NAMESPACES.metadata_only()),
            promoted=Cache(
                NO_CLIENT,
                SERVICE_ACCOUNTS.metadata_only(),
                indexes={BY_NAMESPACE: lambda one: (one.metadata.namespace,)},
            ),
        )
        self.catalog = Catalog(NO_CLIENT, lambda namespace: self.state.home_tenant(namespace) or "")
        self.state = State(self.caches, self.catalog, own_accounts=frozenset({OWN}))

    def _meta(self, **metadata: Any) -> dict[str, Any]:
        self._version += 1
        return {"resourceVersion": str(self._version), **metadata}

    def configuration(self, **spec: Any) -> None:
        users = [{"kind": "Group", "name": "projectcapsule.dev"}]
        body = {"metadata": self._meta(name="default"), "spec": {"users": users, **spec}}
        self.caches.configurations.observe(from_plain(body, CapsuleConfiguration))

    def tenant(self, name: str, *, generation: int = 1, status: Any = None, **spec: Any) -> Tenant:
        body = {
            "metadata": self._meta(name=name, uid=f"{name}-uid", generation=generation),
            "spec": {"owners": [{"kind": "User", "name": f"{name}-owner"}], **spec},
            "status": status or {},
        }
        tenant = from_plain(body, Tenant)
        self.caches.tenants.observe(tenant)
        return tenant

    def tenant_owner(self, name: str, *, labels: dict[str, str], kind: str = "User") -> None:
        body = {"metadata": self._meta(name=name, labels=labels), "spec": {"kind": kind, "name": name}}
        self.caches.tenant_owners.observe(from_plain(body, TenantOwner))

    def namespace(self, name: str, tenant: str, **labels: str) -> None:
        reference = {
            "apiVersion": "capsule.clastix.io/v1beta2",
            "kind": "Tenant",
            "name": tenant,
            "uid": f"{tenant}-uid",
        }
        metadata = self._meta(
            name=name, labels={"capsule.clastix.io/tenant": tenant, **labels}, ownerReferences=[reference]
        )
        self.caches.namespaces.observe(from_plain({"metadata": metadata}, PartialObject))

    def promoted(self, namespace: str, name: str) -> None:
        labels = {"owner.projectcapsule.dev/promote": "true"}
        body = {"metadata": self._meta(name=name, namespace=namespace, labels=labels)}
        self.caches.promoted.observe(from_plain(body, PartialObject))


def request(
    resource: str,
    obj: Any,
    *,
    kind: str = "",
    by: str = "solar-owner",
    groups: tuple[str, ...] = ("projectcapsule.dev",),
    namespace: str = "solar-dev",
    operation: Operation = Operation.CREATE,
    **more: Any,
) -> Request:
    body = None if obj is None else Raw(encode(obj))
    return Request(
        uid="u-1",
        operation=operation,
        kind=kind or resource.removesuffix("s").capitalize(),
        resource=resource,
        namespace=namespace,
        requester=Requester(username=by, groups=frozenset(groups)),
        object=None if operation is Operation.DELETE else body,
        old_object=body if operation is Operation.DELETE else None,
        **more,
    )


@pytest.fixture
def world() -> World:
    """A world that has a configuration, and solar with its namespace."""
    world = World()
    world.configuration(administrators=[{"kind": "User", "name": "ada"}], allowServiceAccountPromotion=True)
    world.tenant("solar")
    world.namespace("solar-dev", "solar")
    return world


@pytest.fixture
def ask() -> Callable[..., Request]:
    """Make requests; by default, the owner of solar creates something in solar-dev."""
    return request

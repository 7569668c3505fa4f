"""The verdicts' room in front of the real API server, with what principals see given by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tenantry.access.identity import Identity
from tenantry.access.visibility import PrincipalView, TenantShare
from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant, TenantSpec
from tenantry.foundation.clock import SystemClock
from tenantry.gateway.access_reviews import AccessReviews
from tenantry.gateway.verdicts.kinds import Kinds
from tenantry.gateway.verdicts.leases import NodeLeases
from tenantry.gateway.verdicts.self_reviews import SelfReviews
from tenantry.gateway.verdicts.verdicts import Verdicts
from tenantry.kube.client import Client
from tenantry.kube.config import load_config


@dataclass
class KnownViews:
    """Views of those that are filtered, by identity."""

    of: dict[Identity, PrincipalView] = field(default_factory=dict)

    def view(self, identity: Identity) -> PrincipalView | None:
        return self.of.get(identity)

    def owner(
        self, identity: Identity, *, selects: dict[str, str], operations: frozenset[str], namespaces: frozenset[str]
    ) -> None:
        """Make *identity* an owner of a tenant whose nodes have the labels *selects*."""
        tenant = Tenant(metadata=ObjectMeta(name=f"of-{identity.user}"), spec=TenantSpec(node_selector=selects))
        share = TenantShare(tenant=tenant, namespaces=namespaces, operations={"Nodes": operations})
        self.of[identity] = PrincipalView(
            identity=identity, subject_keys=frozenset({f"User:{identity.user}"}), tenants=(share,)
        )


@dataclass
class Room:
    """All of it, and what a test needs to set the scene."""

    admin: Client
    views: KnownViews
    verdicts: Verdicts
    self_reviews: SelfReviews
    leases: NodeLeases


@pytest.fixture
async def room(kubeconfig: Path) -> AsyncIterator[Room]:
    async with Client(load_config(kubeconfig=str(kubeconfig))) as client:
        views, clock = KnownViews(), SystemClock()
        kinds, reviews = Kinds(client, clock), AccessReviews(client, clock)
        yield Room(
            admin=client,
            views=views,
            verdicts=Verdicts(client, views, kinds=kinds, reviews=reviews),
            self_reviews=SelfReviews(client, views, kinds=kinds, reviews=reviews),
            leases=NodeLeases(client, views),
        )


@dataclass
class Scene:
    """A tenant's owner with a namespace and a node; another namespace and node are somebody else's."""

    owner: Identity
    namespace: str
    node: str
    foreign_namespace: str
    foreign_node: str


NAMESPACES = "/api/v1/namespaces"
NODES = "/api/v1/nodes"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture
async def scene(room: Room, unique: Callable[[str], str]) -> AsyncIterator[Scene]:
    scene = Scene(
        owner=Identity(user=unique("alice"), groups=("devs",)),
        namespace=unique("own"),
        node=unique("node"),
        foreign_namespace=unique("foreign"),
        foreign_node=unique("node"),
    )
    for name in (scene.namespace, scene.foreign_namespace):
        await room.admin.request("POST", NAMESPACES, body={"metadata": {"name": name}})
    for name, pool in ((scene.node, scene.node), (scene.foreign_node, "other")):
        await room.admin.request("POST", NODES, body={"metadata": {"name": name, "labels": {"pool": pool}}})
    room.views.owner(
        scene.owner,
        selects={"pool": scene.node},
        operations=frozenset({"List", "Update"}),
        namespaces=frozenset({scene.namespace}),
    )
    binding = {
        "metadata": {"name": "owner"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": scene.owner.user}],
    }
    await room.admin.request("POST", f"{RBAC}/namespaces/{scene.namespace}/rolebindings", body=binding)
    yield scene
    for name in (scene.node, scene.foreign_node):
        await room.admin.request("DELETE", f"{NODES}/{name}")

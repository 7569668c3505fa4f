"""A cluster that exists in caches alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tenantry.access.identity import Identity
from tenantry.api.configuration import CapsuleConfiguration, CapsuleConfigurationStatus
from tenantry.api.core import RoleBinding
from tenantry.api.meta import LabelSelector, ObjectMeta, OwnerReference, PartialObject
from tenantry.api.proxy import (
    ClusterResource,
    GlobalProxySettings,
    GlobalProxySettingsSpec,
    GlobalRule,
    ProxySetting,
    ProxySettingSpec,
    TenantSubject,
)
from tenantry.api.shared import CoreOwner, Subject, UserSpec
from tenantry.api.tenant import Tenant, TenantSpec, TenantStatus
from tenantry.gateway.knowledge.sources import Sources
from tenantry.gateway.knowledge.views import Views
from tenantry.gateway.settings import VisibilitySettings
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig


class Cluster:
    """Puts objects into the caches that :class:`Views` reads, with rising versions, and notes what it tells."""

    def __init__(self) -> None:
        self.sources = Sources(Client(ClusterConfig(server="https://127.0.0.1:1")))
        self.settings = VisibilitySettings()
        self.views = Views(self.sources, self.settings)
        self.version = 100
        self.told: list[tuple[frozenset[str] | None, int]] = []

    def start(self) -> None:
        self.views.start()
        self.views.subscribe(lambda keys, version: self.told.append((keys, version)))

    def meta(self, name: str, namespace: str = "", **given: Any) -> ObjectMeta:
        self.version += 1
        return ObjectMeta(
            name=name, namespace=namespace, **({"uid": f"uid-{name}"} | given), resource_version=str(self.version)
        )

    def users(self, *users: tuple[str, str]) -> None:
        specs = tuple(UserSpec(kind=kind, name=name) for kind, name in users)
        self.sources.configurations.observe(
            CapsuleConfiguration(metadata=self.meta("default"), status=CapsuleConfigurationStatus(users=specs))
        )

    def tenant(self, name: str, *owners: tuple[str, str], uid: str = "", **spec: Any) -> None:
        found = tuple(CoreOwner(kind=kind, name=owner) for kind, owner in owners)
        self.sources.tenants.observe(
            Tenant(
                metadata=self.meta(name, uid=uid or f"uid-{name}"),
                spec=TenantSpec(**spec),
                status=TenantStatus(owners=found),
            )
        )

    def namespace(self, name: str, *tenants: str, labels: Mapping[str, str] | None = None) -> None:
        references = tuple(
            OwnerReference(api_version="capsule.clastix.io/v1beta2", kind="Tenant", name=each, uid=f"uid-{each}")
            for each in tenants
        )
        self.sources.namespaces.observe(
            PartialObject(metadata=self.meta(name, owner_references=references, labels=dict(labels or {})))
        )

    def binding(self, namespace: str, *subjects: tuple[str, str], name: str = "b", labels: Any = None) -> None:
        self.sources.role_bindings.observe(
            RoleBinding(
                metadata=self.meta(name, namespace, labels=labels),
                subjects=tuple(Subject(kind=kind, name=each, namespace=namespace) for kind, each in subjects),
            )
        )

    def setting(self, namespace: str, subject: tuple[str, str], *rules: ClusterResource) -> None:
        spec = ProxySettingSpec(subjects=(TenantSubject(kind=subject[0], name=subject[1], cluster_resources=rules),))
        self.sources.settings.cache.observe(ProxySetting(metadata=self.meta("s", namespace), spec=spec))

    def global_settings(self, subject: tuple[str, str], *rules: ClusterResource, name: str = "g") -> None:
        rule = GlobalRule(subjects=(UserSpec(kind=subject[0], name=subject[1]),), cluster_resources=rules)
        self.sources.global_settings.cache.observe(
            GlobalProxySettings(metadata=self.meta(name), spec=GlobalProxySettingsSpec(rules=(rule,)))
        )

    def namespaces(self, identity: Identity) -> set[str]:
        """Return the names that a list of namespaces shows."""
        view = self.views.view(identity)
        assert view is not None
        return set(view.sight("", "v1", "namespaces", "list").names)


@pytest.fixture
def cluster() -> Cluster:
    """An empty one, with everybody filtered who is user alice or bob, or in group devs."""
    made = Cluster()
    made.users(("User", "alice"), ("User", "bob"), ("Group", "devs"))
    return made


@pytest.fixture
def rule() -> Callable[..., ClusterResource]:
    """Make a rule on the plural of a kind of any group."""

    def make(resource: str, **labels: str) -> ClusterResource:
        return ClusterResource(api_groups=("*",), resources=(resource,), selector=LabelSelector(match_labels=labels))

    return make

"""The frozen views that admission decisions read, gathered once a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import CoreOwner, UserSpec
from tenantry.api.tenant import Tenant
from tenantry.tenancy.request import Role
from tenantry.tenancy.rules.ruleset import RuleSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What holds for the whole installation."""

    configuration: CapsuleConfigurationSpec = field(default_factory=CapsuleConfigurationSpec)
    users: tuple[UserSpec, ...] = ()
    """Effective Capsule users: ``identity.capsule_users`` of the configuration and the TenantOwners (I-2)."""
    own_accounts: frozenset[str] = frozenset()
    """User names of the installation's own ServiceAccounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantView:
    """A tenant and who owns it in effect."""

    tenant: Tenant
    owners: tuple[CoreOwner, ...] = ()
    """``owners.effective_owners`` of it: what ``status.owners`` reports."""


class ClassKind(StrEnum):
    """Cluster-scoped classes that tenants may be limited to."""

    STORAGE = "StorageClass"
    PRIORITY = "PriorityClass"
    RUNTIME = "RuntimeClass"
    INGRESS = "IngressClass"
    GATEWAY = "GatewayClass"
    DEVICE = "DeviceClass"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassEntry:
    """One class object."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    is_default: bool = False
    """Whether the cluster gives it to objects that name none."""
    priority: int = 0
    preemption_policy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressUse:
    """An Ingress that uses a host and path; *tenant* is empty outside tenants."""

    namespace: str
    name: str
    tenant: str = ""


class Lookups(Protocol):
    """Knowledge about other objects: from caches, or live when a refusal is confirmed.

    All methods are total: what does not exist is None or empty.
    """

    def cluster_class(self, kind: ClassKind, name: str) -> ClassEntry | None:
        """Return one class."""
        ...

    def cluster_classes(self, kind: ClassKind) -> Iterable[ClassEntry]:
        """Return all classes of *kind*, in any order."""
        ...

    def volume_labels(self, name: str) -> Mapping[str, str] | None:
        """Return the labels of a PersistentVolume."""
        ...

    def ingresses_using(self, host: str, path: str) -> Iterable[IngressUse]:
        """Return the Ingresses with a rule for *host* and *path*."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectContext:
    """All that a decision about an object in a tenant's namespace may depend on."""

    installation: Installation
    role: Role
    """``identity.role_of`` the requester."""
    tenant: Tenant
    owners: tuple[CoreOwner, ...]
    is_owner: bool
    """Whether the requester is one of *owners*."""
    namespace: ObjectMeta
    """The Namespace's metadata; ``deletion_timestamp`` is set while it terminates."""
    rules: RuleSet
    """``effective_rules`` of tenant and namespace, before the audience is looked at."""
    lookups: Lookups

"""What ``tenantry doctor`` says: findings, and the facts that they follow from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tenantry.api.configuration import CapsuleConfiguration
from tenantry.api.core import CustomResourceDefinition, Lease, WebhookConfiguration
from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant
from tenantry.api.tenant_owner import TenantOwner
from tenantry.foundation.codec import Model


class Level(StrEnum):
    """How bad it is."""

    PROBLEM = "problem"
    """Something does not work: the command ends with 1."""
    NOTE = "note"
    """Worth knowing, or could not be found out."""
    OK = "ok"
    """Looked at, and as it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    """What was looked at, in a word or two."""
    what: str
    """A sentence."""
    next_step: str = ""
    """What to do; empty where there is nothing to do."""


def problem(subject: str, what: str, next_step: str) -> Finding:
    """Return a finding of something that does not work."""
    return Finding(level=Level.PROBLEM, subject=subject, what=what, next_step=next_step)


def note(subject: str, what: str, next_step: str = "") -> Finding:
    """Return a finding that is worth knowing."""
    return Finding(level=Level.NOTE, subject=subject, what=what, next_step=next_step)


def fine(subject: str, what: str) -> Finding:
    """Return a finding of something that is as it should be."""
    return Finding(level=Level.OK, subject=subject, what=what)


class Container(Model):
    """v1.Container, as far as it tells what runs."""

    image: str = ""


class PodSpec(Model):
    """v1.PodSpec, as far as it tells what runs."""

    containers: tuple[Container, ...] | None = None


class PodTemplate(Model):
    """v1.PodTemplateSpec."""

    spec: PodSpec = PodSpec()


class WorkloadSpec(Model):
    """apps/v1 DeploymentSpec."""

    replicas: int = 1
    template: PodTemplate = PodTemplate()


class WorkloadStatus(Model):
    """apps/v1 DeploymentStatus."""

    ready_replicas: int = 0


class Workload(Model):
    """apps/v1 Deployment."""

    metadata: ObjectMeta = ObjectMeta()
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()

    @property
    def images(self) -> tuple[str, ...]:
        """The images of its containers."""
        return tuple(each.image for each in self.spec.template.spec.containers or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The Secret with admission's certificate."""

    secret: str
    authorities: frozenset[str] = frozenset()
    """PEM of the CAs that it publishes."""
    expires: datetime | None = None
    """None where it holds no certificate."""
    is_trusted: bool = False
    """Whether one of *authorities* signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """One of the two WebhookConfigurations, and what should be there."""

    kind: str
    name: str
    stored: WebhookConfiguration | None = None
    bundles: Sequence[frozenset[str]] = ()
    """PEM of the CAs that each entry trusts."""
    expected: Mapping[str, str] = field(default_factory=dict)
    """Names of the entries that should be there, with their failure policies."""
    has_own_bundle: bool = False
    """Whether the CapsuleConfiguration gives the CA."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleTrial:
    """Whether the operator could bind a ClusterRole, tried in a dry run."""

    role: str
    exists: bool = True
    refusal: str = ""
    """Why it could not; empty where it could."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the checks depend on; None where it could not be read, and *unread* says why."""

    now: datetime
    namespace: str
    """Of the installation."""
    configuration_name: str
    server_version: str
    unread: Mapping[str, str] = field(default_factory=dict)
    crds: Mapping[str, CustomResourceDefinition] | None = None
    """Of the group, by name."""
    configuration: CapsuleConfiguration | None = None
    deployments: Sequence[Workload] | None = None
    """In all namespaces."""
    daemon_sets: Sequence[Workload] | None = None
    """In all namespaces."""
    leases: Sequence[Lease] | None = None
    """In the installation's namespace."""
    disarmed: bool = False
    certificate: Certificate | None = None
    webhooks: Sequence[Webhooks] = ()
    endpoints: int | None = None
    """Ready ones of admission's Service."""
    is_outside: bool = False
    """Whether the webhooks call a URL instead of the Service."""
    tenants: Sequence[Tenant] = ()
    tenants_version: int = 0
    """Highest resource version among the Tenants, read well before *leases*."""
    tenant_owners: Sequence[TenantOwner] = ()
    namespaces: Sequence[ObjectMeta] = ()
    roles: Sequence[RoleTrial] = ()
    missing_rights: Sequence[str] = ()
    """Rights that the two accounts should have and lack, as ``account: verb resource``."""
    metrics: Mapping[str, bool] | None = None
    """By component: whether its metrics answer; None where that could not be tried."""

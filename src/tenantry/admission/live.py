"""Knowledge read from the API server for one request: what a refusal rests on (spec 13.2)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from tenantry.admission.classes import CLASS_RESOURCES, class_entry
from tenantry.admission.kinds import ServedKinds, served_kinds
from tenantry.admission.knowledge import Knowledge, Question, Topic, Unanswered, tenant_in_charge
from tenantry.admission.state import DEFAULT_SPEC, promoted_candidate
from tenantry.api import labels
from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import CoreOwner
from tenantry.api.tenant import Tenant
from tenantry.api.tenant_owner import TenantOwner
from tenantry.api.workloads import Ingress
from tenantry.foundation.errors import InvalidError
from tenantry.kube.client import Client
from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import (
    CONFIGURATIONS,
    INGRESSES,
    NAMESPACES,
    PERSISTENT_VOLUMES,
    SERVICE_ACCOUNTS,
    TENANT_OWNERS,
    TENANTS,
    Resource,
)
from tenantry.tenancy.checks.ingresses import host_paths
from tenantry.tenancy.identity import account_name, capsule_users, role_of
from tenantry.tenancy.owners import PromotedCandidate, effective_owners, is_owner
from tenantry.tenancy.request import Requester, Role
from tenantry.tenancy.rules.effective import effective_rules
from tenantry.tenancy.rules.ruleset import RuleSet
from tenantry.tenancy.validation.rules import KindScope
from tenantry.tenancy.views import ClassEntry, ClassKind, IngressUse, Installation, Lookups, TenantView

_SHARED: Final = frozenset(
    {
        Topic.CONFIGURATION,
        Topic.TENANT_OWNERS,
        Topic.PROMOTED_ACCOUNTS,
        Topic.TENANTS,
        Topic.INGRESSES,
        Topic.CLASSES,
        Topic.KINDS,
    }
)
"""What many refusals at once may share one read of."""


class LiveReader:
    """Reads answers from the API server."""

    def __init__(self, client: Client, *, configuration_name: str) -> None:
        self._client = client
        self._configuration_name = configuration_name
        self._order = itertools.count()
        self._shared: dict[Question, _SharedRead] = {}
        self._readers: Mapping[Topic, Callable[[Question], Awaitable[object]]] = {
            Topic.CONFIGURATION: self._configuration,
            Topic.TENANT_OWNERS: self._tenant_owners,
            Topic.PROMOTED_ACCOUNTS: self._promoted,
            Topic.TENANTS: self._tenants,
            Topic.TENANT: self._tenant,
            Topic.NAMESPACE: self._namespace,
            Topic.NAMESPACES: self._namespaces,
            Topic.CLASS: self._class,
            Topic.CLASSES: self._classes,
            Topic.VOLUME: self._volume,
            Topic.INGRESSES: self._ingresses,
            Topic.KINDS: self._kinds,
        }

    async def read(self, question: Question) -> object:
        """Return the answer as it is now, or became after the call.

        Raises:
            TenantryError: The API server refuses, or does not answer.
        """
        if question.topic not in _SHARED:
            return await self._readers[question.topic](question)
        asked = next(self._order)
        shared = self._shared.setdefault(question, _SharedRead())
        async with shared.lock:
            # A read that began after this was asked is as good as one of its own.
            if shared.began < asked:
                began = next(self._order)
                shared.answer = await self._readers[question.topic](question)
                shared.began = began
            return shared.answer

    async def _configuration(self, _: Question) -> CapsuleConfigurationSpec:
        found = await self._get(CONFIGURATIONS, self._configuration_name)
        return DEFAULT_SPEC if found is None else found.spec

    async def _tenant_owners(self, _: Question) -> list[TenantOwner]:
        return (await self._client.list(TENANT_OWNERS)).items

    async def _promoted(self, _: Question) -> list[PromotedCandidate]:
        listing = await self._client.list(SERVICE_ACCOUNTS.metadata_only(), label_selector=labels.OWNER_PROMOTE)
        return [promoted_candidate(one) for one in listing.items]

    async def _tenants(self, _: Question) -> list[Tenant]:
        return (await self._client.list(TENANTS)).items

    async def _tenant(self, question: Question) -> Tenant | None:
        return cast("Tenant | None", await self._get(TENANTS, question.name))

    async def _namespace(self, question: Question) -> ObjectMeta | None:
        found = await self._get(NAMESPACES.metadata_only(), question.name)
        return None if found is None else found.metadata

    async def _namespaces(self, question: Question) -> frozenset[str]:
        selector = f"{labels.TENANT}={question.name}"
        listing = await self._client.list(NAMESPACES.metadata_only(), label_selector=selector)
        return frozenset(one.metadata.name for one in listing.items)

    async def _class(self, question: Question) -> ClassEntry | None:
        found = await self._get(CLASS_RESOURCES[ClassKind(question.kind)], question.name)
        return None if found is None else class_entry(found)

    async def _classes(self, question: Question) -> list[ClassEntry]:
        try:
            listing = await self._client.list(CLASS_RESOURCES[ClassKind(question.kind)])
        except NotFoundError:  # The cluster does not have the API.
            return []
        return [class_entry(one) for one in listing.items]

    async def _volume(self, question: Question) -> Mapping[str, str] | None:
        found = await self._get(PERSISTENT_VOLUMES.metadata_only(), question.name)
        return None if found is None else found.metadata.labels or {}

    async def _ingresses(self, _: Question) -> list[Ingress]:
        return (await self._client.list(INGRESSES)).items

    async def _kinds(self, _: Question) -> ServedKinds:
        return await served_kinds(self._client)

    async def _get(self, resource: Resource[Any], name: str) -> Any:
        try:
            return await self._client.get(resource, name)
        except (NotFoundError, InvalidError):  # Nothing can have a name that fits in no path, as the empty one.
            return None


class _SharedRead:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.began = -1
        self.answer: object = None


@dataclass(frozen=True, slots=True)
class LiveKnowledge:
    """Knowledge from answers that were read; everything else is Unanswered.

    Attributes:
        answers: What was read so far, by question.
        base: Asked for topics outside *topics*; None where nothing may come from caches.
        topics: What must be read; None: everything.
        requester: Who asks.
        own_accounts: User names of the installation's own ServiceAccounts.
    """

    answers: Mapping[Question, object]
    requester: Requester
    own_accounts: frozenset[str]
    base: Knowledge | None = None
    topics: frozenset[Topic] | None = None

    @property
    def installation(self) -> Installation:
        """See Knowledge."""
        if self.base is not None and self._is_spared(Topic.CONFIGURATION):
            return self.base.installation
        spec = cast("CapsuleConfigurationSpec", self.told(Question(Topic.CONFIGURATION)))
        return Installation(
            configuration=spec,
            users=capsule_users(spec, self._tenant_owners),
            own_accounts=self.own_accounts,
        )

    @property
    def lookups(self) -> Lookups:
        """See Knowledge."""
        if self.base is not None and self._is_spared(Topic.CLASS):
            return self.base.lookups
        return LiveLookups(self)

    def tenant(self, name: str) -> Tenant | None:
        """See Knowledge."""
        return cast("Tenant | None", self.told(Question(Topic.TENANT, name)))

    def namespace(self, name: str) -> ObjectMeta | None:
        """See Knowledge."""
        return cast("ObjectMeta | None", self.told(Question(Topic.NAMESPACE, name)))

    def home_tenant(self, namespace: str) -> str | None:
        """See Knowledge."""
        if self.base is not None and self._is_spared(Topic.NAMESPACE):
            return self.base.home_tenant(namespace)
        found = self.namespace(namespace)
        tenant = None if found is None else tenant_in_charge(found, self.tenant)
        return None if tenant is None else tenant.metadata.name

    def owners(self, tenant: Tenant) -> tuple[CoreOwner, ...]:
        """See Knowledge; of promoted accounts only the requester, as nobody else's ownership is in question."""
        if self.base is not None and self._is_spared(Topic.TENANT_OWNERS):
            return self.base.owners(tenant)
        return effective_owners(
            tenant,
            tenant_owners=self._tenant_owners,
            promoted=[
                one
                for one in self._promoted
                if one.username == self.requester.username and self.home_tenant(one.namespace) == tenant.metadata.name
            ],
            configuration=self.installation.configuration,
        )

    def owned_by(self, requester: Requester) -> tuple[TenantView, ...]:
        """See Knowledge."""
        tenants = cast("list[Tenant]", self.told(Question(Topic.TENANTS)))
        views = (TenantView(tenant=tenant, owners=self.owners(tenant)) for tenant in tenants)
        return tuple(view for view in views if is_owner(requester, view.owners))

    def rules(self, tenant: Tenant, namespace: ObjectMeta) -> RuleSet:
        """See Knowledge."""
        return effective_rules(tenant, namespace)

    def role(self, requester: Requester) -> Role:
        """See Knowledge."""
        if self.base is not None and self._is_spared(Topic.CONFIGURATION):
            return self.base.role(requester)
        account = account_name(requester.username)
        home = None if account is None else self.home_tenant(account.namespace)
        return role_of(requester, self.installation, home_tenant=home)

    def kind_scope(self, group: str, kind: str) -> KindScope | None:
        """See Knowledge."""
        return cast("ServedKinds", self.told(Question(Topic.KINDS))).scope_of(group, kind)

    def told(self, question: Question) -> object:
        """Return the answer to *question*; raise Unanswered where it was not read."""
        if question not in self.answers:
            raise Unanswered(question)
        return self.answers[question]

    @property
    def _tenant_owners(self) -> list[TenantOwner]:
        return cast("list[TenantOwner]", self.told(Question(Topic.TENANT_OWNERS)))

    @property
    def _promoted(self) -> list[PromotedCandidate]:
        return cast("list[PromotedCandidate]", self.told(Question(Topic.PROMOTED_ACCOUNTS)))

    def _is_spared(self, topic: Topic) -> bool:
        return self.topics is not None and topic not in self.topics


@dataclass(frozen=True, slots=True)
class LiveLookups:
    """Lookups from answers that were read."""

    knowledge: LiveKnowledge

    def cluster_class(self, kind: ClassKind, name: str) -> ClassEntry | None:
        """See Lookups."""
        return cast("ClassEntry | None", self.knowledge.told(Question(Topic.CLASS, name, kind)))

    def cluster_classes(self, kind: ClassKind) -> Iterable[ClassEntry]:
        """See Lookups."""
        return cast("list[ClassEntry]", self.knowledge.told(Question(Topic.CLASSES, "", kind)))

    def volume_labels(self, name: str) -> Mapping[str, str] | None:
        """See Lookups."""
        return cast("Mapping[str, str] | None", self.knowledge.told(Question(Topic.VOLUME, name)))

    def ingresses_using(self, host: str, path: str) -> Iterable[IngressUse]:
        """See Lookups."""
        for one in cast("list[Ingress]", self.knowledge.told(Question(Topic.INGRESSES))):
            if (host, path) in host_paths(one):
                namespace = one.metadata.namespace
                yield IngressUse(
                    namespace=namespace,
                    name=one.metadata.name,
                    tenant=self.knowledge.home_tenant(namespace) or "",
                )

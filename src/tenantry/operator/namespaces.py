"""The controller of what is inside tenants' namespaces; a key is a namespace's name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from tenantry.api.labels import AGGREGATE_TO_CONTROLLER, RULE_STATUS_NAME
from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.api.rules import NamespaceRule
from tenantry.api.shared import AdditionalMetadata
from tenantry.api.tenant import Tenant
from tenantry.foundation.errors import TenantryError
from tenantry.foundation.templates import TemplateError
from tenantry.kube.errors import ApiError, ForbiddenError
from tenantry.kube.queue import WorkQueue
from tenantry.operator.caches import BY_NAMESPACE
from tenantry.operator.editions import Editions
from tenantry.operator.enforcement import RECHECK_SECONDS
from tenantry.operator.tools import Tools
from tenantry.tenancy.desired.conditions import plain_status
from tenantry.tenancy.desired.manifests import Manifest, is_managed
from tenantry.tenancy.desired.namespace_objects import namespace_objects
from tenantry.tenancy.desired.resource_quotas import is_shared
from tenantry.tenancy.desired.rule_status import failed, published
from tenantry.tenancy.desired.tenant_status import SpaceReport, stored_space
from tenantry.tenancy.namespaces.claims import claim_of
from tenantry.tenancy.namespaces.metadata import MetadataChange, desired_metadata, managed_metadata
from tenantry.tenancy.rules.effective import projected_rules

METADATA_MANAGER: Final = "tenantry/namespace-metadata"
MANAGERS: Final = {
    "RoleBinding": "tenantry/role-bindings",
    "LimitRange": "tenantry/limit-ranges",
    "NetworkPolicy": "tenantry/network-policies",
    "ResourceQuota": "tenantry/resource-quotas",
    "RuleStatus": "tenantry/rule-status",
}
_log = structlog.get_logger(__name__)


class NamespaceNotSettledError(TenantryError):
    """Something in a namespace could not be brought about; the Tenant's status says what."""

    reason = "Failed"


Sweep = Callable[[ObjectMeta, tuple[NamespaceRule, ...], tuple[NamespaceRule, ...]], Awaitable[str]]
"""Brings existing objects in line with metadata rules: namespace, rules before, rules now -> problem or empty."""


Policed = Callable[[Tenant], bool]
"""Whether the registered webhooks call admission for all that the tenant's rules are about."""


class NamespaceController:
    """Makes one namespace what its tenant wants it to be, and reports to the tenants' controller."""

    def __init__(self, tools: Tools, *, sweep: Sweep, is_policed: Policed, on_report: Callable[[str], None]) -> None:
        """*on_report* is given a tenant's name when something that its status tells may have changed."""
        self._tools = tools
        self._sweep = sweep
        self._is_policed = is_policed
        self._on_report = on_report
        self.queue: WorkQueue[str] = WorkQueue("namespaces")
        self.reports: dict[str, SpaceReport] = {}
        self._editions = Editions()

    def note_tenant(self, old: Tenant, new: Tenant) -> None:
        """Take note of an edit of a Tenant, or of a status that says that an edit is in force."""
        self._editions.note(old, new)

    async def reconcile(self, name: str) -> float | None:
        """Bring the namespace in line; safe at any time, and without any call where nothing differs.

        Raises:
            NamespaceNotSettledError: Part of it was refused; all else was done.
            UnavailableError: The API server does not answer.
        """
        held = self._tools.caches.namespaces.get(name)
        if held is None:
            self.reports.pop(name, None)
            self._tools.enforcement.forget(namespace=name)
            return None
        tenant = self._tools.book.tenant_of(held.metadata)
        if tenant is None:
            self.reports.pop(name, None)
            await self._clear(held.metadata)
            return None
        if held.metadata.deletion_timestamp or tenant.metadata.deletion_timestamp:
            self.reports.pop(name, None)
            self._on_report(tenant.metadata.name)
            return None
        report = await self._settle(held, tenant)
        changed = self.reports.get(name) != report
        self.reports[name] = report
        if changed and (not report.pending or report.problem):
            self._on_report(tenant.metadata.name)
        if report.problem:
            raise NamespaceNotSettledError(report.problem)
        return RECHECK_SECONDS if report.pending else None

    async def _clear(self, metadata: ObjectMeta) -> None:
        """Take away what was made for a tenant that the namespace has left.

        One that still names a tenant is waiting to be adopted, after a restore say: what it
        has stays.
        """
        if not claim_of(metadata).is_empty or metadata.deletion_timestamp:
            return
        await self._remove_all_but(metadata.name, frozenset())

    async def _remove_all_but(self, namespace: str, wanted: frozenset[tuple[str, str]]) -> None:
        for kind, cache in self._tools.caches.managed.items():
            for obj in cache.by_index(BY_NAMESPACE, namespace):
                if (kind, obj.metadata.name) not in wanted and is_managed(obj.metadata):
                    await self._tools.writer.remove(cache, obj)

    async def _settle(self, held: PartialObject, tenant: Tenant) -> SpaceReport:
        problems: list[str] = []
        metadata, written = await self._settle_metadata(held, tenant, problems)
        rules = self._rules(tenant, metadata, problems)
        applied = await self._settle_objects(metadata, tenant, rules, problems)
        pending = applied and await self._settle_rule_status(metadata, tenant, rules, problems)
        return SpaceReport(
            uid=metadata.uid,
            tenant_generation=tenant.metadata.generation,
            metadata=written,
            rules=rules or (),
            problem="; ".join(problems[:3]) + ("; ..." if len(problems) > 3 else ""),
            pending=pending,
        )

    async def _settle_metadata(
        self, held: PartialObject, tenant: Tenant, problems: list[str]
    ) -> tuple[ObjectMeta, AdditionalMetadata | None]:
        """Return the Namespace's metadata as written, and what of it is managed: as before where that failed."""
        metadata = held.metadata
        previous = self._previous(tenant, metadata)
        change = desired_metadata(tenant, metadata, previous)
        if not change.is_empty:
            try:
                metadata = (
                    await self._tools.writer.merge(
                        self._tools.caches.namespaces, held, _merge_patch(change), manager=METADATA_MANAGER
                    )
                ).metadata
            except ApiError as error:
                problems.append(f"metadata: {error}")
                return metadata, previous
        managed = managed_metadata(tenant, metadata, previous)
        return metadata, AdditionalMetadata(labels=managed.labels or None, annotations=managed.annotations or None)

    def _previous(self, tenant: Tenant, metadata: ObjectMeta) -> AdditionalMetadata | None:
        """Return what was managed on the namespace so far, by the freshest account of it; None where there is none."""
        report = self.reports.get(metadata.name)
        if report is not None and report.uid == metadata.uid and report.metadata is not None:
            return report.metadata  # The status follows later.
        stored = stored_space(tenant, metadata)
        if stored is not None:
            return stored.metadata
        made_under = self._editions.at(tenant, metadata)
        return managed_metadata(made_under, metadata) if made_under is not None else None

    @staticmethod
    def _rules(tenant: Tenant, metadata: ObjectMeta, problems: list[str]) -> tuple[NamespaceRule, ...] | None:
        try:
            return projected_rules(tenant, metadata)
        except TemplateError as error:
            problems.append(f"rules: {error}")
            return None

    async def _settle_objects(
        self, metadata: ObjectMeta, tenant: Tenant, rules: tuple[NamespaceRule, ...] | None, problems: list[str]
    ) -> bool:
        """Write what differs and take away what is not wanted; return whether the RuleStatus stands."""
        tools = self._tools
        stands = True
        quotas = tools.book.quotas(tenant) if is_shared(tenant) else ()
        manifests = namespace_objects(tools.book.plan(tenant), metadata, quotas=quotas, rules=rules)
        for manifest in manifests:
            kind = manifest["kind"]
            try:
                await tools.writer.ensure(tools.caches.managed[kind], manifest, manager=MANAGERS[kind])
            except ApiError as error:
                problems.append(_problem(manifest, error))
                stands = stands and kind != "RuleStatus"
        wanted = {(each["kind"], each["metadata"]["name"]) for each in manifests} | {("RuleStatus", RULE_STATUS_NAME)}
        # After the writes, so that a failed one never leaves the namespace with less than before.
        try:
            await self._remove_all_but(metadata.name, frozenset(wanted))
        except ApiError as error:
            problems.append(str(error))
        return stands

    async def _settle_rule_status(
        self, metadata: ObjectMeta, tenant: Tenant, rules: tuple[NamespaceRule, ...] | None, problems: list[str]
    ) -> bool:
        """Publish the rules once they are in force; return whether that is still to come."""
        tools = self._tools
        stored = tools.caches.rule_statuses.get(RULE_STATUS_NAME, metadata.name)
        if stored is None:
            return False
        needs = (tools.enforcement.tenant(tenant), tools.enforcement.namespace(metadata))
        if rules is not None and not (self._is_policed(tenant) and tools.enforcement.is_seen(needs)):
            tools.enforcement.wait(self.queue.add, metadata.name, needs)
            return True
        now = tools.now()
        try:
            if rules is None:
                status = failed(stored, problems[-1], now=now)
            else:
                trouble = await self._sweep(metadata, stored.status.rules, rules)
                if trouble:
                    problems.append(trouble)
                status = failed(stored, trouble, now=now) if trouble else published(stored, now=now)
            if status != stored.status:
                await tools.writer.put_status(tools.caches.rule_statuses, stored, plain_status(status, conditions=[]))
        except ApiError as error:
            problems.append(f"RuleStatus: {error}")
        return False


def _problem(manifest: Manifest, error: ApiError) -> str:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if kind == "RoleBinding" and isinstance(error, ForbiddenError) and "attempting to grant" in error.message:
        # The server lists every right that is not held, and not the role.
        role = manifest["roleRef"]["name"]
        return (
            f"the operator lacks the right to bind ClusterRole {role}: name it among the installation's bindable "
            f"roles, or aggregate that right by the label {AGGREGATE_TO_CONTROLLER}=true"
        )
    return f"{kind} {name}: {error}"


def _merge_patch(change: MetadataChange) -> dict[str, Any]:
    labels: dict[str, str | None] = {**change.set_labels, **dict.fromkeys(change.remove_labels)}
    annotations: dict[str, str | None] = {**change.set_annotations, **dict.fromkeys(change.remove_annotations)}
    parts = {"labels": labels, "annotations": annotations}
    return {"metadata": {key: part for key, part in parts.items() if part}}

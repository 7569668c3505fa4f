"""Metadata that rules manage, on objects that exist already (R-3)."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

import structlog

from tenantry.api.labels import MANAGED_BY, MANAGED_BY_CONTROLLER, MANAGED_BY_RESOURCES
from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.api.rules import NamespaceRule
from tenantry.api.shared import AdditionalMetadata
from tenantry.foundation.codec import Model, decode
from tenantry.kube.client import Client
from tenantry.kube.errors import ForbiddenError, NotFoundError
from tenantry.kube.resources import Resource
from tenantry.tenancy.rules.effective import compiled
from tenantry.tenancy.rules.metadata import ManagedKind, managed_kinds, managed_metadata_of_kind
from tenantry.tenancy.rules.ruleset import RuleSet

MANAGER: Final = "tenantry/rule-metadata"
_NAMESPACE: Final = "Namespace"
_NOT_RULED: Final = frozenset({MANAGED_BY_CONTROLLER, MANAGED_BY_RESOURCES})
_log = structlog.get_logger(__name__)


class _Served(Model):
    name: str = ""
    kind: str = ""
    namespaced: bool = False


class _ServedList(Model):
    group_version: str = ""
    resources: tuple[_Served, ...] = ()


class _Version(Model):
    group_version: str = ""


class _Group(Model):
    name: str = ""
    preferred_version: _Version = _Version()


class _GroupList(Model):
    groups: tuple[_Group, ...] = ()


class RuleMetadataSweep:
    """Goes over the objects of one namespace after its rules have changed.

    New objects are admission's: it works with the new rules before this begins.  What was
    managed before is known from the RuleStatus, which shows the new rules only after the sweep.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def run(
        self, namespace: ObjectMeta, before: tuple[NamespaceRule, ...], now: tuple[NamespaceRule, ...]
    ) -> str:
        """Bring all objects in line and return what could not be done; empty if all was."""
        if before == now or not (_has_metadata(before) or _has_metadata(now)):
            return ""
        old, new = compiled(before), compiled(now)
        problems = []
        for kind in sorted({*managed_kinds(old), *managed_kinds(new)}):
            if kind.kind != _NAMESPACE:
                problems += await self._sweep_kind(namespace.name, kind, old, new)
        return "; ".join(problems)

    async def _sweep_kind(self, namespace: str, kind: ManagedKind, old: RuleSet, new: RuleSet) -> list[str]:
        problems = []
        for resource in await self._resources(kind):
            parts = (resource.group, resource.version, resource.kind)
            before, wanted = managed_metadata_of_kind(old, *parts), managed_metadata_of_kind(new, *parts)
            if before == wanted:
                continue
            try:
                for obj in (await self._client.list(resource, namespace)).items:
                    await self._put_right(resource, obj, before, wanted)
            except ForbiddenError as error:
                problems.append(f"managed metadata of {resource.kind} needs list and patch: {error}")
        return problems

    async def _put_right(
        self,
        resource: Resource[PartialObject],
        obj: PartialObject,
        before: AdditionalMetadata,
        wanted: AdditionalMetadata,
    ) -> None:
        meta = obj.metadata
        if (meta.labels or {}).get(MANAGED_BY) in _NOT_RULED or meta.deletion_timestamp:
            return
        patch: dict[str, Any] = {
            "labels": _changes(meta.labels, before.labels, wanted.labels),
            "annotations": _changes(meta.annotations, before.annotations, wanted.annotations),
        }
        needed = {key: value for key, value in patch.items() if value}
        if not needed:
            return
        try:
            await self._client.patch(
                resource,
                meta.name,
                meta.namespace,
                patch={"metadata": {**needed, "uid": meta.uid}},
                kind="merge",
                field_manager=MANAGER,
            )
        except NotFoundError:
            return

    async def _resources(self, kind: ManagedKind) -> list[Resource[PartialObject]]:
        """Return what the server serves of *kind*, namespaced; nothing where it serves none."""
        found = []
        for path in await self._paths(kind):
            try:
                served = decode(await self._client.request("GET", path), _ServedList)
            except NotFoundError:
                continue
            group, _, version = served.group_version.rpartition("/")
            found += [
                Resource(group, version, each.name, each.kind, namespaced=True, type=PartialObject).metadata_only()
                for each in served.resources
                if each.kind == kind.kind and each.namespaced and "/" not in each.name
            ]
        return found

    async def _paths(self, kind: ManagedKind) -> list[str]:
        if not kind.group:
            return ["/api/v1"]
        groups = decode(await self._client.request("GET", "/apis"), _GroupList).groups
        named = [
            f"/apis/{each.preferred_version.group_version}" for each in groups if fnmatchcase(each.name, kind.group)
        ]
        return [*(["/api/v1"] if kind.group == "*" else []), *named]


def _has_metadata(rules: tuple[NamespaceRule, ...]) -> bool:
    return any(rule.enforce is not None and rule.enforce.metadata for rule in rules)


def _changes(
    present: Mapping[str, str] | None, before: Mapping[str, str] | None, wanted: Mapping[str, str] | None
) -> dict[str, str | None]:
    """Return what to set, and what to take away: keys managed before, if nobody changed their value since."""
    has, was, will = present or {}, before or {}, wanted or {}
    gone: dict[str, str | None] = {key: None for key, value in was.items() if key not in will and has.get(key) == value}
    return gone | {key: value for key, value in will.items() if has.get(key) != value}

"""Which kinds the API server serves, for rules that name some (TN-6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tenantry.foundation.codec import DecodeError, Model, decode
from tenantry.kube.client import Client
from tenantry.kube.errors import UndecodableError
from tenantry.tenancy.rules.kinds import group_selector
from tenantry.tenancy.validation.rules import KindScope

_ACCEPT: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_CURRENT: Final = "Current"


class _ResponseKind(Model):
    kind: str = ""


class _Resource(Model):
    response_kind: _ResponseKind | None = None
    scope: str = ""


class _Version(Model):
    freshness: str = _CURRENT
    resources: tuple[_Resource, ...] = ()


class _Metadata(Model):
    name: str = ""


class _Group(Model):
    metadata: _Metadata = _Metadata()
    versions: tuple[_Version, ...] = ()


class _Groups(Model):
    """apidiscovery.k8s.io/v2 APIGroupDiscoveryList."""

    kind: str = ""
    items: tuple[_Group, ...] = ()


@dataclass(frozen=True, slots=True)
class ServedKinds:
    """The kinds of a cluster."""

    scopes: frozenset[tuple[str, str, KindScope]]
    """Group (empty for the core group), kind, scope."""
    is_complete: bool = True
    """Whether every API server behind the aggregator could be asked."""

    def scope_of(self, group: str, kind: str) -> KindScope | None:
        """Return where *kind* lives, *group* being an entry of ``apiGroups``; None where nobody serves it.

        Where not everything could be asked, an unknown kind has the benefit of the doubt.
        """
        selector = group_selector(group)
        found = {scope for served, name, scope in self.scopes if name == kind and selector.selects(served)}
        if KindScope.NAMESPACED in found or not (found or self.is_complete):
            return KindScope.NAMESPACED
        return KindScope.CLUSTER if found else None


async def served_kinds(client: Client) -> ServedKinds:
    """Ask the API server for all kinds, in two requests.

    Raises:
        TenantryError: It refuses, or does not answer, or knows no aggregated discovery.
    """
    groups = [
        group
        for path in ("/api", "/apis")
        for group in _decoded(await client.request("GET", path, headers={"Accept": _ACCEPT}))
    ]
    versions = [version for group in groups for version in group.versions]
    return ServedKinds(
        frozenset(_scopes(groups)), is_complete=all(version.freshness == _CURRENT for version in versions)
    )


def _decoded(body: bytes) -> tuple[_Group, ...]:
    try:
        found = decode(body, _Groups)
    except DecodeError as error:
        raise UndecodableError(f"answer for the API's discovery: {error}") from error
    if found.kind != "APIGroupDiscoveryList":
        raise UndecodableError(f"the API server answers discovery with {found.kind}, not with all at once")
    return found.items


def _scopes(groups: Iterable[_Group]) -> Iterable[tuple[str, str, KindScope]]:
    for group in groups:
        for version in group.versions:
            for resource in version.resources:
                if resource.response_kind is not None and resource.response_kind.kind:
                    scope = KindScope.NAMESPACED if resource.scope == "Namespaced" else KindScope.CLUSTER
                    yield group.metadata.name, resource.response_kind.kind, scope

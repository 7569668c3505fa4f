"""Which kinds a server serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from tenantry.foundation.codec import Model, decode
from tenantry.kube.errors import NotFoundError

KEEP_SECONDS = 30.0
"""An API may appear at any time: with its CustomResourceDefinition."""
UNKNOWN_SECONDS = 1.0
"""How soon the server is asked again about a kind that it did not have."""


class ApiResource(Model):
    """One kind as the server describes it (meta/v1 APIResource)."""

    name: str
    """The plural; subresources as ``pods/log``."""
    kind: str = ""
    namespaced: bool = False
    verbs: tuple[str, ...] = ()


class _ApiResourceList(Model):
    resources: tuple[ApiResource, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    at: float
    resources: Mapping[str, ApiResource]


class ApiCatalog:
    """Remembers for a while what the server serves."""

    def __init__(self, request: Callable[[str, str], Awaitable[bytes]]) -> None:
        self._request = request
        self._known: dict[str, _Known] = {}

    async def plurals(self, group_version: str) -> frozenset[str]:
        """Return the plurals of *group_version* (``v1``, ``apps/v1``); empty where it is not served."""
        return frozenset(await self._resources(group_version, keep_seconds=KEEP_SECONDS))

    async def resource(self, group_version: str, plural: str) -> ApiResource | None:
        """Return the kind; None where it is not served, which is asked again after a second."""
        found = (await self._resources(group_version, keep_seconds=KEEP_SECONDS)).get(plural)
        if found is None:
            found = (await self._resources(group_version, keep_seconds=UNKNOWN_SECONDS)).get(plural)
        return found

    async def _resources(self, group_version: str, *, keep_seconds: float) -> Mapping[str, ApiResource]:
        known = self._known.get(group_version)
        if known is not None and monotonic() - known.at < keep_seconds:
            return known.resources
        path = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
        try:
            found = decode(await self._request("GET", path), _ApiResourceList)
        except NotFoundError:
            found = _ApiResourceList()
        resources = {resource.name: resource for resource in found.resources or ()}
        self._known[group_version] = _Known(monotonic(), resources)
        return resources

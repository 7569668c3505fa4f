"""Which kinds a server serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic

from tenantry.foundation.codec import Model, decode
from tenantry.kube.errors import NotFoundError

KEEP_SECONDS = 30.0
"""An API may appear at any time: with its CustomResourceDefinition."""


class _ApiResource(Model):
    name: str


class _ApiResourceList(Model):
    resources: tuple[_ApiResource, ...] | None = None


class ApiCatalog:
    """Remembers for a while what the server serves."""

    def __init__(self, request: Callable[[str, str], Awaitable[bytes]]) -> None:
        self._request = request
        self._known: dict[str, tuple[float, frozenset[str]]] = {}

    async def plurals(self, group_version: str) -> frozenset[str]:
        """Return the plurals of *group_version* (``v1``, ``apps/v1``); empty where it is not served."""
        known = self._known.get(group_version)
        now = monotonic()
        if known is not None and now - known[0] < KEEP_SECONDS:
            return known[1]
        path = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
        try:
            found = decode(await self._request("GET", path), _ApiResourceList)
        except NotFoundError:
            found = _ApiResourceList()
        plurals = frozenset(resource.name for resource in found.resources or ())
        self._known[group_version] = (now, plurals)
        return plurals

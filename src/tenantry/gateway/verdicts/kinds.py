"""All kinds that the cluster serves, by one request of aggregated discovery, remembered for a while.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tenantry.access.served import KindFacts
from tenantry.foundation.clock import Clock
from tenantry.foundation.codec import Model, decode
from tenantry.gateway.caching import SingleFlight
from tenantry.kube.client import Client

KEEP_SECONDS: Final = 30.0
UNKNOWN_SECONDS: Final = 1.0
"""How soon the server is asked again about a kind that it did not have: CRDs come at any time."""
_ACCEPT: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class _Kind(Model):
    kind: str = ""


class _Resource(Model):
    resource: str = ""
    response_kind: _Kind = _Kind()
    scope: str = ""
    verbs: tuple[str, ...] | None = None


class _Version(Model):
    version: str = ""
    resources: tuple[_Resource, ...] | None = None


class _Metadata(Model):
    name: str = ""


class _Group(Model):
    metadata: _Metadata = _Metadata()
    versions: tuple[_Version, ...] | None = None


class _Discovery(Model):
    items: tuple[_Group, ...] | None = None


@dataclass(slots=True)
class _Known:
    at: float
    kinds: tuple[KindFacts, ...]
    by_name: dict[tuple[str, str, str], KindFacts] = field(init=False)
    """Group, version ("" for the preferred one, which the server names first), plural."""

    def __post_init__(self) -> None:
        self.by_name = {}
        for kind in self.kinds:
            self.by_name.setdefault((kind.group, "", kind.resource), kind)
            self.by_name[kind.group, kind.version, kind.resource] = kind


class Kinds:
    """What the server serves, as the gateway's own account is told."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._known = _Known(float("-inf"), ())
        self._flight: SingleFlight[None, _Known] = SingleFlight()

    async def find(self, group: str, version: str, resource: str) -> KindFacts | None:
        """Return a kind, in the preferred version where *version* is empty or ``*``; None where it is not served.

        Raises:
            TenantryError: Discovery failed, and nothing is known from before.
        """
        key = (group, "" if version == "*" else version, resource)
        found = (await self._current(KEEP_SECONDS)).by_name.get(key)
        return found or (await self._current(UNKNOWN_SECONDS)).by_name.get(key)

    async def all(self, *, keep_seconds: float = KEEP_SECONDS) -> tuple[KindFacts, ...]:
        """Return every kind in every version, as of at most *keep_seconds* ago."""
        return (await self._current(keep_seconds)).kinds

    async def _current(self, keep_seconds: float) -> _Known:
        if self._clock.monotonic() - self._known.at < keep_seconds:
            return self._known
        self._known = await self._flight.do(None, self._read)
        return self._known

    async def _read(self) -> _Known:
        kinds: list[KindFacts] = []
        for path in ("/api", "/apis"):
            body = await self._client.request("GET", path, headers={"Accept": _ACCEPT})
            kinds += _kinds(decode(body, _Discovery))
        return _Known(self._clock.monotonic(), tuple(kinds))


def _kinds(discovery: _Discovery) -> Iterator[KindFacts]:
    for group in discovery.items or ():
        for version in group.versions or ():
            for resource in version.resources or ():
                yield KindFacts(
                    group=group.metadata.name,
                    version=version.version,
                    resource=resource.resource,
                    kind=resource.response_kind.kind,
                    is_namespaced=resource.scope == "Namespaced",
                    verbs=frozenset(resource.verbs or ()),
                )

"""What a gateway knows of one cluster, kept up to date under its own account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import ClassVar

import structlog

from tenantry.access.identity import Identity
from tenantry.access.visibility import PrincipalView
from tenantry.foundation.clock import Clock
from tenantry.foundation.errors import UnavailableError
from tenantry.gateway.knowledge.sources import Sources
from tenantry.gateway.knowledge.statuses import StatusWriter
from tenantry.gateway.knowledge.views import ViewCallback, Views
from tenantry.gateway.settings import VisibilitySettings
from tenantry.kube.client import Client

_log = structlog.get_logger(__name__)


class NotKnownYetError(UnavailableError):
    """The cluster was not listed yet, so nobody can be told what they see."""

    reason: ClassVar[str] = "NotKnownYet"


class Knowledge:
    """Tells who sees what; its answers are look-ups and never wait.

    It reads CapsuleConfigurations, Tenants, metadata of Namespaces, RoleBindings,
    ProxySettings and GlobalProxySettings, and writes the status of the last two.  Those two
    kinds need not be served: they are looked for, and until then nobody is named by any.
    """

    def __init__(self, client: Client, settings: VisibilitySettings, *, clock: Clock) -> None:
        """Know nothing until :meth:`run`; *client* is the gateway's own account."""
        self._sources = Sources(client)
        self._views = Views(self._sources, settings)
        self._statuses = StatusWriter(client, self._sources, clock)
        self._clock = clock
        self.is_known = False
        """Whether :meth:`view` answers; it stays so while the API server is away."""

    async def run(self) -> None:
        """Keep up to date until cancelled; no failure of the API server ends it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sources.run(), name="knowledge-sources")
            await self._sources.wait_known()
            # No change may come between the lists and the first view: nothing here waits.
            self._views.start()
            self.is_known = True
            _log.info("knowledge.ready", version=self._sources.version)
            group.create_task(self._statuses.run(), name="knowledge-statuses")

    def problems(self) -> Iterable[str]:
        """Yield why answers may not be had, or may be too old."""
        return self._sources.problems(self._clock)

    def view(self, identity: Identity) -> PrincipalView | None:
        """Return what *identity* sees; None for whoever is not filtered, and goes upstream as they are.

        Raises:
            NotKnownYetError: The cluster was not listed yet.
        """
        if not self.is_known:
            raise NotKnownYetError("the gateway does not know the cluster yet: try again in a moment")
        return self._views.view(identity)

    def changed_version(self, identity: Identity) -> int:
        """Return the lowest resource version from which a watch of *identity* may resume (8.3).

        It is that of the last change of a Tenant, RoleBinding, rule or Namespace that may
        have changed the view, and at least that of this process's start.  After synthetic
        events a bookmark spares the client a new list from this version on, not before.
        """
        return self._views.changed_version(identity)

    def subscribe(self, callback: ViewCallback) -> None:
        """Have *callback* called after each change, with the subject keys concerned (None: all) and its version.

        :meth:`view` already answers by the change.  *callback* must not wait; compare sights
        to learn whether anything did change.
        """
        self._views.subscribe(callback)

    def follow_versions(self, source: Callable[[], int]) -> None:
        """Have *source* asked for the highest resource version that clients were given in lists and bookmarks.

        The caches of different kinds learn of things at different times.  A client that was
        given a version past a change, before the change was known here, still has to learn
        of it: so a change counts as later than all that was given.
        """
        self._views.follow_versions(source)

    def apply(self, settings: VisibilitySettings) -> None:
        """Go by other settings from now on."""
        self._views.apply(settings)

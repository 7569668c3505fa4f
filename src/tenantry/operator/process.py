"""The controllers as one process: caches, leadership, controllers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final
from uuid import uuid4

import structlog

from tenantry.api.labels import REPORTING_CONTROLLER
from tenantry.foundation.clock import Clock
from tenantry.foundation.errors import TenantryError
from tenantry.kube.client import Client
from tenantry.kube.events import EventRecorder
from tenantry.kube.lease import LeaderElection
from tenantry.operator.book import TenantBook
from tenantry.operator.caches import Caches
from tenantry.operator.controllers import Controllers, Timer
from tenantry.operator.crd_check import crd_problem
from tenantry.operator.enforcement import Enforcement
from tenantry.operator.routing import Routing
from tenantry.operator.settings import OperatorSettings
from tenantry.operator.tools import Tools
from tenantry.operator.writer import Writer
from tenantry.tenancy.desired.leadership import candidate, is_foreign

CRD_SECONDS: Final = 5.0
_log = structlog.get_logger(__name__)


def identity_of(process: str) -> str:
    """Return a name for this candidate that no other has; a restarted pod is another candidate."""
    return candidate(process, uuid4().hex[:8])


class Operator:
    """Everything that runs in the process, for as long as :meth:`run` does."""

    def __init__(
        self, client: Client, settings: OperatorSettings, *, clock: Clock, timer: Timer = lambda _queue, _seconds: None
    ) -> None:
        self._client = client
        self._clock = clock
        caches = Caches(client, settings)
        self.tools = Tools(
            client=client,
            settings=settings,
            caches=caches,
            book=TenantBook(caches, settings.configuration_name),
            writer=Writer(client),
            enforcement=Enforcement(caches.acknowledgements, clock),
            events=EventRecorder(
                client,
                reporting_controller=REPORTING_CONTROLLER,
                reporting_instance=settings.identity,
                clock=clock,
            ),
            clock=clock,
        )
        self.controllers = Controllers(self.tools, timer=timer)
        self._routing = Routing(self.tools, self.controllers)
        self._crd_problem: str | None = "the CustomResourceDefinitions were not looked at yet"
        self._election: LeaderElection | None = None
        self.is_leading = False

    def problems(self) -> Iterable[str]:
        """Yield why the process is not ready; a standby is, once it knows the cluster."""
        if self._crd_problem is not None:
            yield self._crd_problem
        elif unsynced := self.tools.caches.unsynced:
            yield f"not listed yet: {', '.join(unsynced)}"
        elif self._election is not None and is_foreign(self._election.holder):
            yield (
                f"the lease is held by {self._election.holder!r}, which is no tenantry operator: "
                "stop Capsule's controller, the two must never run together"
            )

    async def run(self, election: LeaderElection | None) -> None:
        """Run until cancelled; without *election*, lead at once: then this must be the only one."""
        self._election = election
        await self._wait_for_crds()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.tools.caches.run(), name="caches")
            group.create_task(self.controllers.run_caches(), name="caches on demand")
            group.create_task(self.tools.events.run(), name="events")
            # Nothing is decided, let alone deleted, on a cold cache.
            await self.tools.caches.wait_synced()
            self._routing.start()
            if election is None:
                await self._lead()
            else:
                await election.run(self._lead)

    async def _wait_for_crds(self) -> None:
        told: str | None = None
        while True:
            try:
                self._crd_problem = await crd_problem(self._client)
            except TenantryError as error:
                self._crd_problem = f"the API server can't be asked: {error}"
            if self._crd_problem is None:
                return
            if self._crd_problem != told:
                told = self._crd_problem
                _log.error("operator.waiting", problem=told)
            await asyncio.sleep(CRD_SECONDS)

    async def _lead(self) -> None:
        _log.info("operator.leading")
        self.is_leading = True
        self._routing.start()
        try:
            await self.controllers.run()
        finally:
            self.is_leading = False

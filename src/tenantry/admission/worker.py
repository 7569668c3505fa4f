"""One worker: caches, decisions and the port that they are asked at."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web

from tenantry.admission.acknowledging import Acknowledger, lease_name
from tenantry.admission.catalog import Catalog
from tenantry.admission.certificates import ServingCertificate, follow_files, take_secret
from tenantry.admission.hosts import PURPOSE as HOSTS
from tenantry.admission.hosts import HostReservations
from tenantry.admission.live import LiveReader
from tenantry.admission.metrics import AdmissionMetrics
from tenantry.admission.quota import PURPOSE as NAMESPACES_PURPOSE
from tenantry.admission.quota import NamespaceQuota
from tenantry.admission.reservations import Ledgers, Sightings, keep_clean
from tenantry.admission.reviewer import Reviewer
from tenantry.admission.server import ReviewServer
from tenantry.admission.settings import AdmissionSettings
from tenantry.admission.state import BY_NAMESPACE, BY_TENANT_LABEL, Caches, State, without_status
from tenantry.admission.telling import Teller
from tenantry.api import labels
from tenantry.api.core import Secret
from tenantry.api.meta import PartialObject
from tenantry.api.tenant_owner import TenantOwner
from tenantry.foundation.clock import Clock
from tenantry.foundation.errors import ConfigurationError, TenantryError
from tenantry.kube.cache import Cache, Change
from tenantry.kube.client import Client
from tenantry.kube.events import EventRecorder
from tenantry.kube.resources import (
    CONFIGURATIONS,
    NAMESPACES,
    SECRETS,
    SERVICE_ACCOUNTS,
    TENANT_OWNERS,
    TENANTS,
)

METRICS_SECONDS: Final = 5.0
SHUTDOWN_SECONDS: Final = 10.0
"""How long open requests may take to finish when the worker stops: a review's own limit."""

_log = structlog.get_logger(__name__)


class Worker:
    """The parts of one worker, put together."""

    def __init__(self, client: Client, settings: AdmissionSettings, metrics: AdmissionMetrics, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._metrics = metrics
        self.caches = _caches(client, settings)
        self.catalog = Catalog(client, lambda namespace: self.state.home_tenant(namespace) or "")
        self.state = State(self.caches, self.catalog, own_accounts=settings.own_accounts)
        self.serving = ServingCertificate()
        self.is_serving = False
        self._events = EventRecorder(
            client,
            reporting_controller=labels.REPORTING_CONTROLLER,
            reporting_instance=settings.identity,
            clock=clock,
        )
        name = lease_name(settings.identity, settings.worker)
        self._acknowledger = Acknowledger(client, self.caches, clock, namespace=settings.namespace, name=name)
        self._namespaces = Ledgers(client, clock, namespace=settings.namespace, purpose=NAMESPACES_PURPOSE)
        self._hosts = Ledgers(client, clock, namespace=settings.namespace, purpose=HOSTS)
        reader = LiveReader(client, configuration_name=settings.configuration_name)
        self.reviewer = Reviewer(
            self.state,
            reader,
            quota=NamespaceQuota(self._namespaces, reader, self._namespace_sightings(clock), clock),
            hosts=HostReservations(self._hosts, self._ingress_sightings(clock), clock),
            own_accounts=settings.own_accounts,
            told=Teller(
                self._events.record,
                cluster_namespace=lambda: self.state.installation.configuration.events.namespace,
                tenant_uid=self.state.tenant_uid,
            ),
            on_confirmation=metrics.confirmed,
            has_lapsed=lambda: self._acknowledger.has_lapsed,
        )
        self._server = ReviewServer(self.reviewer.review, metrics)

    def problems(self) -> Iterable[str]:
        """Say why this worker is not ready: whether webhooks are registered is not its matter (spec 13.6)."""
        for cache in self.caches.all():
            if not cache.synced:
                why = f": {cache.last_error}" if cache.last_error else ""
                yield f"the list of {cache.resource.plural} has not come from the API server yet{why}"
        problem = self.serving.problem
        if problem is not None:
            yield problem
        elif not self.is_serving:
            yield "the webhook port is not open yet"

    async def run(self) -> None:
        """Serve until cancelled; the port opens once the worker can answer."""
        async with asyncio.TaskGroup() as group:
            for cache in self.caches.all():
                group.create_task(cache.run(), name=f"cache of {cache.resource.plural}")
            group.create_task(self.catalog.run(), name="catalog")
            group.create_task(self._follow_certificate(), name="certificate")
            group.create_task(self._events.run(), name="events")
            group.create_task(keep_clean(self._namespaces, self._hosts, self._acknowledger), name="leases")
            group.create_task(self._measure(), name="metrics")
            for cache in self.caches.all():
                await cache.wait_synced()
            await self.serving.wait_loaded()
            await self._serve()

    async def _serve(self) -> None:
        # Acknowledged before the first answer: nobody may count on rules that this worker lacks.
        async with _until_written(self._acknowledger), self._port():
            self.is_serving = True
            _log.info("admission.serving", port=self._settings.port, worker=self._settings.worker)
            # What is in memory now stays there: the collector need not look at it again and again.
            gc.collect()
            gc.freeze()
            try:
                await self._acknowledger.run()
            finally:
                self.is_serving = False
                self._server.drain()
                await asyncio.sleep(self._settings.drain_seconds)

    @asynccontextmanager
    async def _port(self) -> AsyncIterator[None]:
        """Answer at the port while the body runs; requests that are open when it ends are answered.

        Raises:
            ConfigurationError: The port is taken.
        """
        runner = web.ServerRunner(self._server.protocol_factory(), shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        # The port is shared by the workers of this machine, and by the next one of a worker that stops.
        site = web.TCPSite(
            runner,
            self._settings.host,
            self._settings.port,
            ssl_context=self.serving.context,
            reuse_port=True,
            backlog=1024,
        )
        try:
            await site.start()
            yield
        except OSError as error:
            where = f"{self._settings.host or ''}:{self._settings.port}"
            raise ConfigurationError(f"cannot listen on {where}: {error.strerror or error}") from error
        finally:
            await runner.cleanup()

    async def _follow_certificate(self) -> None:
        if self._settings.certificate is not None:
            await follow_files(self._settings.certificate, self.serving)
        changed = asyncio.Event()
        self.caches.configurations.subscribe(lambda _: changed.set())
        await self.caches.configurations.wait_synced()
        while True:
            async with asyncio.TaskGroup() as group:
                name = self._secret_name()
                following = group.create_task(self._follow_secret(name))
                while self._secret_name() == name:
                    changed.clear()
                    await changed.wait()
                following.cancel()

    async def _follow_secret(self, name: str) -> None:
        secrets = Cache(
            self._client, SECRETS, namespace=self._settings.namespace, field_selector=f"metadata.name={name}"
        )

        def take(change: Change[Secret]) -> None:
            take_secret(change.new, self.serving, name=name)

        secrets.subscribe(take)
        async with asyncio.TaskGroup() as group:
            group.create_task(secrets.run())
            await secrets.wait_synced()
            if not len(secrets):
                take_secret(None, self.serving, name=name)

    def _secret_name(self) -> str:
        return self.state.installation.configuration.overrides.tls_secret_name

    async def _measure(self) -> None:
        while True:
            self._metrics.look_at(self.caches)
            await asyncio.sleep(METRICS_SECONDS)

    def _namespace_sightings(self, clock: Clock) -> Sightings:
        sightings = Sightings(clock)
        self.caches.namespaces.subscribe(
            lambda change: sightings.saw((change.new or change.old or PartialObject()).metadata.name)
        )
        return sightings

    def _ingress_sightings(self, clock: Clock) -> Sightings:
        sightings = Sightings(clock)
        self.catalog.on_ingress(lambda namespace, name: sightings.saw(f"{namespace}/{name}"))
        return sightings


def _caches(client: Client, settings: AdmissionSettings) -> Caches:
    return Caches(
        tenants=Cache(client, TENANTS, transform=without_status),
        tenant_owners=Cache(client, TENANT_OWNERS, indexes={BY_TENANT_LABEL: _tenant_label}),
        configurations=Cache(client, CONFIGURATIONS, field_selector=f"metadata.name={settings.configuration_name}"),
        namespaces=Cache(
            client,
            NAMESPACES.metadata_only(),
            label_selector=labels.TENANT,
        ),
        promoted=Cache(
            client,
            SERVICE_ACCOUNTS.metadata_only(),
            label_selector=labels.OWNER_PROMOTE,
            indexes={BY_NAMESPACE: lambda one: (one.metadata.namespace,)},
        ),
    )


def _tenant_label(owner: TenantOwner) -> tuple[str, ...]:
    tenant = (owner.metadata.labels or {}).get(labels.NEW_TENANT)
    return (tenant,) if tenant else ()


@asynccontextmanager
async def _until_written(acknowledger: Acknowledger) -> AsyncIterator[None]:
    """Have it written before the body runs, and withdrawn after."""
    while True:
        try:
            await acknowledger.write()
            break
        except TenantryError as error:
            _log.warning("acknowledgement.not_written", error=str(error))
            await asyncio.sleep(1)
    try:
        yield
    finally:
        try:
            async with asyncio.timeout(2):
                await acknowledger.withdraw()
        except (TenantryError, TimeoutError) as error:
            # It runs out by itself, some seconds later.
            _log.info("acknowledgement.not_withdrawn", error=str(error))

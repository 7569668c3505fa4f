"""One cluster behind the gateway: what is known of it, who decides, who answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tenantry.access.identity import Identity
from tenantry.access.requests import RequestInfo
from tenantry.access.served import is_node_lease, is_self_review
from tenantry.foundation.clock import Clock
from tenantry.gateway.access_reviews import AccessReviews
from tenantry.gateway.fanout.fanout import FanOut
from tenantry.gateway.identity.assembly import identity_reviewer
from tenantry.gateway.identity.reviewer import IdentityReviewer
from tenantry.gateway.knowledge.knowledge import Knowledge
from tenantry.gateway.metrics import ClusterMetrics
from tenantry.gateway.server import Handler, Responder, messages
from tenantry.gateway.serving.service import Serving
from tenantry.gateway.settings import ClusterSettings, Limits, Locks
from tenantry.gateway.verdicts.kinds import Kinds
from tenantry.gateway.verdicts.leases import NodeLeases
from tenantry.gateway.verdicts.self_reviews import SelfReviews
from tenantry.gateway.verdicts.settling import Settling
from tenantry.gateway.verdicts.verdicts import Verdicts
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig, load_config

USER_AGENT: Final = "tenantry-gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all clusters of one gateway have in common."""

    limits: Limits
    locks: Locks
    clock: Clock
    sealing_key: bytes
    """What ``continue`` tokens are sealed with, 32 bytes; the same in all replicas where that can be."""
    on_keys_changed: Callable[[], None]
    """Called when an issuer withdrew a key: what the data plane remembers must go."""


class ClusterGateway:
    """The parts of one cluster, put together; made by :func:`cluster_gateway`."""

    def __init__(
        self,
        settings: ClusterSettings,
        client: Client,
        reviewer: IdentityReviewer,
        reviews: AccessReviews,
        *,
        shared: Shared,
        metrics: ClusterMetrics,
    ) -> None:
        self.settings = settings
        self.client = client
        self.reviewer = reviewer
        self.knowledge = Knowledge(client, settings.visibility, clock=shared.clock)
        self._serving = Serving(
            client.transport,
            self.knowledge,
            cluster=settings.name,
            token_key=shared.sealing_key,
            counters=metrics.serving,
        )
        self._fan_out = FanOut(
            client.transport,
            self.knowledge,
            cluster=settings.name,
            limits=shared.limits,
            cursor_key=shared.sealing_key,
            counters=metrics.fan_out,
        )
        kinds = Kinds(client, shared.clock)
        self._verdicts = Verdicts(
            client,
            self.knowledge,
            kinds=kinds,
            reviews=reviews,
            sends_own_tokens=settings.identity.own_token != "Never",  # noqa: S105 - no token
        )
        self._self_reviews = SelfReviews(client, self.knowledge, kinds=kinds, reviews=reviews)
        self._leases = NodeLeases(client, self.knowledge)
        self.set_locks(shared.locks)
        metrics.observe(self._serving.watch_counts, lambda: self._fan_out.upstream_watches)

    @property
    def responder(self) -> Responder:
        """What answers on this cluster's socket."""
        return Responder(
            messages=messages(
                identify=self.reviewer.identify,
                verdict=self._verdicts.verdict,
                masked=self._verdicts.masked,
                created=Settling(self.client, self.knowledge).created,
            ),
            route=self._route,
        )

    async def run(self) -> None:
        """Keep everything up to date until cancelled; no failure of the cluster ends it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.knowledge.run(), name="knowledge")
            group.create_task(self.reviewer.run(), name="identity")
            group.create_task(self._serving.run(), name="serving")

    def problems(self) -> Iterable[str]:
        """Yield what keeps users of this cluster from being served, a sentence each."""
        for part in (self.knowledge, self.reviewer, self._serving, self._fan_out):
            for problem in part.problems():
                yield f"cluster {self.settings.name}: {problem}"

    def set_locks(self, locks: Locks) -> None:
        """Refuse whoever is listed from now on."""
        self.reviewer.set_locks(locks)

    def end_locked(self, locks: Locks) -> None:
        """End what filtered reads still run for whoever is listed."""

        def is_locked(identity: Identity) -> bool:
            return identity.user in locks.users or not locks.groups.isdisjoint(identity.groups)

        self.end_streams(is_locked)

    def end_streams(self, predicate: Callable[[Identity], bool]) -> int:
        """End the filtered lists and watches of whoever *predicate* is true of; return how many those were."""
        return self._serving.end_streams(predicate) + self._fan_out.end_streams(predicate)

    async def _route(self, info: RequestInfo) -> Handler:
        if is_self_review(info):
            return self._self_reviews
        if is_node_lease(info):
            return self._leases
        if info.resource == "namespaces" and not info.api_group:
            return self._serving
        described = await self.client.api_resource(info.api_group_version, info.resource)
        return self._fan_out if described is not None and described.namespaced else self._serving


@asynccontextmanager
async def cluster_gateway(
    settings: ClusterSettings, *, shared: Shared, metrics: ClusterMetrics
) -> AsyncIterator[ClusterGateway]:
    """Yield the cluster's parts; whoever has them runs :meth:`ClusterGateway.run` beside.

    Raises:
        ConfigurationError: How to reach it, or who may come in, is not to be read.
    """
    config = upstream_of(settings)
    async with Client(config, user_agent=USER_AGENT, observer=metrics.request) as client:
        reviews = AccessReviews(client, shared.clock, observer=metrics.identity)
        async with identity_reviewer(
            settings.identity,
            client,
            access_reviews=reviews,
            clock=shared.clock,
            observer=metrics.identity,
            on_keys_changed=shared.on_keys_changed,
        ) as reviewer:
            yield ClusterGateway(settings, client, reviewer, reviews, shared=shared, metrics=metrics)


def upstream_of(settings: ClusterSettings) -> ClusterConfig:
    """Return how the gateway's own account reaches the cluster; raise ConfigurationError where that can't be told."""
    return load_config(kubeconfig=settings.kubeconfig, context=settings.context)

"""The whole gateway: clusters, streams, data plane; started, kept, reloaded, drained.

Nothing here decides about a request.  What this must get right is order: whatever narrows access
takes effect before what could widen it, and a configuration that is wrong widens nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog

from tenantry.foundation.clock import Clock
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.cluster import ClusterGateway
from tenantry.gateway.clusters import Clusters, give_up, needs_authority
from tenantry.gateway.envoy.credentials import is_pushed
from tenantry.gateway.envoy.inputs import ClusterInputs, Inputs
from tenantry.gateway.envoy.render import Files, render
from tenantry.gateway.envoy.supervisor import Envoy
from tenantry.gateway.metrics import GatewayMetrics
from tenantry.gateway.runtime import RuntimeFolder
from tenantry.gateway.settings import GatewaySettings, Locks
from tenantry.gateway.streams.locks import LockSet
from tenantry.gateway.streams.records import Sink
from tenantry.gateway.streams.supervisor import StreamSupervisor
from tenantry.kube.tls import Pem

CREDENTIAL_SECONDS: Final = 5.0
"""How often our own credential is looked at; whoever obtains it remembers it for as long as it holds."""
AUTHORITY_SECONDS: Final = 30.0
AUTHORITY_RETRY_SECONDS: Final = 2.0
PUSH_RETRY_SECONDS: Final = 1.0
CLUSTER_CHECK: Final = "cluster-"
LAST_SECONDS: Final = 1.0
"""Before the end of draining, filtered reads end by themselves: their clients go on elsewhere without an error."""

_log = structlog.get_logger(__name__)


class Gateway:
    """One gateway; :meth:`running` starts it and ends it."""

    def __init__(
        self,
        settings: GatewaySettings,
        runtime: RuntimeFolder,
        *,
        clock: Clock,
        metrics: GatewayMetrics,
        sink: Sink,
    ) -> None:
        """Start nothing yet; *runtime* exists, with mode 0700, and *sink* takes audit records of streams."""
        self.settings = settings
        self._runtime = runtime
        self._metrics = metrics
        self._secret = secrets.token_hex(32)
        self._locks = settings.locks
        self._envoy = Envoy(settings, runtime)
        self._streams = StreamSupervisor(
            runtime.streams_socket,
            secret=self._secret,
            locks=LockSet.of(settings.locks),
            clock=clock,
            sink=sink,
            counters=metrics,
        )
        self._push_due = asyncio.Event()
        self._clusters = Clusters(
            runtime, secret=self._secret, clock=clock, metrics=metrics, on_keys_changed=self._push_due.set
        )
        self._group: asyncio.TaskGroup | None = None
        self._is_started = False
        self._is_draining = False
        self._unpushed = ""
        """Why the data plane may still know somebody whom it should not."""
        self._changing = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while open; on leaving, end at once what still runs: :meth:`drain` comes before.

        Raises:
            ConfigurationError: The settings can't be served.
        """
        async with asyncio.TaskGroup() as group:
            self._group = group
            tasks = [group.create_task(self._streams.run(), name="streams")]
            try:
                await self._start(group)
                kept = (self._envoy.run(), self._keep_credentials(), self._keep_authorities(), self._push_scripts())
                tasks += [group.create_task(each) for each in kept]
                self._metrics.observe_streams(lambda: self._streams.active)
                self._is_started = True
                yield
            finally:
                await self._envoy.stop()
                self._clusters.close()
                for task in tasks:
                    task.cancel()

    def problems(self) -> Iterable[str]:
        """Yield why no traffic should come here, a sentence each.

        A cluster that is away is no reason while another can be served: it answers 503 for itself.
        """
        checks = self.checks()
        of_clusters = [found for name, found in checks.items() if name.startswith(CLUSTER_CHECK)]
        for name, found in checks.items():
            if not name.startswith(CLUSTER_CHECK) or all(of_clusters):
                yield from found

    def checks(self) -> dict[str, tuple[str, ...]]:
        """Return everything that is looked at, by name, with a sentence for each thing that is wrong."""
        state = (
            *(("the gateway is starting",) if not self._is_started else ()),
            *(("the gateway is stopping",) if self._is_draining else ()),
            *((self._unpushed,) if self._unpushed else ()),
        )
        of_clusters = {
            f"{CLUSTER_CHECK}{parts.settings.name}": (
                *self._envoy.credential_problems(parts.settings.name),
                *parts.problems(),
            )
            for parts in self._clusters
        }
        return {
            "gateway": state,
            "envoy": self._envoy.problems(),
            "streams": tuple(self._streams.problems()),
            **of_clusters,
        }

    async def stats(self) -> str:
        """Return the data plane's metrics as Prometheus text; empty while it does not answer."""
        try:
            return await self._envoy.stats()
        except TenantryError:
            return ""

    async def drain(self) -> None:
        """Soon take nothing new, and return when what runs has ended, or after ``drain_seconds``."""
        self._is_draining = True
        seconds, linger = self.settings.drain_seconds, self._envoy.linger_seconds
        async with asyncio.TaskGroup() as group:
            ending = group.create_task(self._end_filtered(max(0.0, seconds - LAST_SECONDS)))
            await asyncio.gather(self._envoy.drain(), self._end_streams(linger, max(0.0, seconds - linger)))
            ending.cancel()  # Nothing runs any more.

    async def _end_streams(self, after_seconds: float, seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        await self._streams.drain(seconds)

    async def _end_filtered(self, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        for parts in self._clusters:
            parts.end_streams(lambda _: True)

    async def apply(self, settings: GatewaySettings) -> None:
        """Go over to *settings*.

        Raises:
            ConfigurationError: They can't be served; the last ones stay in force, together
                with the locks of both.
        """
        assert self._group is not None
        async with self._changing:
            both = Locks(
                users=self._locks.users | settings.locks.users, groups=self._locks.groups | settings.locks.groups
            )
            await self._lock(both)
            made = await self._clusters.changed(settings, both, self._group)
            try:
                needs_restart = await self._envoy.apply(self._rendered(settings, self._clusters.with_(made)))
            except BaseException:
                give_up(made)
                raise
            self._clusters.take_over(settings, made)
            self.settings = settings
            await self._lock(settings.locks)
            await self._push()
            if needs_restart:
                _log.warning("gateway.restart_needed", because="a limit on connections takes effect at a start alone")

    async def _lock(self, locks: Locks) -> None:
        """Refuse exactly these: first new requests, then what the data plane remembers, then what runs.

        Streams are ended by whoever holds them, which records why; the clusters' own parts end what is left.
        """
        if locks == self._locks:
            return
        self._locks = locks
        for parts in self._clusters:
            parts.set_locks(locks)
        await self._push()
        ended = await self._streams.apply(LockSet.of(locks))
        for parts in self._clusters:
            parts.end_locked(locks)
        _log.info("gateway.locks", users=sorted(locks.users), groups=sorted(locks.groups), ended=ended)

    async def _start(self, group: asyncio.TaskGroup) -> None:
        made = await self._clusters.changed(self.settings, self._locks, group)
        self._clusters.take_over(self.settings, made)
        pushed = {
            parts.settings.name: await _authorization(parts)
            for parts in self._clusters
            if is_pushed(parts.client.config)
        }
        await self._envoy.start(self._rendered(self.settings, self._clusters.with_({})), pushed=pushed)

    def _rendered(self, settings: GatewaySettings, parts: Mapping[str, ClusterGateway]) -> Files:
        authorities = self._clusters.authorities
        inputs = {
            cluster.name: ClusterInputs(
                upstream=parts[cluster.name].client.config,
                client_ca=Pem(data=authorities[cluster.name]) if cluster.name in authorities else None,
            )
            for cluster in settings.clusters
        }
        return render(settings, self._runtime, Inputs(secret=self._secret, clusters=inputs))

    async def _keep_authorities(self) -> None:
        """Follow the clusters' client CAs: without the right one, no certificate is taken."""
        while True:
            needing = [one for one in self.settings.clusters if needs_authority(one)]
            is_complete = all(one.name in self._clusters.authorities for one in needing)
            await asyncio.sleep(AUTHORITY_SECONDS if is_complete else AUTHORITY_RETRY_SECONDS)
            async with self._changing:
                parts = self._clusters.with_({})
                if await self._clusters.learn_authorities(self.settings, parts):
                    try:
                        await self._envoy.apply(self._rendered(self.settings, parts))
                    except TenantryError as error:
                        _log.error("gateway.client_authority_refused", error=str(error))

    async def _keep_credentials(self) -> None:
        """Hand our own credentials to the data plane, those that it can't read itself."""
        known: dict[str, str | None] = {}
        while True:
            for parts in self._clusters:
                if is_pushed(parts.client.config):
                    name, authorization = parts.settings.name, await _authorization(parts)
                    if name not in known or known[name] != authorization:
                        try:
                            self._envoy.set_token(name, authorization)
                        except OSError as error:
                            _log.error("gateway.credential_not_written", cluster=name, error=str(error))
                        else:
                            known[name] = authorization
            await asyncio.sleep(CREDENTIAL_SECONDS)

    async def _push_scripts(self) -> None:
        while True:
            await self._push_due.wait()
            self._push_due.clear()
            await self._push()
            if self._unpushed:
                await asyncio.sleep(PUSH_RETRY_SECONDS)

    async def _push(self) -> None:
        """Have the data plane forget whom it knows; what can't be written now is tried again, and told."""
        try:
            await self._envoy.push_script()
        except OSError as error:  # A full disk: what is remembered holds no longer than it would anyway.
            _log.error("gateway.script_not_pushed", error=str(error))
            self._unpushed = f"the runtime folder can not be written, so locks take effect late: {error.strerror}"
            self._push_due.set()
        else:
            self._unpushed = ""


async def _authorization(parts: ClusterGateway) -> str | None:
    """Return our own Authorization header; None where it can't be had now."""
    try:
        return await parts.client.transport.authorization()
    except TenantryError as error:
        _log.error("gateway.no_credential", cluster=parts.settings.name, error=str(error))
        return None

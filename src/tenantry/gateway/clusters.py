"""The clusters that one gateway serves: made, exchanged while they serve, and given up."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from tenantry.foundation.clock import Clock
from tenantry.foundation.errors import ConfigurationError, TenantryError
from tenantry.gateway.cluster import ClusterGateway, Shared, cluster_gateway
from tenantry.gateway.identity.client_authority import client_ca
from tenantry.gateway.metrics import GatewayMetrics
from tenantry.gateway.runtime import RuntimeFolder
from tenantry.gateway.server import GatewayServer
from tenantry.gateway.settings import ClusterSettings, GatewaySettings, Locks

FIRST_CONTACT_SECONDS: Final = 5.0
"""How long a cluster's client CA is waited for: one that is down must not hold up the others."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Hosted:
    """One cluster's parts, in a task that closes them when told."""

    parts: ClusterGateway
    signature: object
    """What it was made from."""
    stop: asyncio.Event


@dataclass(frozen=True, slots=True)
class _Socket:
    server: GatewayServer
    stop: asyncio.Event


class Clusters:
    """By name; iterating yields the parts of each."""

    def __init__(
        self,
        runtime: RuntimeFolder,
        *,
        secret: str,
        clock: Clock,
        metrics: GatewayMetrics,
        on_keys_changed: Callable[[], None],
    ) -> None:
        """Serve none yet."""
        self._runtime = runtime
        self._secret = secret
        self._clock = clock
        self._metrics = metrics
        self._on_keys_changed = on_keys_changed
        self._random_seal = secrets.token_bytes(32)
        self._hosted: dict[str, Hosted] = {}
        self._sockets: dict[str, _Socket] = {}
        self.authorities: dict[str, bytes] = {}
        """Each cluster's own client CA, in PEM, where it is needed and known."""

    def __iter__(self) -> Iterator[ClusterGateway]:
        return iter([hosted.parts for hosted in self._hosted.values()])

    async def changed(self, settings: GatewaySettings, locks: Locks, group: asyncio.TaskGroup) -> dict[str, Hosted]:
        """Return new parts for each cluster that *settings* change; nothing comes to them before :meth:`take_over`.

        Raises:
            ConfigurationError: A cluster can't be served like this; what was made is given up again.
        """
        made: dict[str, Hosted] = {}
        try:
            for cluster in settings.clusters:
                hosted = self._hosted.get(cluster.name)
                if hosted is None or hosted.signature != self._signature(settings, cluster):
                    made[cluster.name] = await self._made(settings, cluster, locks, group)
                if cluster.name not in self._sockets:
                    await self._open(cluster.name, made[cluster.name], group)
        except BaseException:
            give_up(made)
            raise
        await self.learn_authorities(settings, {name: hosted.parts for name, hosted in made.items()})
        return made

    def with_(self, made: Mapping[str, Hosted]) -> dict[str, ClusterGateway]:
        """Return the parts by name, as they will be with *made*."""
        return {name: hosted.parts for name, hosted in {**self._hosted, **made}.items()}

    def take_over(self, settings: GatewaySettings, made: Mapping[str, Hosted]) -> None:
        """Have *made* answer from now on; what is not in *settings* any more ends."""
        for name, hosted in made.items():
            self._sockets[name].server.responder = hosted.parts.responder
            old = self._hosted.get(name)
            self._hosted[name] = hosted
            if old is not None:
                old.stop.set()
        for name in set(self._hosted) - {cluster.name for cluster in settings.clusters}:
            self._hosted.pop(name).stop.set()
            self._sockets.pop(name).stop.set()
            self.authorities.pop(name, None)

    def close(self) -> None:
        """End all."""
        give_up(self._hosted)
        for socket in self._sockets.values():
            socket.stop.set()

    async def learn_authorities(self, settings: GatewaySettings, parts: Mapping[str, ClusterGateway]) -> bool:
        """Ask the clusters in *parts* who signs their client certificates; return whether that changed."""
        asked = [parts[one.name] for one in settings.clusters if needs_authority(one) and one.name in parts]
        return any(await asyncio.gather(*map(self._learn_authority, asked)))

    async def _learn_authority(self, parts: ClusterGateway) -> bool:
        name = parts.settings.name
        try:
            async with asyncio.timeout(FIRST_CONTACT_SECONDS):
                found = await client_ca(parts.client)
        except (TenantryError, TimeoutError) as error:
            if name not in self.authorities:
                _log.warning("gateway.no_client_authority", cluster=name, error=str(error))
            return False
        is_new = self.authorities.get(name) != found
        self.authorities[name] = found
        return is_new

    async def _made(
        self, settings: GatewaySettings, cluster: ClusterSettings, locks: Locks, group: asyncio.TaskGroup
    ) -> Hosted:
        opened: asyncio.Future[ClusterGateway] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        shared = Shared(
            limits=settings.limits,
            locks=locks,
            clock=self._clock,
            sealing_key=self._sealing_key(settings),
            on_keys_changed=self._on_keys_changed,
        )
        metrics = self._metrics.of_cluster(cluster.name)

        async def live() -> None:
            try:
                async with cluster_gateway(cluster, shared=shared, metrics=metrics) as parts:
                    opened.set_result(parts)
                    await _run_until(stop, parts)
            except TenantryError as error:
                if opened.done():
                    raise
                opened.set_exception(error)

        signature = self._signature(settings, cluster)
        group.create_task(live(), name=f"cluster {cluster.name}")
        return Hosted(await opened, signature, stop)

    async def _open(self, name: str, hosted: Hosted, group: asyncio.TaskGroup) -> None:
        server = GatewayServer(self._secret, hosted.parts.responder)
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()

        async def live() -> None:
            try:
                async with server.serving(self._runtime.python_socket(name)):
                    opened.set_result(None)
                    await stop.wait()
            except (TenantryError, OSError) as error:
                if opened.done():
                    raise
                opened.set_exception(ConfigurationError(f"cannot serve on a socket in {self._runtime.root}: {error}"))

        group.create_task(live(), name=f"socket {name}")
        await opened
        self._sockets[name] = _Socket(server, stop)

    def _signature(self, settings: GatewaySettings, cluster: ClusterSettings) -> object:
        """Return what a cluster's parts depend on: settings, and the files that are read once."""
        files = (cluster.identity.authentication_configuration, cluster.kubeconfig)
        return (cluster, settings.limits, self._sealing_key(settings), *map(_content, files))

    def _sealing_key(self, settings: GatewaySettings) -> bytes:
        """Return what ``continue`` tokens are sealed with: made of the serving key, which all replicas share."""
        if settings.listening.certificates:
            try:
                key = settings.listening.certificates[0].key.read_bytes()
            except OSError:
                return self._random_seal
            return hashlib.blake2b(key, digest_size=32, person=b"tenantry/list").digest()
        return self._random_seal


def give_up(made: Mapping[str, Hosted]) -> None:
    """Close parts that are not used after all."""
    for hosted in made.values():
        hosted.stop.set()


def needs_authority(cluster: ClusterSettings) -> bool:
    """Say whether the data plane must know the cluster's own client CA."""
    identity = cluster.identity
    return "TLSCertificate" in identity.authenticators and identity.certificates.ca is None


def _content(path: Path | str | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error


async def _run_until(stop: asyncio.Event, parts: ClusterGateway) -> None:
    """Return when *stop* is set; raise what ended the parts before."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(parts.run(), name=f"parts of {parts.settings.name}")
        await stop.wait()
        running.cancel()

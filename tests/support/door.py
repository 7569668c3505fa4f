"""A running gateway between a client without manners and an API server whose front records what arrives."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import raw
from issuer import Issuer
from recording_upstream import Arrived, RecordingUpstream

from tenantry.controlplane.pki import Authority, utc_now
from tenantry.testing.gateway import Gateway, account_kubeconfig
from tenantry.testing.platform import Platform

Header = tuple[str, str]
PATIENCE_SECONDS: Final = 20.0
_agents = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one request."""

    agent: str
    """The User-Agent that it was sent with, which no other has."""
    reply: raw.Reply
    arrived: tuple[Arrived, ...]
    """What the data plane sent to the API server for it."""

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def json(self) -> Any:
        return json.loads(self.reply.body)

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and reason of a refusal that went nowhere, in the form that Kubernetes' clients read."""
        assert self.arrived == ()
        body = self.json
        assert (body["kind"], body["apiVersion"], body["status"], body["code"]) == (
            "Status",
            "v1",
            "Failure",
            self.status,
        )
        return self.status, body["reason"]

    @property
    def headers(self) -> list[Header]:
        """The headers of the one request that arrived, sorted; what differs by request is left out."""
        (one,) = self.arrived
        return sorted(
            (name, value)
            for name, value in one.headers
            if name not in {"x-request-id", "audit-id", "user-agent", "host", "authorization", "x-forwarded-for"}
        )


@dataclass(slots=True)
class Door:
    """The gateway, what is before it and what is behind it; made by :meth:`opened`."""

    gateway: Gateway
    upstream: RecordingUpstream
    issuer: Issuer
    token_file: Path
    """The token of the gateway's own account."""
    _contexts: dict[object, ssl.SSLContext] = field(default_factory=dict)

    @classmethod
    async def prepared(
        cls,
        platform: Platform,
        folder: Path,
        *,
        clusters: Mapping[str, Mapping[str, Any]],
        token: str | None = None,
        **configuration: Any,
    ) -> Self:
        """Make everything but run no gateway yet.

        Args:
            platform: Running.
            folder: For files of all kinds.
            clusters: Identity sections by host, "" for the default.
            token: What the gateway's own token file says; None: as the installation's.
            configuration: Of the gateway.
        """
        folder.mkdir(exist_ok=True)  # noqa: ASYNC240 - once, before anything else runs
        upstream = await RecordingUpstream.start(platform.plane, folder)
        issuer = await Issuer.start(folder)
        original = await account_kubeconfig(platform)
        token_file = folder / "account" / "token"
        token_file.parent.mkdir()
        token_file.write_text(token or original.with_suffix(".token").read_text())
        account = upstream.kubeconfig(original, folder / "account.kubeconfig", token_file)
        listed = [_cluster(host, identity, account, issuer) for host, identity in clusters.items()]
        gateway = await Gateway.prepare(
            platform, folder / "gw", clusters=listed, hosts=[*filter(None, clusters)], configuration=configuration
        )
        return cls(gateway, upstream, issuer, token_file)

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        platform: Platform,
        folder: Path,
        *,
        clusters: Mapping[str, Mapping[str, Any]] | None = None,
        **more: Any,
    ) -> AsyncIterator[Self]:
        """Run all of it in the body; *more* as for :meth:`prepared`."""
        door = await cls.prepared(platform, folder, clusters=clusters or {"": {}}, **more)
        try:
            await door.gateway.run()
            await door.gateway.wait_ready()
            yield door
        finally:
            await door.gateway.stop()
            await door.issuer.stop()
            await door.upstream.stop()

    @property
    def own_authorization(self) -> str:
        """What the gateway shows to the API server."""
        return f"Bearer {self.token_file.read_text().strip()}"

    def certificate(self, user: str, groups: Sequence[str] = ()) -> ssl.SSLContext:
        """Return how a user with a client certificate connects."""
        return self._context((user, tuple(groups)))

    @property
    def nobody(self) -> ssl.SSLContext:
        """How somebody without a certificate connects."""
        return self._context(None)

    def _context(self, who: tuple[str, tuple[str, ...]] | None) -> ssl.SSLContext:
        if who not in self._contexts:
            context = ssl.create_default_context(cafile=str(self.gateway.ca))
            if who is not None:
                pair = Authority(self.gateway.platform.plane.folder / "pki").client(utc_now(), who[0], who[1])
                file = self.gateway.folder / f"client-{len(self._contexts)}.pem"
                file.write_bytes(pair.certificate + pair.key)
                context.load_cert_chain(file)
            self._contexts[who] = context
        return self._contexts[who]

    async def open(self, tls: ssl.SSLContext | None = None, *, host: str = "") -> raw.Connection:
        """Open a connection; *host* chooses the cluster."""
        return await raw.Connection.open(self.gateway.port, tls=tls or self.nobody, server_name=host or None)

    async def send(self, data: bytes, tls: ssl.SSLContext | None = None, *, host: str = "") -> raw.Reply:
        """Send exactly *data* on a connection of its own; raise EOFError where that is just closed."""
        async with await self.open(tls, host=host) as connection:
            await connection.send(data)
            return await connection.reply()

    async def ask(
        self,
        target: str,
        *headers: Header,
        tls: ssl.SSLContext | None = None,
        token: str | None = None,
        host: str = "",
        method: str = "GET",
        body: bytes | None = None,
    ) -> Asked:
        """Send one request, and return what was answered and what arrived."""
        agent = f"probe-{next(_agents)}"
        shown = (("User-Agent", agent), *((("Authorization", f"Bearer {token}"),) if token is not None else ()))
        data = raw.request(target, method=method, host=host or "127.0.0.1", headers=(*shown, *headers), body=body)
        async with await self.open(tls, host=host) as connection:
            await connection.send(data)
            reply = await (connection.head() if method == "HEAD" else connection.reply())
        return Asked(agent, reply, tuple(self.upstream.by_agent(agent)))

    def records(self) -> list[dict[str, Any]]:
        """Return the audit log as it stands on disk."""
        file = self.gateway.audit_file
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    async def record(self, asked: Asked) -> dict[str, Any]:
        """Return the audit record of a request; it is written a moment after the answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for record in self.records():
                    if record.get("userAgent") == asked.agent:
                        return record
                await asyncio.sleep(0.05)

    def output(self) -> str:
        """Return all that the gateway wrote anywhere: its log and its audit log."""
        return self.gateway.part.log.read_text() + self.gateway.audit_file.read_text()


def _cluster(host: str, identity: Mapping[str, Any], account: Path, issuer: Issuer) -> dict[str, Any]:
    whole = {"authenticationConfiguration": str(issuer.configuration), **identity}
    hosts = {"hosts": [host]} if host else {}
    name = host.partition(".")[0] or "default"
    return {"name": name, "isDefault": not host, "kubeconfig": str(account), "identity": whole, **hosts}

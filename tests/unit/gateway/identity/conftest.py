"""A clock that tests turn, certificates, and a stand-in for the API server's reviews."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tenantry.foundation.codec import decode_any, encode
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig

START = datetime(2030, 1, 1, tzinfo=UTC)


class HandClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


class Counting:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def identified(self, how: str, reason: str) -> None:
        self.told.append(("identified", how, reason))

    def token_reviewed(self, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.told.append(("token_reviewed", outcome))

    def access_reviewed(self, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.told.append(("access_reviewed", outcome))

    def looked_up(self, cache: str, *, hit: bool) -> None:
        self.told.append(("looked_up", cache, hit))

    def keys_fetched(self, issuer: str, outcome: str) -> None:
        self.told.append(("keys_fetched", issuer, outcome))


@pytest.fixture
def counting() -> Counting:
    return Counting()


class Reviewing:
    """Answers reviews as a test says, over HTTP; knows what it was asked."""

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, Any]] = {}
        """The status for each token; others are refused."""
        self.denied: set[str] = set()
        """Names that nobody may impersonate."""
        self.failure = 0
        """If set, the HTTP status of every answer."""
        self.asked: list[dict[str, Any]] = []
        self.busiest = 0
        self._busy = 0

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self._busy += 1
        self.busiest = max(self.busiest, self._busy)
        try:
            body = decode_any(await request.read())
            self.asked.append(body["spec"])
            await asyncio.sleep(0.002)  # As long as an answer takes: without it, no two would ever meet here.
            if self.failure:
                return web.Response(status=self.failure)
            return web.Response(body=encode({"status": self._status(body["kind"], body["spec"])}))
        finally:
            self._busy -= 1

    def _status(self, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        if kind == "TokenReview":
            return self.tokens.get(spec["token"], {"authenticated": False})
        return {"allowed": spec["resourceAttributes"]["name"] not in self.denied}

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        runner = web.ServerRunner(web.Server(self.handle), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with Client(ClusterConfig(server=f"http://127.0.0.1:{runner.addresses[0][1]}")) as client:
                yield client
        finally:
            await runner.cleanup()


@pytest.fixture
def reviewing() -> Reviewing:
    return Reviewing()


class Certificates:
    """A small authority whose certificates are valid around the clock's start."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.authority = self.issue(None, "the CA", is_authority=True, key=self.key)

    def issue(
        self,
        issuer: x509.Certificate | None,
        user: str = "",
        groups: Sequence[str] = (),
        extensions: Sequence[x509.ExtensionType] = (),
        *,
        is_authority: bool = False,
        key: ec.EllipticCurvePrivateKey | None = None,
        signer: ec.EllipticCurvePrivateKey | None = None,
        days: int = 1,
        uid: str = "",
    ) -> x509.Certificate:
        own = key or ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        if user:
            names.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
        if uid:
            names.append(x509.NameAttribute(x509.ObjectIdentifier("1.3.6.1.4.1.57683.2"), uid))
        subject = x509.Name(names)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer is not None else subject)
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(START - timedelta(days=1))
            .not_valid_after(START + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(signer or self.key, hashes.SHA256())

    def user(self, user: str = "alice", groups: Sequence[str] = ("devs",), **more: Any) -> x509.Certificate:
        return self.issue(self.authority, user, groups, **more)


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates()


def url_encoded(*certificates: x509.Certificate) -> str:
    return quote(b"".join(each.public_bytes(Encoding.PEM) for each in certificates), safe="")


@pytest.fixture
def encoded() -> Callable[..., str]:
    return url_encoded

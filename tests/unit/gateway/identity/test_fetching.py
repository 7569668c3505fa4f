"""Keys come over TLS, from the issuer that the configuration names, and from nowhere else."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tenantry.api.authentication import Issuer
from tenantry.foundation.errors import UnavailableError
from tenantry.gateway.identity.fetching import MAX_DOCUMENT_BYTES, KeyServer

JWK = {**ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True), "kid": "one"}


class Provider:
    """An identity provider whose documents a test changes."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.url = ""
        self.changes: dict[str, Any] = {}
        self.keys: Any = {"keys": [JWK]}
        self.handler: Callable[[web.BaseRequest], web.Response] | None = None

    async def handle(self, request: web.BaseRequest) -> web.Response:
        if self.handler is not None:
            return self.handler(request)
        if request.path == "/keys":
            return web.json_response(self.keys)
        if request.path in {"/.well-known/openid-configuration", "/elsewhere"}:
            return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.changes)
        return web.Response(status=404)

    def issuer(self, **more: Any) -> Issuer:
        ca = self.authority.cert_pem.bytes().decode()
        return Issuer(**{"url": self.url, "certificate_authority": ca, "audiences": ("a",)} | more)


@asynccontextmanager
async def serving(provider: Provider) -> AsyncIterator[None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    provider.authority.issue_cert("localhost").configure_cert(context)
    runner = web.ServerRunner(web.Server(provider.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0, ssl_context=context).start()
    provider.url = f"https://localhost:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    found = Provider()
    async with serving(found):
        yield found


async def fetched(issuer: Issuer) -> list[str]:
    async with KeyServer(issuer, timeout_seconds=5) as server:
        return [key.key_id for key in await server.fetch()]


async def problem(issuer: Issuer) -> str:
    with pytest.raises(UnavailableError) as caught:
        await fetched(issuer)
    return str(caught.value).removeprefix(issuer.url)


async def test_the_discovery_document_says_where_the_keys_are(provider: Provider) -> None:
    assert await fetched(provider.issuer()) == ["one"]


async def test_the_discovery_document_may_stand_elsewhere(provider: Provider) -> None:
    issuer = "https://not.to.be.reached.example"
    provider.changes = {"issuer": issuer}
    assert await fetched(provider.issuer(url=issuer, discovery_url=f"{provider.url}/elsewhere")) == ["one"]


async def test_another_issuers_document_is_refused(provider: Provider) -> None:
    provider.changes = {"issuer": f"{provider.url}/"}
    assert await problem(provider.issuer()) == (
        f"/.well-known/openid-configuration: the document is of issuer '{provider.url}/', not '{provider.url}'"
    )


@pytest.mark.parametrize("where", ["http://localhost/keys", "file:///etc/passwd", None, 5, "https://[", "https://"])
async def test_keys_come_over_tls(provider: Provider, where: object) -> None:
    provider.changes = {"jwks_uri": where}
    assert "is no https URL" in await problem(provider.issuer())


async def test_a_server_of_another_ca_is_not_believed(provider: Provider) -> None:
    other = trustme.CA().cert_pem.bytes().decode()
    assert "certificate verify failed" in (await problem(provider.issuer(certificate_authority=other))).lower()


@pytest.mark.parametrize("keys", [{"keys": []}, {"keys": [{"kty": "oct", "k": "AA"}]}])
async def test_an_empty_key_set_is_a_failure(provider: Provider, keys: object) -> None:
    provider.keys = keys
    assert await problem(provider.issuer()) == "/keys: it has no key that tokens can be verified by"


async def test_what_is_no_key_set_is_a_failure(provider: Provider) -> None:
    provider.keys = []
    assert (await problem(provider.issuer())).startswith("/keys: not a JSON Web Key set")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda _: web.Response(status=302, headers={"Location": "https://evil/"}), "answered 302"),
        (lambda _: web.Response(status=500), "answered 500"),
        (lambda _: web.Response(text="<html>"), "not a discovery document"),
        (lambda _: web.Response(body=b" " * (MAX_DOCUMENT_BYTES + 1)), f"more than {MAX_DOCUMENT_BYTES} bytes"),
    ],
)
async def test_other_answers_are_failures(provider: Provider, answer: Any, told: str) -> None:
    provider.handler = answer
    assert told in await problem(provider.issuer())


async def test_a_server_that_is_not_there_is_a_failure() -> None:
    assert await problem(Issuer(url="https://127.0.0.1:9", audiences=("a",)))

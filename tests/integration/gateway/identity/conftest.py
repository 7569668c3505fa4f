"""An identity provider over HTTPS, and an API server that knows the same issuers as the gateway."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jwt
import pytest
import trustme
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

T = TypeVar("T")

AUDIENCE = "kubernetes"


class Provider:
    """Many issuers, ``https://localhost:<port>/<name>``, with one key."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.url = ""

    @property
    def ca(self) -> str:
        return self.authority.cert_pem.bytes().decode()

    def token(self, issuer: str, claims: dict[str, Any]) -> str:
        now = int(time.time())
        whole = {"iss": f"{self.url}/{issuer}", "aud": AUDIENCE, "iat": now, "exp": now + 600, **claims}
        return jwt.encode(whole, self.key, "RS256", headers={"kid": "one"})

    async def start(self) -> web.AppRunner:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("localhost").configure_cert(context)
        application = web.Application()
        application.router.add_get("/{issuer}/.well-known/openid-configuration", self._discovery)
        application.router.add_get("/keys", self._keys)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "localhost", 0, ssl_context=context)
        await site.start()
        self.url = f"https://localhost:{runner.addresses[0][1]}"
        return runner

    async def _discovery(self, request: web.Request) -> web.Response:
        issuer = f"{self.url}/{request.match_info['issuer']}"
        return web.json_response(
            {"issuer": issuer, "jwks_uri": f"{self.url}/keys", "id_token_signing_alg_values_supported": ["RS256"]}
        )

    async def _keys(self, request: web.Request) -> web.Response:
        del request
        key = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return web.json_response({"keys": [{**key, "kid": "one", "use": "sig", "alg": "RS256"}]})


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """Runs on a thread of its own: the API server asks it at any time."""
    found = Provider()
    loop = asyncio.new_event_loop()
    runner = loop.run_until_complete(found.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield found
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def run_apart() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Runs a coroutine on a loop of its own."""

    def run(work: Coroutine[Any, Any, T]) -> T:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, work).result()

    return run

"""An identity provider: one key, its two documents, and tokens of any size."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import jwt
import yaml
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tenantry.controlplane.pki import Authority, utc_now

_AUDIENCE: Final = "kubernetes"
_KEY: Final = "bench"


class Issuer:
    """Serves on the loopback address; made by :meth:`start`."""

    def __init__(self, runner: web.AppRunner, configuration: Path) -> None:
        self._runner = runner
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._url = ""
        self.configuration = configuration
        """An AuthenticationConfiguration that trusts it."""

    @classmethod
    async def start(cls, authority: Authority, folder: Path) -> Self:
        """Serve, with a certificate of *authority*."""
        pair = authority.server(utc_now())
        (folder / "issuer.crt").write_bytes(pair.certificate)
        (folder / "issuer.key").write_bytes(pair.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "issuer.crt", folder / "issuer.key")
        application = web.Application()
        issuer = cls(web.AppRunner(application, access_log=None), folder / "authentication.yaml")
        application.router.add_get("/{path:.*}", issuer._answer)
        await issuer._runner.setup()
        await web.TCPSite(issuer._runner, "127.0.0.1", 0, ssl_context=context).start()
        issuer._url = f"https://127.0.0.1:{issuer._runner.addresses[0][1]}"
        trusted = {"url": issuer._url, "audiences": [_AUDIENCE]}
        trusted["certificateAuthority"] = authority.certificate_file.read_text()
        mappings = {"username": {"claim": "sub", "prefix": ""}, "groups": {"claim": "groups", "prefix": ""}}
        issuer.configuration.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "apiserver.config.k8s.io/v1",
                    "kind": "AuthenticationConfiguration",
                    "jwt": [{"issuer": trusted, "claimMappings": mappings}],
                }
            )
        )
        return issuer

    def token(self, user: str, groups: Sequence[str]) -> str:
        """Return a token that holds for an hour."""
        now = int(time.time())
        claims = {"iss": self._url, "aud": _AUDIENCE, "sub": user, "groups": list(groups)}
        return jwt.encode({**claims, "iat": now, "exp": now + 3600}, self._key, "RS256", headers={"kid": _KEY})

    async def stop(self) -> None:
        """Serve no more."""
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if request.path == "/keys":
            key: dict[str, Any] = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
            return web.json_response({"keys": [{**key, "kid": _KEY, "use": "sig", "alg": "RS256"}]})
        return web.json_response({"issuer": self._url, "jwks_uri": f"{self._url}/keys"})

"""An identity provider that signs whatever a test wants, well or badly."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import jwt
import trustme
import yaml
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

AUDIENCE: Final = "kubernetes"
KEY_ID: Final = "one"


class Issuer:
    """Serves its discovery document and one key over TLS; made by :meth:`start`."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self._runner: web.AppRunner | None = None
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.url = ""
        self.configuration = folder / "authentication.yaml"
        """An AuthenticationConfiguration that trusts it: the claim ``sub`` is the user, ``groups`` are groups.

        A second issuer, below ``/mail``, names users by ``email``.
        """
        self.fetched: list[str] = []
        """The paths that were asked for."""

    @classmethod
    async def start(cls, folder: Path) -> Self:
        """Serve."""
        issuer = cls(folder)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer._authority.issue_cert("localhost").configure_cert(tls)
        application = web.Application()
        application.router.add_get("/{path:.*}", issuer._answer)
        runner = issuer._runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "localhost", 0, ssl_context=tls).start()
        issuer.url = f"https://localhost:{runner.addresses[0][1]}"
        issuer._configure()
        return issuer

    async def stop(self) -> None:
        """Serve no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    def move(self, port: int) -> None:
        """Be known by another *port*, from where somebody leads here."""
        self.url = f"https://localhost:{port}"
        self._configure()

    def token(self, user: str = "olga", *, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """Return a good token, but for what *header* and *claims* say; None leaves a claim out."""
        return jwt.encode(self.claims(user, **claims), self.key, "RS256", headers={"kid": KEY_ID, **(header or {})})

    def claims(self, user: str = "olga", **claims: Any) -> dict[str, Any]:
        """Return what a good token says."""
        now = int(time.time())
        whole = {"iss": self.url, "aud": AUDIENCE, "sub": user, "iat": now, "exp": now + 600, **claims}
        return {name: value for name, value in whole.items() if value is not None}

    def unsigned(self, header: Mapping[str, Any], *, signature: bytes = b"", **claims: Any) -> str:
        """Return a token of exactly this header, with any signature."""
        return f"{_encoded(header)}.{_encoded(self.claims(**claims))}.{_base64url(signature)}"

    def by_shared_secret(self, **claims: Any) -> str:
        """Return a token that is "signed" with the public key as if that were a shared secret."""
        public = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        text = f"{_encoded({'alg': 'HS256', 'kid': KEY_ID})}.{_encoded(self.claims(**claims))}"
        return f"{text}.{_base64url(hmac.digest(public, text.encode(), hashlib.sha256))}"

    def _configure(self) -> None:
        authority = self._authority.cert_pem.bytes().decode()
        listed = [
            {
                "issuer": {"url": url, "audiences": [AUDIENCE], "certificateAuthority": authority},
                "claimMappings": {
                    "username": {"claim": claim, "prefix": ""},
                    "groups": {"claim": "groups", "prefix": ""},
                },
            }
            for url, claim in ((self.url, "sub"), (f"{self.url}/mail", "email"))
        ]
        whole = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": listed}
        self.configuration.write_text(yaml.safe_dump(whole))

    async def _answer(self, request: web.Request) -> web.Response:
        self.fetched.append(request.path)
        known, is_discovery, _ = request.path.partition("/.well-known/openid-configuration")
        if is_discovery:
            return web.json_response(
                {
                    "issuer": self.url + known,
                    "jwks_uri": f"{self.url}/keys",
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )
        key = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return web.json_response({"keys": [{**key, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]})


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

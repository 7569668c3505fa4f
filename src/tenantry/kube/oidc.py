"""Credentials of a kubeconfig's ``oidc`` auth provider: an ID token, and a refresh token to renew it with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import time

import aiohttp
import structlog
import yaml

from tenantry.foundation.codec import DecodeError, Model, decode
from tenantry.foundation.errors import ConfigurationError
from tenantry.kube.credentials import CredentialSource, Grant, RefreshingSource
from tenantry.kube.errors import CredentialsError
from tenantry.kube.kubeconfig import store_auth_provider
from tenantry.kube.tls import Pem, TlsContexts, TlsSettings

TIMEOUT_SECONDS = 30.0
LEEWAY_SECONDS = 10.0
"""A token that expires sooner is renewed: it must survive the way to the server."""

_log = structlog.get_logger(__name__)


class _Claims(Model):
    exp: float = 0


class _Discovery(Model, rename=None):
    token_endpoint: str


class _Tokens(Model, rename=None):
    id_token: str = ""
    refresh_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcProvider:
    """The settings of ``auth-provider: {name: oidc}``, and the file to store renewed tokens in."""

    issuer_url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    id_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    ca: Pem | None = None
    file: Path | None = None
    user: str = ""

    @classmethod
    def from_config(cls, config: Mapping[str, str], *, file: Path, user: str) -> OidcProvider:
        """Return the provider of *user*, whose settings in *file* are *config*.

        Raises:
            ConfigurationError: A setting is missing or wrong.
        """
        for key in ("idp-issuer-url", "client-id"):
            if not config.get(key):
                raise ConfigurationError(f"user {user!r} in {file}: auth-provider oidc needs {key}")
        try:
            data = base64.b64decode(config.get("idp-certificate-authority-data", ""), validate=True)
        except (binascii.Error, ValueError) as error:
            message = f"user {user!r} in {file}: idp-certificate-authority-data is not base64"
            raise ConfigurationError(message) from error
        ca_file = config.get("idp-certificate-authority")
        return cls(
            issuer_url=config["idp-issuer-url"].rstrip("/"),
            client_id=config["client-id"],
            client_secret=config.get("client-secret", ""),
            id_token=config.get("id-token", ""),
            refresh_token=config.get("refresh-token", ""),
            ca=Pem(data=data) if data else Pem(file=file.parent / ca_file) if ca_file else None,
            file=file,
            user=user,
        )

    def source(self) -> CredentialSource:
        """Return a source that renews the token when it expires."""
        return RefreshingSource(_Renewal(self).obtain)


class _Renewal:
    """The tokens of one provider as they are now."""

    def __init__(self, provider: OidcProvider) -> None:
        self._provider = provider
        self._tokens = _Tokens(id_token=provider.id_token, refresh_token=provider.refresh_token)
        self._was_used = False

    async def obtain(self) -> tuple[Grant, float | None]:
        left = _seconds_left(self._tokens.id_token)
        # Asked again while the token is still good: the server refused it.
        if left <= 0 or self._was_used:
            self._tokens = await self._renewed()
            left = _seconds_left(self._tokens.id_token)
        self._was_used = True
        return Grant(f"Bearer {self._tokens.id_token}"), left

    async def _renewed(self) -> _Tokens:
        provider = self._provider
        if not self._tokens.refresh_token:
            raise CredentialsError(f"the ID token of user {provider.user!r} expired, and there is no refresh token")
        contexts = TlsContexts(TlsSettings(ca=provider.ca))
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                tokens = await _renew(session, contexts, provider, self._tokens.refresh_token)
        except (aiohttp.ClientError, TimeoutError, DecodeError) as error:
            raise CredentialsError(f"cannot renew the token at {provider.issuer_url}: {error}") from error
        if not tokens.id_token:
            raise CredentialsError(f"{provider.issuer_url} returned no ID token")
        renewed = _Tokens(id_token=tokens.id_token, refresh_token=tokens.refresh_token or self._tokens.refresh_token)
        self._store(renewed)
        return renewed

    def _store(self, tokens: _Tokens) -> None:
        provider = self._provider
        if provider.file is None:
            return
        try:
            store_auth_provider(
                provider.file, provider.user, {"id-token": tokens.id_token, "refresh-token": tokens.refresh_token}
            )
        except (OSError, yaml.YAMLError) as error:
            # The new token works for this process; only the next one may have to log in again.
            _log.warning("oidc.tokens_not_stored", file=str(provider.file), error=str(error))


async def _renew(
    session: aiohttp.ClientSession, contexts: TlsContexts, provider: OidcProvider, refresh_token: str
) -> _Tokens:
    context = contexts.current()
    async with session.get(f"{provider.issuer_url}/.well-known/openid-configuration", ssl=context) as response:
        response.raise_for_status()
        endpoint = decode(await response.read(), _Discovery).token_endpoint
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": provider.client_id}
    if provider.client_secret:
        form["client_secret"] = provider.client_secret
    async with session.post(endpoint, data=form, ssl=context) as response:
        response.raise_for_status()
        return decode(await response.read(), _Tokens)


def _seconds_left(token: str) -> float:
    """Return for how long the JWT *token* may still be used; its signature is the server's to check."""
    parts = token.split(".")
    if len(parts) != 3:
        return 0
    try:
        claims = decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), _Claims)
    except (DecodeError, ValueError):
        return 0
    return claims.exp - time() - LEEWAY_SECONDS

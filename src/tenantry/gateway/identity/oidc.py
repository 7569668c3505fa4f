"""Tokens of the configured issuers, verified here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tenantry.access.claims import Claims, check_lifetime, check_registered, moment, pinned_issuer
from tenantry.access.identity import Identity
from tenantry.foundation.clock import Clock
from tenantry.gateway.identity.configuration import ConfiguredIssuer
from tenantry.gateway.identity.keys import IssuerKeys
from tenantry.gateway.identity.tokens import read_token


@dataclass(frozen=True, slots=True)
class OidcAuthenticator:
    """One issuer and its keys."""

    configured: ConfiguredIssuer
    keys: IssuerKeys
    clock: Clock
    token_lifetime_seconds: float

    async def authenticate(self, text: str) -> tuple[Identity, float]:
        """Return the user whose token it is, and when that ends in Unix seconds.

        Raises:
            CredentialError: It is nobody's.
        """
        token = read_token(text)
        await self.keys.verify(token)
        now = self.clock.now().timestamp()
        issuer = self.configured.issuer
        check_registered(token.claims, issuer=issuer.url, audiences=issuer.audiences, now=now)
        check_lifetime(token.claims, seconds=self.token_lifetime_seconds, now=now)
        expires = moment(token.claims, "exp")
        assert expires is not None, "check_registered demands it"
        return self.configured.rules.identity(token.claims), expires


def of_issuer(authenticators: Iterable[OidcAuthenticator], claims: Claims) -> OidcAuthenticator | None:
    """Return whose tokens have such *claims*, which nobody has verified; None where nobody's here."""
    issuer = pinned_issuer(claims)
    return next((found for found in authenticators if found.configured.issuer.url == issuer), None)

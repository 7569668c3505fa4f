"""Which credential decides: the first kind, in the settings' order, that is present (R-006)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

from cryptography import x509

from tenantry.access.refusals import CredentialError, Reason
from tenantry.foundation.clock import Clock
from tenantry.gateway.identity.accepted import Accepted
from tenantry.gateway.identity.certificates import certificate_identity, read_certificate
from tenantry.gateway.identity.client_authority import ClientAuthority
from tenantry.gateway.identity.credentials import Shown
from tenantry.gateway.identity.forwarded import check_forwarder, forwarded_certificate
from tenantry.gateway.identity.observing import How
from tenantry.gateway.identity.oidc import OidcAuthenticator, of_issuer
from tenantry.gateway.identity.token_review import AWAY_SECONDS, TokenReviews
from tenantry.gateway.identity.tokens import untrusted_claims
from tenantry.gateway.settings import Authenticator, IdentitySettings


class Authenticators:
    """All that the settings turn on, each with what it needs."""

    def __init__(
        self,
        settings: IdentitySettings,
        *,
        issuers: tuple[OidcAuthenticator, ...],
        token_reviews: TokenReviews | None,
        authority: ClientAuthority,
        clock: Clock,
    ) -> None:
        """Take the authenticators; *token_reviews* None refuses tokens of other issuers."""
        self._settings = settings
        self._issuers = issuers
        self._token_reviews = token_reviews
        self._authority = authority
        self._clock = clock

    async def run(self) -> None:
        """Keep keys and the client CA fresh, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for issuer in self._issuers:
                tasks.create_task(issuer.keys.run())
            if self._token_reviews is not None:
                tasks.create_task(self._token_reviews.run())
            if self._takes_certificates:
                tasks.create_task(self._authority.run())
            await asyncio.Event().wait()  # With nothing to keep fresh, too, it ends with whoever runs it.

    def problems(self) -> Iterator[str]:
        """Yield what keeps users out."""
        if "BearerToken" in self._settings.authenticators:
            candidates = [issuer.keys.problem() for issuer in self._issuers]
            if self._token_reviews is not None:
                candidates.append(self._token_reviews.problem())
            yield from (problem for problem in candidates if problem is not None)
        if self._takes_certificates and (problem := self._authority.problem()) is not None:
            yield problem

    async def authenticate(self, seen: Shown) -> Accepted:
        """Return whose credential it is.

        Raises:
            CredentialError: It is bad, or there is none.
        """
        for kind in self._settings.authenticators:
            if _is_present(kind, seen):
                # No other is tried, whatever comes of it.
                return await self._by(kind, seen)
        if seen.may_have_certificate:
            raise _client_ca_unavailable()
        raise CredentialError(Reason.NO_CREDENTIAL, "no credential that the gateway takes was sent: log in")

    @property
    def _takes_certificates(self) -> bool:
        return not {"TLSCertificate", "XForwardedClientCert"}.isdisjoint(self._settings.authenticators)

    async def _by(self, kind: Authenticator, seen: Shown) -> Accepted:
        match kind:
            case "BearerToken":
                return await self._by_token(seen.token())
            case "TLSCertificate":
                if seen.certificate is None or seen.has_unverified_certificate:
                    raise CredentialError(
                        Reason.CERTIFICATE, "the client certificate is not signed by the cluster's client CA"
                    )
                return self._by_certificate(read_certificate(seen.certificate), "x509")
            case "XForwardedClientCert":
                return self._by_forwarded(seen)
            case _:
                assert_never(kind)

    async def _by_token(self, token: str) -> Accepted:
        issuer = of_issuer(self._issuers, untrusted_claims(token))
        settings = self._settings
        if issuer is not None:
            identity, expires = await issuer.authenticate(token)
            return Accepted(
                identity=identity,
                how="oidc",
                expires=expires,
                fresh_seconds=settings.fresh_seconds,
                stale_seconds=settings.stale_seconds,
            )
        if self._token_reviews is None:
            raise CredentialError(Reason.TOKEN_REFUSED, "no issuer that the gateway knows issued the token")
        reviewed = await self._token_reviews.authenticate(token)
        assert reviewed.identity is not None, "authenticate raises otherwise"
        now = self._clock.monotonic()
        is_fresh = now < reviewed.fresh_until
        return Accepted(
            identity=reviewed.identity,
            how="review",
            expires=reviewed.expires,
            fresh_seconds=min(settings.fresh_seconds, reviewed.fresh_until - now if is_fresh else AWAY_SECONDS),
            stale_seconds=min(settings.stale_seconds, max(0.0, reviewed.stale_until - now)),
            is_external=False,
            is_own_token=True,
        )

    def _by_forwarded(self, seen: Shown) -> Accepted:
        check_forwarder(seen.peer, self._settings.forwarded.trusted_networks)
        authority = self._authority
        if not authority.certificates:
            raise _client_ca_unavailable()
        certificate = forwarded_certificate(
            seen.forwarded_certificate,
            authorities=authority.certificates,
            revocations=authority.revocations,
            now=self._now(),
        )
        return self._by_certificate(certificate, "xfcc")

    def _by_certificate(self, certificate: x509.Certificate, how: How) -> Accepted:
        settings = self._settings
        identity, expires = certificate_identity(
            certificate, alternative_names=settings.certificates.subject_alternative_names, now=self._now()
        )
        return Accepted(
            identity=identity,
            how=how,
            expires=expires,
            fresh_seconds=settings.fresh_seconds,
            stale_seconds=settings.stale_seconds,
        )

    def _now(self) -> datetime:
        return self._clock.now()


def _client_ca_unavailable() -> CredentialError:
    return CredentialError(
        Reason.CLIENT_CA_UNAVAILABLE, "the CA of client certificates is not available now: try again"
    )


def _is_present(kind: Authenticator, seen: Shown) -> bool:
    match kind:
        case "BearerToken":
            return seen.has_token
        case "TLSCertificate":
            return seen.has_certificate
        case "XForwardedClientCert":
            return bool(seen.forwarded_certificate)
        case _:
            assert_never(kind)

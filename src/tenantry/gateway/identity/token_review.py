"""Tokens of no configured issuer, shown to the API server: few questions, bounded memory (R-002, R-003)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from tenantry.access.claims import check_lifetime, moment
from tenantry.access.identity import Identity
from tenantry.access.identity_headers import AUTHENTICATED
from tenantry.access.refusals import CredentialError, Reason
from tenantry.foundation.clock import Clock
from tenantry.foundation.codec import DecodeError, Model, decode
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.caching import SingleFlight, TimedCache
from tenantry.gateway.identity.observing import IdentityObserver
from tenantry.gateway.identity.tokens import untrusted_claims
from tenantry.gateway.settings import IdentitySettings
from tenantry.kube.client import Client
from tenantry.kube.errors import ApiError, ForbiddenError, UnauthorizedError

REMEMBERED_TOKENS: Final = 20_000
CONCURRENT_REVIEWS: Final = 32
AWAY_SECONDS: Final = 2.0
"""How soon a known token is tried again while the API server is away."""
ASK_AGAIN_SECONDS: Final = 3.0
"""How soon it is looked whether the gateway's account may ask again: while it is not ready, nobody brings a token."""
_NOBODYS: Final = "nobody's"
_PATH: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_OWN_FAILURES: Final = (401, 403, 429)
"""What the API server says about the gateway, not about the token."""


class _User(Model):
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] | None = None
    extra: dict[str, tuple[str, ...]] | None = None


class _Status(Model):
    authenticated: bool = False
    user: _User = _User()
    audiences: tuple[str, ...] | None = None
    error: str = ""


class _TokenReview(Model):
    status: _Status = _Status()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What the API server said of a token."""

    identity: Identity | None
    """None: refused."""
    expires: float | None
    """Unix seconds; None where the token does not say."""
    lifetime_claims: Mapping[str, Any]
    checked: float
    """When, on the monotonic clock."""
    fresh_until: float
    stale_until: float


class TokenReviews:
    """Asks the API server about tokens, and remembers."""

    def __init__(self, client: Client, settings: IdentitySettings, *, clock: Clock, observer: IdentityObserver) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._observer = observer
        self._cache: TimedCache[bytes, Reviewed] = TimedCache(REMEMBERED_TOKENS)
        self._flight: SingleFlight[bytes, Reviewed] = SingleFlight()
        self._slots = asyncio.Semaphore(CONCURRENT_REVIEWS)
        self._problem: str | None = None

    def problem(self) -> str | None:
        """Return why the gateway's account may not ask; None where it may, as far as is known."""
        return self._problem

    async def run(self) -> None:
        """Find out when a problem is over, until cancelled."""
        while True:
            await asyncio.sleep(ASK_AGAIN_SECONDS)
            if self._problem is not None:
                with suppress(CredentialError):
                    await self._status(_NOBODYS, self._clock.monotonic())

    async def authenticate(self, token: str) -> Reviewed:
        """Return whose token it is; the identity is not None.

        Raises:
            CredentialError: It is nobody's, or the API server is away and has not been asked lately.
        """
        reviewed = await self._reviewed(token)
        now = self._clock.now().timestamp()
        if reviewed.identity is None:
            raise CredentialError(Reason.TOKEN_REFUSED, "the API server does not accept the token")
        if reviewed.expires is not None and reviewed.expires < now:
            raise CredentialError(Reason.EXPIRED, "the token has expired")
        check_lifetime(reviewed.lifetime_claims, seconds=self._settings.token_lifetime_seconds, now=now)
        return reviewed

    async def _reviewed(self, token: str) -> Reviewed:
        key = self._key(token)
        now = self._clock.monotonic()
        known = self._cache.get(key, now)
        is_fresh = known is not None and now < known.fresh_until
        self._observer.looked_up("tokens", hit=is_fresh)
        if known is not None and is_fresh:
            return known
        try:
            return await self._flight.do(key, lambda: self._ask(key, token))
        except CredentialError:
            # Known until lately, and nobody says otherwise: it holds on for the settings' time.
            if known is not None and known.identity is not None and self._clock.monotonic() < known.stale_until:
                return known
            raise

    def _key(self, token: str) -> bytes:
        parts = ("review", *self._settings.token_audiences, token)
        return hashlib.sha256("\0".join(parts).encode()).digest()

    async def _ask(self, key: bytes, token: str) -> Reviewed:
        started = self._clock.monotonic()
        async with self._slots:
            status = await self._status(token, started)
        identity = _identity(status, self._settings.token_audiences)
        self._observer.token_reviewed("ok" if identity else "refused", self._clock.monotonic() - started)
        now, claims = self._clock.monotonic(), untrusted_claims(token)
        fresh = self._settings.review_seconds if identity else self._settings.refusal_seconds
        stale = self._settings.stale_seconds if identity else 0.0
        reviewed = Reviewed(
            identity=identity,
            expires=_expiry(claims),
            lifetime_claims=claims,
            checked=now,
            fresh_until=now + fresh,
            stale_until=now + fresh + stale,
        )
        self._cache.put(key, reviewed, reviewed.stale_until)
        return reviewed

    async def _status(self, token: str, started: float) -> _Status:
        spec: dict[str, object] = {"token": token}
        if self._settings.token_audiences:
            spec["audiences"] = list(self._settings.token_audiences)
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        try:
            answer = decode(await self._client.request("POST", _PATH, body=body), _TokenReview).status
        except ApiError as error:
            if error.status < 500 and error.status not in _OWN_FAILURES:
                return _Status(error=str(error))  # It cannot even be reviewed.
            self._failed(error, started)
            raise _away() from error
        except (TenantryError, DecodeError) as error:
            self._failed(error, started)
            raise _away() from error
        self._problem = None
        return answer

    def _failed(self, error: Exception, started: float) -> None:
        self._observer.token_reviewed("failed", self._clock.monotonic() - started)
        if isinstance(error, ForbiddenError | UnauthorizedError):
            self._problem = f"the gateway's account may not review tokens: {error}"


def _away() -> CredentialError:
    return CredentialError(Reason.REVIEW_UNAVAILABLE, "the API server cannot be asked about the token now: try again")


def _identity(status: _Status, audiences: tuple[str, ...]) -> Identity | None:
    """Return the user; None unless every sign says yes (CVE-2023-48312)."""
    if not status.authenticated or status.error or not status.user.username:
        return None
    if audiences and not set(audiences) & set(status.audiences or ()):
        return None  # An authenticator that knows no audiences accepted it: for whom, it did not say.
    user = status.user
    return Identity(
        user=user.username,
        # The API server adds this one to whoever is impersonated.
        groups=tuple(group for group in dict.fromkeys(user.groups or ()) if group and group != AUTHENTICATED),
        uid=user.uid,
        extra=tuple(sorted((key.lower(), tuple(values)) for key, values in (user.extra or {}).items())),
    )


def _expiry(claims: Mapping[str, Any]) -> float | None:
    try:
        return moment(claims, "exp")
    except CredentialError:
        return None  # The API server accepted the token: whatever that claim is, it is not its end.

"""The keys of one issuer over time: kept fresh, kept a while when their server is away, dropped when withdrawn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tenantry.access.refusals import CredentialError, Reason
from tenantry.foundation.clock import Clock
from tenantry.foundation.errors import UnavailableError
from tenantry.gateway.caching import SingleFlight
from tenantry.gateway.identity.observing import IdentityObserver
from tenantry.gateway.identity.tokens import Key, Token, is_signed_by
from tenantry.kube.backoff import Backoff

REFRESH_SECONDS: Final = 60.0
"""A withdrawn key is refused after this, and what the data plane still knew by it at the same moment."""
FRESH_SECONDS: Final = 75.0
"""How long keys hold anyway: until the next fetch, and while it takes."""
RETRY_MAX_SECONDS: Final = 60.0
ASK_AGAIN_SECONDS: Final = 10.0
"""Tokens of unknown keys make the keys be fetched at most this often."""
FIRST_SECONDS: Final = 3.0
"""How long a request waits for the very first keys."""

Fetch = Callable[[], Awaitable[tuple[Key, ...]]]


class IssuerKeys:
    """Verifies signatures by the keys that :meth:`run` keeps."""

    def __init__(
        self,
        issuer: str,
        fetch: Fetch,
        *,
        clock: Clock,
        stale_seconds: float,
        observer: IdentityObserver,
        on_withdrawn: Callable[[], None],
    ) -> None:
        """Know no key yet.

        Args:
            issuer: Its URL, for texts.
            fetch: Returns all keys, at least one, or raises UnavailableError.
            clock: For ages.
            stale_seconds: How long keys hold on while they cannot be fetched.
            observer: Told of each fetch.
            on_withdrawn: Called when a key that was there is not any more, or all became too old.
        """
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._hold_seconds = FRESH_SECONDS + stale_seconds
        self._observer = observer
        self._on_withdrawn = on_withdrawn
        self._keys: tuple[Key, ...] = ()
        self._fetched = 0.0
        self._asked = float("-inf")
        self._failure = "they were not fetched yet"
        self._had_keys = asyncio.Event()
        self._flight: SingleFlight[str, None] = SingleFlight()

    async def run(self) -> None:
        """Keep the keys fresh, until cancelled."""
        backoff = Backoff(1.0, RETRY_MAX_SECONDS)
        while True:
            await self.refresh()
            if self._failure:
                pause = backoff.next_seconds()
                self._drop_if_old()
            else:
                backoff.reset()
                pause = REFRESH_SECONDS
            await asyncio.sleep(pause)

    async def refresh(self) -> None:
        """Fetch the keys now; a failure is remembered, not raised."""
        await self._flight.do("keys", self._fetch_now)

    def problem(self) -> str | None:
        """Return why tokens of this issuer are not served; None where they are."""
        if self._current():
            return None
        return f"the keys of issuer {self._issuer} are not to be had: {self._failure}"

    async def verify(self, token: Token) -> None:
        """Return if one of the keys signed *token*.

        Raises:
            CredentialError: None did, or there are no keys.
        """
        if not self._current() and not await self._waited():
            raise CredentialError(
                Reason.KEYS_UNAVAILABLE, f"the keys of issuer {self._issuer} are not available now: try again"
            )
        if self._is_signed(token):
            return
        # The issuer may have a new key, perhaps under an old name.
        if self._flight.is_busy("keys") or self._clock.monotonic() - self._asked >= ASK_AGAIN_SECONDS:
            await self.refresh()
            if self._is_signed(token):
                return
        if any(key.fits(token) for key in self._current()):
            raise CredentialError(Reason.BAD_SIGNATURE, "the token's signature is not its issuer's")
        raise CredentialError(Reason.UNKNOWN_KEY, f"issuer {self._issuer} publishes no such key: log in again")

    def _is_signed(self, token: Token) -> bool:
        return any(key.fits(token) and is_signed_by(token, key) for key in self._current())

    def _current(self) -> tuple[Key, ...]:
        return self._keys if self._clock.monotonic() < self._fetched + self._hold_seconds else ()

    async def _waited(self) -> bool:
        """Return whether there are keys, after the first fetch where that is still on its way."""
        if not self._had_keys.is_set():
            try:
                async with asyncio.timeout(FIRST_SECONDS):
                    await self._had_keys.wait()
            except TimeoutError:
                return False
        return bool(self._current())

    async def _fetch_now(self) -> None:
        self._asked = self._clock.monotonic()
        try:
            keys = await self._fetch()
        except UnavailableError as error:
            self._failure = str(error)
            self._observer.keys_fetched(self._issuer, "failed")
            return
        self._observer.keys_fetched(self._issuer, "ok")
        self._failure = ""
        gone = {key.thumbprint for key in self._keys} - {key.thumbprint for key in keys}
        self._keys = keys
        self._fetched = self._clock.monotonic()
        self._had_keys.set()
        if gone:
            self._on_withdrawn()

    def _drop_if_old(self) -> None:
        if self._keys and not self._current():
            self._keys = ()
            self._on_withdrawn()

"""Whether somebody may do something, asked of the API server under the gateway's account: parallel, remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from tenantry.access.identity import Identity
from tenantry.access.refusals import CredentialError, Reason
from tenantry.access.reviews import (
    API_VERSION,
    AccessReviewSpec,
    AccessReviewStatus,
    ResourceAttributes,
    review_of,
)
from tenantry.foundation.clock import Clock
from tenantry.foundation.codec import DecodeError, Model, decode, encode, to_plain
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.identity.caching import SingleFlight, TimedCache
from tenantry.gateway.identity.observing import IdentityObserver
from tenantry.kube.client import Client

ALLOWED_SECONDS: Final = 10.0
DENIED_SECONDS: Final = 3.0
REMEMBERED_REVIEWS: Final = 50_000
CONCURRENT_REVIEWS: Final = 32
_PATH: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class _Review(Model):
    status: AccessReviewStatus = AccessReviewStatus()


class AccessReviews:
    """Asks and remembers."""

    def __init__(self, client: Client, *, clock: Clock, observer: IdentityObserver) -> None:
        self._client = client
        self._clock = clock
        self._observer = observer
        self._cache: TimedCache[bytes, bool] = TimedCache(REMEMBERED_REVIEWS)
        self._flight: SingleFlight[bytes, bool] = SingleFlight()
        self._slots = asyncio.Semaphore(CONCURRENT_REVIEWS)

    async def first_denied(
        self, identity: Identity, questions: Iterable[ResourceAttributes]
    ) -> ResourceAttributes | None:
        """Return the first of *questions* that the API server does not allow *identity*; None where it allows all.

        Raises:
            CredentialError: One of them could not be answered.
        """
        asked = tuple(questions)
        answers = await asyncio.gather(
            *(self._allowed(identity, question) for question in asked), return_exceptions=True
        )
        for question, answer in zip(asked, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            if not answer:
                return question
        return None

    async def _allowed(self, identity: Identity, question: ResourceAttributes) -> bool:
        spec = review_of(identity, AccessReviewSpec(resource_attributes=question))
        key = encode(spec)
        known = self._cache.get(key, self._clock.monotonic())
        self._observer.looked_up("access", hit=known is not None)
        if known is not None:
            return known
        return await self._flight.do(key, lambda: self._ask(key, to_plain(spec)))

    async def _ask(self, key: bytes, spec: object) -> bool:
        body = {"apiVersion": API_VERSION, "kind": "SubjectAccessReview", "spec": spec}
        async with self._slots:
            started = self._clock.monotonic()
            try:
                status = decode(await self._client.request("POST", _PATH, body=body), _Review).status
            except (TenantryError, DecodeError) as error:
                self._observer.access_reviewed("failed", self._clock.monotonic() - started)
                raise CredentialError(
                    Reason.REVIEW_UNAVAILABLE, "the API server cannot be asked for the right now: try again"
                ) from error
        now = self._clock.monotonic()
        is_allowed = status.allowed and not status.denied
        self._observer.access_reviewed("ok" if is_allowed else "refused", now - started)
        self._cache.put(key, is_allowed, now + (ALLOWED_SECONDS if is_allowed else DENIED_SECONDS))
        return is_allowed

"""What the cluster's RBAC allows somebody, asked by the gateway's own account and remembered for some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from tenantry.access.identity import Identity
from tenantry.access.reviews import (
    API_VERSION,
    AccessReviewSpec,
    AccessReviewStatus,
    NonResourceAttributes,
    ResourceAttributes,
    review_of,
)
from tenantry.foundation.clock import Clock
from tenantry.foundation.codec import DecodeError, Model, decode, to_plain
from tenantry.foundation.errors import TenantryError, UnavailableError
from tenantry.gateway.caching import SingleFlight, TimedCache
from tenantry.gateway.identity.observing import IdentityObserver, Unobserved
from tenantry.kube.client import Client

PATH: Final = f"/apis/{API_VERSION}/subjectaccessreviews"
ALLOWED_SECONDS: Final = 5.0
DENIED_SECONDS: Final = 3.0
REMEMBERED_REVIEWS: Final = 50_000
CONCURRENT_REVIEWS: Final = 64

Question = ResourceAttributes | NonResourceAttributes


class _Review(Model):
    status: AccessReviewStatus = AccessReviewStatus()


class AccessReviews:
    """SubjectAccessReviews about exactly the identity that a request is made as, or would go up as.

    No impersonation: the API server would review each of 300 groups before it answers the one question.
    """

    def __init__(self, client: Client, clock: Clock, *, observer: IdentityObserver | None = None) -> None:
        self._client = client
        self._clock = clock
        self._observer = observer or Unobserved()
        self._known: TimedCache[tuple[Identity, Question], AccessReviewStatus] = TimedCache(REMEMBERED_REVIEWS)
        self._flights: SingleFlight[tuple[Identity, Question], AccessReviewStatus] = SingleFlight()
        self._places = asyncio.Semaphore(CONCURRENT_REVIEWS)

    async def answer(self, identity: Identity, question: Question) -> AccessReviewStatus:
        """Return the API server's answer, at most some seconds old.

        Raises:
            ApiError: The question is not one to it.
            UnavailableError: It did not answer.
        """
        key = (identity, question)
        known = self._known.get(key, self._clock.monotonic())
        self._observer.looked_up("access", hit=known is not None)
        if known is None:
            known = await self._flights.do(key, lambda: self._asked(identity, question))
        return known

    async def allows(self, identity: Identity, question: Question) -> bool:
        """Return whether it is allowed; raises as :meth:`answer` does."""
        return is_allowed(await self.answer(identity, question))

    async def first_denied(
        self, identity: Identity, questions: Iterable[ResourceAttributes]
    ) -> ResourceAttributes | None:
        """Return the first of *questions* to which the answer is no; None where all are allowed.

        They are asked side by side; raises as :meth:`answer` does where one has no answer.
        """
        asked = tuple(questions)
        # All of them end before one failure is raised: none goes on in the background.
        answers = await asyncio.gather(*(self.allows(identity, question) for question in asked), return_exceptions=True)
        for question, answer in zip(asked, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            if not answer:
                return question
        return None

    async def _asked(self, identity: Identity, question: Question) -> AccessReviewStatus:
        if isinstance(question, ResourceAttributes):
            spec = AccessReviewSpec(resource_attributes=question)
        else:
            spec = AccessReviewSpec(non_resource_attributes=question)
        body = {
            "apiVersion": API_VERSION,
            "kind": "SubjectAccessReview",
            "spec": to_plain(review_of(identity, spec)),
        }
        async with self._places:
            started = self._clock.monotonic()
            try:
                answer = decode(await self._client.request("POST", PATH, body=body), _Review).status
            except (TenantryError, DecodeError) as error:
                self._observer.access_reviewed("failed", self._clock.monotonic() - started)
                if isinstance(error, DecodeError):
                    raise UnavailableError(f"the API server's answer is no SubjectAccessReview: {error}") from error
                raise
        now = self._clock.monotonic()
        self._observer.access_reviewed("ok" if is_allowed(answer) else "refused", now - started)
        seconds = ALLOWED_SECONDS if is_allowed(answer) else DENIED_SECONDS
        self._known.put((identity, question), answer, now + seconds)
        return answer


def is_allowed(status: AccessReviewStatus) -> bool:
    """Return whether *status* is a yes; an authorizer's denial outweighs it."""
    return status.allowed and not status.denied

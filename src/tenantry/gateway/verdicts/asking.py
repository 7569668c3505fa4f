"""What the cluster's RBAC allows somebody, asked by the gateway's own account and remembered for some seconds."""

from __future__ import annotations

import asyncio
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
from tenantry.foundation.codec import Model, decode, to_plain
from tenantry.gateway.identity.caching import SingleFlight, TimedCache
from tenantry.kube.client import Client

PATH: Final = f"/apis/{API_VERSION}/subjectaccessreviews"
KEEP_SECONDS: Final = 5.0
_MAX_KEPT: Final = 10_000
_MAX_AT_ONCE: Final = 64

Question = ResourceAttributes | NonResourceAttributes


class _Review(Model):
    status: AccessReviewStatus = AccessReviewStatus()


class AccessReviews:
    """SubjectAccessReviews about exactly the identity that a request would go up as.

    No impersonation: the API server would review each of 300 groups before it answers the one question.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._known: TimedCache[tuple[Identity, Question], AccessReviewStatus] = TimedCache(_MAX_KEPT)
        self._flights: SingleFlight[tuple[Identity, Question], AccessReviewStatus] = SingleFlight()
        self._places = asyncio.Semaphore(_MAX_AT_ONCE)

    async def answer(self, identity: Identity, question: Question) -> AccessReviewStatus:
        """Return the API server's answer, at most some seconds old.

        Raises:
            ApiError: The question is not one to it.
            UnavailableError: It did not answer.
        """
        key = (identity, question)
        known = self._known.get(key, self._clock.monotonic())
        if known is None:
            known = await self._flights.do(key, lambda: self._asked(identity, question))
        return known

    async def allows(self, identity: Identity, question: ResourceAttributes) -> bool:
        """Return whether it is allowed; raises as :meth:`answer` does."""
        return (await self.answer(identity, question)).allowed

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
            answer = decode(await self._client.request("POST", PATH, body=body), _Review).status
        self._known.put((identity, question), answer, self._clock.monotonic() + KEEP_SECONDS)
        return answer

"""What the gateway's own account may read, asked by SelfSubjectAccessReviews and remembered for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tenantry.access.reviews import API_VERSION, AccessReviewSpec, AccessReviewStatus, ResourceAttributes
from tenantry.access.rule_kinds import KindName
from tenantry.foundation.clock import Clock
from tenantry.foundation.codec import DecodeError, Model, decode, to_plain
from tenantry.foundation.errors import UnavailableError
from tenantry.gateway.access_reviews import is_allowed
from tenantry.kube.client import Client

PATH: Final = f"/apis/{API_VERSION}/selfsubjectaccessreviews"
ALLOWED_SECONDS: Final = 9.0
DENIED_SECONDS: Final = 1.5
RATE: Final = 16.0
"""About so many kinds are asked about again in a second, at most, of either sort."""
CONCURRENT: Final = 8


class _Review(Model):
    status: AccessReviewStatus = AccessReviewStatus()


@dataclass(frozen=True, slots=True)
class _Answer:
    at: float
    verbs: frozenset[str]
    """The question."""
    is_allowed: bool


class OwnRights:
    """Tells of the account that the client is."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._known: dict[KindName, _Answer] = {}
        self._places = asyncio.Semaphore(CONCURRENT)

    async def unreadable(
        self, kinds: Mapping[KindName, frozenset[str]], *, age_seconds: float | None = None
    ) -> frozenset[KindName]:
        """Return those of *kinds* that may not be read by all of their verbs.

        Answers are as old as *age_seconds* at most; without it, as old as they usually may be.  What
        was learned stays when this is cancelled.

        Raises:
            TenantryError: The API server did not answer.
        """
        denied = sum(kind in self._known and not self._known[kind].is_allowed for kind in kinds)
        kept = {
            False: max(DENIED_SECONDS, denied / RATE) if age_seconds is None else age_seconds,
            True: max(ALLOWED_SECONDS, len(kinds) / RATE) if age_seconds is None else age_seconds,
        }
        due = [kind for kind, verbs in kinds.items() if self._is_due(kind, verbs, kept)]
        # All of them end before one failure is raised: none goes on in the background.
        asked = await asyncio.gather(*(self._ask_about(kind, kinds[kind]) for kind in due), return_exceptions=True)
        for failure in asked:
            if failure is not None:
                raise failure
        return frozenset(kind for kind in kinds if not self._known[kind].is_allowed)

    def _is_due(self, kind: KindName, verbs: frozenset[str], kept_seconds: Mapping[bool, float]) -> bool:
        known = self._known.get(kind)
        if known is None or known.verbs != verbs:
            return True
        return self._clock.monotonic() - known.at >= kept_seconds[known.is_allowed]

    async def _ask_about(self, kind: KindName, verbs: frozenset[str]) -> None:
        at = self._clock.monotonic()
        allowed = True
        for verb in sorted(verbs):
            allowed = allowed and await self._may(kind, verb)
        self._known[kind] = _Answer(at, verbs, allowed)

    async def _may(self, kind: KindName, verb: str) -> bool:
        question = ResourceAttributes(verb=verb, group=kind.group, resource=kind.resource)
        body = {
            "apiVersion": API_VERSION,
            "kind": "SelfSubjectAccessReview",
            "spec": to_plain(AccessReviewSpec(resource_attributes=question)),
        }
        async with self._places:
            answer = await self._client.request("POST", PATH, body=body)
        try:
            return is_allowed(decode(answer, _Review).status)
        except DecodeError as error:
            raise UnavailableError(f"the API server's answer is no SelfSubjectAccessReview: {error}") from error

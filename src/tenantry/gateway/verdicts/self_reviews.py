"""Answers what somebody asks about their own rights, so that ``kubectl auth can-i`` and menus are right (R-037)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Final

from aiohttp import web

from tenantry.access.identity import Identity
from tenantry.access.identity_headers import AUTHENTICATED
from tenantry.access.requests import RequestInfo
from tenantry.access.reviews import API_VERSION, AccessReviewSpec, AccessReviewStatus, ResourceAttributes
from tenantry.access.self_reviews import Ruling, needs_labels, rules_gained, ruling
from tenantry.access.served import KindFacts
from tenantry.access.visibility import PrincipalView
from tenantry.foundation.codec import DecodeError, Model, decode, replaced
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.access_reviews import AccessReviews
from tenantry.gateway.protocol import Answer, refusal
from tenantry.gateway.verdicts.bodies import (
    CONTENT_TYPES,
    BodyError,
    Format,
    RulesReviewSpec,
    RulesStatus,
    accepted,
    access_answer,
    access_review,
    format_of,
    rules_answer,
    rules_review,
)
from tenantry.gateway.verdicts.kinds import Kinds
from tenantry.gateway.verdicts.objects import live_labels
from tenantry.gateway.verdicts.refusing import malformed, not_acceptable, own_account_lacks, unsupported
from tenantry.gateway.verdicts.verdicts import Views
from tenantry.kube.client import Client
from tenantry.kube.config import Impersonation
from tenantry.kube.errors import ApiError
from tenantry.tenancy.identity import account_name

AT_ONCE: Final = 16
"""How many namespaces are asked about at the same time, where a read over all of them is in question."""
_ALLOWED: Final = AccessReviewStatus(allowed=True, reason="shown by the gateway")
_REFUSED: Final = "ReviewRefused"
_RULES_PATH: Final = f"/apis/{API_VERSION}/selfsubjectrulesreviews"


class _RulesReview(Model):
    status: RulesStatus = RulesStatus()


class SelfReviews:
    """Both kinds of self review, for principals that are filtered and for those that are not."""

    def __init__(self, client: Client, views: Views, *, kinds: Kinds, reviews: AccessReviews) -> None:
        """Take a *client* of the gateway's own account, and what is known."""
        self._client = client
        self._views = views
        self._kinds = kinds
        self._reviews = reviews

    async def handle(self, request: web.BaseRequest, identity: Identity, info: RequestInfo) -> web.StreamResponse:
        """Answer *request* of *identity*."""
        answer = await self.answer(identity, info, request.headers, await request.read())
        return web.Response(status=answer.status, body=answer.body, headers=list(answer.headers))

    async def answer(self, identity: Identity, info: RequestInfo, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return the answered review.

        Args:
            identity: Who asks.
            info: See :func:`tenantry.access.served.is_self_review`.
            headers: Of the request; names in any case where the mapping has that.
            body: As sent.

        Raises:
            UnavailableError: The API server did not answer.
        """
        form, wanted = format_of(headers.get("Content-Type", "")), accepted(headers.get("Accept", ""))
        if wanted is None:
            return not_acceptable()
        if form is None:
            return unsupported()
        try:
            if info.resource == "selfsubjectaccessreviews":
                spec = access_review(body, form)
                return _created(access_answer(spec, await self._status(identity, spec), wanted), wanted)
            status = await self._rules(identity, rules_review(body, form))
            return _created(rules_answer(status, wanted), wanted)
        except BodyError as error:
            return malformed(str(error))
        except ApiError as error:
            return _passed_on(error)

    async def _status(self, identity: Identity, spec: AccessReviewSpec) -> AccessReviewStatus:
        asked, other = spec.resource_attributes, spec.non_resource_attributes
        if (asked is None) == (other is None):
            raise BodyError("exactly one of spec.resourceAttributes and spec.nonResourceAttributes must be given")
        if asked is None:
            assert other is not None
            return await self._reviews.answer(identity, other)
        view = self._views.view(identity)
        answer = Ruling.ASK if view is None else await self._ruling(view, asked)
        if answer is Ruling.ALLOWED:
            return _ALLOWED
        status = await self._reviews.answer(identity, asked)
        if answer is Ruling.ASK_NAMESPACES and view is not None and not status.allowed:
            return await self._anywhere(view, asked) or status
        return status

    async def _ruling(self, view: PrincipalView, asked: ResourceAttributes) -> Ruling:
        try:
            facts = await self._kinds.find(asked.group, asked.version, asked.resource)
            labels = await self._labels(facts, asked) if needs_labels(asked, facts) else None
        except (TenantryError, DecodeError):
            return Ruling.ASK  # What the gateway could not look up, it does not do either.
        return ruling(view, asked, facts, labels)

    async def _labels(self, facts: KindFacts | None, asked: ResourceAttributes) -> Mapping[str, str] | None:
        assert facts is not None
        # An entry of node metrics is shown by the labels of its Node.
        group, version = ("", "v1") if facts.group == "metrics.k8s.io" else (facts.group, facts.version)
        return await live_labels(self._client, group, version, facts.resource, asked.name)

    async def _anywhere(self, view: PrincipalView, asked: ResourceAttributes) -> AccessReviewStatus | None:
        """Return a yes where a list over all namespaces shows some namespace's objects."""
        for part in _parts(view.all_namespaces()):
            questions = (replaced(asked, namespace=namespace) for namespace in part)
            if any(await asyncio.gather(*(self._reviews.allows(view.identity, each) for each in questions))):
                return _ALLOWED
        return None

    async def _rules(self, identity: Identity, spec: RulesReviewSpec) -> RulesStatus:
        body = {"apiVersion": API_VERSION, "kind": "SelfSubjectRulesReview", "spec": {"namespace": spec.namespace}}
        # No review is about somebody else's rules: this one goes up under their name.
        as_they = self._client.impersonating(impersonation(identity))
        status = decode(await as_they.request("POST", _RULES_PATH, body=body), _RulesReview).status
        view = self._views.view(identity)
        if view is None:
            return status
        gained = rules_gained(view, await self._kinds.all())
        return replaced(status, resource_rules=(*(status.resource_rules or ()), *gained))


def impersonation(identity: Identity) -> Impersonation:
    """Return *identity* as a client of the API server acts as it."""
    groups = identity.groups
    if not groups and account_name(identity.user) is not None:
        groups = (AUTHENTICATED,)  # As identity_lines: groups that were dropped do not come back.
    return Impersonation(user=identity.user, groups=groups, extra=dict(identity.extra), uid=identity.uid)


def _parts(namespaces: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the first alone, then several at a time: a user has mostly the same rights in all."""
    yield namespaces[:1]
    for start in range(1, len(namespaces), AT_ONCE):
        yield namespaces[start : start + AT_ONCE]


def _created(body: bytes, form: Format) -> Answer:
    return Answer(status=201, body=body, headers=(("content-type", CONTENT_TYPES[form]),))


def _passed_on(error: ApiError) -> Answer:
    """Return the API server's own refusal."""
    if error.status in {401, 403}:
        # That is about the gateway's account, and must not look like the user's fault.
        return own_account_lacks("the gateway may not ask the API server about rights: its ClusterRole lacks something")
    return refusal(error.status, error.api_reason or "InternalError", error.message, token=_REFUSED)

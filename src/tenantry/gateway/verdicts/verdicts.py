"""Where a request goes: upstream as it is, with a group for one change, or to Python."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, Protocol, TypeVar

from tenantry.access.identity import Identity
from tenantry.access.identity_headers import GROUP
from tenantry.access.masking import Masked, empty_list, maskable
from tenantry.access.requests import RequestInfo
from tenantry.access.reviews import ResourceAttributes
from tenantry.access.served import (
    ALWAYS_SERVED,
    KindFacts,
    is_node_lease,
    is_self_review,
    is_served,
    is_wide_read,
    operation_of,
    question,
)
from tenantry.access.visibility import PrincipalView
from tenantry.access.writes import WriteDecision, is_guarded_write, virtual_group, write_decision, write_operation
from tenantry.foundation.codec import DecodeError, encode
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.access_reviews import AccessReviews
from tenantry.gateway.protocol import Answer, Lines
from tenantry.gateway.repeated import identity_among, info_of
from tenantry.gateway.verdicts.kinds import Kinds
from tenantry.gateway.verdicts.objects import is_namespace_absent, live_labels
from tenantry.gateway.verdicts.refusing import JSON_HEADER, not_found_body, not_visible
from tenantry.kube.client import Client

T = TypeVar("T")

STATUS_HEADER: Final = "x-tenantry-status"
FRESH_SECONDS: Final = 0.5
"""How long the data plane uses a verdict without asking again.

A rule has to act within a second (8.2): there is this, the question, and the answer."""

PATIENCE_SECONDS: Final = 3.0
"""How long a request waits for what only makes its answer better."""

_UNSAID: Final = KindFacts(group="", version="", resource="", kind="", is_namespaced=False, verbs=frozenset())
"""Discovery did not answer: only the kinds that are always filtered are known then."""


class Views(Protocol):
    """What is known of principals."""

    def view(self, identity: Identity) -> PrincipalView | None:
        """Return what *identity* sees; None for whoever is not filtered."""
        ...


class Verdicts:
    """Answers the data plane's script; safe for concurrent use.

    In doubt a request goes upstream under the client's own name, where the cluster's RBAC
    decides: that is always safe, at worst it shows less.
    """

    def __init__(
        self, client: Client, views: Views, *, kinds: Kinds, reviews: AccessReviews, sends_own_tokens: bool = True
    ) -> None:
        """Take what is known.

        Args:
            client: Of the gateway's own account.
            views: Who is filtered, and sees what.
            kinds: What the cluster serves.
            reviews: What its RBAC allows.
            sends_own_tokens: Whether self reviews go up with the client's own token, where the API server takes it.
        """
        self._client = client
        self._views = views
        self._kinds = kinds
        self._reviews = reviews
        self._sends_own_tokens = sends_own_tokens

    async def verdict(self, lines: Lines) -> Answer:
        """Return the route of a request, or what the client gets instead.

        Raises:
            RefusedRequestError: It is none that is forwarded.
        """
        identity, info = _read(lines)
        view = self._views.view(identity)
        if is_self_review(info):
            return self._review_route(info, is_filtered=view is not None, has_own=(":own", "1") in lines)
        if view is None:
            return _route("upstream")
        if is_guarded_write(info):
            return await self._write(view, info)
        if is_node_lease(info):
            return _route("python" if await self._sees_node(view, info.name) else "upstream")
        if is_wide_read(info):
            return _route("python" if await self._is_ours(view, info) else "upstream")
        return _route("upstream")

    async def masked(self, lines: Lines) -> Answer:
        """Return what replaces the API server's 403 of a request; status 204: nothing."""
        identity, info = _read(lines)
        masked = maskable(info, is_filtered=self._views.view(identity) is not None)
        if masked is None:
            return Answer(status=204)
        facts = await self._facts(info)
        # Live and never remembered: a namespace may be there a moment later.
        if facts is None or not facts.is_namespaced or not await self._is_absent(info.namespace):
            return Answer(status=204)  # Also where discovery is silent.
        return _replacement(masked, info, facts)

    def _review_route(self, info: RequestInfo, *, is_filtered: bool, has_own: bool) -> Answer:
        if is_filtered:
            return _route("python")
        if has_own and self._sends_own_tokens:
            return _route("own")
        # One review about 300 groups is quick; 300 impersonated groups are reviewed one by one before it.
        return _route("python" if info.resource == "selfsubjectaccessreviews" else "upstream")

    async def _is_ours(self, view: PrincipalView, info: RequestInfo) -> bool:
        """Return whether Python answers a read; not where the principal's own rights show more (8.1)."""
        facts = await self._facts(info)
        if facts is _UNSAID and (info.api_group, info.resource) not in ALWAYS_SERVED:
            return False
        if facts is None or (facts is not _UNSAID and not is_served(view, facts, info.verb)):
            return False
        if not facts.is_namespaced:
            sight = view.sight(info.api_group, info.api_version, info.resource, operation_of(info.verb))
            if sight.everything or (info.verb == "get" and info.name in sight.names):
                return True  # The principal's own rights can not show more.
        return not await self._allows(view.identity, question(info), otherwise=False)

    async def _is_absent(self, namespace: str) -> bool:
        return await _tried(is_namespace_absent(self._client, namespace), otherwise=False)

    async def _facts(self, info: RequestInfo) -> KindFacts | None:
        """Return the kind that is asked for, None where it is not served."""
        return await _tried(self._kinds.find(info.api_group, info.api_version, info.resource), _UNSAID)

    async def _write(self, view: PrincipalView, info: RequestInfo) -> Answer:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                labels = await live_labels(self._client, info.api_group, info.api_version, info.resource, info.name)
        except (TenantryError, DecodeError, TimeoutError):
            return _route("upstream", fresh=0)
        decision = write_decision(view, info, labels)
        operation = write_operation(info.verb)
        if decision is WriteDecision.WITH_GROUP and operation is not None:
            # Never cached: the check is about this object as it is now.
            return _route("upstream", (GROUP, virtual_group(info.resource, operation)), fresh=0)
        if decision is WriteDecision.NOT_VISIBLE and not await self._allows(
            view.identity, question(info), otherwise=True
        ):
            return not_visible(info)
        return _route("upstream", fresh=0)

    async def _sees_node(self, view: PrincipalView, name: str) -> bool:
        sight = view.sight("", "v1", "nodes", "get")
        if sight.is_nothing:
            return False
        labels = await _tried(live_labels(self._client, "", "v1", "nodes", name), None)
        return labels is not None and sight.shows(name, labels)

    async def _allows(self, identity: Identity, asked: ResourceAttributes, *, otherwise: bool) -> bool:
        """Return whether RBAC allows it, *otherwise* where the API server does not say."""
        return await _tried(self._reviews.allows(identity, asked), otherwise)


async def _tried(answer: Awaitable[T], otherwise: T) -> T:
    """Return *answer*, or *otherwise* where the API server does not give it in time."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await answer
    except (TenantryError, DecodeError, TimeoutError):
        return otherwise


def _read(lines: Lines) -> tuple[Identity, RequestInfo]:
    about = {name: value for name, value in lines if name.startswith(":")}
    return identity_among(lines), info_of(about.get(":method", ""), about.get(":path", ""))


def _route(route: str, *headers: tuple[str, str], fresh: float = FRESH_SECONDS) -> Answer:
    return Answer(lines=((":route", route), (":fresh", str(fresh)), *headers))


def _replacement(masked: Masked, info: RequestInfo, facts: KindFacts) -> Answer:
    if masked is Masked.EMPTY_LIST:
        status, body = 200, encode(empty_list(facts)) + b"\n"
    else:
        status, body = 404, not_found_body(info)
    return Answer(body=body, headers=(JSON_HEADER, (STATUS_HEADER, str(status))))

"""Lists and watches of namespaced kinds over all namespaces, for users whose reads are filtered."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final

from aiohttp import web

from tenantry.access.identity import Identity
from tenantry.access.requests import RequestInfo
from tenantry.gateway.fanout.answers import FailedReadError, not_served, unavailable
from tenantry.gateway.fanout.interfaces import Counters, Given, Knowledge, NoCounters
from tenantry.gateway.fanout.lists import Lists
from tenantry.gateway.fanout.negotiation import NOT_ACCEPTABLE, upstream_accept
from tenantry.gateway.fanout.reading import Reader
from tenantry.gateway.fanout.watches import Watches
from tenantry.gateway.settings import Limits
from tenantry.kube.transport import Transport

_PROBLEM_SECONDS: Final = 60.0


class FanOut:
    """Answers ``-A`` from one read a namespace, each made as the user: RBAC decides what is in it.

    Nothing here reads with rights of the gateway's own (invariant 10).
    """

    def __init__(
        self,
        transport: Transport,
        knowledge: Knowledge,
        *,
        cluster: str,
        limits: Limits | None = None,
        cursor_key: bytes = b"",
        counters: Counters | None = None,
    ) -> None:
        """Read from the cluster at *transport*.

        Args:
            transport: Open; its credential may impersonate.
            knowledge: Who may see which namespaces.
            cluster: Its name; tokens of one cluster are none in another.
            limits: Of watches.
            cursor_key: Secret, the same in all replicas, so that each takes the others'
                ``continue`` tokens; empty: one of this process alone.
            counters: For metrics.
        """
        self._transport = transport
        self._knowledge = knowledge
        counters = counters or NoCounters()
        given = Given()
        key = cursor_key or secrets.token_bytes(32)
        self._lists = Lists(knowledge, counters, given, cluster=cluster, cursor_key=key)
        self._watches = Watches(knowledge, limits or Limits(), counters, given)
        self._refused_at: float | None = None
        knowledge.subscribe(self._watches.view_changed)
        knowledge.follow_versions(lambda: given.highest)

    async def handle(self, request: web.BaseRequest, identity: Identity, info: RequestInfo) -> web.StreamResponse:
        """Answer a list or watch over all namespaces, by *identity*."""
        try:
            return await self._answer(request, identity, info)
        except FailedReadError as failure:
            if failure.is_our_credential:
                self._refused_at = monotonic()
            return failure.response()

    def apply(self, limits: Limits) -> None:
        """Go by other limits from now on; what is open stays."""
        self._watches.limits = limits

    def end_streams(self, predicate: Callable[[Identity], bool]) -> int:
        """End what runs for each identity that *predicate* is true of; return how many answers that were."""
        return self._lists.end(predicate) + self._watches.end(predicate)

    def problems(self) -> Iterable[str]:
        """Yield what keeps this from working, in a sentence each."""
        if self._refused_at is not None and monotonic() - self._refused_at < _PROBLEM_SECONDS:
            yield "the API server does not accept the gateway's own credential for reads over all namespaces"

    @property
    def upstream_watches(self) -> int:
        """How many watches of single namespaces are open now."""
        return self._watches.upstream

    async def _answer(self, request: web.BaseRequest, identity: Identity, info: RequestInfo) -> web.StreamResponse:
        if request.method != "GET" or info.verb not in {"list", "watch"}:
            raise FailedReadError(405, "MethodNotAllowed", "over all namespaces one may list and watch, by GET")
        if not info.is_resource or info.namespace or len(info.parts) != 1:
            raise not_served()
        is_watch = info.verb == "watch"
        accept = upstream_accept(",".join(request.headers.getall("Accept", ())), is_watch=is_watch)
        if accept is None:
            raise FailedReadError(406, "NotAcceptable", NOT_ACCEPTABLE)
        view = self._knowledge.view(identity)
        if view is None:
            # Between the verdict and this, the installation's rules changed: the next verdict says so.
            raise unavailable("who sees what has just changed: try again")
        try:
            reader = Reader(
                self._transport, identity, info, accept=accept, audit_id=request.headers.get("Audit-ID", "")
            )
        except ValueError as error:
            raise FailedReadError(500, "InternalError", "the request came without a usable identity") from error
        answer = self._watches.answer if is_watch else self._lists.answer
        return await answer(request, reader, view, info)

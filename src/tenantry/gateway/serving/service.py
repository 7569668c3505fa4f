"""Answers requests for cluster-scoped kinds, each caller seeing a part of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import Final

import structlog
from aiohttp import web

from tenantry.access.identity import Identity
from tenantry.access.requests import RequestInfo
from tenantry.access.rule_kinds import KindName
from tenantry.access.sight import Sight
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.protocol import ANSWER_HEADER, Answer
from tenantry.gateway.serving.asking import Asked
from tenantry.gateway.serving.interfaces import Counters, Knowledge, NoCounters
from tenantry.gateway.serving.kinds import Kind, KindKey, Kinds
from tenantry.gateway.serving.lists import Lists
from tenantry.gateway.serving.live import LiveReads
from tenantry.gateway.serving.objects import Objects
from tenantry.gateway.serving.reads import OwnReads
from tenantry.gateway.serving.refusals import (
    RefusedError,
    bad_request,
    from_upstream,
    no_such_kind,
    not_watchable,
    unavailable,
)
from tenantry.gateway.serving.stock import SYNC_SECONDS, Followed, Stock
from tenantry.gateway.serving.tokens import Tokens
from tenantry.gateway.serving.watches import Watches
from tenantry.kube.config import Impersonation
from tenantry.kube.transport import Transport

SILENT_SECONDS: Final = 210.0
"""By then a dead connection was noticed, and a new one heard from."""
BOOKMARK_SECONDS: Final = 5.0
"""For the bookmark after a change of what is seen; by then one comes anyway, or the server is away."""
NAMESPACES: Final[KindKey] = ("", "v1", "namespaces")
NODES: Final[KindKey] = ("", "v1", "nodes")
_NODE_METRICS: Final = ("metrics.k8s.io", "nodes")
_HEADERS: Final = {"Content-Type": "application/json", "Cache-Control": "no-cache, private", ANSWER_HEADER: "1"}

_log = structlog.get_logger(__name__)


class Serving:
    """Filtered reads of one cluster's cluster-scoped kinds."""

    def __init__(
        self,
        transport: Transport,
        knowledge: Knowledge,
        *,
        cluster: str,
        token_key: bytes | None = None,
        impersonation: Impersonation | None = None,
        counters: Counters | None = None,
    ) -> None:
        """Serve nothing until :meth:`run`.

        Args:
            transport: As the gateway's own account, open while this is used.
            knowledge: Who sees what.
            cluster: Its name, which lists' ``continue`` is bound to.
            token_key: What ``continue`` is sealed with, up to 64 bytes; where replicas share it, a
                list goes on at another one.  None: a new one.
            impersonation: Whom our own kubeconfig says to act as.
            counters: Told what happens.
        """
        self._knowledge = knowledge
        self._counters: Counters = counters or NoCounters()
        reads = OwnReads(transport, impersonation=impersonation)
        live = LiveReads(reads)
        self._kinds = Kinds(reads)
        self._stock = Stock(reads, self._kinds, self._counters, pinned=frozenset({NAMESPACES}))
        self._lists = Lists(live, Tokens(token_key or os.urandom(32), cluster), self._counters)
        self._objects = Objects(live, self._counters)
        self._watches = Watches(self._counters)
        self._changed_keys: set[str] = set()
        self._has_changed_for_all = False
        self._is_review_due = False
        self._reaching: set[asyncio.Task[bool]] = set()
        knowledge.subscribe(self._view_changed)
        knowledge.follow_versions(self.highest_version)

    async def run(self) -> None:
        """Follow namespaces, and what else is asked for, until cancelled."""
        try:
            await self._stock.run()
        finally:
            for task in self._reaching:
                task.cancel()

    def problems(self) -> Iterable[str]:
        """Yield why answers may not be had, or may be too old."""
        namespaces = self._stock.get(NAMESPACES)
        if namespaces is None:
            yield "serving: namespaces are not looked at yet"
            return
        follower = namespaces.follower
        if not follower.synced:
            yield f"serving: namespaces are not listed yet: {follower.last_error or 'no answer so far'}"
        elif (seconds := follower.silent_seconds) > SILENT_SECONDS:
            why = follower.last_error or "silence"
            yield f"serving: namespaces were last heard of {seconds:.0f} seconds ago: {why}"

    def highest_version(self) -> int:
        """Return the highest resource version that a client may have got from here."""
        return max([self._lists.highest_live_version, *(followed.shelf.version for followed in self._stock)])

    def watch_counts(self) -> dict[str, int]:
        """Return how many watches are open, by plural."""
        return {followed.kind.plural: len(followed.delivery) for followed in self._stock}

    def end_streams(self, predicate: Callable[[Identity], bool]) -> int:
        """End the watches of whoever *predicate* says, at once; return how many those were."""
        ended = 0
        for followed in self._stock:
            for watcher in followed.delivery.watchers():
                if predicate(watcher.identity):
                    watcher.cut()
                    ended += 1
        return ended

    async def handle(self, request: web.BaseRequest, identity: Identity, info: RequestInfo) -> web.StreamResponse:
        """Answer a list, get or watch of a cluster-scoped kind by *identity*."""
        try:
            return await self._answer(request, identity, info)
        except RefusedError as refusal:
            return self._refused(refusal)
        except TenantryError as error:
            _log.info("serving.upstream_refused", resource=info.resource, verb=info.verb, error=str(error))
            return self._refused(from_upstream(error, KindName(info.api_group, info.resource)))

    async def _answer(self, request: web.BaseRequest, identity: Identity, info: RequestInfo) -> web.StreamResponse:
        if info.verb not in {"list", "get", "watch"} or info.subresource or not info.is_resource:
            raise bad_request("only lists, objects and watches of cluster-scoped kinds are answered here")
        key = (info.api_group, info.api_version, info.resource)
        followed = self._stock.get(key)
        kind = followed.kind if followed is not None else await self._kinds.find(key)
        if kind is None:
            raise no_such_kind()
        accept = ",".join(request.headers.getall("Accept", ()))
        asked = Asked(
            identity=identity,
            info=info,
            accept=accept,
            kind=kind,
            knowledge=self._knowledge,
            measured=await self._measured(kind),
        )
        if info.verb == "get":
            return _answered(await self._objects.answer(asked, _ready(followed)))
        if info.verb == "list":
            # Nothing visible is no reason to follow a kind.
            needs_following = kind.is_cached and not asked.sight("list").is_nothing
            followed = await self._following(kind) if needs_following or followed is not None else None
            return _answered(await self._lists.answer(asked, followed))
        if not kind.is_cached:
            raise not_watchable(kind.plural)
        followed = await self._following(kind)
        if followed is None:
            raise unavailable("too many kinds are watched through the gateway; try again", why="TooManyKinds")
        return await self._watches.answer(request, asked, followed)

    async def _following(self, kind: Kind) -> Followed | None:
        """Return the kind as it is followed, once it is known; None where no more kinds can be."""
        followed = self._stock.begin(kind)
        if followed is not None and not followed.follower.synced:
            try:
                await followed.follower.wait_synced(SYNC_SECONDS)
            except TimeoutError as error:
                raise unavailable(f"{kind.plural} are being listed; try again", why="NotSynced") from error
        return followed

    async def _measured(self, kind: Kind) -> Followed | None:
        if (kind.group, kind.plural) != _NODE_METRICS:
            return None
        nodes = await self._kinds.find(NODES)
        return await self._following(nodes) if nodes is not None else None

    def _refused(self, refusal: RefusedError) -> web.Response:
        self._counters.happened("refused")
        answer: Answer = refusal.answer
        return web.Response(status=answer.status, body=answer.body, headers=[*answer.headers, (ANSWER_HEADER, "1")])

    def _view_changed(self, keys: frozenset[str] | None, version: int) -> None:
        """Note whose views changed; what one event changes for many is looked at once, when it is all known."""
        del version
        if keys is None:
            self._has_changed_for_all = True
        else:
            self._changed_keys |= keys
        if not self._is_review_due:
            self._is_review_due = True
            asyncio.get_running_loop().call_soon(self._review)

    def _review(self) -> None:
        keys = None if self._has_changed_for_all else frozenset(self._changed_keys)
        self._changed_keys, self._has_changed_for_all, self._is_review_due = set(), False, False
        for followed in self._stock:
            for identity in followed.delivery.affected(keys):
                view = self._knowledge.view(identity)
                if view is not None:
                    self._move(followed, identity, view.sight(*followed.kind.key, "list"))
                    continue
                for watcher in followed.delivery.watchers_of(identity):
                    watcher.end()  # Not filtered any more: the next watch goes upstream.

    def _move(self, followed: Followed, identity: Identity, sight: Sight) -> None:
        """Tell the watchers of *identity*; the bookmark of now may be from before the change, then one follows."""
        if followed.delivery.move(identity, sight):
            version = self._knowledge.changed_version(identity)
            task = asyncio.get_running_loop().create_task(followed.follower.reach(version, BOOKMARK_SECONDS))
            self._reaching.add(task)
            task.add_done_callback(self._reaching.discard)


def _ready(followed: Followed | None) -> Followed | None:
    return followed if followed is not None and followed.follower.synced else None


def _answered(body: bytes) -> web.Response:
    return web.Response(body=body, headers=_HEADERS)

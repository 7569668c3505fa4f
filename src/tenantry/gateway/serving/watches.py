"""Watches: resumed from the history, or begun with what there is, and then told of all that changes (8.3)."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from tenantry.gateway.protocol import ANSWER_HEADER
from tenantry.gateway.serving.asking import Asked
from tenantry.gateway.serving.audiences import Audience
from tenantry.gateway.serving.formats import negotiated
from tenantry.gateway.serving.interfaces import Counters
from tenantry.gateway.serving.lists import CHANGED_SECONDS, FRESH_SECONDS
from tenantry.gateway.serving.options import WatchOptions, watch_options
from tenantry.gateway.serving.refusals import bad_request, expired, too_large_version
from tenantry.gateway.serving.rendering import error_event
from tenantry.gateway.serving.selections import Selection, selection
from tenantry.gateway.serving.stock import Followed
from tenantry.gateway.serving.streams import HEADERS, streamed
from tenantry.gateway.serving.watchers import Watcher, Wire

_GONE: Final = ConnectionResetError("the client is gone")


class Watches:
    """Answers WATCH."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def answer(self, request: web.BaseRequest, asked: Asked, followed: Followed) -> web.StreamResponse:
        """Stream until the watch ends; raise RefusedError where it does not begin."""
        options = watch_options(asked.info)
        fmt = negotiated(
            asked.accept,
            verb="watch",
            include=asked.info.value("includeObject"),
            allows_tables=followed.kind.has_lasting_cells,
        )
        chosen = _chosen(asked)
        await self._reached(asked, followed, options)
        # From here to the first write nothing waits: no event is missed, none comes twice.
        view = asked.view()
        audience = Audience(view.sight(*asked.kind.key, "list"), chosen, fmt)
        watcher = self._begun(request, asked, followed, options, audience)
        if watcher is None:
            self._counters.happened("watch_expired")
            return _expired(options.version or 0, max(followed.shelf.floor, asked.changed_version))
        delivery = followed.delivery
        delivery.add(watcher, audience, view.subject_keys)
        self._counters.happened("watch_started")
        try:
            return await streamed(
                request, watcher, seconds=options.timeout_seconds, bookmark=lambda: delivery.bookmark(watcher)
            )
        finally:
            delivery.remove(watcher)

    async def _reached(self, asked: Asked, followed: Followed, options: WatchOptions) -> None:
        if options.version and not await followed.follower.reach(options.version, FRESH_SECONDS):
            raise too_large_version(options.version, followed.shelf.version)
        if options.sends_initial_events:
            await followed.follower.reach(asked.changed_version, CHANGED_SECONDS)

    def _begun(
        self, request: web.BaseRequest, asked: Asked, followed: Followed, options: WatchOptions, audience: Audience
    ) -> Watcher | None:
        """Return the watcher with what it is told first; None where it can not go on from its version."""
        shelf, delivery, since = followed.shelf, followed.delivery, options.version or 0
        resumes = bool(since) and not options.sends_initial_events
        if resumes and since < max(shelf.floor, asked.changed_version):
            return None
        watcher = Watcher(asked.identity, _wire(request), since=shelf.version, has_bookmarks=options.has_bookmarks)
        watcher.audience = audience
        if resumes:
            watcher.begin(delivery.since(audience, since, needs_columns=True))
        elif options.sends_initial_events:
            watcher.begin(delivery.initial(audience, needs_columns=True))
            if options.marks_their_end:
                watcher.send(delivery.bookmark(watcher, ends_initial_events=True))
        return watcher


def _chosen(asked: Asked) -> Selection:
    info = asked.info
    fields = info.value("fieldSelector") or ""
    if info.is_verb_in_path and info.name:  # The old form /watch/<plural>/<name>.
        fields = f"{fields},metadata.name={info.name}".lstrip(",")
    chosen = selection(asked.kind, info.value("labelSelector") or "", fields)
    if chosen is None:
        raise bad_request(f"field label not supported in a watch of {asked.kind.plural} through the gateway: {fields}")
    return chosen


def _expired(asked: int, oldest: int) -> web.Response:
    """Return what the API server answers: the watch begins, and its one event says that it can not."""
    refusal = expired(f"too old resource version: {asked} ({oldest})")
    headers = {**HEADERS, **dict(refusal.answer.headers), ANSWER_HEADER: "1"}
    headers.pop("content-type")
    return web.Response(body=error_event(refusal.answer.body), headers=headers)


def _wire(request: web.BaseRequest) -> Wire:
    transport = request.transport
    if not isinstance(transport, asyncio.Transport):
        raise _GONE
    return transport

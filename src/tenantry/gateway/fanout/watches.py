"""The watches over all namespaces that are open, and their bounds."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Final

from aiohttp import web

from tenantry.access.identity import Identity
from tenantry.access.requests import RequestInfo
from tenantry.access.visibility import PrincipalView
from tenantry.gateway.fanout.answers import bad_request, busy, expired
from tenantry.gateway.fanout.interfaces import Counters, Given, Knowledge
from tenantry.gateway.fanout.lists import resource_version
from tenantry.gateway.fanout.reading import Reader
from tenantry.gateway.fanout.watching import WatchOptions, WatchRun
from tenantry.gateway.protocol import ANSWER_HEADER
from tenantry.gateway.settings import Limits

_SECONDS: Final = (1800, 3600)
"""How long a watch lasts whose client says nothing about it, as with the API server's defaults."""
_RETRY_SECONDS: Final = 5


class Watches:
    """All of them in one process."""

    def __init__(self, knowledge: Knowledge, limits: Limits, counters: Counters, given: Given) -> None:
        self._knowledge = knowledge
        self.limits = limits
        self._counters = counters
        self._given = given
        self._running: dict[WatchRun, PrincipalView] = {}
        self.upstream = 0
        """Watches of single namespaces, of all clients together."""

    async def answer(
        self, request: web.BaseRequest, reader: Reader, view: PrincipalView, info: RequestInfo
    ) -> web.StreamResponse:
        """Answer *request* of whom *view* belongs to.

        Raises:
            FailedReadError: It fails, and nothing of an answer was sent.
        """
        options = self._options(info, view.identity)
        version = int(options.query["resourceVersion"] or "0")
        is_resume = version and not info.is_set("sendInitialEvents")
        if is_resume and version < self._knowledge.changed_version(view.identity):
            self._counters.happened("watch_expired")
            # As the API server says it: some clients take 410 as an event alone.
            body = expired("what is visible to you has changed since").event()
            return web.Response(body=body, headers={"content-type": "application/json", ANSWER_HEADER: "1"})
        namespaces = view.all_namespaces()
        self._admit(len(namespaces))
        run = WatchRun(request, reader, options, slots=self._take)
        run.given = self._given
        self._running[run] = view
        self._counters.happened("watch")
        try:
            return await run.run(namespaces)
        finally:
            del self._running[run]
            self.upstream -= run.slots_held
            if run.outcome is not None:
                self._counters.happened(run.outcome)

    def end(self, predicate: Callable[[Identity], bool]) -> int:
        """End the watches of each identity that *predicate* is true of; return how many."""
        ended = [run for run, view in self._running.items() if predicate(view.identity)]
        for run in ended:
            run.abort()
        return len(ended)

    def view_changed(self, keys: frozenset[str] | None, _version: int) -> None:
        """Have the watches of whom *keys* name look again at what they may see; None: everybody's."""
        for run, view in self._running.items():
            if keys is None or not keys.isdisjoint(view.subject_keys):
                run.review(partial(self._knowledge.view, view.identity))

    def _admit(self, count: int) -> None:
        most = self.limits.watch_namespaces
        if count > most:
            self._counters.happened("watch_refused")
            raise busy(
                f"{count} namespaces are visible to you, and one watch here follows {most} at most: "
                "watch single namespaces, or have limits.watchNamespaces raised",
                retry_after_seconds=_RETRY_SECONDS,
            )
        if not self._take(count):
            self._counters.happened("watch_refused")
            raise busy(
                f"{self.upstream} namespaces are being watched here, of {self.limits.upstream_watches} at most: "
                "try again later, watch single namespaces, or have limits.upstreamWatches raised",
                retry_after_seconds=_RETRY_SECONDS,
            )

    def _take(self, count: int) -> bool:
        if count > 0 and self.upstream + count > self.limits.upstream_watches:
            return False
        self.upstream += count
        return True

    def _options(self, info: RequestInfo, identity: Identity) -> WatchOptions:
        names = ("resourceVersion", "resourceVersionMatch", "sendInitialEvents")
        query = {name: value for name in names if (value := info.value(name)) is not None}
        query["resourceVersion"] = resource_version(info)
        wants_bookmarks = info.is_set("allowWatchBookmarks")
        return WatchOptions(
            query=query,
            wants_bookmarks=wants_bookmarks,
            wants_end=wants_bookmarks and info.is_set("sendInitialEvents"),
            seconds=_seconds(info),
            api_version=info.api_group_version,
            version_if_empty=self._knowledge.changed_version(identity),
            most_namespaces=self.limits.watch_namespaces,
        )


def _seconds(info: RequestInfo) -> float:
    text = info.value("timeoutSeconds") or "0"
    try:
        seconds = int(text)
    except ValueError:
        raise bad_request(f"timeoutSeconds is {text!r}, which is no number") from None
    return float(seconds if seconds > 0 else random.randint(*_SECONDS))  # noqa: S311 - so that not all end at once

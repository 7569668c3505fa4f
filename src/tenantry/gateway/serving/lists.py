"""Lists: from what is followed where that can tell, else read live; in name order, in pages, at a version."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from time import time
from typing import Final, NamedTuple

from tenantry.access.sight import Sight
from tenantry.gateway.serving.asking import Asked
from tenantry.gateway.serving.formats import Format, negotiated
from tenantry.gateway.serving.interfaces import Counters
from tenantry.gateway.serving.items import Item
from tenantry.gateway.serving.live import LiveReads
from tenantry.gateway.serving.options import ListOptions, list_options
from tenantry.gateway.serving.refusals import expired, too_large_version
from tenantry.gateway.serving.rendering import list_body, list_metadata
from tenantry.gateway.serving.selections import Selection, selection
from tenantry.gateway.serving.stock import Followed
from tenantry.gateway.serving.tokens import Place, Tokens

FRESH_SECONDS: Final = 3.0
"""How long a version that is not reached yet is waited for; then 504.  As kube-apiserver."""
CHANGED_SECONDS: Final = 2.0
"""How long a list waits to be as new as the last change of what its caller sees.

With an older version the client could not begin a watch: so old a view is not known."""

_NOTHING_CHANGED: Final[Mapping[str, Item | None]] = {}


class _Moment(NamedTuple):
    """The state that a list is of."""

    version: int
    changed: Mapping[str, Item | None]
    """What stood otherwise then than it does now."""
    after: str = ""


class Lists:
    """Answers LIST."""

    def __init__(self, live: LiveReads, tokens: Tokens, counters: Counters) -> None:
        self._live = live
        self._tokens = tokens
        self._counters = counters
        self.highest_live_version = 0
        """Of the versions given out with live lists."""

    async def answer(self, asked: Asked, followed: Followed | None) -> bytes:
        """Return the list; raise RefusedError or what the API server or the way to it said."""
        info = asked.info
        options = list_options(info)
        fmt = negotiated(asked.accept, verb="list", include=info.value("includeObject"))
        chosen = selection(asked.kind, info.value("labelSelector") or "", info.value("fieldSelector") or "")
        if followed is None or chosen is None or (fmt.form == "table" and not followed.kind.has_lasting_cells):
            return await self._read(asked, options, fmt)
        self._counters.happened("list_cached")
        return await self._cached(asked, followed, options, fmt, chosen)

    async def _cached(
        self, asked: Asked, followed: Followed, options: ListOptions, fmt: Format, chosen: Selection
    ) -> bytes:
        if not options.token and not options.version and not options.is_exact:
            await followed.follower.reach(asked.changed_version, CHANGED_SECONDS)
        sight = asked.sight("list")
        moment = await self._moment(asked, followed, options, sight)
        items = _seen(followed, sight, chosen, moment)
        token, remaining = "", None
        if options.limit and len(items) > options.limit:
            remaining = len(items) - options.limit if chosen.is_all else None
            items = items[: options.limit]
            place = Place(version=moment.version, after=items[-1].name)
            token = self._tokens.write(place, asked.identity, asked.info, sight)
        metadata = list_metadata(followed.kind, moment.version, token, remaining)
        return list_body(followed.kind, items, fmt, metadata, followed.shelf.columns, time())

    async def _moment(self, asked: Asked, followed: Followed, options: ListOptions, sight: Sight) -> _Moment:
        version, after = options.version or 0, ""
        if options.token:
            place = self._tokens.read(options.token, asked.identity, asked.info, sight)
            version, after = place.version, place.after
        if not await followed.follower.reach(version, FRESH_SECONDS):
            raise too_large_version(version, followed.shelf.version)
        if not (options.token or options.is_exact):
            return _Moment(followed.shelf.version, _NOTHING_CHANGED)
        changed = followed.shelf.at(version)
        if changed is None:
            raise expired(f"The resourceVersion for the provided list is too old: {version}")
        return _Moment(version, changed, after)

    async def _read(self, asked: Asked, options: ListOptions, fmt: Format) -> bytes:
        """Answer by a live list: what depends on time, odd field selectors, kinds that can not be followed."""
        sight = asked.sight("list")
        version, after, match = options.version or 0, "", "Exact" if options.is_exact else "NotOlderThan"
        if options.token:
            place = self._tokens.read(options.token, asked.identity, asked.info, sight)
            version, after, match = place.version, place.after, "Exact"
        query = {name: value for name in ("labelSelector", "fieldSelector") if (value := asked.info.value(name))}
        if version:
            query |= {"resourceVersion": str(version), "resourceVersionMatch": match}
        if sight.is_nothing:
            query["limit"] = "1"  # For the list's version alone.
        self._counters.happened("list_live")
        page = await self._live.list(asked.kind, query, fmt, asked.shows(sight))
        number = int(page.version) if page.version.isdigit() else 0
        if asked.kind.is_cached:
            self.highest_live_version = max(self.highest_live_version, number)

        def token(name: str) -> str:
            return self._tokens.write(Place(version=number, after=name), asked.identity, asked.info, sight)

        return page.body(fmt, after=after, limit=options.limit, token=token)


def _seen(followed: Followed, sight: Sight, chosen: Selection, moment: _Moment) -> list[Item]:
    items, changed = followed.shelf.items, moment.changed
    names = followed.visible.names(sight)
    if changed:
        then = {name for name, item in changed.items() if item is not None and sight.shows(name, item.labels)}
        names = sorted({name for name in names if name not in changed} | then)
    if moment.after:
        names = names[bisect_right(names, moment.after) :]
    if (only := chosen.name) is not None:
        # Looked up in what is shown: a name alone shows nothing.
        at = bisect_right(names, only) - 1
        names = [only] if at >= 0 and names[at] == only else []
    seen = [item for name in names if (item := changed.get(name, items.get(name))) is not None]
    return seen if chosen.is_all else [item for item in seen if chosen.takes(item)]

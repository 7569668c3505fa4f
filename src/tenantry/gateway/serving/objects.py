"""Single objects by name: from what is followed where it is there and visible, else by one live read (8.3)."""

from __future__ import annotations

import asyncio
from time import monotonic, time
from typing import Final

from tenantry.access.sight import Sight
from tenantry.api.meta import CAPSULE_GROUP, PartialObject
from tenantry.foundation.codec import DecodeError, decode
from tenantry.gateway.serving.asking import Asked
from tenantry.gateway.serving.formats import OBJECTS, Format, negotiated
from tenantry.gateway.serving.interfaces import Counters
from tenantry.gateway.serving.live import LiveReads
from tenantry.gateway.serving.options import least_version
from tenantry.gateway.serving.refusals import not_found
from tenantry.gateway.serving.rendering import object_body
from tenantry.gateway.serving.stock import Followed

KNOWN_SECONDS: Final = 1.0
"""How long a new namespace of the caller's own tenant may take to be known as that."""
_LOOK_AGAIN_SECONDS: Final = 0.02


class Objects:
    """Answers GET of one object."""

    def __init__(self, live: LiveReads, counters: Counters) -> None:
        self._live = live
        self._counters = counters

    async def answer(self, asked: Asked, followed: Followed | None) -> bytes:
        """Return the object; raise RefusedError or what the API server said.

        What exists and is not visible is read live, too, and answered as what does not
        exist: neither the answer nor its time tells the two apart (invariant 32).
        """
        info = asked.info
        fmt = negotiated(asked.accept, verb="get", include=info.value("includeObject"))
        least = least_version(info) or 0
        sight = asked.sight("get")
        if followed is not None and (body := _held(followed, info.name, sight, fmt, least)) is not None:
            self._counters.happened("get_cached")
            return body
        self._counters.happened("get_live")
        query = {"resourceVersion": str(least)} if least else {}
        path = asked.kind.path_of(info.name)
        body = await self._live.object(path, query, fmt, asked.shows(sight))
        if body is None and await self._is_known_soon(asked, path):
            body = await self._live.object(path, query, fmt, asked.shows(asked.sight("get")))
        if body is None:
            self._counters.happened("get_hidden")
            raise not_found(asked.kind.group, asked.kind.plural, info.name)
        return body

    async def _is_known_soon(self, asked: Asked, path: str) -> bool:
        """Wait for a namespace that was just made in a tenant of the caller's to become visible, and say if it did.

        Only of such: waiting for others would tell that they are there.
        """
        if (asked.kind.group, asked.kind.plural) != ("", "namespaces"):
            return False
        body = await self._live.object(path, {}, OBJECTS, _anything)
        tenants = {share.tenant.metadata.name for share in asked.view().tenants}
        if body is None or not tenants & _owners(body):
            return False
        until = monotonic() + KNOWN_SECONDS
        while not asked.sight("get").shows(asked.info.name, {}):
            if monotonic() > until:
                return False
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return True


def _held(followed: Followed, name: str, sight: Sight, fmt: Format, least: int) -> bytes | None:
    shelf = followed.shelf
    item = shelf.items.get(name)
    if item is None or not sight.shows(name, item.labels) or least > shelf.version:
        return None
    if fmt.form == "table" and not followed.kind.has_lasting_cells:
        return None
    return object_body(item, fmt, shelf.columns, time())


def _owners(body: bytes) -> set[str]:
    try:
        references = decode(body, PartialObject).metadata.owner_references or ()
    except DecodeError:
        return set()
    return {one.name for one in references if one.kind == "Tenant" and one.api_version.startswith(f"{CAPSULE_GROUP}/")}


def _anything(name: str, labels: object) -> bool:
    del name, labels
    return True

"""Requests for lists: what they ask for, page by page, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from aiohttp import web

from tenantry.access.identity import Identity
from tenantry.access.requests import RequestInfo
from tenantry.access.visibility import PrincipalView
from tenantry.foundation.errors import TenantryError
from tenantry.gateway.fanout.answers import FailedReadError, bad_request
from tenantry.gateway.fanout.cursor import BadCursorError, Binding, Cursor, ExpiredCursorError, opened, sealed
from tenantry.gateway.fanout.interfaces import Counters, Given, Knowledge
from tenantry.gateway.fanout.listing import ListOptions, ListRun
from tenantry.gateway.fanout.reading import Reader
from tenantry.gateway.fanout.writing import ListWriter

_MATCHES: Final = frozenset({"", "NotOlderThan", "Exact"})

_log = structlog.get_logger(__name__)


class Lists:
    """The lists that are being answered."""

    def __init__(
        self, knowledge: Knowledge, counters: Counters, given: Given, *, cluster: str, cursor_key: bytes
    ) -> None:
        self._knowledge = knowledge
        self._counters = counters
        self._given = given
        self._cluster = cluster
        self._cursor_key = cursor_key
        self._running: dict[ListWriter, Identity] = {}

    async def answer(
        self, request: web.BaseRequest, reader: Reader, view: PrincipalView, info: RequestInfo
    ) -> web.StreamResponse:
        """Answer *request* of whom *view* belongs to.

        Raises:
            FailedReadError: It fails, and nothing of an answer was sent.
        """
        binding = Binding(
            identity=view.identity,
            cluster=self._cluster,
            query=(("group", info.api_group), ("resource", info.resource), *reader.selection),
            namespaces=view.all_namespaces(),
        )
        options = self._options(reader, info, binding)
        writer = ListWriter(request)
        self._running[writer] = view.identity
        self._counters.happened("list")
        try:
            return await self._run(ListRun(reader, writer, options), writer, binding)
        except (ConnectionError, TimeoutError):
            return writer.abort()
        except TenantryError as error:
            self._counters.happened("list_cut" if writer.is_begun else "list_failed")
            if not writer.is_begun:
                raise
            _log.warning("gateway.list_cut", resource=info.resource, error=str(error))
            return writer.abort()
        finally:
            del self._running[writer]

    def end(self, predicate: Callable[[Identity], bool]) -> int:
        """Break the lists of each identity that *predicate* is true of; return how many."""
        ended = [writer for writer, identity in self._running.items() if predicate(identity)]
        for writer in ended:
            writer.abort()
        return len(ended)

    async def _run(self, run: ListRun, writer: ListWriter, binding: Binding) -> web.StreamResponse:
        cursor = await run.run()
        for _ in range(run.left_out):
            self._counters.happened("part_left_out")
        self._given.note(int(run.version or "0"))
        await run.finish(sealed(cursor, binding, self._cursor_key) if cursor is not None else "")
        return await writer.finish()

    def _options(self, reader: Reader, info: RequestInfo, binding: Binding) -> ListOptions:
        cursor = _cursor(info, binding, self._cursor_key)
        names = tuple(binding.namespaces)
        return ListOptions(
            namespaces=names[names.index(cursor.namespace) :] if cursor.namespace else names,
            limit=_limit(info),
            cursor=cursor,
            accept=reader.accept,
            api_version=info.api_group_version,
            version_if_empty=str(self._knowledge.changed_version(binding.identity) or ""),
        )


def _limit(info: RequestInfo) -> int | None:
    text = info.value("limit") or "0"
    try:
        limit = int(text)
    except ValueError:
        raise bad_request(f"limit is {text!r}, which is no number") from None
    return limit if limit > 0 else None


def _cursor(info: RequestInfo, binding: Binding, key: bytes) -> Cursor:
    version, match = resource_version(info), info.value("resourceVersionMatch") or ""
    if match not in _MATCHES:
        raise bad_request(f"resourceVersionMatch is {match!r}: give NotOlderThan, Exact, or none")
    token = info.value("continue")
    if not token:
        return Cursor(namespace="", resource_version=version, resource_version_match=match)
    if version not in {"", "0"} or match:
        raise bad_request("specifying resource version is not allowed when using continue")
    try:
        return opened(token, binding, key)
    except BadCursorError as error:
        raise bad_request(str(error)) from error
    except ExpiredCursorError as error:
        raise FailedReadError(410, "Expired", str(error)) from error


def resource_version(info: RequestInfo) -> str:
    """Return the version that is asked for; empty for the most recent.

    Raises:
        FailedReadError: It is no number.
    """
    version = info.value("resourceVersion") or ""
    if version and not (version.isascii() and version.isdecimal()):
        raise bad_request(f"resourceVersion is {version!r}: it is a number, as a list or an object had it")
    return version

"""Lists and objects read from the API server at the moment, under the gateway's own account, and then filtered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tenantry.foundation.codec import DecodeError, Model, Raw, decode, encode
from tenantry.gateway.serving.formats import Format
from tenantry.gateway.serving.kinds import Kind
from tenantry.gateway.serving.reads import OwnReads
from tenantry.kube.errors import UndecodableError

CONCURRENT: Final = 8
"""Live lists at the same time; each holds all objects of its kind for a moment."""

Shows = Callable[[str, Mapping[str, str]], bool]


class _Metadata(Model):
    name: str = ""
    labels: dict[str, str] | None = None


class _Named(Model):
    metadata: _Metadata = _Metadata()


class _ListMetadata(Model):
    resource_version: str = ""


class _TableRow(Model):
    cells: Raw
    object: Raw


@dataclass(frozen=True, slots=True)
class LivePage:
    """What is left of a list: its parts by key as the server sent them, and the shown ones with their names."""

    envelope: dict[str, Raw]
    is_table: bool
    shown: list[tuple[str, Raw]]
    version: str

    def body(self, fmt: Format, *, after: str = "", limit: int = 0, token: Callable[[str], str] | None = None) -> bytes:
        """Return the list, or *limit* items of it after the name *after*; *token* makes ``continue`` of a name."""
        shown = [one for one in self.shown if one[0] > after] if after else self.shown
        page = shown[:limit] if limit else shown
        metadata: dict[str, object] = dict(decode(self.envelope["metadata"], dict[str, Raw]))
        metadata.pop("continue", None)
        metadata.pop("remainingItemCount", None)
        if len(page) < len(shown) and token is not None:
            metadata["continue"] = token(page[-1][0])
        entries: list[object] = [entry for _, entry in page]
        if self.is_table and fmt.include == "None":
            entries = [{"cells": decode(entry, _TableRow).cells, "object": None} for _, entry in page]
        return encode({**self.envelope, "metadata": metadata, "rows" if self.is_table else "items": entries}) + b"\n"


class LiveReads:
    """Reads whole lists, since only whoever has them all can say which page a caller gets."""

    def __init__(self, reads: OwnReads) -> None:
        self._reads = reads
        self._turns = asyncio.Semaphore(CONCURRENT)

    async def list(self, kind: Kind, query: Mapping[str, str], fmt: Format, shows: Shows) -> LivePage:
        """Return what *shows* shows of what *query* (selectors, versions) selects.

        Raises:
            ApiError, UnreachableError: It can not be had.
        """
        async with self._turns:
            body = await self._reads.read(kind.path, {**query, **_include(fmt)}, accept=_accept(fmt, "List"))
            return _page(body, shows)

    async def object(self, path: str, query: Mapping[str, str], fmt: Format, shows: Shows) -> bytes | None:
        """Return the object at *path*; None where *shows* does not show it.

        Raises:
            NotFoundError: There is none.
            ApiError, UnreachableError: It can not be had.
        """
        body = await self._reads.read(path, {**query, **_include(fmt)}, accept=_accept(fmt, ""))
        try:
            if fmt.form != "table":
                return body if _shown(body, shows) else None
            envelope = decode(body, dict[str, Raw])
            rows = decode(envelope["rows"], list[_TableRow])
            if not rows or not all(_shown(row.object, shows) for row in rows):
                return None
        except (DecodeError, KeyError) as error:
            raise UndecodableError(f"{path}: {error}") from error
        if fmt.include != "None":
            return body
        return encode({**envelope, "rows": [{"cells": row.cells, "object": None} for row in rows]}) + b"\n"


def _include(fmt: Format) -> dict[str, str]:
    """Return what to ask for: without the object's metadata nobody could tell whose row it is."""
    if fmt.form != "table":
        return {}
    return {"includeObject": "Object" if fmt.include == "Object" else "Metadata"}


def _accept(fmt: Format, suffix: str) -> str:
    if fmt.form == "object":
        return "application/json"
    form = "Table" if fmt.form == "table" else f"PartialObjectMetadata{suffix}"
    return f"application/json;as={form};v={fmt.version};g=meta.k8s.io"


def _page(body: bytes, shows: Shows) -> LivePage:
    try:
        envelope = decode(body, dict[str, Raw])
        is_table = "rows" in envelope or "columnDefinitions" in envelope
        entries = decode(envelope.get("rows" if is_table else "items", Raw(b"null")), list[Raw] | None) or []  # type: ignore[arg-type]
        shown = []
        for entry in entries:
            named = decode(decode(entry, _TableRow).object if is_table else entry, _Named).metadata
            if shows(named.name, named.labels or {}):
                shown.append((named.name, entry))
        shown.sort(key=_name)
        version = decode(envelope["metadata"], _ListMetadata).resource_version
    except (DecodeError, KeyError) as error:
        raise UndecodableError(f"not a list: {error}") from error
    return LivePage(envelope=envelope, is_table=is_table, shown=shown, version=version)


def _shown(body: bytes | Raw, shows: Shows) -> bool:
    metadata = decode(body, _Named).metadata
    return bool(metadata.name) and shows(metadata.name, metadata.labels or {})


def _name(named: tuple[str, Raw]) -> str:
    return named[0]

"""One object as the API server wrote it: its bytes, and the little that is read of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from tenantry.foundation.codec import Model, Raw, decode, decode_any, encode, field
from tenantry.gateway.serving.kinds import Kind

NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """An object, never changed; what is sent of it is cut from its bytes.  Equal to itself alone."""

    name: str
    version: int
    head: bytes
    """The JSON's beginning: kind and version where the server's lists leave them out of each item, or just ``{``."""
    tail: bytes
    """The rest."""
    metadata_at: int
    metadata_end: int
    """Where in *tail* the value of ``metadata`` is."""
    labels: Mapping[str, str]
    created_seconds: int | None
    """Unix time."""
    cells: tuple[bytes, ...]
    """The cells of its row as JSON, cut where the age goes; see :func:`tenantry.gateway.serving.rendering.row`."""

    @property
    def metadata(self) -> bytes:
        """Return the metadata as JSON."""
        return self.tail[self.metadata_at : self.metadata_end]


class _ListMeta(Model):
    resource_version: str = ""
    token: str = field(name="continue", default="")


class _Row(Model):
    object: Raw
    cells: tuple[Raw, ...] = ()


class TablePage(Model):
    """meta/v1 Table, of a list or of one event."""

    kind: str = ""
    metadata: _ListMeta = _ListMeta()
    column_definitions: Raw = Raw(b"null")
    rows: tuple[_Row, ...] | None = None


class _Object(Model):
    metadata: Raw


class _Metadata(Model):
    name: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None
    labels: dict[str, str] | None = None


class Cutter:
    """Makes items of the rows of one kind."""

    def __init__(self, kind: Kind) -> None:
        # Of its own kinds the server leaves this out of a list's items; of custom ones it keeps it, by key in order.
        self._head = b'{"kind":' + encode(kind.kind) + b',"apiVersion":' + encode(kind.api_version) + b","
        self.ages: frozenset[int] = frozenset()
        """Which cells are the age."""

    def item(self, row: _Row) -> Item:
        """Return the item of a row that holds the whole object; raise DecodeError where it is none."""
        body = bytes(row.object)
        head = self._head if body.startswith(self._head) else b"{"
        tail = body[len(head) :]
        raw = bytes(decode(row.object, _Object).metadata)
        metadata = decode(raw, _Metadata)
        # The first place with these very bytes: wherever it is, they say the same.
        start = tail.find(raw)
        return Item(
            name=metadata.name,
            version=int(metadata.resource_version) if metadata.resource_version.isdigit() else 0,
            head=head,
            tail=tail,
            metadata_at=start,
            metadata_end=start + len(raw),
            labels=metadata.labels or NO_LABELS,
            created_seconds=_seconds(metadata.creation_timestamp),
            cells=_parts((bytes(cell) for cell in row.cells), self.ages),
        )


@lru_cache(maxsize=256)
def restamped(item: Item, version: int) -> Item:
    """Return the same state at a later version: what is sent when an object leaves what a watch selects.

    The API server does the same, so that a client goes on from where it was told.
    """
    plain = decode_any(item.head + item.tail)
    plain["metadata"]["resourceVersion"] = str(version)
    body, metadata = encode(plain), encode(plain["metadata"])
    tail = body[1:]
    start = tail.find(metadata)
    return Item(
        name=item.name,
        version=version,
        head=b"{",
        tail=tail,
        metadata_at=start,
        metadata_end=start + len(metadata),
        labels=item.labels,
        created_seconds=item.created_seconds,
        cells=item.cells,
    )


def _seconds(timestamp: str | None) -> int | None:
    try:
        return int(datetime.fromisoformat(timestamp).timestamp()) if timestamp else None
    except ValueError:
        return None


def _parts(cells: Iterable[bytes], ages: frozenset[int]) -> tuple[bytes, ...]:
    parts, current = [], b"["
    for index, cell in enumerate(cells):
        current += b"," if index else b""
        if index in ages:
            parts.append(current + b'"')
            current = b'"'
        else:
            current += cell
    return (*parts, current + b"]")

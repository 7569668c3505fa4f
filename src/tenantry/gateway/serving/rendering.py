"""Bytes for clients, joined from bytes of the API server: nothing is parsed, and little is copied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tenantry.foundation.codec import decode, encode
from tenantry.gateway.serving.ages import age
from tenantry.gateway.serving.formats import Format
from tenantry.gateway.serving.items import Item
from tenantry.gateway.serving.kinds import ColumnDefinition, Kind

INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


def object_body(item: Item, fmt: Format, columns: bytes, now: float) -> bytes:
    """Return the answer to a GET by name."""
    if fmt.form == "object":
        return item.head + item.tail + b"\n"
    if fmt.form == "metadata":
        return _partial(item, fmt) + b"\n"
    return _table(fmt, b'{"resourceVersion":"%d"}' % item.version, columns, row(item, fmt, now)) + b"\n"


def list_body(kind: Kind, items: Iterable[Item], fmt: Format, metadata: bytes, columns: bytes, now: float) -> bytes:
    """Return the answer to a LIST; *metadata* is the list's own, as JSON."""
    if fmt.form == "table":
        return _table(fmt, metadata, columns, b",".join([row(item, fmt, now) for item in items])) + b"\n"
    if fmt.form == "metadata":
        head = b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/%s","metadata":' % fmt.version.encode()
        return head + metadata + b',"items":[' + b",".join([_partial(item, fmt) for item in items]) + b"]}\n"
    tails = [item.tail for item in items]
    content = b"[{" + b",{".join(tails) + b"]" if tails else b"[]"
    list_kind, api_version = encode(kind.list_kind), encode(kind.api_version)
    if kind.is_custom:
        head, tail = b'{"apiVersion":' + api_version, b',"kind":' + list_kind + b',"metadata":' + metadata + b"}\n"
        return head + b',"items":' + content + tail
    head = b'{"kind":' + list_kind + b',"apiVersion":' + api_version + b',"metadata":' + metadata
    return head + b',"items":' + content + b"}\n"


def list_metadata(kind: Kind, version: int, token: str = "", remaining: int | None = None) -> bytes:
    """Return the metadata of a list; *remaining* is how many more there are, None where that is not told."""
    parts = [b'"resourceVersion":"%d"' % version]
    if token or kind.is_custom:
        parts.append(b'"continue":' + encode(token))
    if remaining is not None:
        parts.append(b'"remainingItemCount":%d' % remaining)
    return b"{" + b",".join(parts) + b"}"


def row(item: Item, fmt: Format, now: float) -> bytes:
    """Return a row of a table, its age as of *now*."""
    cells = item.cells[0] if len(item.cells) == 1 else age(item.created_seconds, now).encode().join(item.cells)
    return b'{"cells":' + cells + b',"object":' + _included(item, fmt) + b"}"


def event(kind: str, item: Item, fmt: Format, columns: bytes | None, now: float) -> bytes:
    """Return one line of a watch; a client's first table event carries the *columns*."""
    if fmt.form == "object":
        content = item.head + item.tail
    elif fmt.form == "metadata":
        content = _partial(item, fmt)
    else:
        content = _table(fmt, b'{"resourceVersion":"%d"}' % item.version, columns or b"null", row(item, fmt, now))
    return b'{"type":"%s","object":' % kind.encode() + content + b"}\n"


def bookmark(kind: Kind, version: int, fmt: Format, columns: bytes, *, ends_initial_events: bool = False) -> bytes:
    """Return a BOOKMARK: everything up to *version* was sent."""
    annotations = b',"annotations":{"%s":"true"}' % INITIAL_EVENTS_END.encode() if ends_initial_events else b""
    metadata = b'{"resourceVersion":"%d"%s}' % (version, annotations)
    own = b'{"kind":' + encode(kind.kind) + b',"apiVersion":' + encode(kind.api_version)
    partial = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%s"' % fmt.version.encode()
    head = partial if fmt.form == "metadata" or (fmt.form == "table" and fmt.include == "Metadata") else own
    content = head + b',"metadata":' + metadata + b"}"
    if fmt.form == "table":
        cells = encode(["", *[None] * (len(decode(columns, list[ColumnDefinition])) - 1)])
        included = b"null" if fmt.include == "None" else content
        rows = b'{"cells":' + cells + b',"object":' + included + b"}"
        content = _table(fmt, b'{"resourceVersion":"%d"}' % version, b"null", rows)
    return b'{"type":"BOOKMARK","object":' + content + b"}\n"


def error_event(status: bytes) -> bytes:
    """Return the ERROR that ends a watch; *status* is a metav1.Status."""
    return b'{"type":"ERROR","object":' + status.rstrip() + b"}\n"


def batches(frames: Sequence[bytes], size: int = 64 * 1024) -> Iterable[bytes]:
    """Yield *frames* joined to pieces of about *size* bytes."""
    piece: list[bytes] = []
    length = 0
    for frame in frames:
        piece.append(frame)
        length += len(frame)
        if length >= size:
            yield b"".join(piece)
            piece, length = [], 0
    if piece:
        yield b"".join(piece)


def _partial(item: Item, fmt: Format) -> bytes:
    head = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%s","metadata":' % fmt.version.encode()
    return head + item.metadata + b"}"


def _included(item: Item, fmt: Format) -> bytes:
    if fmt.include == "None":
        return b"null"
    return item.head + item.tail if fmt.include == "Object" else _partial(item, fmt)


def _table(fmt: Format, metadata: bytes, columns: bytes, rows: bytes) -> bytes:
    head = b'{"kind":"Table","apiVersion":"meta.k8s.io/%s","metadata":' % fmt.version.encode()
    return head + metadata + b',"columnDefinitions":' + columns + b',"rows":[' + rows + b"]}"

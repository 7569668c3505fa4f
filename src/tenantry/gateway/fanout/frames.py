"""The lines of a watch: what of them has to be known to merge several, and the few that are written here."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tenantry.foundation.codec import Model, Raw, decode, decode_any, encode, field

END_ANNOTATION: Final = "k8s.io/initial-events-end"


class _Metadata(Model):
    resource_version: str = ""


class _Object(Model):
    metadata: _Metadata = _Metadata()
    column_definitions: Raw = Raw(b"")
    code: int = 0


class _Line(Model):
    type: str
    object: _Object


class _Annotated(Model):
    annotations: dict[str, str] | None = None


class _BookmarkObject(Model):
    metadata: _Annotated = _Annotated()


class _Row(Model):
    object: _BookmarkObject = _BookmarkObject()


class _Bookmark(Model):
    metadata: _Annotated = _Annotated()
    rows: tuple[_Row, ...] = ()


class _BookmarkLine(Model):
    object: _Bookmark = field(default_factory=_Bookmark)


class Frame(NamedTuple):
    """One event."""

    type: str
    version: int
    """Of the object or bookmark; 0 where it is no number."""
    line: bytes
    """As it came, without the line's end."""
    is_end: bool = False
    """Whether it is the bookmark after the initial events."""
    columns: bytes | None = None
    """Of a Table: its columns, which only the first event of a watch has, ``null`` else."""
    code: int = 0
    """Of an ERROR."""

    @property
    def lacks_columns(self) -> bool:
        """Whether it is a Table that leaves out what an earlier one said."""
        return self.columns == b"null"


def read_frame(line: bytes) -> Frame:
    """Return what *line* is; raise DecodeError where it is no event."""
    found = decode(line, _Line)
    version = found.object.metadata.resource_version
    columns = bytes(found.object.column_definitions) or None
    is_end = found.type == "BOOKMARK" and _is_end(line)
    number = int(version) if version.isdecimal() else 0
    return Frame(found.type, number, line, is_end, columns, found.object.code)


def _is_end(line: bytes) -> bool:
    bookmark = decode(line, _BookmarkLine).object
    # A Table has the annotation in the object of its one row.
    places = (bookmark.metadata, *(row.object.metadata for row in bookmark.rows))
    return any((place.annotations or {}).get(END_ANNOTATION) == "true" for place in places)


def bookmark_like(line: bytes, version: int, *, is_end: bool) -> bytes:
    """Return a bookmark at *version* in the form of the one in *line*."""
    event = decode_any(line)
    obj = event["object"]
    inner = [row["object"]["metadata"] for row in obj.get("rows") or () if "metadata" in (row.get("object") or {})]
    obj.setdefault("metadata", {})["resourceVersion"] = str(version)
    for metadata in inner or [obj["metadata"]]:
        metadata["resourceVersion"] = str(version)
        annotations = {
            key: value for key, value in (metadata.get("annotations") or {}).items() if key != END_ANNOTATION
        }
        metadata["annotations"] = annotations | ({END_ANNOTATION: "true"} if is_end else {})
        if not metadata["annotations"]:
            del metadata["annotations"]
    return encode(event)


def end_bookmark(kind: str, api_version: str, version: int, *, accept: str) -> bytes:
    """Return the bookmark after no initial events at all, in the form that *accept* asks for first."""
    form = accept.split(",", maxsplit=1)[0].partition(";as=")[2].partition(";")[0]
    metadata: dict[str, Any] = {"resourceVersion": str(version), "annotations": {END_ANNOTATION: "true"}}
    obj: dict[str, Any] = {"kind": kind, "apiVersion": api_version, "metadata": metadata}
    if form:
        obj |= {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    if form == "Table":
        table = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": str(version)}}
        obj = table | {"columnDefinitions": [], "rows": [{"cells": [], "object": obj}]}
    return encode({"type": "BOOKMARK", "object": obj})


def with_columns(line: bytes, columns: bytes) -> bytes:
    """Return the Table event in *line* with its columns."""
    event = decode(line, dict[str, Raw])
    obj = decode(event["object"], dict[str, Raw])
    return encode(event | {"object": Raw(encode(obj | {"columnDefinitions": Raw(columns)}))})

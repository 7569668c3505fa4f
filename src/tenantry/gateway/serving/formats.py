"""In which form a client gets what it asked for: what can be filtered, and nothing else (invariant 14)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, cast

from tenantry.gateway.accepting import JSON, clauses
from tenantry.gateway.serving.refusals import bad_request, refused

Form = Literal["object", "table", "metadata"]
Include = Literal["None", "Metadata", "Object"]
MetaVersion = Literal["v1", "v1beta1"]
Verb = Literal["get", "list", "watch"]

_NOT_ACCEPTABLE: Final = (
    "only the following media types are accepted: application/json, and of it as=Table, as=PartialObjectMetadata "
    "and as=PartialObjectMetadataList of meta.k8s.io v1"
)


@dataclass(frozen=True, slots=True)
class Format:
    """One form; hashable, so that what was put together for one client serves all of the same form."""

    form: Form = "object"
    version: MetaVersion = "v1"
    include: Include = "Metadata"
    """What of each object a table's row holds."""


OBJECTS: Final = Format()


@lru_cache(maxsize=1024)
def negotiated(accept: str, *, verb: Verb, include: str | None, allows_tables: bool = True) -> Format:
    """Return the form that *accept* (all values of the header, joined by commas) prefers; empty accepts anything.

    Raises:
        RefusedError: 406, nothing that is accepted can be filtered; 400, *include* makes no sense.
    """
    for media_type, parameters in clauses(accept):
        found = _format(media_type, parameters, verb) if media_type in JSON else None
        if found is None or (found.form == "table" and not allows_tables):
            continue
        return Format(found.form, found.version, _include(include)) if found.form == "table" else found
    raise refused(406, "NotAcceptable", _NOT_ACCEPTABLE, why="NotAcceptable")


def _format(media_type: str, parameters: dict[str, str], verb: Verb) -> Format | None:
    form = parameters.get("as")
    if form is None:
        # Some clients ask for a watch's stream by name; it is what they get anyway.
        return OBJECTS if parameters.get("stream", "watch") == "watch" else None
    version = parameters.get("v", "")
    if parameters.get("g") != "meta.k8s.io" or version not in {"v1", "v1beta1"} or media_type == "*/*":
        return None
    known = cast("MetaVersion", version)
    if form == "Table":
        return Format("table", known)
    wanted = "PartialObjectMetadataList" if verb == "list" else "PartialObjectMetadata"
    return Format("metadata", known) if form == wanted else None


def _include(include: str | None) -> Include:
    if include in {"None", "Metadata", "Object"}:
        return cast("Include", include)
    if not include:
        return "Metadata"
    raise bad_request(
        f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": '
        "must be 'Metadata', 'Object', 'None', or empty"
    )

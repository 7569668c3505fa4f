"""In which form a client gets what it asked for: what can be filtered, and nothing else (invariant 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, cast

from tenantry.gateway.serving.refusals import bad_request, refused

Form = Literal["object", "table", "metadata"]
Include = Literal["None", "Metadata", "Object"]
MetaVersion = Literal["v1", "v1beta1"]
Verb = Literal["get", "list", "watch"]

_JSON: Final = frozenset({"application/json", "application/*", "*/*"})
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~/-]+")
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
    for media_type, parameters in _clauses(accept):
        found = _format(media_type, parameters, verb) if media_type in _JSON else None
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


def _clauses(accept: str) -> list[tuple[str, dict[str, str]]]:
    """Return media types with parameters, the most wanted first; what has no sense is left out."""
    if not accept.strip():
        return [("application/json", {})]
    weighed = []
    for part in accept.split(","):
        media_type, *rest = (piece.strip() for piece in part.split(";"))
        parameters = {
            name.strip().lower(): value.strip().strip('"') for name, _, value in (r.partition("=") for r in rest)
        }
        weight = _weight(parameters.pop("q", "1"))
        if weight > 0 and all(_TOKEN.fullmatch(text) for text in (media_type, *parameters.values())):
            weighed.append((weight, media_type.lower(), parameters))
    # A stable sort, as the API server's: of equal weight the first is meant.
    weighed.sort(key=lambda clause: -clause[0])
    return [(media_type, parameters) for _, media_type, parameters in weighed]


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0

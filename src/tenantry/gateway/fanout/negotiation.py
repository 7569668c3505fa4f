"""Which of the forms that a client accepts can be put together from parts."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_FORMS: Final = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
_VERSIONS: Final = frozenset({"v1", "v1beta1"})
_JSON: Final = frozenset({"application/json", "application/*", "*/*"})
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~/-]+")

NOT_ACCEPTABLE: Final = (
    "lists and watches over all namespaces are served as application/json, also as Table and "
    "PartialObjectMetadataList: accept one of these"
)


class _Clause(NamedTuple):
    media_type: str
    parameters: dict[str, str]

    @property
    def quality(self) -> float:
        try:
            return float(self.parameters.get("q", "1"))
        except ValueError:
            return 0.0


def upstream_accept(accept: str, *, is_watch: bool) -> str | None:
    """Return what to accept from the API server, the client's preferences kept; None: nothing can be served.

    Args:
        accept: The header's values, joined by commas; empty accepts anything.
        is_watch: Whether the answer is a stream of events.

    All that comes back for it is JSON: nothing else is ever let through (invariant 14).
    """
    if not accept.strip():
        return "application/json"
    clauses = [clause for part in accept.split(",") if (clause := _clause(part)) is not None and clause.quality > 0]
    # The API server sorts by quality, too; what is equal keeps its order.
    clauses.sort(key=lambda clause: -clause.quality)
    wanted = [text for clause in clauses if (text := _upstream(clause, is_watch=is_watch)) is not None]
    return ",".join(dict.fromkeys(wanted)) or None


def _clause(text: str) -> _Clause | None:
    media_type, *rest = (part.strip() for part in text.split(";"))
    parameters = {}
    for part in rest:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    values = (media_type, *parameters.values())
    return _Clause(media_type.lower(), parameters) if all(_TOKEN.fullmatch(value) for value in values) else None


def _upstream(clause: _Clause, *, is_watch: bool) -> str | None:
    if clause.media_type not in _JSON:
        return None
    form = clause.parameters.get("as")
    if form is None:
        # ``stream=watch`` is how some clients ask for what a watch gives anyway.
        return "application/json" if clause.parameters.get("stream", "watch") == "watch" else None
    version, group = clause.parameters.get("v", ""), clause.parameters.get("g", "")
    if form not in _FORMS or version not in _VERSIONS or group != "meta.k8s.io" or clause.media_type == "*/*":
        return None
    if is_watch and form == "PartialObjectMetadataList":
        return None  # The API server refuses it, too.
    return f"application/json;as={form};v={version};g={group}"

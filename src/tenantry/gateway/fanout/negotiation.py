"""Which of the forms that a client accepts can be put together from parts."""

from __future__ import annotations

from typing import Final

from tenantry.gateway.accepting import JSON, Clause, clauses

_FORMS: Final = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
_VERSIONS: Final = frozenset({"v1", "v1beta1"})

NOT_ACCEPTABLE: Final = (
    "lists and watches over all namespaces are served as application/json, also as Table and "
    "PartialObjectMetadataList: accept one of these"
)


def upstream_accept(accept: str, *, is_watch: bool) -> str | None:
    """Return what to accept from the API server, the client's preferences kept; None: nothing can be served.

    Args:
        accept: The header's values, joined by commas; empty accepts anything.
        is_watch: Whether the answer is a stream of events.

    All that comes back for it is JSON: nothing else is ever let through (invariant 14).
    """
    wanted = [text for clause in clauses(accept) if (text := _upstream(clause, is_watch=is_watch)) is not None]
    return ",".join(dict.fromkeys(wanted)) or None


def _upstream(clause: Clause, *, is_watch: bool) -> str | None:
    if clause.media_type not in JSON:
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

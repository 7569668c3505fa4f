"""What a client accepts, as its header says it; which of it can be served is the readers' word."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

JSON: Final = frozenset({"application/json", "application/*", "*/*"})
"""Media types that JSON satisfies."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~/-]+")


class Clause(NamedTuple):
    """One media type with its parameters, ``q`` taken out."""

    media_type: str
    parameters: dict[str, str]


def clauses(accept: str) -> list[Clause]:
    """Return what *accept* (all values of the header, joined by commas) names, the most wanted first.

    Empty accepts JSON; what has no sense is left out.
    """
    if not accept.strip():
        return [Clause("application/json", {})]
    weighed = []
    for part in accept.split(","):
        media_type, *rest = (piece.strip() for piece in part.split(";"))
        parameters = {
            name.strip().lower(): value.strip().strip('"') for name, _, value in (r.partition("=") for r in rest)
        }
        weight = _weight(parameters.pop("q", "1"))
        if weight > 0 and all(_TOKEN.fullmatch(text) for text in (media_type, *parameters.values())):
            weighed.append((weight, Clause(media_type.lower(), parameters)))
    # A stable sort, as the API server's: of equal weight the first is meant.
    weighed.sort(key=lambda each: -each[0])
    return [clause for _, clause in weighed]


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0

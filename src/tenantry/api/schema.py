"""What a field's type cannot say about its place in the CRD: defaults, limits, formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

UNSET: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Metadata for ``Annotated``: the CRD generator reads it, decoding ignores it.

    The API server enforces these; a stored object that breaks one must still decode here.
    """

    default: Any = UNSET
    required: bool = False
    enum: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    pattern: str | None = None
    format: str | None = None
    item_enum: tuple[str, ...] = ()
    item_pattern: str | None = None
    item_min_length: int | None = None
    list_map_key: str | None = None
    """Makes an array ``x-kubernetes-list-type: map`` with this key."""
    preserve_unknown: bool = False
    """The value (or each item) is free-form: ``x-kubernetes-preserve-unknown-fields``."""
    any_value: bool = False
    """Any JSON at all, not only objects."""
    int_or_string: bool = False
    """A Kubernetes quantity: an integer or a string with the quantity pattern."""


RFC1123_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
# As Capsule publishes it: the double backslash is theirs, and refuses every name with a dot.
# Ours must not differ in what is refused, and the names it is for (Namespaces) have no dots.
RFC1123_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
QUANTITY = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
CONDITION_REASON = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
CONDITION_TYPE = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)

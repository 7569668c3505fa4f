"""JSON patch operations (RFC 6902), as admission answers carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tenantry.foundation.codec import Model

if TYPE_CHECKING:
    from collections.abc import Mapping


class PatchOperation(Model, omit_defaults=False):
    """One operation; *value* is ignored for ``remove``."""

    op: Literal["add", "remove", "replace"]
    path: str
    """A JSON pointer (RFC 6901)."""
    value: Any = None


def pointer(*parts: str | int) -> str:
    """Return the JSON pointer of *parts*, escaped as RFC 6901 asks."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def map_patch(
    parent: tuple[str | int, ...], current: Mapping[str, str] | None, wanted: Mapping[str, str]
) -> list[PatchOperation]:
    """Return the operations that turn the map *current* at *parent* into *wanted*.

    *current* is None where the map does not exist.  The parent of *parent* must exist.
    An empty list means nothing differs.  A map that would become empty is kept, empty.
    """
    if current is None:
        return [PatchOperation(op="add", path=pointer(*parent), value=dict(wanted))] if wanted else []
    operations = [
        PatchOperation(op="remove", path=pointer(*parent, key)) for key in sorted(current) if key not in wanted
    ]
    operations += [
        PatchOperation(op="replace" if key in current else "add", path=pointer(*parent, key), value=wanted[key])
        for key in sorted(wanted)
        if current.get(key) != wanted[key] or key not in current
    ]
    return operations

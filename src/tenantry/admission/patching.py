"""Several mutations of one object, merged into one JSON patch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tenantry.api.meta import PartialObject
from tenantry.foundation.patches import PatchOperation, map_patch
from tenantry.tenancy.request import Request
from tenantry.tenancy.verdict import Mutation


def merged_patch(request: Request, mutations: Sequence[Mutation]) -> tuple[PatchOperation, ...]:
    """Return the operations for all of *mutations*, made in this order; nothing where nothing differs.

    Of labels and annotations the later mutation wins, and what ends as it was submitted is
    left out: asking again changes nothing.

    Raises:
        DecodeError: The submitted object has no readable metadata.
    """
    operations = [operation for mutation in mutations for operation in mutation.operations]
    if not any(_touches_metadata(mutation) for mutation in mutations):
        return tuple(operations)
    metadata = request.new(PartialObject).metadata
    labels = _merged(metadata.labels, ((one.labels, one.remove_labels) for one in mutations))
    annotations = _merged(metadata.annotations, ((one.annotations, one.remove_annotations) for one in mutations))
    return (
        *map_patch(("metadata", "labels"), metadata.labels, labels),
        *map_patch(("metadata", "annotations"), metadata.annotations, annotations),
        *operations,
    )


def _touches_metadata(mutation: Mutation) -> bool:
    return bool(mutation.labels or mutation.annotations or mutation.remove_labels or mutation.remove_annotations)


def _merged(
    submitted: Mapping[str, str] | None, changes: Iterable[tuple[Mapping[str, str], frozenset[str]]]
) -> dict[str, str]:
    merged = dict(submitted or {})
    for wanted, removed in changes:
        for key in removed:
            merged.pop(key, None)
        merged.update(wanted)
    return merged

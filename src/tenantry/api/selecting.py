"""Label selectors as API types, matched against labels."""

from __future__ import annotations

from collections.abc import Mapping

from tenantry.api.meta import LabelSelector
from tenantry.foundation.selectors import selector_matches, selector_problem


def matches(selector: LabelSelector | None, labels: Mapping[str, str] | None) -> bool:
    """Return whether *labels* satisfy *selector*; None and an empty one match everything."""
    return selector is None or selector_matches(selector.match_labels, selector.match_expressions, labels)


def is_empty(selector: LabelSelector | None) -> bool:
    """Return whether *selector* asks for nothing, so that it matches everything."""
    return selector is None or not (selector.match_labels or selector.match_expressions)


def problem(selector: LabelSelector | None) -> str | None:
    """Return why Kubernetes would refuse *selector*, or None; what it would refuse matches nothing."""
    return None if selector is None else selector_problem(selector.match_labels, selector.match_expressions)

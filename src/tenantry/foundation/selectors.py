"""Label selectors, over plain parts: the API types stand a layer above."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from tenantry.foundation.names import label_key_problem, label_value_problem

OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")


class Requirement(Protocol):
    """One expression of a selector, as metav1.LabelSelectorRequirement."""

    @property
    def key(self) -> str:
        """The label's key."""
        ...

    @property
    def operator(self) -> str:
        """One of OPERATORS; anything else matches nothing."""
        ...

    @property
    def values(self) -> tuple[str, ...]:
        """At least one for In and NotIn, none for the others."""
        ...


def selector_matches(
    match_labels: Mapping[str, str] | None,
    match_expressions: Iterable[Requirement],
    labels: Mapping[str, str] | None,
) -> bool:
    """Return whether *labels* satisfy every part; no part at all matches everything.

    What :func:`selector_problem` finds wrong matches nothing.
    """
    present = labels or {}
    if match_labels and not all(present.get(key) == value for key, value in match_labels.items()):
        return False
    return all(_holds(requirement, present) for requirement in match_expressions)


def selector_problem(match_labels: Mapping[str, str] | None, match_expressions: Iterable[Requirement]) -> str | None:
    """Return why the API server would refuse this selector, or None."""
    for key, value in (match_labels or {}).items():
        problem = label_key_problem(key) or label_value_problem(value)
        if problem:
            return f"matchLabels {key}={value}: {problem}"
    for index, requirement in enumerate(match_expressions):
        problem = _requirement_problem(requirement)
        if problem:
            return f"matchExpressions[{index}]: {problem}"
    return None


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    key, values = requirement.key, requirement.values
    match requirement.operator:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return bool(values) and (key not in labels or labels[key] not in values)
        case "Exists":
            return not values and key in labels
        case "DoesNotExist":
            return not values and key not in labels
        case _:
            return False


def _requirement_problem(requirement: Requirement) -> str | None:
    if requirement.operator not in OPERATORS:
        return f"operator {requirement.operator!r} is none of {', '.join(OPERATORS)}"
    takes_values = requirement.operator in {"In", "NotIn"}
    if takes_values and not requirement.values:
        return f"operator {requirement.operator} needs values"
    if not takes_values and requirement.values:
        return f"operator {requirement.operator} takes no values"
    problem = label_key_problem(requirement.key)
    if problem:
        return f"key {requirement.key!r} {problem}"
    # Kubernetes checks the values of set-based operators too: a label could never have them.
    for value in requirement.values:
        problem = label_value_problem(value)
        if problem:
            return f"value {value!r} {problem}"
    return None

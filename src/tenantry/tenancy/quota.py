"""Arithmetic of quotas that several namespaces share (Q-2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tenantry.foundation.quantities import ZERO, Quantity, QuantityError, parse_quantity

Amounts = Mapping[str, Quantity]
Wire = Mapping[str, object]
"""A ResourceList as it stands on the wire."""


def amounts(wire: Wire | None) -> dict[str, Quantity]:
    """Return the quantities of *wire*; what is no quantity is left out."""
    result = {}
    for resource, text in (wire or {}).items():
        if isinstance(text, (str, int, float)):
            try:
                result[resource] = parse_quantity(text)
            except QuantityError:
                continue
    return result


def total(parts: Iterable[Amounts]) -> dict[str, Quantity]:
    """Return the sum of *parts*, a resource at a time."""
    result: dict[str, Quantity] = {}
    for part in parts:
        for resource, amount in part.items():
            result[resource] = result.get(resource, ZERO) + amount
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedQuota:
    """One hard limit that the namespaces of a tenant share, and what each of them uses."""

    hard: Amounts
    used: Mapping[str, Amounts]
    """By namespace; a namespace that is not there uses nothing."""

    def used_in_total(self) -> dict[str, Quantity]:
        """Return what all namespaces use of the limited resources, in the family of the limit."""
        used = total(self.used.values())
        return {
            resource: Quantity(used.get(resource, ZERO).nanos, limit.family) for resource, limit in self.hard.items()
        }

    def hard_in(self, namespace: str) -> dict[str, Quantity]:
        """Return the limit to set in *namespace*: the whole, less what the others use.

        Once a resource is used up, each namespace is held at what it has, so that a
        decrease in one is what lets another grow.
        """
        own = self.used.get(namespace, {})
        result = {}
        for resource, used in self.used_in_total().items():
            limit, here = self.hard[resource], own.get(resource, ZERO)
            left = limit - used
            nanos = here.nanos if left <= ZERO else left.nanos + here.nanos
            result[resource] = Quantity(nanos, limit.family)
        return result

    def exceeded(self) -> tuple[str, ...]:
        """Return the resources of which more is used than the limit allows, sorted."""
        return tuple(sorted(name for name, used in self.used_in_total().items() if used > self.hard[name]))

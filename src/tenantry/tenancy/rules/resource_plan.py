"""What resource policies ask of one amount: a request or a limit of one resource (RL-11, RL-12).

A policy that constrains (Remove, MatchRequest, Ratio) is an item that, under deny or
audit, matches what violates it and, under allow, what satisfies it; so blocks decide as
they do everywhere else.  A later Preserve or Default clears what earlier blocks asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from tenantry.foundation.quantities import Quantity, parse_quantity
from tenantry.tenancy.rules.matching import Action, Lane

_NANOS: Final = 10**9


class Side(StrEnum):
    """The two lists of a container's resources."""

    REQUESTS = "requests"
    LIMITS = "limits"


class Policy(StrEnum):
    """What may be asked of an amount."""

    PRESERVE = "Preserve"
    DEFAULT = "Default"
    REMOVE = "Remove"
    MATCH_REQUEST = "MatchRequest"
    RATIO = "Ratio"


_FREEING: Final = frozenset({Policy.PRESERVE, Policy.DEFAULT})


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a container, or the Pod, has of one resource; None where it names none."""

    request: Quantity | None = None
    limit: Quantity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceItem:
    """One policy of a block, for one resource."""

    action: Action
    side: Side
    resource: str
    policy: Policy
    value: str = ""
    """Of Default the amount, of Ratio the factor; as the rule says it."""
    is_implied: bool = False
    """Whether the block names no targets: it then does not make Pod-level resources where there are none."""

    @property
    def text(self) -> str:
        """The policy as messages show it."""
        return f"{self.policy} {self.value}" if self.value else str(self.policy)

    def matches(self, value: Amounts) -> bool:
        """Return whether the item is about *value*."""
        if self.policy in _FREEING:
            return False
        return (self.fault(value) is None) is (self.action is Action.ALLOW)

    def fault(self, amounts: Amounts) -> str | None:
        """Return what is wrong with *amounts*, as the end of a sentence, or None."""
        match self.policy:
            case Policy.REMOVE:
                return self._removal_fault(amounts)
            case Policy.MATCH_REQUEST:
                # Without a request, the API server takes the limit for one.
                if amounts.request is None or amounts.limit == amounts.request:
                    return None
                return f"must be equal to the request of {amounts.request}"
            case Policy.RATIO:
                return self._ratio_fault(amounts)
            case _:
                return None

    def ceiling(self, request: Quantity) -> Quantity:
        """Return the highest limit that a Ratio grants beside *request*, in the grain of the resource."""
        product = request * self._ratio
        grain = _NANOS // 1000 if self.resource == "cpu" else _NANOS
        return Quantity(product.nanos // grain * grain, product.family)

    @property
    def _ratio(self) -> Fraction:
        return parse_quantity(self.value).value

    def _removal_fault(self, amounts: Amounts) -> str | None:
        if self.side is Side.LIMITS:
            return None if amounts.limit is None else "must not be set"
        # The API server fills a missing request from the limit, so that one can't be held against anyone.
        return None if amounts.request is None or amounts.request == amounts.limit else "must not be set"

    def _ratio_fault(self, amounts: Amounts) -> str | None:
        if amounts.request is None or amounts.request.is_zero:
            return "requires a request greater than zero"
        ceiling = self.ceiling(amounts.request)
        if amounts.limit is not None and amounts.limit <= ceiling:
            return None
        return f"must not exceed {ceiling}" + (" and must be set" if amounts.limit is None else "")


@dataclass(frozen=True, slots=True)
class ResourcePlan:
    """What all blocks together ask of one amount."""

    lane: Lane[ResourceItem]
    """The constraints that are left."""
    default: str | None = None
    """What it is where the user gives nothing."""

    @property
    def remedies(self) -> tuple[ResourceItem, ...]:
        """The constraints to make true where an amount is refused: all that deny, and the last that allows."""
        deciding = [item for item in self.lane.items if item.action is not Action.AUDIT]
        allows = [item for item in deciding if item.action is Action.ALLOW]
        return tuple(item for item in deciding if item.action is Action.DENY or item is allows[-1])


def resource_plan(items: Iterable[ResourceItem]) -> ResourcePlan:
    """Return what *items*, all about one amount and in the tenant's order, ask together."""
    left: list[ResourceItem] = []
    default: str | None = None
    for item in items:
        is_audit = item.action is Action.AUDIT
        if item.policy not in _FREEING:
            left.append(item)
            continue
        left = [earlier for earlier in left if (earlier.action is Action.AUDIT) is not is_audit]
        if not is_audit:
            default = item.value if item.policy is Policy.DEFAULT else None
    return ResourcePlan(Lane(tuple(left)), default)

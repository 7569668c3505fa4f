"""The rules in force in one namespace, compiled once and asked many times."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar, cast

from tenantry.api.rules import Audience, NamespaceRule
from tenantry.tenancy.request import Requester, Role
from tenantry.tenancy.rules.audience import applies
from tenantry.tenancy.rules.matching import I, Lane

_MEMO_SIZE: Final = 256

T = TypeVar("T")


class Family(StrEnum):
    """What a rule is about; each has its module."""

    REGISTRIES = "registries"
    QOS_CLASSES = "qosClasses"
    SCHEDULERS = "schedulers"
    RESOURCES = "resources"
    SERVICES = "services"
    INGRESS = "ingress"
    METADATA = "metadata"


@dataclass(frozen=True)  # No slots: with them, Python 3.11 can't make a LaneKey[...] that is frozen.
class LaneKey(Generic[I]):
    """Names a lane: within a family, what kind of value it is about."""

    family: Family
    scope: Hashable = ""


Lanes = Mapping[LaneKey[Any], tuple[Any, ...]]
"""What one block adds to each lane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledBlock:
    """One block, ready for use."""

    audience: tuple[Audience, ...] = ()
    lanes: Lanes = field(default_factory=dict)
    problems: Mapping[Family, str] = field(default_factory=dict)
    """Families of the block that can't be enforced as they stand, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """The effective rules of one namespace.

    Its lanes hold the blocks that bind everybody; :meth:`for_requester` gives those that
    bind one requester.  Two rule sets are equal when their blocks and problems are.
    """

    blocks: tuple[NamespaceRule, ...] = ()
    """As projected: what RuleStatus shows."""
    problems: Mapping[Family, str] = field(default_factory=dict)
    """Families that can't be enforced: their checks refuse, naming the reason (fail closed)."""
    compiled: tuple[CompiledBlock, ...] = field(default=(), compare=False, repr=False)
    """One each of *blocks*, in order; empty where nothing could be projected."""
    families: frozenset[Family] = field(default=frozenset(), compare=False, repr=False)
    """Families that any block, for whatever audience, has rules or problems of."""
    _lanes: Mapping[LaneKey[Any], Lane[Any]] = field(default_factory=dict, compare=False, repr=False)
    _bound: Mapping[Family, str] = field(default_factory=dict, compare=False, repr=False)
    _audiences: tuple[tuple[Audience, ...], ...] = field(default=(), compare=False, repr=False)
    """Each audience there is, once: empty where every block binds everybody."""
    _memo: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def of(blocks: Sequence[NamespaceRule], compiled: Sequence[CompiledBlock]) -> RuleSet:
        """Return the rule set of *blocks* and what they compile to, one each."""
        parts: dict[LaneKey[Any], list[Any]] = {}
        bound: dict[Family, str] = {}
        for block in compiled:
            if not block.audience:
                bound.update(block.problems)
                for key, items in block.lanes.items():
                    parts.setdefault(key, []).extend(items)
        return RuleSet(
            blocks=tuple(blocks),
            compiled=tuple(compiled),
            problems={family: text for block in compiled for family, text in block.problems.items()},
            families=frozenset(
                family for block in compiled for family in (*(key.family for key in block.lanes), *block.problems)
            ),
            _lanes={key: Lane(tuple(items)) for key, items in parts.items()},
            _bound=bound,
            _audiences=tuple(dict.fromkeys(block.audience for block in compiled if block.audience)),
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is enforced here."""
        return not self.families

    @property
    def has_metadata_rules(self) -> bool:
        """Whether metadata of objects is ruled: these rules concern every kind there is."""
        return Family.METADATA in self.families

    @property
    def problem(self) -> str:
        """The first reason why a rule can't be enforced; empty where all can."""
        return next(iter(self.problems.values()), "")

    def has(self, family: Family) -> bool:
        """Return whether a check of *family* has anything to do, for whatever requester."""
        return family in self.families

    def problem_of(self, family: Family) -> str | None:
        """Return why *family* can't be enforced on whom this rule set binds, or None."""
        return self._bound.get(family)

    def lane(self, key: LaneKey[I]) -> Lane[I] | None:
        """Return the lane, or None where no block that binds everybody adds to it."""
        return cast("Lane[I] | None", self._lanes.get(key))

    def lanes_of(self, family: Family) -> Mapping[LaneKey[Any], Lane[Any]]:
        """Return all lanes of *family*, of blocks that bind everybody."""
        return {key: lane for key, lane in self._lanes.items() if key.family is family}

    def for_requester(self, requester: Requester, role: Role, *, is_owner: bool) -> RuleSet:
        """Return the rules that bind this requester: as if no block had an audience (E-4).

        The same object comes back where no block has one.
        """
        if not self._audiences and role is not Role.CONTROLLER:
            return self
        binding = tuple(applies(audience, requester, role, is_owner=is_owner) for audience in self._audiences)
        key = ("requester", binding, role is Role.CONTROLLER)
        return self.remembered(key, lambda: self._for_audiences(binding, everybody=role is not Role.CONTROLLER))

    def remembered(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what *make* made for *key* before, else let it make it.

        What it makes may depend on the rules and *key* alone.  The memory is bounded.
        """
        if key not in self._memo:
            if len(self._memo) >= _MEMO_SIZE:
                self._memo.clear()
            self._memo[key] = make()
        return cast("T", self._memo[key])

    def _for_audiences(self, binding: Sequence[bool], *, everybody: bool) -> RuleSet:
        applying = {audience for audience, binds in zip(self._audiences, binding, strict=True) if binds}
        picked = [
            index
            for index, block in enumerate(self.compiled)
            if (block.audience in applying if block.audience else everybody)
        ]
        return RuleSet.of(
            [self.blocks[index] for index in picked],
            [replace(self.compiled[index], audience=()) for index in picked],
        )


EMPTY_RULES: Final = RuleSet()
"""Nothing is ruled."""

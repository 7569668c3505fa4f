"""Which objects of one kind a principal sees: the one predicate of LIST, GET and WATCH (invariant 11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tenantry.api.meta import LabelSelectorRequirement
from tenantry.foundation.expressions import ExpressionError, expression
from tenantry.foundation.selectors import selector_matches, selector_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: it holds as a whole, and is never merged with another; hashable.

    Merging rules key by key, as one label selector has to, would also show what no rule names.
    """

    labels: tuple[tuple[str, str], ...] = ()
    """Labels that must be there with these values, sorted by key."""
    expressions: tuple[LabelSelectorRequirement, ...] = ()
    pattern: str = ""
    """RE2, to be found in the object's name; empty: any name."""

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing, so that it holds for every object."""
        return not (self.labels or self.expressions or self.pattern)

    def holds(self, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether it holds for an object; an expression that is no RE2 holds for none."""
        for key, value in self.labels:
            if labels.get(key) != value:
                return False
        if self.expressions and not selector_matches(None, self.expressions, labels):
            return False
        return not self.pattern or _found(self.pattern, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The objects of one kind that are seen: all, those of some names, those that a rule holds for.

    Equal where it was put together from the same parts, in whatever order.
    """

    everything: bool = False
    """If so, names and rules are empty."""
    names: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    """Each once, in a fixed order."""

    @property
    def is_nothing(self) -> bool:
        """Whether no object at all can be seen."""
        return not (self.everything or self.names or self.rules)

    def shows(self, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether an object is seen: by its real name, or because one whole rule holds."""
        if self.everything or name in self.names:
            return True
        return any(rule.holds(name, labels) for rule in self.rules)


NOTHING: Final = Sight()
EVERYTHING: Final = Sight(everything=True)


def united(sights: Iterable[Sight]) -> Sight:
    """Return what at least one of *sights* shows, and nothing else."""
    names: set[str] = set()
    rules: set[Rule] = set()
    for sight in sights:
        if sight.everything:
            return EVERYTHING
        names |= sight.names
        rules.update(sight.rules)
    return Sight(names=frozenset(names), rules=tuple(sorted(rules, key=repr)))


def by_selector(match_labels: Mapping[str, str] | None, expressions: Iterable[LabelSelectorRequirement]) -> Sight:
    """Return the sight of what a label selector selects: an empty one everything, an invalid one nothing."""
    conditions = tuple(expressions)
    if selector_problem(match_labels, conditions) is not None:
        return NOTHING
    return by_rule(Rule(labels=tuple(sorted((match_labels or {}).items())), expressions=conditions))


def by_rule(rule: Rule) -> Sight:
    """Return the sight of what *rule* holds for."""
    return EVERYTHING if rule.is_empty else Sight(rules=(rule,))


def _found(pattern: str, text: str) -> bool:
    try:
        return expression(pattern).search(text)
    except ExpressionError:
        return False

"""What metadata rules ask of one kind of object, gathered from all blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tenantry.api import labels as names
from tenantry.api.rules import MetadataPolicy
from tenantry.tenancy.rules.kinds import KindSelector, Selector, key_selector
from tenantry.tenancy.rules.matching import Action, Lane, Match, compiled_match

_MEMO_SIZE: Final = 512
_MEMO_LENGTH: Final = 512
OWNERSHIP_KEYS: Final = frozenset(
    {
        names.TENANT,
        names.NEW_TENANT,
        names.CAPSULE_MANAGED_BY,
        names.MANAGED_BY,
        names.CREATED_BY,
        names.METADATA_NAME,
    }
)
"""No rule sets these, whatever it says: who owns an object is not a rule's to decide."""


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """A MetadataPolicy of a block, for the keys that *selector* selects."""

    action: Action
    selector: Selector
    values: tuple[Match, ...] = ()
    is_about_any_value: bool = False
    """Whether the policy is empty: denying then means the key itself."""
    is_required: bool = False
    """Under allow only: to deny or audit what is required makes no sense."""
    default: str | None = None
    managed: str | None = None

    @property
    def text(self) -> str:
        """The policy as messages show it."""
        return " | ".join(match.text for match in self.values) or "any value"

    def matches(self, value: str) -> bool:
        """Return whether the policy is about *value*; an empty one is judged where a value is required."""
        if value or self.is_required:
            return self.is_about_any_value or any(match.matches(value) for match in self.values)
        return self.is_about_any_value


@dataclass(frozen=True, slots=True)
class MetadataItem:
    """A MetadataRule of a block."""

    action: Action
    kinds: KindSelector
    labels: tuple[KeyPolicy, ...] = ()
    annotations: tuple[KeyPolicy, ...] = ()

    @property
    def text(self) -> str:
        """Never shown: keys are judged one by one."""
        return ""

    def matches(self, value: tuple[str, str]) -> bool:
        """Return whether objects of the group and kind *value* are ruled."""
        return self.kinds.selects(*value)


def key_policies(policies: Mapping[str, MetadataPolicy] | None, action: Action) -> Iterator[KeyPolicy]:
    """Yield *policies*, compiled; raise ExpressionError for a wrong expression."""
    for key, policy in (policies or {}).items():
        yield KeyPolicy(
            action=action,
            selector=key_selector(key),
            values=tuple(map(compiled_match, policy.values)),
            # Typed clients write an empty text for what is unset.
            is_about_any_value=not (policy.values or policy.required or policy.default or policy.managed),
            is_required=policy.required and action is Action.ALLOW,
            default=policy.default or None,
            managed=policy.managed or None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPlan:
    """What is asked of the labels, or of the annotations, of one kind."""

    path: str
    policies: tuple[KeyPolicy, ...] = ()
    """Those about values, in order."""
    required: tuple[Selector, ...] = ()
    """At least one key must be selected by each."""
    managed: Mapping[str, str] = field(default_factory=dict)
    """Values that keys always have; the last block wins."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Values that keys have where the user gives none; the last block wins."""
    _memo: dict[str, Lane[KeyPolicy] | None] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not (self.policies or self.required or self.managed or self.defaults)

    def lane(self, key: str) -> Lane[KeyPolicy] | None:
        """Return the policies about values of *key*, or None where there are none.

        The answer is remembered; users choose the keys, so the memory is bounded.
        """
        if key in self._memo:
            return self._memo[key]
        about = tuple(policy for policy in self.policies if policy.selector.selects_key(key))
        lane = Lane(about) if about else None
        if len(key) <= _MEMO_LENGTH:
            if len(self._memo) >= _MEMO_SIZE:
                self._memo.clear()
            self._memo[key] = lane
        return lane


@dataclass(frozen=True, slots=True)
class MetadataPlan:
    """What is asked of the metadata of one kind."""

    labels: FieldPlan
    annotations: FieldPlan

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return self.labels.is_empty and self.annotations.is_empty


def metadata_plan(items: Iterable[MetadataItem], group: str, kind: str) -> MetadataPlan:
    """Return what *items* ask of objects of *kind*."""
    about = [item for item in items if item.matches((group, kind))]
    return MetadataPlan(
        labels=_field_plan("metadata.labels", [policy for item in about for policy in item.labels]),
        annotations=_field_plan("metadata.annotations", [policy for item in about for policy in item.annotations]),
    )


def _field_plan(path: str, policies: Sequence[KeyPolicy]) -> FieldPlan:
    settable = [
        policy for policy in policies if policy.selector.is_concrete and policy.selector.text not in OWNERSHIP_KEYS
    ]
    return FieldPlan(
        path=path,
        policies=tuple(policy for policy in policies if policy.values or policy.is_about_any_value),
        required=tuple(policy.selector for policy in policies if policy.is_required),
        managed={policy.selector.text: policy.managed for policy in settable if policy.managed is not None},
        defaults={policy.selector.text: policy.default for policy in settable if policy.default is not None},
    )

"""What a decision returns: a verdict or a mutation, with the events to tell about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from tenantry.foundation.patches import PatchOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A refusal: *reason* is the token of the event (spec 3.3), *message* the sentence for the user."""

    reason: str
    message: str
    event: bool = True
    """Whether a Warning event is recorded."""
    code: int = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell as an event although the request may pass."""

    reason: str
    action: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer of one validating check."""

    denial: Denial | None = None
    notices: tuple[Notice, ...] = ()
    warnings: tuple[str, ...] = ()
    """API warnings, shown to the client."""


ALLOWED: Final = Verdict()


def denied(reason: str, message: str, *, event: bool = True) -> Verdict:
    """Return a verdict that refuses."""
    return Verdict(denial=Denial(reason=reason, message=message, event=event))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """The answer of one mutating check.

    Labels and annotations to set are merged over all checks (a later check wins) into one
    patch; *operations* touch other paths and are applied in order.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    remove_labels: frozenset[str] = frozenset()
    remove_annotations: frozenset[str] = frozenset()
    operations: tuple[PatchOperation, ...] = ()
    denial: Denial | None = None
    notices: tuple[Notice, ...] = ()
    warnings: tuple[str, ...] = ()


UNCHANGED: Final = Mutation()

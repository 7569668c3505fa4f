"""Conditions: the Kubernetes way to say how an object is doing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tenantry.api.meta import Condition
from tenantry.foundation.codec import decode_any, encode

READY: Final = "Ready"
CORDONED: Final = "Cordoned"
SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"
RECONCILING: Final = "Reconciling"
TERMINATING: Final = "Terminating"
ACTIVE: Final = "Active"


def condition(kind: str, *, holds: bool, reason: str, message: str = "", generation: int = 0) -> Condition:
    """Return a condition without a transition time: :func:`merged` gives it one."""
    return Condition(
        type=kind,
        status="True" if holds else "False",
        reason=reason,
        message=message,
        observed_generation=generation,
    )


def merged(stored: Sequence[Condition], wanted: Iterable[Condition], *, now: str) -> tuple[Condition, ...]:
    """Return *wanted* with transition times: the stored one where the status is the same, else *now*.

    What is stored and not wanted is dropped.  *now* is RFC 3339.
    """
    known = {each.type: each for each in stored}
    return tuple(_timed(each, known.get(each.type), now) for each in wanted)


def _timed(wanted: Condition, stored: Condition | None, now: str) -> Condition:
    unchanged = stored is not None and stored.status == wanted.status and stored.last_transition_time
    return Condition(
        type=wanted.type,
        status=wanted.status,
        reason=wanted.reason,
        message=wanted.message,
        observed_generation=wanted.observed_generation,
        last_transition_time=stored.last_transition_time if stored is not None and unchanged else now,
    )


def status_of(conditions: Iterable[Condition], kind: str) -> str | None:
    """Return the status of the condition of type *kind*; None where there is none."""
    return next((each.status for each in conditions if each.type == kind), None)


def plain_status(status: object, **required: object) -> dict[str, object]:
    """Return *status* as JSON, with the *required* fields that the encoding left out as defaults."""
    plain: dict[str, object] = decode_any(encode(status))
    return required | plain

"""The next step towards a serving certificate that everybody trusts: a pure decision.

A new CA is published beside the old one, and nothing it signed is served before every
webhook configuration has both.  The old one is dropped when what it signed is surely served
no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

RENEW_BEFORE: Final = timedelta(days=3)
"""How long before its end a serving certificate is replaced (R-11)."""
NEW_CA_BEFORE: Final = timedelta(days=365)
"""How long before its end a CA is replaced: twice what it signs lives."""
DROP_AFTER: Final = timedelta(minutes=10)
"""How long after a new serving certificate its predecessor's CA stays: all workers have read it by then."""
SETTLE: Final = timedelta(seconds=3)
"""How long the configurations have trusted a CA before it is relied on: every API server has read them by then."""


class Step(StrEnum):
    """What to do."""

    MAKE_CA = "MakeCA"
    PUBLISH = "Publish"
    """Write the CAs that are to be trusted into the Secret that admission and the webhooks' controller read."""
    SERVE = "Serve"
    """Sign a new serving certificate by the current CA."""
    WAIT = "Wait"
    """Until every webhook configuration trusts the current CA."""
    NOTHING = "Nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA's certificate."""

    pem: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The serving certificate."""

    issued: datetime
    expires: datetime
    names: frozenset[str]
    is_by_current: bool
    """Whether the current CA signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that the decision depends on."""

    now: datetime
    names: frozenset[str]
    """DNS names and addresses that the certificate must have."""
    current: Authority | None
    serving: Serving | None
    published: frozenset[str]
    """PEM of the CAs in the Secret."""
    registered: tuple[frozenset[str], ...]
    """PEM of the CAs in each webhook configuration that is not given its own."""
    trusted_for: timedelta
    """How long, as far as is known, all of these have had the current CA; zero where they do not."""


def next_step(view: View) -> Step:
    """Return what to do first."""
    current = view.current
    if current is None or view.now >= current.expires - NEW_CA_BEFORE:
        return Step.MAKE_CA
    if current.pem not in view.published:
        return Step.PUBLISH
    if _is_good(view):
        return Step.PUBLISH if _may_drop_old(view, current) else Step.NOTHING
    return Step.SERVE if not view.registered or view.trusted_for >= SETTLE else Step.WAIT


def is_trusted(view: View) -> bool:
    """Return whether every configuration has the current CA."""
    return view.current is not None and all(view.current.pem in bundle for bundle in view.registered)


def trusted(view: View) -> frozenset[str]:
    """Return the CAs to publish: the current one, and the others until nothing of theirs is served.

    Those in the configurations count as well: the Secret may have been deleted, and workers go
    on with what they hold.
    """
    assert view.current is not None
    if _may_drop_old(view, view.current):
        return frozenset({view.current.pem})
    return view.published.union({view.current.pem}, *view.registered)


def _is_good(view: View) -> bool:
    serving = view.serving
    return (
        serving is not None
        and serving.is_by_current
        and view.names <= serving.names
        and view.now < serving.expires - RENEW_BEFORE
    )


def _may_drop_old(view: View, current: Authority) -> bool:
    return (
        view.published > {current.pem}
        and _is_good(view)
        and view.serving is not None
        and view.now >= view.serving.issued + DROP_AFTER
    )

"""What is told of a stream: one audit record at its start, one at its end, and counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol

from tenantry.foundation.codec import Model

Reason = Literal["Closed", "Locked", "Expired", "Draining", "Aborted"]
"""Closed: client or server ended it; which of them, and its bytes, says the data plane's record of the same audit id.
Aborted: the process that held it died."""
REASONS: Final[tuple[Reason, ...]] = ("Closed", "Locked", "Expired", "Draining", "Aborted")


class StreamRecord(Model, frozen=True):
    """One audit record; times are RFC 3339 with microseconds."""

    stage: Literal["Started", "Ended", "Refused"]
    time: str
    audit_id: str = ""
    cluster: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    real_user: str = ""
    identity: str = ""
    kind: str = ""
    method: str = ""
    path: str = ""
    reason: str = ""
    """Of an end, one of :data:`REASONS`; of a refusal, its token."""
    seconds: float | None = None
    """How long it lived, where it has ended."""


Sink = Callable[[StreamRecord], None]
"""Takes a record; must neither block nor raise."""


class StreamCounters(Protocol):
    """Takes counts; called from the event loop."""

    def stream_started(self, kind: str) -> None:
        """One more stream is live."""
        ...

    def stream_ended(self, kind: str, reason: str) -> None:
        """One live stream is no more."""
        ...

    def stream_refused(self, token: str) -> None:
        """One did not begin."""
        ...

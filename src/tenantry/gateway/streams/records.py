"""What is told of a stream: an audit record at its start, one at its end, and counts.

The records have the shape of the data plane's own, of which each request gets one at its end, streams too,
with bytes and code.  Only these say when a stream began, and why it was ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol

from tenantry.foundation.codec import Model, field

Kind = Literal["watch", "log", "exec", "attach", "portforward", "proxy", "upgrade"]
Reason = Literal["Closed", "Locked", "Expired", "Draining", "Aborted"]
"""Closed: client or server ended it; which of them says the data plane's record of the same audit id.
Aborted: the process that held it died."""
REASONS: Final[tuple[Reason, ...]] = ("Closed", "Locked", "Expired", "Draining", "Aborted")


class Principal(Model, frozen=True):
    """Who a stream belongs to; hashable, and shared by all streams of one."""

    name: str = ""
    """Who the API server sees."""
    groups: tuple[str, ...] = ()
    """Sorted, each once."""
    real_name: str = ""
    """Who asked, where that is somebody else."""
    real_groups: tuple[str, ...] = ()
    how: str = ""
    """By which kind of credential."""
    id: str = ""
    """The script's name of the identity."""


class StreamRecord(Model, frozen=True):
    """One audit record; times are RFC 3339 with microseconds."""

    stage: Literal["Started", "Ended", "Refused"]
    time: str = ""
    audit_id: str = field(name="auditID", default="")
    cluster: str = ""
    user: Principal = Principal()
    kind: Kind | Literal[""] = ""
    verb: str = ""
    api_group: str = ""
    api_version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    method: str = ""
    path: str = ""
    """Without the query, which may hold a token."""
    decision: Literal["", "allow", "deny"] = ""
    reason: str = ""
    """Of an end, one of :data:`REASONS`; of a refusal, its token."""
    duration_milliseconds: int | None = None
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

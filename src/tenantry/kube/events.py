"""Events of the events.k8s.io/v1 API: sent in the background, repeated ones as a series, so many a tenant."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from tenantry.api.meta import ObjectReference
from tenantry.foundation.clock import Clock, rfc3339_micro
from tenantry.foundation.codec import to_plain
from tenantry.foundation.errors import TenantryError
from tenantry.kube.client import Client
from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import EVENTS

GROUP_LABEL = "projectcapsule.dev/tenant"
"""Events that share this label's value share a limit; so do those without it."""
SERIES_SECONDS = 360.0
"""A repetition later than this starts a new event, as in client-go."""
SERIES_UPDATE_SECONDS = 60.0
"""How often the count of a series is written, at most."""
MAX_SERIES = 4096
MAX_NOTE_BYTES = 1024

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventNote:
    """What happened, to which object."""

    regarding: ObjectReference
    reason: str
    """A token such as ``ForbiddenContainerRegistry``."""
    action: str
    """What was done, a token such as ``ValidationDenied``."""
    note: str
    """For people; cut at 1 kB."""
    type: Literal["Normal", "Warning"] = "Normal"
    related: ObjectReference | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    """Where the event goes; empty: the object's namespace, ``default`` for cluster-wide ones."""


@dataclass(slots=True)
class _Series:
    name: str
    namespace: str
    last_seen: float
    """Monotonic seconds."""
    written_at: float
    count: int = 1
    written: int = 1
    last_moment: str = ""


class EventRecorder:
    """Takes notes without ever waiting, and drops them rather than pile them up."""

    def __init__(
        self,
        client: Client,
        *,
        reporting_controller: str,
        reporting_instance: str,
        clock: Clock,
        queue_size: int = 1024,
        per_group_limit: int = 100,
        per_group_seconds: float = 60.0,
    ) -> None:
        """Send nothing until :meth:`run`.

        Args:
            client: Needs create and patch on events in all namespaces.
            reporting_controller: A qualified name, such as ``controller.projectcapsule.dev``.
            reporting_instance: The pod.
            clock: For the events' times and for the limits.
            queue_size: How many notes may wait; more are dropped.
            per_group_limit: How many new events a tenant may cause in *per_group_seconds*.
                Repetitions are not among them: they only count up.
            per_group_seconds: The length of that window.
        """
        self._client = client
        self._controller = reporting_controller
        self._instance = reporting_instance
        self._clock = clock
        self._queue: asyncio.Queue[EventNote] = asyncio.Queue(queue_size)
        self._group_limit = per_group_limit
        self._group_seconds = per_group_seconds
        self._windows: dict[str, tuple[float, int]] = {}
        self._series: OrderedDict[bytes, _Series] = OrderedDict()
        self.dropped = 0
        """How many notes were lost: queue full, limit reached, or refused by the server."""

    def record(self, note: EventNote) -> None:
        """Send *note* soon, if there is room."""
        try:
            self._queue.put_nowait(note)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Send notes until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_notes())
            group.create_task(self._update_series())

    async def _send_notes(self) -> None:
        while True:
            note = await self._queue.get()
            try:
                await self._send(note)
            except TenantryError as error:
                # Of no use to anybody to try again: a namespace that terminates, an object that went.
                self.dropped += 1
                _log.debug("event.not_sent", reason=note.reason, error=str(error))

    async def _update_series(self) -> None:
        while True:
            await asyncio.sleep(SERIES_UPDATE_SECONDS / 4)
            await self.flush_series(self._clock.monotonic() - SERIES_UPDATE_SECONDS)

    async def flush_series(self, written_before: float) -> None:
        """Write the counts that grew and were last written before that time; forget what has ended."""
        now = self._clock.monotonic()
        for key, series in list(self._series.items()):
            if series.count > series.written and series.written_at <= written_before:
                await self._write_count(series, now)
            if now - series.last_seen > SERIES_SECONDS and series.count == series.written:
                self._series.pop(key, None)
        self._windows = {
            group: window for group, window in self._windows.items() if now - window[0] < self._group_seconds
        }

    async def _send(self, note: EventNote) -> None:
        now = self._clock.monotonic()
        moment = rfc3339_micro(self._clock.now())
        key = _series_key(note)
        series = self._series.get(key)
        if series is not None and now - series.last_seen <= SERIES_SECONDS:
            series.count += 1
            series.last_seen, series.last_moment = now, moment
            if series.count == 2:  # At once, so that whoever looks sees that it goes on.
                await self._write_count(series, now)
            return
        if not self._is_within_limit(note.labels.get(GROUP_LABEL, ""), now):
            self.dropped += 1
            return
        namespace = note.namespace or note.regarding.namespace or "default"
        name = _event_name(note.regarding.name, int(self._clock.now().timestamp() * 1e6), len(self._series))
        await self._client.create(EVENTS, self._event(note, name, namespace, moment), namespace)
        self._series[key] = _Series(name, namespace, last_seen=now, written_at=now)
        if len(self._series) > MAX_SERIES:
            self._series.popitem(last=False)

    def _is_within_limit(self, group: str, now: float) -> bool:
        started, count = self._windows.get(group, (now, 0))
        if now - started >= self._group_seconds:
            started, count = now, 0
        self._windows[group] = (started, count + 1)
        return count < self._group_limit

    def _event(self, note: EventNote, name: str, namespace: str, moment: str) -> dict[str, Any]:
        event: dict[str, Any] = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": dict(note.labels),
                "annotations": dict(note.annotations),
            },
            "eventTime": moment,
            "reportingController": self._controller,
            "reportingInstance": self._instance[:128],
            "action": note.action,
            "reason": note.reason,
            "regarding": to_plain(note.regarding),
            "note": _cut(note.note),
            "type": note.type,
        }
        if note.related is not None:
            event["related"] = to_plain(note.related)
        return event

    async def _write_count(self, series: _Series, now: float) -> None:
        count = series.count
        patch = {"series": {"count": count, "lastObservedTime": series.last_moment}}
        try:
            await self._client.patch(EVENTS, series.name, series.namespace, patch=patch, kind="merge")
        except NotFoundError:
            series.last_seen = float("-inf")  # Expired on the server: the next one is a new event.
        except TenantryError as error:
            _log.debug("event.series_not_written", name=series.name, error=str(error))
            return  # The next round tries again.
        series.written, series.written_at = count, now


def _series_key(note: EventNote) -> bytes:
    """Return a digest of what repetitions have in common: thousands of notes in full would be megabytes."""
    # The resource version and the audit annotations differ between repetitions of the same thing.
    regarding = note.regarding
    parts = (
        note.namespace,
        (regarding.api_version, regarding.kind, regarding.namespace, regarding.name, regarding.uid),
        (note.related.kind, note.related.name, note.related.uid) if note.related is not None else None,
        (note.type, note.action, note.reason, note.note),
    )
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()


def _event_name(regarding: str, microseconds: int, salt: int) -> str:
    """Return a name that no other event has; names of RBAC objects are wider than an event's may be."""
    stem = re.sub(r"[^a-z0-9.-]+", "-", regarding.lower()).strip(".-")[:200].strip(".-")
    return f"{stem or 'object'}.{microseconds:x}{salt:x}"


def _cut(note: str) -> str:
    data = note.encode()
    return note if len(data) <= MAX_NOTE_BYTES else data[: MAX_NOTE_BYTES - 3].decode(errors="ignore") + "..."

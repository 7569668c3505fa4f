"""Events on a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tenantry.api.core import Event
from tenantry.api.meta import ObjectReference
from tenantry.kube.client import Client
from tenantry.kube.events import GROUP_LABEL, SERIES_SECONDS, EventNote, EventRecorder
from tenantry.kube.resources import EVENTS

Eventually = Callable[[Callable[[], Any]], Awaitable[None]]


class _SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return 1000 + self.seconds


@asynccontextmanager
async def _recorder(client: Client, clock: _SetClock, **limits: int) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(
        client, reporting_controller="example.org/test", reporting_instance="pod-0", clock=clock, **limits
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(recorder.run())
        try:
            yield recorder
        finally:
            task.cancel()


def _note(namespace: str, **more: Any) -> EventNote:
    regarding = ObjectReference(api_version="v1", kind="Pod", namespace=namespace, name="web", uid="u")
    return replace(EventNote(regarding=regarding, reason="Refused", action="ValidationDenied", note="no"), **more)


async def _events(client: Client, namespace: str) -> list[Event]:
    return (await client.list(EVENTS, namespace)).items


async def test_an_event_says_what_happened(admin: Client, namespace: str, eventually: Eventually) -> None:
    tenant = ObjectReference(api_version="capsule.clastix.io/v1beta2", kind="Tenant", name="oil", uid="t")
    note = _note(
        namespace,
        type="Warning",
        related=tenant,
        labels={GROUP_LABEL: "oil"},
        annotations={"audit.projectcapsule.dev/username": "alice"},
        note="ü" * 1000,
    )
    async with _recorder(admin, _SetClock()) as recorder:
        recorder.record(note)
        await eventually(lambda: _events(admin, namespace))

    (event,) = await _events(admin, namespace)
    assert event == Event(
        metadata=replace_meta(event, labels={GROUP_LABEL: "oil"}, annotations=dict(note.annotations)),
        event_time="2026-01-02T03:04:05.000000Z",
        reporting_controller="example.org/test",
        reporting_instance="pod-0",
        action="ValidationDenied",
        reason="Refused",
        regarding=note.regarding,
        related=tenant,
        note="ü" * 510 + "...",
        type="Warning",
    )
    assert event.metadata.name.startswith("web.")


def replace_meta(event: Event, **expected: Any) -> Any:
    """Return the event's metadata, once the parts that a test sets are as expected."""
    meta = event.metadata
    assert {key: getattr(meta, key) for key in expected} == expected
    return meta


async def test_repetitions_are_one_event_that_counts(admin: Client, namespace: str, eventually: Eventually) -> None:
    clock = _SetClock()
    async with _recorder(admin, clock) as recorder:
        for number in range(7):
            recorder.record(_note(namespace, annotations={"audit.projectcapsule.dev/request-uid": str(number)}))
        recorder.record(_note(namespace, note="another"))
        await eventually(lambda: _has(admin, namespace, 2))
        await recorder.flush_series(clock.monotonic())

    counts = {event.note: event.series.count if event.series else 1 for event in await _events(admin, namespace)}
    assert counts == {"no": 7, "another": 1}


async def test_a_repetition_long_after_is_a_new_event(admin: Client, namespace: str, eventually: Eventually) -> None:
    clock = _SetClock()
    async with _recorder(admin, clock) as recorder:
        recorder.record(_note(namespace))
        await eventually(lambda: _has(admin, namespace, 1))
        clock.seconds = SERIES_SECONDS + 1
        recorder.record(_note(namespace))
        await eventually(lambda: _has(admin, namespace, 2))


async def _has(client: Client, namespace: str, count: int) -> bool:
    return len(await _events(client, namespace)) == count


async def test_one_tenant_cannot_crowd_out_another(admin: Client, namespace: str, eventually: Eventually) -> None:
    clock = _SetClock()
    async with _recorder(admin, clock, per_group_limit=2) as recorder:
        for number in range(5):
            recorder.record(_note(namespace, note=f"loud {number}", labels={GROUP_LABEL: "loud"}))
        recorder.record(_note(namespace, note="quiet", labels={GROUP_LABEL: "quiet"}))
        await eventually(lambda: _has(admin, namespace, 3))
        assert {event.note for event in await _events(admin, namespace)} == {"loud 0", "loud 1", "quiet"}
        assert recorder.dropped == 3

        clock.seconds = 61
        recorder.record(_note(namespace, note="loud again", labels={GROUP_LABEL: "loud"}))
        await eventually(lambda: _has(admin, namespace, 4))


async def test_a_full_queue_drops_and_never_waits(admin: Client, namespace: str) -> None:
    recorder = EventRecorder(
        admin, reporting_controller="example.org/test", reporting_instance="p", clock=_SetClock(), queue_size=3
    )
    for number in range(5):
        recorder.record(_note(namespace, note=str(number)))

    assert recorder.dropped == 2


async def test_events_about_cluster_wide_and_oddly_named_objects_find_a_place(
    admin: Client, namespace: str, eventually: Eventually, unique: Callable[[str], str]
) -> None:
    name = unique("tenant")
    tenant = ObjectReference(api_version="capsule.clastix.io/v1beta2", kind="Tenant", name=name, uid="t")
    binding = ObjectReference(kind="RoleBinding", namespace=namespace, name="capsule:managed:0A", uid="b")

    async def is_there() -> bool:
        return any(event.regarding.name == name for event in await _events(admin, "default"))

    async with _recorder(admin, _SetClock()) as recorder:
        recorder.record(EventNote(regarding=tenant, reason="R", action="Reconciled", note="n"))
        recorder.record(EventNote(regarding=binding, reason="R", action="Reconciled", note="n"))
        await eventually(is_there)
        await eventually(lambda: _has(admin, namespace, 1))


async def test_an_event_that_the_server_refuses_is_dropped_and_the_next_one_sent(
    admin: Client, namespace: str, eventually: Eventually
) -> None:
    async with _recorder(admin, _SetClock()) as recorder:
        recorder.record(_note("no-such-namespace"))
        recorder.record(_note(namespace))
        await eventually(lambda: _has(admin, namespace, 1))
        assert recorder.dropped == 1

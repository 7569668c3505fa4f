"""Which streams begin, which end when, and what is told of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.foundation.codec import replaced, to_plain
from tenantry.gateway.streams.heads import StreamHead
from tenantry.gateway.streams.holding import TICK_SECONDS, Streams
from tenantry.gateway.streams.live import Link, LiveStreams
from tenantry.gateway.streams.locks import LockSet
from tenantry.gateway.streams.messages import PROCEED, PROCEED_TRAILERS, headers_message
from tenantry.gateway.streams.records import Principal, StreamRecord

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Timepiece:
    """A clock that stands until it is moved."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@dataclass(eq=False)
class Wire:
    """A connection that keeps what was ended."""

    failed: list[int] = field(default_factory=list)

    def fail(self, stream: int) -> None:
        self.failed.append(stream)


class Held:
    """Streams, with what they rest on."""

    def __init__(self, locks: LockSet | None = None) -> None:
        self.clock = Timepiece()
        self.records: list[tuple[int, StreamRecord]] = []
        self.is_behind = False
        self.wire = Wire()
        self.streams = Streams(
            secret="word",
            locks=locks or LockSet(),
            clock=self.clock,
            sink=lambda number, record: self.records.append((number, record)),
            is_behind=lambda: self.is_behind,
        )

    def begin(self, stream: int, user: str = "alice", kind: str = "watch", **more: Any) -> bytes | None:
        said = {"x-tenantry-secret": "word", "impersonate-user": user, "audit-id": "a"}
        path = "/api/v1/pods?watch=1" if kind == "watch" else "/api/v1/namespaces/a/pods/p/exec"
        headers = {":method": "GET", ":path": path, **said}
        headers |= {name.replace("_", "-"): str(value) for name, value in more.items()}
        return self.streams.answer(self.wire, stream, headers_message(tuple(headers.items())))

    def reasons(self) -> list[tuple[int, str, str]]:
        return [(number, record.stage, record.reason) for number, record in self.records]


def test_a_stream_has_a_record_at_its_start_and_at_its_end() -> None:
    held = Held()
    more = {
        "impersonate_group": "devs",
        "x_tenantry_real": "robot",
        "x_tenantry_id": "id",
        "x_tenantry_cluster": "east",
    }
    assert held.begin(1, **more) == PROCEED
    held.clock.seconds = 2.5
    held.streams.closed(held.wire, 1)
    held.streams.closed(held.wire, 1)
    started = StreamRecord(
        stage="Started",
        time="2026-01-02T03:04:05.000000Z",
        audit_id="a",
        cluster="east",
        user=Principal(name="alice", groups=("devs",), real_name="robot", id="id"),
        kind="watch",
        verb="watch",
        api_version="v1",
        resource="pods",
        method="GET",
        path="/api/v1/pods",
        decision="allow",
    )
    ended = replaced(
        started, stage="Ended", time="2026-01-02T03:04:07.500000Z", reason="Closed", duration_milliseconds=2500
    )
    assert held.records == [(1, started), (1, ended)]


def test_a_record_is_a_line_as_the_data_planes_are() -> None:
    held = Held()
    held.begin(1, kind="exec", impersonate_group="devs")
    assert to_plain(held.records[0][1]) == {
        "stage": "Started",
        "time": "2026-01-02T03:04:05.000000Z",
        "auditID": "a",
        "user": {"name": "alice", "groups": ["devs"]},
        "kind": "exec",
        "verb": "get",
        "apiVersion": "v1",
        "resource": "pods",
        "subresource": "exec",
        "namespace": "a",
        "name": "p",
        "method": "GET",
        "path": "/api/v1/namespaces/a/pods/p/exec",
        "decision": "allow",
    }


def test_trailers_pass_and_anything_else_fails_its_call() -> None:
    held = Held()
    held.begin(1)
    assert held.streams.answer(held.wire, 1, b"\x3a\x00") == PROCEED_TRAILERS
    assert held.streams.answer(held.wire, 1, b"\x1a\x00") is None
    assert held.streams.answer(held.wire, 3, b"\xff") is None


def test_a_second_head_on_a_call_fails_it() -> None:
    """Or the first would be held by nobody."""
    held = Held()
    held.begin(1)
    assert held.begin(1, "bob") is None


@pytest.mark.parametrize("refusal", ["Locked", "Expired", "Draining", "Unrecorded"])
def test_what_must_not_begin_is_refused_with_its_reason(refusal: str) -> None:
    held = Held(LockSet(users=frozenset({"alice"})) if refusal == "Locked" else None)
    more: dict[str, Any] = {"x_tenantry_expires": int(START.timestamp())} if refusal == "Expired" else {}
    if refusal == "Draining":
        held.streams.drain(10)
    held.is_behind = refusal == "Unrecorded"
    answer = held.begin(1, **more)
    assert answer is not None
    status = {"Locked": 403, "Expired": 401}.get(refusal, 503)
    assert f'"code":{status}'.encode() in answer
    assert (held.reasons(), len(held.streams)) == ([(0, "Refused", refusal)], 0)


def test_a_lock_ends_whom_it_names_and_tells_how_many() -> None:
    held = Held()
    for stream, user in enumerate(("alice", "bob", "alice"), 1):
        held.begin(stream, user)
    assert held.streams.lock(LockSet(users=frozenset({"alice"}))) == 2
    assert sorted(held.wire.failed) == [1, 3]
    assert sorted(held.reasons()[3:]) == [(1, "Ended", "Locked"), (3, "Ended", "Locked")]
    assert held.streams.lock(LockSet()) == 0
    assert held.begin(5) == PROCEED


def test_a_stream_ends_when_its_credential_does() -> None:
    """By the wall clock, and not before; also when it was stepped."""
    held = Held()
    held.begin(1, x_tenantry_expires=int(START.timestamp()) + 10)
    held.begin(3, x_tenantry_expires=int(START.timestamp()) + 20)
    held.begin(5)
    ended = []
    for seconds in (9.9, 10, 5, 100):
        held.clock.seconds = seconds
        held.streams.tick()
        ended.append(list(held.wire.failed))
    assert ended == [[], [1], [1], [1, 3]]


def test_a_drain_ends_watches_bit_by_bit_and_the_rest_at_its_end() -> None:
    held = Held()
    for stream in range(8):
        held.begin(stream, kind="exec" if stream == 0 else "watch")
    held.streams.drain(2.0)
    ended = []
    while held.clock.seconds < 2.0:
        held.streams.tick()
        ended.append(len(held.wire.failed))
        held.clock.seconds += TICK_SECONDS
    assert ended == [1, 2, 3, 4, 5, 6, 7, 7]
    assert 0 not in held.wire.failed
    held.streams.tick()
    assert sorted(held.wire.failed) == list(range(8))
    assert {reason for _, stage, reason in held.reasons() if stage == "Ended"} == {"Draining"}


users = st.sampled_from(["alice", "bob", "carol"])


@given(st.lists(st.tuples(st.integers(0, 5), users, st.booleans(), st.none() | st.integers(0, 9)), max_size=40))
def test_live_streams_are_what_was_added_and_not_removed(steps: list[tuple[int, str, bool, int | None]]) -> None:
    """Whatever the order; each is found by its user and by its end."""
    link: Link = Wire()
    live, model = LiveStreams(), dict[int, tuple[str, int | None]]()
    for stream, user, is_added, expires in steps:
        if is_added and stream not in model:
            record = StreamRecord(stage="Started", user=Principal(name=user), kind="log")
            live.add((link, stream), StreamHead(record=record, expires=expires), time="", now=0.0)
            model[stream] = (user, expires)
        elif not is_added:
            assert (live.remove((link, stream)) is None) == (model.pop(stream, None) is None)
    locked = {each.key[1] for each in live.take_locked(LockSet(users=frozenset({"alice"})))}
    assert locked == {stream for stream, (user, _) in model.items() if user == "alice"}
    expired = {each.key[1] for each in live.take_expired(5)}
    assert expired == {s for s, (_, end) in model.items() if end is not None and end <= 5} - locked
    assert {each.key[1] for each in live.take_all()} == set(model) - locked - expired
    assert len(live) == 0

"""Events of several watches come in the order of versions, and bookmarks hold for all of them (8.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.foundation.codec import DecodeError
from tenantry.gateway.fanout.frames import END_ANNOTATION, end_bookmark, read_frame
from tenantry.gateway.fanout.merging import HOLD_SECONDS, Merge, Source


def line(kind: str, version: int, *, is_end: bool = False, **extra: Any) -> bytes:
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if is_end:
        metadata["annotations"] = {END_ANNOTATION: "true"}
    return json.dumps({"type": kind, "object": {"kind": "Pod", "metadata": metadata} | extra}).encode()


def told(lines: list[bytes]) -> list[tuple[str, int]]:
    """Type and version of each; the bookmark after the initial events is END."""
    frames = [read_frame(found) for found in lines]
    return [("END" if frame.is_end else frame.type, frame.version) for frame in frames]


def merge(*names: str, initial: bool = False, bookmarks: bool = True, at: int = 1) -> Merge:
    made = Merge(wants_bookmarks=bookmarks, wants_end=initial)
    for name in names:
        made.add_source(name, Source(is_initial=initial, has_end=initial, seen=0 if initial else at, sent=at))
    return made


def test_an_older_event_that_comes_a_little_later_goes_first() -> None:
    merged = merge("a", "b")
    merged.add("a", read_frame(line("ADDED", 9)), 0.0)
    merged.add("b", read_frame(line("ADDED", 8)), HOLD_SECONDS / 2)
    assert merged.take(HOLD_SECONDS / 2) == []
    assert told(merged.take(HOLD_SECONDS)) == [("ADDED", 8), ("ADDED", 9)]
    assert (merged.take(1.0), merged.next_due, merged.size_bytes) == ([], None, 0)


def test_what_is_newer_than_all_that_is_due_waits_its_own_time() -> None:
    merged = merge("a", "b")
    merged.add("a", read_frame(line("ADDED", 5)), 0.0)
    merged.add("b", read_frame(line("ADDED", 6)), HOLD_SECONDS / 2)
    assert told(merged.take(HOLD_SECONDS)) == [("ADDED", 5)]
    assert merged.next_due == pytest.approx(1.5 * HOLD_SECONDS)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, HOLD_SECONDS * 0.9)), max_size=40))
def test_within_the_usual_skew_the_order_is_that_of_versions(changes: list[tuple[str, float]]) -> None:
    """Each change reaches us late by less than the hold, and those of one namespace in order."""
    merged, out = merge("a", "b", "c"), []
    moment, arrivals = 0.0, []
    last = dict.fromkeys("abc", 0.0)
    for version, (name, late) in enumerate(changes, 2):
        moment += 0.001
        last[name] = max(last[name], moment + late)
        arrivals.append((last[name], version, name))
    for when, version, name in sorted(arrivals):
        out += told(merged.take(when))
        merged.add(name, read_frame(line("MODIFIED", version)), when)
    out += told(merged.take(None))
    assert out == [("MODIFIED", version) for version in range(2, len(changes) + 2)]


def test_initial_events_end_once_when_all_parts_have_told_theirs() -> None:
    merged = merge("a", "b", initial=True)
    merged.add("a", read_frame(line("ADDED", 30)), 0.0)
    merged.add("a", read_frame(line("BOOKMARK", 50, is_end=True)), 0.0)
    merged.add("a", read_frame(line("MODIFIED", 51)), 0.0)
    assert told(merged.take(1.0)) == [("ADDED", 30), ("MODIFIED", 51)]
    merged.add("b", read_frame(line("ADDED", 7)), 1.0)
    merged.add("b", read_frame(line("BOOKMARK", 49, is_end=True)), 1.0)
    assert told(merged.take(2.0)) == [("ADDED", 7), ("END", 49)]
    merged.add("b", read_frame(line("BOOKMARK", 60)), 2.0)
    assert told(merged.take(3.0)) == [("BOOKMARK", 51)]


def test_a_bookmark_tells_what_holds_for_all_and_only_when_that_rises() -> None:
    merged = merge("a", "b", at=10)
    merged.add("a", read_frame(line("BOOKMARK", 20)), 0.0)
    merged.add("b", read_frame(line("BOOKMARK", 15)), 0.0)
    merged.add("a", read_frame(line("BOOKMARK", 30)), 0.0)
    assert told(merged.take(1.0)) == [("BOOKMARK", 10), ("BOOKMARK", 15)]
    merged.add("b", read_frame(line("BOOKMARK", 40)), 1.0)
    assert told(merged.take(2.0)) == [("BOOKMARK", 30)]


def test_a_bookmark_never_passes_an_event_that_is_held() -> None:
    merged = merge("a", "b", at=10)
    merged.add("a", read_frame(line("ADDED", 81)), 0.0)
    merged.add("a", read_frame(line("BOOKMARK", 90)), 0.0)
    merged.add("b", read_frame(line("ADDED", 79)), 0.01)
    merged.add("b", read_frame(line("BOOKMARK", 80)), 0.01)
    assert told(merged.take(None)) == [("ADDED", 79), ("BOOKMARK", 10), ("ADDED", 81), ("BOOKMARK", 80)]


def test_a_bookmark_in_the_form_of_another_has_no_annotation_of_its_own() -> None:
    merged = merge("a", at=10)
    merged.add("a", read_frame(line("BOOKMARK", 20, is_end=True)), 0.0)
    assert [json.loads(found) for found in merged.take(1.0)] == [
        {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "20"}}}
    ]


def test_whoever_wants_no_bookmarks_gets_none() -> None:
    merged = merge("a", bookmarks=False)
    merged.add("a", read_frame(line("BOOKMARK", 20)), 0.0)
    assert merged.take(1.0) == []


def test_after_the_objects_of_a_new_namespace_a_bookmark_sets_the_version_right() -> None:
    merged = merge("a", at=50)
    merged.add("a", read_frame(line("BOOKMARK", 60)), 0.0)
    assert told(merged.take(1.0)) == [("BOOKMARK", 60)]
    merged.add_source("b", Source(is_initial=True, has_end=True))
    merged.add("b", read_frame(line("ADDED", 7)), 1.0)
    merged.add("a", read_frame(line("BOOKMARK", 70)), 1.0)
    assert told(merged.take(2.0)) == [("ADDED", 7)]
    merged.add("b", read_frame(line("BOOKMARK", 72, is_end=True)), 2.0)
    assert told(merged.take(3.0)) == [("BOOKMARK", 70)]


def test_the_first_table_has_columns_even_if_a_bookmark_took_them_along() -> None:
    columns = [{"name": "Name"}]
    merged = merge("a", bookmarks=False)
    merged.add("a", read_frame(line("BOOKMARK", 2, columnDefinitions=columns)), 0.0)
    merged.add("a", read_frame(line("ADDED", 3, columnDefinitions=None, rows=[{"cells": []}])), 0.0)
    merged.add("a", read_frame(line("ADDED", 4, columnDefinitions=None, rows=[])), 0.0)
    objects = [json.loads(found)["object"] for found in merged.take(None)]
    assert [found["columnDefinitions"] for found in objects] == [columns, None]


def test_a_source_goes_on_where_everything_was_received() -> None:
    source = Source(is_initial=True, has_end=True)
    seen = []
    for found in (line("ADDED", 90), line("BOOKMARK", 50, is_end=True), line("MODIFIED", 60), line("DELETED", 55)):
        source.received(read_frame(found))
        seen.append((source.is_initial, source.seen))
    assert seen == [(True, 0), (False, 50), (False, 60), (False, 60)]


def test_the_end_of_nothing_is_told_in_the_form_asked_for() -> None:
    for form in ("", ";as=PartialObjectMetadata;v=v1;g=meta.k8s.io", ";as=Table;v=v1;g=meta.k8s.io"):
        frame = read_frame(end_bookmark("Pod", "v1", 7, accept=f"application/json{form},application/json"))
        assert (frame.type, frame.version, frame.is_end) == ("BOOKMARK", 7, True)


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(DecodeError):
        read_frame(b"<html>")

"""The stream of a watch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.api.core import ConfigMap
from tenantry.api.meta import ObjectMeta
from tenantry.foundation.codec import encode
from tenantry.kube.errors import ApiError, GoneError, UndecodableError
from tenantry.kube.resources import CONFIG_MAPS
from tenantry.kube.watch import WatchEvent, event_batches


def _line(kind: str, obj: object) -> bytes:
    return encode({"type": kind, "object": obj}) + b"\n"


def _object(name: str, version: int) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "n", "resourceVersion": str(version)}}


def _struct(name: str, version: int) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="n", resource_version=str(version)))


async def _chunks(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def _events(parts: Iterable[bytes]) -> list[WatchEvent[ConfigMap]]:
    return [event async for batch in event_batches(_chunks(parts), CONFIG_MAPS) for event in batch]


@given(st.lists(st.integers(0, 400), max_size=8))
async def test_events_do_not_depend_on_how_the_stream_is_cut(cuts: list[int]) -> None:
    stream = (
        _line("ADDED", _object("a", 1))
        + _line("MODIFIED", _object("a", 2))
        + _line("BOOKMARK", {"kind": "ConfigMap", "metadata": {"resourceVersion": "5"}})
        + _line("DELETED", _object("a", 6))
    )
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]

    events = await _events(stream[start:end] for start, end in pairwise(edges))

    assert events == [
        WatchEvent("ADDED", _struct("a", 1)),
        WatchEvent("MODIFIED", _struct("a", 2)),
        WatchEvent("BOOKMARK", ConfigMap(metadata=ObjectMeta(resource_version="5"))),
        WatchEvent("DELETED", _struct("a", 6)),
    ]


async def test_what_arrived_together_is_one_batch() -> None:
    both = _line("ADDED", _object("a", 1)) + _line("ADDED", _object("b", 2))

    batches = [batch async for batch in event_batches(_chunks([both]), CONFIG_MAPS)]

    assert batches == [[WatchEvent("ADDED", _struct("a", 1)), WatchEvent("ADDED", _struct("b", 2))]]


async def test_an_expired_version_is_gone() -> None:
    with pytest.raises(GoneError, match="too old resource version"):
        await _events([_line("ERROR", {"code": 410, "reason": "Expired", "message": "too old resource version"})])


async def test_any_other_error_event_is_raised() -> None:
    with pytest.raises(ApiError, match="boom") as caught:
        await _events([_line("ERROR", {"code": 500, "message": "boom"})])
    assert caught.value.status == 500


async def test_one_bad_object_does_not_hide_the_others() -> None:
    bad = _line("ADDED", _object("bad", 1) | {"data": 5})

    assert await _events([bad + _line("ADDED", _object("b", 2))]) == [WatchEvent("ADDED", _struct("b", 2))]


async def test_a_line_that_is_no_event_fails() -> None:
    with pytest.raises(UndecodableError):
        await _events([b"<html>\n"])


async def test_half_a_line_at_the_end_is_no_event() -> None:
    assert await _events([_line("ADDED", _object("a", 1)), b'{"type":"ADD']) == [WatchEvent("ADDED", _struct("a", 1))]

"""Elements are found as a JSON parser finds them, however the bytes are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantry.foundation.codec import DecodeError
from tenantry.gateway.fanout.scanning import AROUND_BYTES, ElementScanner

text = st.text(st.sampled_from('{}[],:"\\ \n/uéa0') | st.characters(codec="utf-8"), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4))
keys = text.filter(lambda key: key not in {"items", "rows"})
around = st.dictionaries(keys, values, max_size=3)
forms = st.sampled_from([{}, {"indent": 1}, {"ensure_ascii": False}, {"separators": (",", ":")}])


def scanned(document: bytes, cuts: list[int], *, counts: bool = True) -> tuple[bytes, bytes, int]:
    scanner, elements, start = ElementScanner(counts=counts), b"", 0
    for size in cuts:
        elements += scanner.feed(document[start : start + size])
        start += size
    elements += scanner.feed(document[start:])
    last, rest = scanner.finish()
    return elements + last, rest, scanner.count


@pytest.fixture(params=[0, 1, 30, 1 << 18], autouse=True)
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of no size at all have brackets counted from the start; of some, soon or late."""
    monkeypatch.setattr("tenantry.gateway.fanout.scanning.WINDOW_BYTES", request.param)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=around,
    items=st.lists(values, max_size=5),
    after=around,
    name=st.sampled_from(["items", "rows"]),
    form=forms,
    cuts=st.lists(st.integers(1, 12), max_size=60),
)
def test_elements_and_the_rest_are_what_json_says(
    before: dict[str, Any],
    items: list[Any],
    after: dict[str, Any],
    name: str,
    form: dict[str, Any],
    cuts: list[int],
) -> None:
    document = before | {name: items} | {key: value for key, value in after.items() if key not in before}
    text = json.dumps(document, **form).encode()
    elements, rest, count = scanned(text, cuts)
    assert json.loads(b"[" + elements + b"]") == items
    assert json.loads(rest) == document | {name: []}
    assert count == len(items)
    assert scanned(text, cuts, counts=False)[:2] == (elements, rest)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=st.lists(st.dictionaries(st.just("metadata"), values, min_size=1), max_size=30), size=st.integers(1, 200))
def test_elements_that_begin_alike_are_found_too(items: list[Any], size: int) -> None:
    document = {"kind": "PodList", "items": items, "z": [{"metadata": [items[:2]]}]}
    text = json.dumps(document, separators=(",", ":")).encode()
    elements, rest, count = scanned(text, [size] * (len(text) // size))
    assert (json.loads(b"[" + elements + b"]"), count) == (items, len(items))
    assert json.loads(rest) == document | {"items": []}


def test_arrays_of_the_same_name_further_in_are_not_taken() -> None:
    document = b'{"metadata":{"items":[1],"rows":["items"]},"x":[{"items":[2]}],"items":[3]}'
    assert scanned(document, [1] * len(document)) == (b"3", document.replace(b"[3]", b"[]"), 1)


def test_null_is_an_empty_list_as_go_writes_it() -> None:
    document = b'{"kind":"PodList","items":null,"metadata":{"resourceVersion":"7"}}'
    assert scanned(document, [20]) == (b"", document, 0)


def test_the_end_is_found_where_arrays_follow() -> None:
    document = b'{"items":[{"a":[1]},[2]],"more":[[3],{"b":[4]}]}'
    assert scanned(document, []) == (b'{"a":[1]},[2]', b'{"items":[],"more":[[3],{"b":[4]}]}', 2)


@pytest.mark.parametrize("size", range(len(b'{"items":[{"a":"]"},2]}') - 2))
def test_what_is_cut_short_is_never_taken_as_whole(size: int) -> None:
    with pytest.raises(DecodeError):
        scanned(b'{"items":[{"a":"]"},2]}'[:size], [])


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(DecodeError, match="no items"):
        scanned(b'{"kind":"Status","code":500}', [])


def test_a_document_without_end_around_its_items_is_refused() -> None:
    with pytest.raises(DecodeError, match="too much"):
        scanned(b'{"metadata":"' + b"a" * AROUND_BYTES, [])


def test_the_head_is_known_before_the_elements_are() -> None:
    scanner = ElementScanner()
    scanner.feed(b'{"kind":"PodList","it')
    assert scanner.head == b""
    scanner.feed(b'ems": [{"a"')
    assert scanner.head == b'{"kind":"PodList","items": []}'

"""The messages of external processing, written and read."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.gateway.streams.messages import (
    PROCEED,
    Headers,
    MessageError,
    headers_message,
    immediate_response,
    is_response_trailers,
    request_headers,
)

names = st.text("abcdefghijklmnopqrstuvwxyz-:", min_size=1, max_size=20)
pairs = st.lists(st.tuples(names, st.text(max_size=200)), max_size=40).map(tuple)


@given(pairs)
def test_headers_come_back_in_order_and_repeated(headers: Headers) -> None:
    assert request_headers(headers_message(headers)) == headers
    assert not is_response_trailers(headers_message(headers))


def test_what_envoy_sends_is_understood() -> None:
    """As recorded from Envoy 1.40, shortened."""
    message = bytes.fromhex(
        "122d0a2b0a1c0a0a3a617574686f726974791a0e6c6f63616c686f73743a393130330a0b0a053a706174681a022f61"
    )
    assert request_headers(message) == ((":authority", "localhost:9103"), (":path", "/a"))


def test_bytes_that_are_no_text_stay_what_they_are() -> None:
    message = b"\x12\x0b\x0a\x09\x0a\x07\x0a\x01a\x1a\x02\xff\xc3"
    headers = request_headers(message)
    assert headers == (("a", "\udcff\udcc3"),)
    assert headers_message(headers) == message


def test_other_fields_are_skipped() -> None:
    attributes, number, fixed = b"\x4a\x02ab", b"\x50\x01", b"\x59" + b"\0" * 8
    message = attributes + number + fixed + headers_message((("a", "b"),)) + b"\x5d\0\0\0\0"
    assert request_headers(message) == (("a", "b"),)


def test_trailers_are_no_headers() -> None:
    assert (request_headers(b"\x3a\x00"), is_response_trailers(b"\x3a\x00")) == (None, True)


def test_a_refusal_is_written_as_envoy_reads_it() -> None:
    assert immediate_response(403, (("a", "b"),), b"no", details="d") == bytes.fromhex(
        "3a1a0a03089303120c0a0a0a060a01611a016218021a026e6f2a0164"
    )
    assert bytes.fromhex("0a00") == PROCEED


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(b"\x12\x05a", id="a field longer than its message"),
        pytest.param(b"\x12", id="no length"),
        pytest.param(b"\x80" * 11, id="a number without end"),
        pytest.param(b"\x13", id="a wire type that is gone"),
        pytest.param(b"\x09abc", id="a number cut off"),
    ],
)
def test_what_is_no_message_is_said_to_be_none(wrong: bytes) -> None:
    with pytest.raises(MessageError):
        request_headers(wrong)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_none(data: bytes) -> None:
    with suppress(MessageError):
        request_headers(data)
    with suppress(MessageError):
        is_response_trailers(data)

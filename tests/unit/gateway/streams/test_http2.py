"""HTTP/2 as spoken by a client that is patient, hasty, or wrong."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.gateway.streams.http2 import (
    CONNECTION_WINDOW_BYTES,
    MAX_FRAME_BYTES,
    MAX_STREAMS,
    PREFACE,
    STREAM_WINDOW_BYTES,
    Closed,
    Connection,
    Event,
    Failure,
    Message,
    ProtocolError,
)

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END, END_HEADERS, PADDED = 1, 4, 8
BLOCK = b"any bytes: nobody decodes them"


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def grpc(payload: bytes) -> bytes:
    return b"\0" + len(payload).to_bytes(4, "big") + payload


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    found = []
    while data:
        length = int.from_bytes(data[:3], "big")
        found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + length]))
        data = data[9 + length :]
    return found


def opened(*streams: int) -> Connection:
    """Return a connection that has greeted, and has these calls."""
    connection = Connection()
    connection.receive(PREFACE + frame(SETTINGS))
    for stream in streams:
        connection.receive(frame(HEADERS, END_HEADERS, stream, BLOCK))
    connection.taken_output()
    return connection


def test_it_greets_with_its_limits() -> None:
    connection = Connection()
    connection.receive(PREFACE + frame(SETTINGS))
    settings = struct.pack("!HIHI", 3, MAX_STREAMS, 4, STREAM_WINDOW_BYTES)
    assert frames(connection.taken_output()) == [
        (SETTINGS, 0, 0, settings),
        (WINDOW_UPDATE, 0, 0, (CONNECTION_WINDOW_BYTES - 65_535).to_bytes(4, "big")),
        (SETTINGS, 1, 0, b""),
    ]


CONVERSATION = b"".join(
    [
        PREFACE,
        frame(SETTINGS, payload=struct.pack("!HI", 4, 1_000_000)),
        frame(HEADERS, 0, 1, BLOCK),
        frame(CONTINUATION, 0, 1, BLOCK),
        frame(CONTINUATION, END_HEADERS, 1, BLOCK),
        frame(DATA, 0, 1, grpc(b"first")[:7]),
        frame(HEADERS, END_HEADERS, 3, BLOCK),
        frame(DATA, PADDED, 3, b"\x04" + grpc(b"third") + b"\0" * 4),
        frame(DATA, 0, 1, grpc(b"first")[7:] + grpc(b"second")),
        frame(PING, 0, 0, b"12345678"),
        frame(0x42, 0xFF, 9, b"what is new"),
        frame(DATA, END, 3),
        frame(RST_STREAM, 0, 3, b"\0\0\0\x08"),
        frame(GOAWAY, 0, 0, b"\0" * 8),
        frame(RST_STREAM, 0, 1, b"\0\0\0\x08"),
        frame(DATA, 0, 1, grpc(b"late")),
    ]
)


@given(st.lists(st.integers(1, len(CONVERSATION) - 1)))
def test_it_understands_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    connection, events = Connection(), list[Event]()
    edges = [0, *sorted(set(cuts)), len(CONVERSATION)]
    for start, end in itertools.pairwise(edges):
        events += connection.receive(CONVERSATION[start:end])
    assert events == [
        Message(3, b"third"),
        Message(1, b"first"),
        Message(1, b"second"),
        Closed(3),
        Closed(1),
    ]
    assert frames(connection.taken_output())[2:] == [
        (SETTINGS, 1, 0, b""),
        (PING, 1, 0, b"12345678"),
        (RST_STREAM, 0, 3, b"\0\0\0\x08"),
    ]


def test_an_answer_has_its_headers_once() -> None:
    connection = opened(1)
    assert (connection.send(1, b"a"), connection.send(1, b"b")) == (True, True)
    headers = b"\x88\x0f\x10\x10application/grpc"
    assert frames(connection.taken_output()) == [
        (HEADERS, END_HEADERS, 1, headers),
        (DATA, 0, 1, grpc(b"a")),
        (DATA, 0, 1, grpc(b"b")),
    ]


@pytest.mark.parametrize("is_answered", [False, True])
def test_a_failed_call_ends_with_its_code(is_answered: bool) -> None:  # noqa: FBT001
    connection = opened(1)
    headers = b"\x88\x0f\x10\x10application/grpc"
    if is_answered:
        connection.send(1, b"a")
        connection.taken_output()
        headers = b""
    connection.fail(1, Failure.PERMISSION_DENIED)
    connection.fail(1, Failure.PERMISSION_DENIED)
    assert frames(connection.taken_output()) == [(HEADERS, END_HEADERS | END, 1, headers + b"\0\x0bgrpc-status\x017")]
    assert not connection.send(1, b"late")
    assert connection.taken_output() == b""


def test_no_call_can_end_well() -> None:
    """OK would let the request go on, held by nobody."""
    assert 0 not in list(Failure)
    connection = opened(1)
    assert connection.receive(frame(DATA, END, 1)) == [Closed(1)]
    assert frames(connection.taken_output()) == [(RST_STREAM, 0, 1, b"\0\0\0\x08")]


def test_an_answer_that_the_client_has_no_room_for_ends_the_call() -> None:
    connection = Connection()
    connection.receive(PREFACE + frame(SETTINGS, payload=struct.pack("!HI", 4, 8)) + frame(HEADERS, 4, 1, BLOCK))
    connection.taken_output()
    assert not connection.send(1, b"four")
    assert frames(connection.taken_output()) == [(RST_STREAM, 0, 1, b"\0\0\0\x08")]


def test_the_connections_window_is_given_back_and_a_calls_is_not() -> None:
    connection = opened(1)
    chunk = frame(DATA, 0, 1, b"\0\0\0\0\0" + b"\0\0\0\0\0" * 3000)
    for _ in range(CONNECTION_WINDOW_BYTES // 4 // 15_005 + 1):
        connection.receive(chunk)
    sizes = [int.from_bytes(payload, "big") for kind, _, stream, payload in frames(connection.taken_output())]
    assert [size > CONNECTION_WINDOW_BYTES // 4 for size in sizes] == [True]


@pytest.mark.parametrize("head", [b"\x01\0\0\0\x01", b"\0\xff\xff\xff\xff"])
def test_a_compressed_or_an_endless_message_ends_its_call_alone(head: bytes) -> None:
    connection = opened(1, 3)
    assert connection.receive(frame(DATA, 0, 1, head + b"x") + frame(DATA, 0, 3, grpc(b"fine"))) == [
        Closed(1),
        Message(3, b"fine"),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(frame(HEADERS, END_HEADERS, 2, BLOCK), id="a server's stream"),
        pytest.param(frame(HEADERS, 0, 1, BLOCK) + frame(DATA, 0, 1), id="a header block is interrupted"),
        pytest.param(frame(HEADERS, 0, 1, BLOCK) + frame(CONTINUATION, 4, 3), id="by another stream's"),
        pytest.param(frame(CONTINUATION, END_HEADERS, 1, BLOCK), id="a header block goes on from nothing"),
        pytest.param((MAX_FRAME_BYTES + 1).to_bytes(3, "big") + b"\0" * 6, id="a frame too long"),
        pytest.param(frame(SETTINGS, payload=b"12345"), id="broken settings"),
        pytest.param(frame(WINDOW_UPDATE, payload=b"1"), id="a broken window"),
        pytest.param(frame(HEADERS, 4, 1, BLOCK) + frame(DATA, PADDED, 1, b"\x05abc"), id="padding too long"),
        pytest.param(frame(HEADERS, 4, 1, BLOCK) + frame(DATA, PADDED, 1), id="padding that is not there"),
    ],
)
def test_what_breaks_the_protocol_costs_the_connection(wrong: bytes) -> None:
    with pytest.raises(ProtocolError):
        opened().receive(wrong)


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/1", PREFACE[:-1] + b"x"])
def test_other_protocols_are_refused(greeting: bytes) -> None:
    with pytest.raises(ProtocolError):
        Connection().receive(greeting)


@given(st.binary(max_size=300))
def test_no_bytes_do_worse_than_that(data: bytes) -> None:
    connection = opened(1, 3)
    try:
        connection.receive(data)
    except ProtocolError:
        return
    connection.taken_output()

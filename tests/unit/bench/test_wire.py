"""The load generator reads whatever an API server answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from bench.wire import Door, UnexpectedAnswerError, gather_limited

ANSWERS = {
    "/plain": (b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\n", b"hello"),
    "/chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
    ),
    "/no": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\n", b"{no}"),
}


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    """A server that answers in pieces, and counts its connections by closing after each /bye."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split(b" ")[1].decode()
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            for piece in (part for whole in ANSWERS[path] for part in (whole[:3], whole[3:])):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_answers_of_known_and_unknown_length_are_read_whole(port: int) -> None:
    door = Door.plain(port)
    answers = [await door.send("POST", path, {"a": 1}) for path in ("/plain", "/chunks", "/no", "/plain")]
    door.close()

    assert [(each.status, each.body) for each in answers] == [
        (201, b"hello"),
        (200, b"hello world"),
        (403, b"{no}"),
        (201, b"hello"),
    ]


async def test_what_must_succeed_says_what_was_answered(port: int) -> None:
    door = Door.plain(port)
    with pytest.raises(UnexpectedAnswerError, match=r"POST /no: 403 \{no\}"):
        await door.must("POST", "/no")
    door.close()


async def test_work_is_done_so_many_at_a_time_in_order() -> None:
    running, most = 0, 0

    async def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number

    assert (await gather_limited([work(number) for number in range(10)], 3), most) == (list(range(10)), 3)

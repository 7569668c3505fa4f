"""The client of HTTP/2 says as little the second time as those of Go do, and reads what comes in any pieces."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest_asyncio
import trustme
from bench.http2 import Http2Door

_SETTINGS, _HEADERS, _DATA = b"\x04", b"\x01", b"\x00"
_OK, _NOT_FOUND = b"\x88", b"\x20\x8d"


class _Server:
    """Answers each request by its turn, and keeps the header blocks that it got."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.port = 0
        self.authority = trustme.CA()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        writer.write(_frame(_SETTINGS, b"\x00", b"\x00" * 4))
        while head := await reader.read(9):
            payload = await reader.readexactly(int.from_bytes(head[:3]))
            if head[3:4] != _HEADERS:
                continue
            self.blocks.append(payload)
            status = _OK if len(self.blocks) < 3 else _NOT_FOUND
            answer = _frame(_HEADERS, b"\x04", head[5:], status)
            answer += _frame(_DATA, b"\x00", head[5:], b"he") + _frame(_DATA, b"\x01", head[5:], b"llo")
            for at in range(len(answer)):
                writer.write(answer[at : at + 1])
                await writer.drain()


def _frame(kind: bytes, flags: bytes, stream: bytes, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + kind + flags + stream + payload


@pytest_asyncio.fixture
async def server() -> AsyncIterator[_Server]:
    """A server on the loopback address."""
    server, context = _Server(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.authority.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    async with await asyncio.start_server(server.serve, "localhost", 0, ssl=context) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


async def test_a_request_that_comes_again_is_seven_numbers(server: _Server) -> None:
    """Headers that were sent are named by their place in the table, the youngest first (RFC 7541, 2.3.3)."""
    context = ssl.create_default_context()
    server.authority.configure_trust(context)
    door = Http2Door("localhost", server.port, context, token="secret")
    answers = [await door.send("GET", "/version") for _ in range(3)]
    door.close()

    assert [(each.status, each.body) for each in answers] == [(200, b"hello"), (200, b"hello"), (404, b"hello")]
    first, second, third = server.blocks
    assert b"Bearer secret" in first
    assert second == third == bytes(0x80 | index for index in range(68, 61, -1))

"""A client without manners: it sends exactly the bytes it is told to, and returns what comes back."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Self

SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP/1.1 answer, as it stood on the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first header of that name."""
        return next((value for each, value in self.headers if each == name), None)


class Connection:
    """One connection, TLS or not; whatever is written goes out as it is."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(
        cls, port: int, *, tls: ssl.SSLContext | None = None, server_name: str | None = None, host: str = "127.0.0.1"
    ) -> Self:
        """Connect; *server_name* is the SNI, which goes with *tls* alone."""
        name = (server_name or host) if tls is not None else None
        return cls(*await asyncio.open_connection(host, port, ssl=tls, limit=1 << 24, server_hostname=name))

    async def send(self, data: bytes) -> None:
        """Send *data* at once."""
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> Reply:
        """Read one answer: to its length, its last chunk, or the end of the connection.

        Raises:
            EOFError: The connection ended before a whole head came.
        """
        async with asyncio.timeout(SECONDS):
            head = await self.head()
            length, chunked = head.header("content-length"), head.header("transfer-encoding") == "chunked"
            if chunked:
                body = await self._chunks()
            elif length is not None:
                body = await self.reader.readexactly(int(length))
            elif head.status == 101:
                body = b""
            else:
                body = await self.reader.read()
        return Reply(head.status, head.headers, body)

    async def head(self) -> Reply:
        """Read status and headers, and nothing of the body."""
        async with asyncio.timeout(SECONDS):
            try:
                text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            except asyncio.IncompleteReadError as error:
                raise EOFError(f"no answer, only {error.partial!r}") from error
        first, *rest = text[:-4].split("\r\n")
        pairs = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in rest))
        return Reply(int(first.split(" ")[1]), pairs, b"")

    async def chunk(self) -> bytes:
        """Read one chunk of a chunked answer; empty at its end."""
        async with asyncio.timeout(SECONDS):
            size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
            data = await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        return data

    async def _chunks(self) -> bytes:
        parts = []
        while part := await self.chunk():
            parts.append(part)
        return b"".join(parts)

    async def close(self) -> None:
        """Close it; whether the other side agrees does not matter."""
        self.writer.close()
        try:
            async with asyncio.timeout(SECONDS):
                await self.writer.wait_closed()
        except (OSError, TimeoutError):
            return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def exchange(
    data: bytes, port: int, *, tls: ssl.SSLContext | None = None, server_name: str | None = None
) -> Reply:
    """Send *data* on a connection of its own and return the answer."""
    async with await Connection.open(port, tls=tls, server_name=server_name) as connection:
        await connection.send(data)
        return await connection.reply()


def request(
    target: str,
    *,
    method: str = "GET",
    host: str = "gateway.test",
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes | None = None,
) -> bytes:
    """Return a well-formed request to start a bad one from; a *body* is given its length."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + (body or b"")


# HTTP/2, as far as a client without manners needs it: literal header fields, no Huffman coding, one stream.

_DIGITS = {"00000": "0", "00001": "1", "00010": "2"} | {format(25 + n, "06b"): str(3 + n) for n in range(7)}
_INDEXED = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def header_block(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return *headers* byte by byte as they are, never indexed (RFC 7541, 6.2.3)."""
    return b"".join(b"\x10" + _text(name) + _text(value) for name, value in headers)


def _text(data: bytes) -> bytes:
    if len(data) < 127:
        return bytes((len(data),)) + data
    rest, head = len(data) - 127, b"\x7f"
    while rest >= 128:
        head += bytes((rest % 128 + 128,))
        rest //= 128
    return head + bytes((rest,)) + data


def _status(block: bytes) -> int:
    """Return the status in *block*, which a server writes first."""
    while block[0] & 0xE0 == 0x20:
        block = block[1:]  # An update of the table's size.
    if block[0] & 0x80:
        return _INDEXED[block[0] & 0x7F]
    value = block[2 : 2 + (block[1] & 0x7F)]
    if not block[1] & 0x80:
        return int(value)
    bits, digits = "".join(format(byte, "08b") for byte in value), ""
    while len(digits) < 3:
        code = next(code for code in _DIGITS if bits.startswith(code))
        digits, bits = digits + _DIGITS[code], bits[len(code) :]
    return int(digits)


async def http2(
    connection: Connection, headers: tuple[tuple[bytes, bytes], ...], body: bytes | None = None
) -> int | None:
    """Send one request on a fresh connection; return the status, or None where stream or connection was ended."""
    block = header_block(headers)
    await connection.send(PREFACE + frame(4, 0, 0, b"") + frame(1, 4 if body is not None else 5, 1, block))
    if body is not None:
        await connection.send(frame(0, 1, 1, body))
    async with asyncio.timeout(SECONDS):
        try:
            while True:
                head = await connection.reader.readexactly(9)
                payload = await connection.reader.readexactly(int.from_bytes(head[:3], "big"))
                if head[3] == 1:
                    return _status(payload)
                if head[3] in {3, 7}:  # RST_STREAM, GOAWAY
                    return None
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

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

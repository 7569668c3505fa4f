"""Connections that become something else: invariant 18."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import pytest
import raw
from door import Door, Header
from recording_upstream import Arrived, response

EXEC: Final = "/api/v1/namespaces/default/pods/p/exec?command=true&stdout=1"
SWITCHED: Final = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
SPDY: Final[tuple[Header, ...]] = (("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("Content-Length", "0"))
SMUGGLED: Final = b"GET /api/v1/namespaces/kube-system/secrets?smuggled=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def upgrade(door: Door, agent: str, **claims: int) -> bytes:
    headers = (
        ("User-Agent", agent),
        ("Authorization", f"Bearer {door.issuer.token('olga', header=None, **claims)}"),
        *SPDY,
    )
    return raw.request(EXEC, method="POST", host="127.0.0.1", headers=headers)


def smuggled(door: Door) -> list[Arrived]:
    return [each for each in door.upstream.arrived if "smuggled" in each.target]


@pytest.mark.parametrize("status", [200, 400, 403, 404, 500])
async def test_invariant_18_a_refused_upgrade_leaves_no_connection(door: Door, status: int) -> None:
    """CVE-2018-1002105: what the client sends next is a request of its own, on no connection that was left over."""
    answer = response(status, {"kind": "Status"})
    with door.upstream.answering(lambda each: answer if each.values("upgrade") else None):
        async with await door.open() as connection:
            await connection.send(upgrade(door, f"refused-{status}"))
            assert (await connection.reply()).status == status
            try:
                await connection.send(SMUGGLED)
                second: int | None = (await connection.reply()).status
            except (EOFError, ConnectionError):
                second = None
        first = door.upstream.by_agent(f"refused-{status}")[0]
        others = [await door.ask("/version", token=door.issuer.token()) for _ in range(5)]

    assert second in {None, 401}
    assert smuggled(door) == []
    assert first.connection not in {each.arrived[0].connection for each in others}
    assert [each.target for each in door.upstream.arrived if each.connection == first.connection] == [EXEC]


@pytest.mark.parametrize(
    "protocol", ["h2c", "TLS/1.0", "foo", "websocket, h2c", "SPDY/3.1, foo", "spdy/2", "HTTP/2.0", ""]
)
async def test_invariant_18_only_two_protocols_are_upgraded_to(door: Door, protocol: str) -> None:
    """Refused, or forwarded as an ordinary request that asks for no upgrade."""
    with door.upstream.answering(lambda each: response(200, {}) if each.target == EXEC else None):
        asked = await door.ask(
            EXEC,
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("Upgrade", protocol),
            ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
            token=door.issuer.token(),
        )

    assert asked.status in {200, 400, 403, 426}
    for each in asked.arrived:
        assert (each.values("upgrade"), each.values("connection"), each.values("http2-settings")) == ([], [], [])


async def test_invariant_18_nothing_is_switched_to_that_was_not_asked_for(door: Door) -> None:
    """A 101 to an ordinary request makes no tunnel, and no client believes in one."""
    request = raw.request(
        "/version?switched=1", host="127.0.0.1", headers=(("Authorization", f"Bearer {door.issuer.token()}"),)
    )
    with door.upstream.answering(lambda each: SWITCHED if "switched" in each.target else None):
        async with await door.open() as connection:
            await connection.send(request)
            first = await connection.reply()
            try:
                await connection.send(SMUGGLED)
                second: int | None = (await connection.reply()).status
            except (EOFError, ConnectionError):
                second = None

    assert (first.status, second in {None, 401}) == (502, True)
    assert smuggled(door) == []


async def test_invariant_18_a_stream_ends_with_the_credential(door: Door) -> None:
    """Whoever asked once is not let in for ever: the expiry is looked at while the stream lives."""
    ends = int(time.time()) + 3
    with door.upstream.answering(lambda each: SWITCHED if each.values("upgrade") else None):
        async with await door.open() as connection:
            await connection.send(upgrade(door, "expiring", exp=ends))
            assert (await connection.head()).status == 101
            async with asyncio.timeout(10):
                assert await connection.reader.read() == b""

    assert ends - 1 <= time.time() <= ends + 4


async def test_invariant_18_bytes_of_a_stream_are_never_requests(door: Door) -> None:
    """Once switched, what looks like a request is payload, and no identity is written into it."""
    with door.upstream.answering(lambda each: SWITCHED if each.values("upgrade") else None):
        async with await door.open() as connection:
            await connection.send(upgrade(door, "payload"))
            assert (await connection.head()).status == 101
            await connection.send(SMUGGLED)
            async with asyncio.timeout(10):
                while not smuggled(door):  # noqa: ASYNC110 - another task's list
                    await asyncio.sleep(0.02)

    (payload,) = smuggled(door)
    assert payload.head == SMUGGLED
    door.upstream.arrived.remove(payload)

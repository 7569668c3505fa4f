"""The socket behind the data plane, with a real client."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tenantry.access.identity import Identity
from tenantry.access.identity_headers import identity_lines
from tenantry.access.requests import RequestInfo
from tenantry.gateway.protocol import SECRET_HEADER
from tenantry.gateway.server import GatewayServer, Handler, Responder


class _Noting:
    """Answers 204, and remembers of whom and what."""

    def __init__(self) -> None:
        self.asked: list[tuple[Identity, str | None]] = []

    async def handle(self, request: web.BaseRequest, identity: Identity, info: RequestInfo) -> web.StreamResponse:
        del request
        self.asked.append((identity, info.value("labelSelector")))
        return web.Response(status=204)


class _Endless:
    """Writes until the client leaves."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def handle(self, request: web.BaseRequest, identity: Identity, info: RequestInfo) -> web.StreamResponse:
        del identity, info
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"event\n")
                await asyncio.sleep(0)
        finally:
            self.ended.set()


async def test_a_client_that_leaves_a_watch_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Clients leave watches all the time, and the log is for what an operator has to do something about."""
    tmp_path.chmod(0o700)  # noqa: ASYNC240 - once, before anything runs
    endless = _Endless()

    async def route(info: RequestInfo) -> Handler:
        del info
        return endless

    path = tmp_path / "default.sock"
    headers = [(SECRET_HEADER, "word"), *identity_lines(Identity(user="alice"))]
    with caplog.at_level(logging.INFO):
        async with GatewayServer("word", Responder(messages={}, route=route)).serving(path):
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as client:
                answer = await client.get("http://x/api/v1/namespaces?watch=1", headers=headers)
                assert await answer.content.readline() == b"event\n"
                answer.close()
            async with asyncio.timeout(5):
                await endless.ended.wait()
    assert caplog.messages == []


async def test_a_user_in_a_thousand_groups_is_answered_and_so_is_a_long_selector(tmp_path: Path) -> None:
    """The HTTP library's own limits are below what the gateway takes from clients."""
    tmp_path.chmod(0o700)  # noqa: ASYNC240 - once, before anything runs
    noting = _Noting()

    async def route(info: RequestInfo) -> Handler:
        assert info.resource == "namespaces"
        return noting

    identity = Identity(user="alice", groups=tuple(f"department-{number}" for number in range(1000)))
    selector = ",".join(f"label-{number}!=x" for number in range(2000))
    headers = [(SECRET_HEADER, "word"), *identity_lines(identity)]
    path = tmp_path / "default.sock"
    async with (
        GatewayServer("word", Responder(messages={}, route=route)).serving(path),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as client,
        client.get(f"http://x/api/v1/namespaces?labelSelector={selector}", headers=headers) as answer,
    ):
        status = answer.status
    assert (status, noting.asked) == (204, [(identity, selector)])

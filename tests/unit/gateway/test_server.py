"""The socket behind the data plane, with a real client."""

from __future__ import annotations

from pathlib import Path

import aiohttp
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

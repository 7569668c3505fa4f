"""Python's side of the door: a Unix socket on which the data plane asks, and hands over what it can't answer itself."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import structlog
from aiohttp import web

from tenantry.access.identity import Identity
from tenantry.access.requests import RefusedRequestError, RequestInfo
from tenantry.foundation.errors import ConfigurationError, TenantryError
from tenantry.gateway.protocol import (
    ANSWER_HEADER,
    CREATED,
    IDENTIFY,
    MASKED,
    SECRET_HEADER,
    VERDICT,
    Answer,
    Lines,
    decode_lines,
    encode_lines,
    refusal,
)
from tenantry.gateway.repeated import identity_of, info_of
from tenantry.kube.errors import UnreachableError

_log = structlog.get_logger(__name__)

MESSAGE_BYTES: Final = 512 * 1024
"""Of a message of the script: a token, or the headers of somebody in many groups."""
MOST_HEADERS: Final = 10_000
"""Of a request that is handed over: one a group.  The data plane, the only client, has limits of its own."""
ANSWER_SECONDS: Final = 20.0
"""For a message of the script; it has given up by then."""

Ask = Callable[[Lines], Awaitable[Answer]]


class Handler(Protocol):
    """Answers requests that the data plane hands over."""

    async def handle(self, request: web.BaseRequest, identity: Identity, info: RequestInfo) -> web.StreamResponse:
        """Answer *request* of *identity*."""
        ...


Route = Callable[[RequestInfo], Awaitable[Handler]]
"""Says who answers a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """What one cluster's answers come from."""

    messages: Mapping[str, Ask]
    """By path: identify, verdict, masked, created."""
    route: Route


class GatewayServer:
    """What listens behind Envoy for one cluster."""

    def __init__(self, secret: str, responder: Responder) -> None:
        """Take the word by which the data plane is known, and what answers."""
        self._secret = secret.encode()
        self.responder = responder
        """May be exchanged while it serves: what has begun ends with what it began with."""

    @asynccontextmanager
    async def serving(self, path: Path) -> AsyncIterator[None]:
        """Serve on the Unix socket *path*, which its owner alone may open, while open."""
        server = web.Server(
            self._answer,
            access_log=None,
            keepalive_timeout=3600,
            max_headers=MOST_HEADERS,
            max_field_size=MESSAGE_BYTES,
            max_line_size=MESSAGE_BYTES,
        )
        listener = await asyncio.get_running_loop().create_unix_server(server, _socket(path), backlog=1024)
        try:
            yield
        finally:
            listener.close()
            await server.shutdown(timeout=1)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        # The folder is private already; this also stops what got there by another way than the script.
        if not hmac.compare_digest(request.headers.get(SECRET_HEADER, "").encode(), self._secret):
            return _response(refusal(403, "Forbidden", "this socket is the data plane's alone", token="Secret"))
        try:
            ask = self.responder.messages.get(request.path)
            if ask is not None:
                return _response(await self._message(ask, request))
            return await self._request(request)
        except ConnectionError:
            if request.transport is not None and not request.transport.is_closing():
                raise  # Not the client, and perhaps half an answer is out: the connection must end.
            return web.Response()  # The client left: nothing goes out.  Raised, it would be logged as an error.
        except Exception as error:  # noqa: BLE001 - a defect of ours must refuse, and be seen
            return _response(_refused(request.path, error))

    async def _message(self, ask: Ask, request: web.BaseRequest) -> Answer:
        if request.method != "POST":
            return refusal(405, "MethodNotAllowed", "messages are posted", token="Method")
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > MESSAGE_BYTES:
                return refusal(431, "RequestHeaderFieldsTooLarge", "the credential is too large", token="TooLarge")
        try:
            lines = decode_lines(bytes(body))
        except ValueError as error:
            return refusal(400, "BadRequest", str(error), token="Malformed")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await ask(lines)
        except TimeoutError:
            return _unavailable("the gateway could not decide in time; try again", "TimedOut")

    async def _request(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            lines = [(name.lower(), value) for name, value in request.headers.items()]
            identity = identity_of(tuple([line for line in lines if line[0].startswith("impersonate-")]))
        except ValueError as error:
            return _response(refusal(500, "InternalError", str(error), token="Identity"))
        info = info_of(request.method, request.raw_path)
        handler = await self.responder.route(info)
        return await handler.handle(request, identity, info)


_REASONS: Final = {400: "BadRequest", 404: "NotFound", 405: "MethodNotAllowed"}


def _refused(path: str, error: Exception) -> Answer:
    match error:
        case RefusedRequestError():
            return refusal(error.status, _REASONS.get(error.status, "BadRequest"), str(error), token=error.token)
        case UnreachableError():
            return _unavailable(f"the cluster's API server does not answer: {error}", "UpstreamUnreachable")
        case TenantryError():
            _log.warning("gateway.request_failed", path=path, error=str(error))
            return _unavailable("the gateway can not answer this now; try again", "Unavailable")
        case _:
            _log.error("gateway.defect", path=path, exc_info=error)
            return refusal(500, "InternalError", "the gateway failed; its log says why", token="Defect")


def _unavailable(message: str, token: str) -> Answer:
    return refusal(503, "ServiceUnavailable", message, token=token, retry_after_seconds=1)


def _response(answer: Answer) -> web.Response:
    headers = [*answer.headers, (ANSWER_HEADER, "1")]
    body = answer.body or encode_lines(answer.lines)
    return web.Response(status=answer.status, body=body, headers=headers)


def _socket(path: Path) -> str:
    """Return a path that is free, in a folder that its owner alone may enter."""
    if path.parent.stat().st_mode & 0o077:
        raise ConfigurationError(f"{path.parent} is open to others: give it mode 0700")
    path.unlink(missing_ok=True)
    return str(path)


def messages(*, identify: Ask, verdict: Ask, masked: Ask, created: Ask) -> dict[str, Ask]:
    """Return what is asked on which path."""
    return {IDENTIFY: identify, VERDICT: verdict, MASKED: masked, CREATED: created}

"""The HTTP edge: one POST is one review, and every POST gets an answer in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final, Protocol

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from tenantry.admission.reviews import Answer, MalformedReviewError, decoded_review, encoded_answer
from tenantry.foundation.codec import DecodeError
from tenantry.foundation.errors import TenantryError
from tenantry.tenancy.request import Request
from tenantry.tenancy.verdict import Denial

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""An object is at most 3 MiB in a request, and an UPDATE carries two."""
BODY_SECONDS: Final = 5.0
"""How long a body may take to arrive: nobody holds a connection open by trickling."""
ANSWER_SECONDS: Final = 9.0
"""Under the webhooks' time limit of 10 s, so that the client reads a reason instead of a time-out."""

_log = structlog.get_logger(__name__)
_JSON: Final = {"Content-Type": "application/json"}

Review = Callable[[str, Request], Awaitable[Answer]]
"""Answers the request that came to a path; raises UnknownPathError."""


class UnknownPathError(Exception):
    """No webhook is served at the path."""


class Meter(Protocol):
    """What is told about each review."""

    def started(self) -> None:
        """A review is being worked on."""
        ...

    def finished(self, path: str, verdict: str, seconds: float) -> None:
        """It is answered: ``allowed``, ``denied``, ``errored`` or ``malformed``."""
        ...


class ReviewServer:
    """Answers reviews over HTTP, on whatever sockets it is given to."""

    def __init__(self, review: Review, meter: Meter) -> None:
        self._review = review
        self._meter = meter
        self._is_draining = False

    def drain(self) -> None:
        """Ask every client to connect anew, which is to another replica: this one is about to stop.

        A connection that is closed while its client sends a request loses that request: the
        API server does not send a POST twice.  So each is closed by an answer that says so.
        """
        self._is_draining = True

    def protocol_factory(self) -> web.Server:
        """Return what aiohttp's runners serve."""
        return web.Server(self.answer, request_factory=_request, access_log=None, keepalive_timeout=120)

    async def answer(self, http: web.BaseRequest) -> web.Response:
        """Return the response to one HTTP request; only a lost connection raises."""
        if http.method != "POST":
            return web.Response(status=405, text="an AdmissionReview is sent by POST", headers={"Allow": "POST"})
        started = perf_counter()
        self._meter.started()
        verdict = "errored"
        try:
            verdict, response = await self._answered(http)
        finally:
            self._meter.finished(http.path, verdict, perf_counter() - started)
        if self._is_draining:
            response.force_close()
        return response

    async def _answered(self, http: web.BaseRequest) -> tuple[str, web.Response]:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await http.read()
            version, request = decoded_review(body)
        except TimeoutError:
            return "malformed", web.Response(status=408, text=f"the body did not arrive within {BODY_SECONDS:g} s")
        except web.HTTPRequestEntityTooLarge:
            return "malformed", web.Response(status=413, text=f"the body is larger than {MAX_BODY_BYTES} bytes")
        except (MalformedReviewError, web.RequestPayloadError) as error:
            return "malformed", web.Response(status=400, text=str(error))
        try:
            answer = await self._in_time(http.path, request)
        except UnknownPathError:
            return "malformed", web.Response(status=404, text=f"no webhook is served at {http.path}")
        return _verdict(answer), web.Response(body=encoded_answer(version, request.uid, answer), headers=_JSON)

    async def _in_time(self, path: str, request: Request) -> Answer:
        """Return the answer; what goes wrong becomes a refusal, for nothing may pass unjudged."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._review(path, request)
        except UnknownPathError:
            raise
        except DecodeError as error:
            which = f"{request.kind} {request.namespace}/{request.name}".replace(" /", " ")
            return _errored(422, f"{which} cannot be judged, it is not what its kind declares: {error}")
        except TimeoutError:
            _log.error("admission.too_slow", uid=request.uid, path=path, seconds=ANSWER_SECONDS)
            return _errored(
                503,
                f"the admission webhook could not decide within {ANSWER_SECONDS:g} s, the Kubernetes API is slow "
                f"to answer it: try again (request {request.uid})",
            )
        except TenantryError as error:
            _log.warning("admission.undecided", uid=request.uid, path=path, error=str(error))
            return _errored(
                503, f"the admission webhook could not read what it needs from the Kubernetes API, try again: {error}"
            )
        except Exception as error:  # noqa: BLE001  # whatever it is, an answer without it would be none
            _log.exception("admission.failed", uid=request.uid, path=path)
            return _errored(
                500, f"the admission webhook failed: {type(error).__name__}; its log has request {request.uid}"
            )


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=MAX_BODY_BYTES
    )


def _errored(code: int, message: str) -> Answer:
    return Answer(denial=Denial(reason="AdmissionFailed", message=message, event=False, code=code))


def _verdict(answer: Answer) -> str:
    if answer.denial is None:
        return "allowed"
    return "errored" if answer.denial.code >= 500 else "denied"

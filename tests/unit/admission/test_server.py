"""The HTTP edge, over real sockets: whatever happens inside, the API server gets an answer it understands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from tenantry.admission import server
from tenantry.admission.reviews import ALLOWED_ANSWER, Answer
from tenantry.admission.server import ReviewServer, UnknownPathError
from tenantry.foundation.codec import DecodeError
from tenantry.foundation.errors import UnavailableError
from tenantry.tenancy.request import Request
from tenantry.tenancy.verdict import Denial

REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "u-1",
        "operation": "CREATE",
        "kind": {"version": "v1", "kind": "Pod"},
        "resource": {"version": "v1", "resource": "pods"},
        "namespace": "solar-dev",
        "name": "web",
    },
}


@dataclass
class Meter:
    in_flight: int = 0
    verdicts: list[tuple[str, str]] = field(default_factory=list)

    def started(self) -> None:
        self.in_flight += 1

    def finished(self, path: str, verdict: str, seconds: float) -> None:
        assert seconds >= 0
        self.in_flight -= 1
        self.verdicts.append((path, verdict))


@asynccontextmanager
async def serving(
    review: Callable[[str, Request], Awaitable[Answer]], meter: Meter | None = None
) -> AsyncIterator[Callable[..., Awaitable[tuple[int, Any]]]]:
    runner = web.ServerRunner(ReviewServer(review, meter or Meter()).protocol_factory())
    await runner.setup()
    port = unused_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def post(path: str = "/pods", **what: Any) -> tuple[int, Any]:
            async with session.post(f"http://127.0.0.1:{port}{path}", **(what or {"json": REVIEW})) as response:
                is_json = response.content_type == "application/json"
                return response.status, await (response.json() if is_json else response.text())

        yield post
    await runner.cleanup()


def status(answer: dict[str, Any]) -> tuple[int, str]:
    return answer["response"]["status"]["code"], answer["response"]["status"]["message"]


async def test_an_answer_goes_back_under_the_uid_of_its_review() -> None:
    async def review(path: str, request: Request) -> Answer:
        return Answer(denial=Denial(reason="No", message=f"{path} {request.namespace}/{request.name}"))

    meter = Meter()
    async with serving(review, meter) as post:
        answers = [await post(), await post("/other")]

    assert [(code, body["response"]["uid"], *status(body)) for code, body in answers] == [
        (200, "u-1", 403, "/pods solar-dev/web"),
        (200, "u-1", 403, "/other solar-dev/web"),
    ]
    assert (meter.in_flight, meter.verdicts) == (0, [("/pods", "denied"), ("/other", "denied")])


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (DecodeError("Expected `object`, got `int` - at `$.spec`"), 422, "Pod solar-dev/web cannot be judged"),
        (UnavailableError("connection refused"), 503, "could not read what it needs"),
        (KeyError("a bug"), 500, "failed: KeyError; its log has request u-1"),
        (ExceptionGroup("several", [ValueError("x")]), 500, "failed: ExceptionGroup"),
    ],
)
async def test_what_goes_wrong_is_a_refusal_with_a_reason(error: Exception, code: int, words: str) -> None:
    async def review(_path: str, _request: Request) -> Answer:
        raise error

    async with serving(review) as post:
        http_status, body = await post()

    found_code, message = status(body)
    assert (http_status, body["response"]["allowed"], found_code, words in message) == (200, False, code, True), message


async def test_a_slow_decision_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ANSWER_SECONDS", 0.05)
    never = asyncio.Event()

    async def review(_path: str, _request: Request) -> Answer:
        await never.wait()
        return ALLOWED_ANSWER

    meter = Meter()
    async with serving(review, meter) as post:
        _, body = await post()

    code, message = status(body)
    assert (code, "could not decide within 0.05 s" in message, meter.verdicts) == (503, True, [("/pods", "errored")])


async def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.05)

    async def review(_path: str, _request: Request) -> Answer:
        return ALLOWED_ANSWER

    async def trickle() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(0.3)
        yield b"}"

    async with serving(review) as post:
        http_status, text = await post(data=trickle())

    assert (http_status, text) == (408, "the body did not arrive within 0.05 s")


async def test_unknown_paths_and_malformed_bodies_have_their_own_statuses() -> None:
    async def review(path: str, _request: Request) -> Answer:
        raise UnknownPathError(path)

    async with serving(review) as post:
        assert await post("/nowhere") == (404, "no webhook is served at /nowhere")
        assert (await post(data=b"{"))[0] == 400
        assert (await post(data=b"[" * 200_000))[0] == 400


async def test_a_thousand_reviews_at_once_are_all_answered() -> None:
    async def review(_path: str, _request: Request) -> Answer:
        await asyncio.sleep(0)
        return ALLOWED_ANSWER

    meter = Meter()
    async with serving(review, meter) as post:
        answers = await asyncio.gather(*(post() for _ in range(1000)))

    assert {(code, body["response"]["allowed"]) for code, body in answers} == {(200, True)}
    assert meter.in_flight == 0

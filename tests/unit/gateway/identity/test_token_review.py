"""Tokens are shown to the API server rarely, and its answer is read with care."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from tenantry.access.identity import Identity
from tenantry.access.refusals import CredentialError, Reason
from tenantry.gateway.identity import token_review
from tenantry.gateway.identity.token_review import CONCURRENT_REVIEWS, TokenReviews
from tenantry.gateway.settings import IdentitySettings
from tenantry.kube.client import Client

ALICE = {"authenticated": True, "user": {"username": "alice", "groups": ["devs", "system:authenticated"]}}
SETTINGS = IdentitySettings(review_seconds=60, refusal_seconds=3, stale_seconds=300)


@pytest.fixture
async def client(reviewing: Any) -> AsyncIterator[Client]:
    async with reviewing.client() as found:
        yield found


def reviews(client: Client, clock: Any, counting: Any, settings: IdentitySettings = SETTINGS) -> TokenReviews:
    return TokenReviews(client, settings, clock=clock, observer=counting)


async def why(found: TokenReviews, token: str = "good") -> Reason | None:  # noqa: S107
    try:
        await found.authenticate(token)
    except CredentialError as error:
        return error.why
    return None


async def test_the_whole_user_is_taken(client: Client, reviewing: Any, clock: Any, counting: Any) -> None:
    reviewing.tokens["good"] = {
        "authenticated": True,
        "user": {
            "username": "system:serviceaccount:a:b",
            "uid": "u-1",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated", ""],
            "extra": {"authentication.kubernetes.io/pod-name": ["p"], "Other": ["x", "y"]},
        },
    }
    found = await reviews(client, clock, counting).authenticate("good")
    assert found.identity == Identity(
        user="system:serviceaccount:a:b",
        uid="u-1",
        groups=("system:serviceaccounts", "system:serviceaccounts:a"),
        extra=(("authentication.kubernetes.io/pod-name", ("p",)), ("other", ("x", "y"))),
    )
    assert reviewing.asked == [{"token": "good"}]


async def test_a_thousand_requests_make_one_review(client: Client, reviewing: Any, clock: Any, counting: Any) -> None:
    reviewing.tokens["good"] = ALICE
    found = reviews(client, clock, counting)
    await asyncio.gather(*(found.authenticate("good") for _ in range(500)))
    for _ in range(500):
        await found.authenticate("good")
    assert len(reviewing.asked) == 1
    assert counting.told.count(("token_reviewed", "ok")) == 1
    assert counting.told.count(("looked_up", "tokens", True)) == 500


async def test_it_is_asked_again_in_time(client: Client, reviewing: Any, clock: Any, counting: Any) -> None:
    reviewing.tokens["good"] = ALICE
    found = reviews(client, clock, counting)
    await found.authenticate("good")
    del reviewing.tokens["good"]
    clock.seconds += 59.9
    assert await why(found) is None
    clock.seconds += 0.2
    assert await why(found) is Reason.TOKEN_REFUSED


async def test_a_refusal_is_remembered_shortly(client: Client, reviewing: Any, clock: Any, counting: Any) -> None:
    found = reviews(client, clock, counting)
    assert [await why(found), await why(found), len(reviewing.asked)] == [Reason.TOKEN_REFUSED] * 2 + [1]
    reviewing.tokens["good"] = ALICE
    clock.seconds += 3
    assert await why(found) is None


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"authenticated": False, "user": {"username": "alice"}},
        {"user": {"username": "alice"}},
        {"authenticated": True, "error": "webhook failed", "user": {"username": "alice"}},
        {"authenticated": True, "user": {"username": ""}},
        {"authenticated": True},
    ],
)
async def test_every_sign_must_say_yes(
    client: Client, reviewing: Any, clock: Any, counting: Any, status: dict[str, Any]
) -> None:
    reviewing.tokens["good"] = status
    assert await why(reviews(client, clock, counting)) is Reason.TOKEN_REFUSED


@pytest.mark.parametrize(
    ("audiences", "outcome"),
    [(["gateway"], None), (["x", "gateway"], None), (["x"], Reason.TOKEN_REFUSED), (None, Reason.TOKEN_REFUSED)],
)
async def test_the_audience_asked_for_must_be_confirmed(
    client: Client, reviewing: Any, clock: Any, counting: Any, audiences: list[str] | None, outcome: Reason | None
) -> None:
    reviewing.tokens["good"] = ALICE | ({"audiences": audiences} if audiences is not None else {})
    settings = IdentitySettings(token_audiences=("gateway",))
    assert await why(reviews(client, clock, counting, settings)) is outcome
    assert reviewing.asked == [{"token": "good", "audiences": ["gateway"]}]


async def test_known_tokens_hold_while_the_api_server_is_away(
    client: Client, reviewing: Any, clock: Any, counting: Any
) -> None:
    reviewing.tokens["good"] = ALICE
    found = reviews(client, clock, counting)
    await found.authenticate("good")
    reviewing.failure = 500
    clock.seconds += 60 + 299
    assert [await why(found), await why(found, "unknown")] == [None, Reason.REVIEW_UNAVAILABLE]
    clock.seconds += 2
    assert await why(found) is Reason.REVIEW_UNAVAILABLE


async def test_a_right_that_the_gateway_lacks_is_no_fault_of_the_token(
    client: Client, reviewing: Any, clock: Any, counting: Any
) -> None:
    found = reviews(client, clock, counting)
    reviewing.failure = 403
    assert await why(found) is Reason.REVIEW_UNAVAILABLE
    assert (found.problem() or "").startswith("the gateway's account may not review tokens")
    reviewing.failure = 0
    await why(found)
    assert found.problem() is None


async def test_it_is_found_out_when_the_right_is_there_again(
    client: Client, reviewing: Any, clock: Any, counting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token of anybody: none comes to a gateway that is not ready."""
    monkeypatch.setattr(token_review, "ASK_AGAIN_SECONDS", 0.01)
    found = reviews(client, clock, counting)
    reviewing.failure = 403
    assert await why(found) is Reason.REVIEW_UNAVAILABLE
    reviewing.failure = 0
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(found.run())
        while found.problem() is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        running.cancel()


async def test_reviews_at_once_are_bounded(client: Client, reviewing: Any, clock: Any, counting: Any) -> None:
    found = reviews(client, clock, counting)
    await asyncio.gather(*(why(found, f"token-{index}") for index in range(200)))
    assert len(reviewing.asked) == 200
    assert reviewing.busiest <= CONCURRENT_REVIEWS


async def test_an_expiry_ends_what_is_remembered(client: Client, reviewing: Any, clock: Any, counting: Any) -> None:
    expires = int(clock.now().timestamp()) + 10
    token = jwt.encode({"exp": expires}, "k" * 32, "HS256")
    reviewing.tokens[token] = ALICE
    found = reviews(client, clock, counting)
    assert (await found.authenticate(token)).expires == expires
    clock.seconds += 11
    assert await why(found, token) is Reason.EXPIRED


async def test_long_lived_tokens_can_be_refused(client: Client, reviewing: Any, clock: Any, counting: Any) -> None:
    """Such as the API server makes of projected ones, for a year (8.7.3); and such as never end."""
    now = int(clock.now().timestamp())
    short = jwt.encode({"iat": now, "exp": now + 600}, "k" * 32, "HS256")
    year = jwt.encode({"iat": now, "exp": now + 365 * 86400}, "k" * 32, "HS256")
    reviewing.tokens |= {short: ALICE, year: ALICE, "legacy": ALICE}
    found = reviews(client, clock, counting, IdentitySettings(token_lifetime_seconds=3600))
    assert [await why(found, token) for token in (short, year, "legacy")] == [
        None,
        Reason.TOO_LONG_LIVED,
        Reason.TOO_LONG_LIVED,
    ]

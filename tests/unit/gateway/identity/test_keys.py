"""Keys over time: kept while their server is away, never for ever, and gone once withdrawn."""

from __future__ import annotations

import asyncio
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tenantry.access.refusals import CredentialError, Reason
from tenantry.foundation.codec import encode
from tenantry.foundation.errors import UnavailableError
from tenantry.gateway.identity.keys import ASK_AGAIN_SECONDS, FRESH_SECONDS, IssuerKeys
from tenantry.gateway.identity.tokens import Key, Token, read_keys, read_token

STALE_SECONDS = 300.0
SECRETS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("one", "two")}


def published(*names: str, of: str | None = None) -> tuple[Key, ...]:
    """Keys under *names*; *of* puts another key under them."""
    return read_keys(
        encode(
            {
                "keys": [
                    {**ECAlgorithm.to_jwk(SECRETS[of or name].public_key(), as_dict=True), "kid": name}
                    for name in names
                ]
            }
        )
    )


def signed(name: str, by: str | None = None) -> Token:
    return read_token(jwt.encode({"iss": "x"}, SECRETS[by or name], "ES256", headers={"kid": name}))


class Server:
    """A key server as a test wants it."""

    def __init__(self) -> None:
        self.keys = published("one")
        self.is_away = False
        self.fetches = 0

    async def fetch(self) -> tuple[Key, ...]:
        self.fetches += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise UnavailableError("connection refused")
        return self.keys


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def withdrawals() -> list[str]:
    return []


@pytest.fixture
def keys(server: Server, clock: Any, counting: Any, withdrawals: list[str]) -> IssuerKeys:
    return IssuerKeys(
        "https://issuer",
        server.fetch,
        clock=clock,
        stale_seconds=STALE_SECONDS,
        observer=counting,
        on_withdrawn=lambda: withdrawals.append("withdrawn"),
    )


async def why(keys: IssuerKeys, token: Token) -> Reason | None:
    try:
        await keys.verify(token)
    except CredentialError as error:
        return error.why
    return None


async def test_keys_that_were_never_had_are_the_issuers_fault(
    keys: IssuerKeys, server: Server, counting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenantry.gateway.identity.keys.FIRST_SECONDS", 0.01)
    server.is_away = True
    await keys.refresh()
    assert await why(keys, signed("one")) is Reason.KEYS_UNAVAILABLE
    assert keys.problem() == "the keys of issuer https://issuer are not to be had: connection refused"
    assert counting.told == [("keys_fetched", "https://issuer", "failed")]


async def test_a_request_waits_for_the_very_first_keys(keys: IssuerKeys) -> None:
    verdict = asyncio.ensure_future(why(keys, signed("one")))
    await asyncio.sleep(0)
    await keys.refresh()
    assert await verdict is None
    assert keys.problem() is None


async def test_the_last_good_keys_hold_while_their_server_is_away(keys: IssuerKeys, server: Server, clock: Any) -> None:
    await keys.refresh()
    server.is_away = True
    clock.seconds += FRESH_SECONDS + STALE_SECONDS - 1
    await keys.refresh()
    assert await why(keys, signed("one")) is None
    clock.seconds += 2
    assert await why(keys, signed("one")) is Reason.KEYS_UNAVAILABLE


async def test_an_unknown_key_is_refused_while_the_server_is_away(keys: IssuerKeys, server: Server, clock: Any) -> None:
    await keys.refresh()
    server.is_away = True
    clock.seconds += ASK_AGAIN_SECONDS
    assert await why(keys, signed("two")) is Reason.UNKNOWN_KEY


async def test_a_new_key_is_fetched_at_once(keys: IssuerKeys, server: Server, clock: Any) -> None:
    await keys.refresh()
    server.keys = published("one", "two")
    clock.seconds += ASK_AGAIN_SECONDS
    assert [await why(keys, signed("two")), await why(keys, signed("one"))] == [None, None]


async def test_a_new_key_under_an_old_name_is_fetched_at_once(keys: IssuerKeys, server: Server, clock: Any) -> None:
    await keys.refresh()
    server.keys = published("one", of="two")
    clock.seconds += ASK_AGAIN_SECONDS
    assert await why(keys, signed("one", by="two")) is None


async def test_unknown_keys_make_few_fetches(keys: IssuerKeys, server: Server, clock: Any) -> None:
    await keys.refresh()
    clock.seconds += ASK_AGAIN_SECONDS
    verdicts = await asyncio.gather(*(why(keys, signed("two")) for _ in range(20)))
    assert set(verdicts) == {Reason.UNKNOWN_KEY}
    await why(keys, signed("two"))
    assert server.fetches == 2


async def test_a_forged_signature_is_told_from_an_unknown_key(keys: IssuerKeys) -> None:
    await keys.refresh()
    assert await why(keys, signed("one", by="two")) is Reason.BAD_SIGNATURE


async def test_a_withdrawn_key_is_refused_and_told(keys: IssuerKeys, server: Server, withdrawals: list[str]) -> None:
    server.keys = published("one", "two")
    await keys.refresh()
    await keys.refresh()
    assert withdrawals == []
    server.keys = published("two")
    await keys.refresh()
    assert (await why(keys, signed("one")), withdrawals) == (Reason.UNKNOWN_KEY, ["withdrawn"])


async def test_keys_that_got_too_old_are_withdrawn(
    keys: IssuerKeys, server: Server, clock: Any, withdrawals: list[str]
) -> None:
    await keys.refresh()
    server.is_away = True
    clock.seconds += FRESH_SECONDS + STALE_SECONDS
    task = asyncio.ensure_future(keys.run())
    while not withdrawals:  # noqa: ASYNC110 - the loop itself is what is tested
        await asyncio.sleep(0)
    task.cancel()
    assert keys.problem() == "the keys of issuer https://issuer are not to be had: connection refused"

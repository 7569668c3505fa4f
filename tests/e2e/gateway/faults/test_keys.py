"""The key server of an issuer goes away: who can be known is let in, nobody else, nobody is sent to log in (8.7.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest_asyncio
from breakable_gateway import UNAVAILABLE, BreakableGateway, User, until
from issuer import Issuer

from tenantry.testing.link import Link
from tenantry.testing.world import World

Make = Callable[..., Awaitable[BreakableGateway]]
PATH = "/apis/authentication.k8s.io/v1"


@pytest_asyncio.fixture(loop_scope="session")
async def issuer(tmp_path: Path) -> AsyncIterator[tuple[Issuer, Link]]:
    """An identity provider, and the way to it."""
    issuer = await Issuer.start(tmp_path)
    async with Link(int(issuer.url.rpartition(":")[2])) as link:
        issuer.move(link.port)
        yield issuer, link
    await issuer.stop()


async def test_last_good_keys_serve_while_their_server_is_away(issuer: tuple[Issuer, Link], broken: Make) -> None:
    """8.7.2: users known and new, but no key that was never seen, and no token that is over."""
    provider, link = issuer
    gateway = await broken(identity={"authenticationConfiguration": str(provider.configuration), "freshSeconds": 1})
    async with _with(gateway, provider.token("olga")) as olga:
        assert (await olga.get(PATH)).status == 200
        await link.cut()
        tokens = {
            provider.token("olga"): 200,
            provider.token("newcomer"): 200,
            provider.token("olga", header={"kid": "unseen"}): 401,
            provider.token("olga", exp=1): 401,
            provider.by_shared_secret(): 401,
        }
        for token, status in tokens.items():
            async with _with(gateway, token) as user:
                answer = await user.get(PATH)
                assert answer.status == status, answer
        assert (await gateway.readiness())[0] == 200


async def test_keys_that_were_never_had_are_a_503_until_they_are(
    issuer: tuple[Issuer, Link], broken: Make, world: World
) -> None:
    """Not ready, and the issuer is named; others get in, and what was waited for is taken up."""
    provider, link = issuer
    await link.cut()
    gateway = await broken(identity={"authenticationConfiguration": str(provider.configuration)}, is_started=False)
    await gateway.gateway.run()
    await until(lambda: _waits_for(gateway, provider.url))
    async with _with(gateway, provider.token()) as olga, gateway.client(world.unique("user")) as carol:
        assert (await olga.get(PATH)).outage == UNAVAILABLE
        await until(lambda: _is(carol, 200))
        link.mend()
        await gateway.gateway.wait_ready()
        assert (await olga.get(PATH)).status == 200
    reasons = {record["reason"] for record in gateway.records if record.get("code") == 503}
    assert "KeysUnavailable" in reasons


def _with(gateway: BreakableGateway, token: str) -> User:
    return User(gateway.gateway.bearer(token, name=f"bearer-{hash(token)}"))


async def _is(user: User, status: int) -> bool:
    return await user.status(PATH) == status


async def _waits_for(gateway: BreakableGateway, issuer: str) -> bool:
    status, text = await gateway.readiness()
    return status == 503 and "is starting" not in text and f"the keys of issuer {issuer} are not to be had" in text

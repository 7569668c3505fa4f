"""Memory is bounded in size and time, and one question is asked once."""

from __future__ import annotations

import asyncio

import pytest

from tenantry.gateway.caching import SingleFlight, TimedCache


def test_an_entry_ends_at_its_time() -> None:
    cache: TimedCache[str, int] = TimedCache(2)
    cache.put("a", 1, until=10)
    assert [cache.get("a", 9.9), cache.get("a", 10), cache.get("a", 5), cache.get("b", 0)] == [1, None, None, None]


def test_the_least_recently_used_goes_first() -> None:
    cache: TimedCache[str, int] = TimedCache(2)
    cache.put("a", 1, until=10)
    cache.put("b", 2, until=10)
    cache.get("a", 0)
    cache.put("c", 3, until=10)
    assert [cache.get(key, 0) for key in "abc"] == [1, None, 3]
    assert len(cache) == 2


def test_what_is_dropped_is_forgotten() -> None:
    cache: TimedCache[str, int] = TimedCache(2)
    cache.put("a", 1, until=10)
    cache.drop("a")
    cache.drop("never there")
    assert cache.get("a", 0) is None


async def test_all_who_ask_at_once_get_one_answer() -> None:
    flight: SingleFlight[str, int] = SingleFlight()
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return 42

    assert await asyncio.gather(*(flight.do("key", ask) for _ in range(50))) == [42] * 50
    assert asked == 1
    assert not flight.is_busy("key")


async def test_all_who_ask_at_once_get_one_error() -> None:
    flight: SingleFlight[str, int] = SingleFlight()

    async def ask() -> int:
        await asyncio.sleep(0)
        raise KeyError("gone")

    outcomes = await asyncio.gather(*(flight.do("key", ask) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [KeyError] * 3


async def test_one_who_goes_away_takes_no_answer_along() -> None:
    """Whoever asked is cancelled; the next in line asks again."""
    flight: SingleFlight[str, int] = SingleFlight()
    hangs = asyncio.Event()
    answers = [hangs.wait, None]

    async def ask() -> int:
        wait = answers.pop(0)
        if wait is not None:
            await wait()
        return 42

    first = asyncio.ensure_future(flight.do("key", ask))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(flight.do("key", ask))
    await asyncio.sleep(0)
    assert flight.is_busy("key")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second == 42


async def test_one_who_stops_waiting_leaves_the_others_alone() -> None:
    flight: SingleFlight[str, int] = SingleFlight()
    goes_on = asyncio.Event()

    async def ask() -> int:
        await goes_on.wait()
        return 42

    first = asyncio.ensure_future(flight.do("key", ask))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(flight.do("key", ask))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    goes_on.set()
    assert await first == 42

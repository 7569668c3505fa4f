"""Rights of others: asked in parallel, bounded, remembered; a doubt is no yes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tenantry.access.identity import Identity
from tenantry.access.reviews import ResourceAttributes
from tenantry.gateway.access_reviews import CONCURRENT_REVIEWS, AccessReviews
from tenantry.kube.errors import ForbiddenError

ALICE = Identity(user="alice", groups=("devs",), uid="u", extra=(("example.org/a", ("b",)),))


def group(name: str) -> ResourceAttributes:
    return ResourceAttributes(verb="impersonate", version="v1", resource="groups", name=name)


@pytest.fixture
async def access(reviewing: Any, clock: Any, counting: Any) -> AsyncIterator[AccessReviews]:
    async with reviewing.client() as client:
        yield AccessReviews(client, clock, observer=counting)


async def test_the_whole_identity_is_asked_about(access: AccessReviews, reviewing: Any) -> None:
    assert await access.first_denied(ALICE, [group("ops")]) is None
    assert reviewing.asked == [
        {
            "resourceAttributes": {"verb": "impersonate", "version": "v1", "resource": "groups", "name": "ops"},
            "user": "alice",
            "groups": ["devs", "system:authenticated"],
            "uid": "u",
            "extra": {"example.org/a": ["b"]},
        }
    ]


async def test_three_hundred_groups_are_asked_about_side_by_side(access: AccessReviews, reviewing: Any) -> None:
    groups = [group(f"g{index}") for index in range(300)]
    assert await access.first_denied(ALICE, groups) is None
    assert await access.first_denied(ALICE, groups) is None
    assert len(reviewing.asked) == 300
    assert 1 < reviewing.busiest <= CONCURRENT_REVIEWS


async def test_the_first_denied_one_is_named(access: AccessReviews, reviewing: Any) -> None:
    reviewing.denied = {"b", "c"}
    assert await access.first_denied(ALICE, [group("a"), group("b"), group("c")]) == group("b")


async def test_answers_are_asked_for_again_in_time(access: AccessReviews, reviewing: Any, clock: Any) -> None:
    await access.first_denied(ALICE, [group("a")])
    reviewing.denied = {"a"}
    clock.seconds += 4
    assert await access.first_denied(ALICE, [group("a")]) is None
    clock.seconds += 2
    assert await access.first_denied(ALICE, [group("a")]) == group("a")
    reviewing.denied = set()
    clock.seconds += 4
    assert await access.first_denied(ALICE, [group("a")]) is None


async def test_no_answer_is_no_yes(access: AccessReviews, reviewing: Any) -> None:
    reviewing.failure = 403
    with pytest.raises(ForbiddenError):
        await access.first_denied(ALICE, [group("a"), group("b")])

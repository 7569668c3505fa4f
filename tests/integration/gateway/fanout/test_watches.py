"""Watches over all namespaces, from a real API server (R-032; 8.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tenantry.access.identity import Identity
from tenantry.gateway.settings import Limits
from tenantry.kube.resources import CONFIG_MAPS, ROLE_BINDINGS
from tenantry.testing.link import Link

from .conftest import MAPS, TABLE, WATCH_LIST, Place

Eventually = Callable[[Callable[[], Any]], Coroutine[Any, Any, None]]


async def version_of(place: Place) -> str:
    found: str = (await place.door.list(place.user, MAPS))["metadata"]["resourceVersion"]
    return found


async def test_changes_of_all_namespaces_come_in_the_order_they_were_made(place: Place) -> None:
    async with place.door.watch(place.user, f"{MAPS}&watch=1&resourceVersion={await version_of(place)}") as watch:
        made = [await place.add_map(place.namespaces[number % 3], f"m{number}") for number in range(30)]
        events = [await watch.next() for _ in made]
        assert [int(event["object"]["metadata"]["resourceVersion"]) for event in events] == made
        await place.admin.patch(
            CONFIG_MAPS, "m0", place.namespaces[0], patch={"metadata": {"labels": {"x": "2"}}}, kind="merge"
        )
        await place.admin.delete(CONFIG_MAPS, "m1", place.namespaces[1])
        # What leaves the selection is DELETED to this watch (invariant 11).
        assert await watch.told(2) == [("DELETED", "m0"), ("DELETED", "m1")]


async def test_initial_events_end_with_one_bookmark_for_all(place: Place) -> None:
    lowest = await place.add_map(place.namespaces[2], "c")
    await place.add_map(place.namespaces[0], "a")
    async with place.door.watch(place.user, f"{MAPS}&{WATCH_LIST}") as watch:
        events = [await watch.next() for _ in range(3)]
        assert {event["object"]["metadata"].get("name") for event in events[:2]} == {"a", "c"}
        assert events[2]["type"] == "BOOKMARK"
        assert events[2]["object"]["kind"] == "ConfigMap"
        assert events[2]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        version = int(events[2]["object"]["metadata"]["resourceVersion"])
        assert version > lowest
        await place.add_map(place.namespaces[1], "b")
        assert await watch.told(1) == [("ADDED", "b")]
    assert max(given() for given in place.knowledge.given) > version


@pytest.mark.parametrize("accept", ["application/json", TABLE])
async def test_no_initial_events_at_all_end_as_well(place: Place, accept: str) -> None:
    """Nothing may be read: the client must not wait for ever."""
    place.knowledge.versions[place.user] = 9
    async with place.door.watch(place.user, f"/api/v1/secrets?{WATCH_LIST}", accept) as watch:
        event = await watch.next()
        assert (event["type"], event["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", "9")
    place.knowledge.shows(place.user)
    async with place.door.watch(place.user, f"{MAPS}&{WATCH_LIST}") as watch:
        assert await watch.told(1) == [("BOOKMARK", "END")]


async def test_tables_are_watched(place: Place) -> None:
    await place.add_map(place.namespaces[0], "a")
    async with place.door.watch(place.user, f"{MAPS}&watch=1", TABLE) as watch:
        event = await watch.next()
        assert (event["object"]["kind"], event["object"]["rows"][0]["cells"][0]) == ("Table", "a")
        assert event["object"]["columnDefinitions"]


async def test_a_namespace_that_is_granted_brings_its_objects(place: Place, unique: Callable[[str], str]) -> None:
    """R-031: ADDED, then a bookmark that sets the client's version right."""
    new = unique("granted")
    await place.add_namespace(new, role=None)
    await place.add_map(new, "old")
    async with place.door.watch(place.user, f"{MAPS}&{WATCH_LIST}") as watch:
        assert await watch.told(1) == [("BOOKMARK", "END")]
        place.knowledge.shows(place.user, *place.namespaces, new)
        await place.bind(new)
        assert await watch.told(2) == [("ADDED", "old"), ("BOOKMARK", "")]
        await place.add_map(new, "later")
        await place.add_map(place.namespaces[0], "elsewhere")
        assert await watch.told(2) == [("ADDED", "later"), ("ADDED", "elsewhere")]
        assert place.fanout.upstream_watches == 4
    await asyncio.sleep(0)


async def test_a_namespace_that_is_revoked_makes_the_client_list_again(place: Place) -> None:
    await place.add_map(place.namespaces[0], "a")
    async with place.door.watch(place.user, f"{MAPS}&{WATCH_LIST}") as watch:
        assert await watch.told(2) == [("ADDED", "a"), ("BOOKMARK", "END")]
        place.knowledge.shows(place.user, *place.namespaces[1:])
        event = await watch.next()
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await watch.next() is None
    assert (await place.door.list(place.user, MAPS))["items"] == []


async def test_a_namespace_that_rbac_closed_and_nobody_could_read_goes_without_a_word(place: Place) -> None:
    await place.admin.delete(ROLE_BINDINGS, "reader", place.namespaces[0])
    async with place.door.watch(place.user, f"{MAPS}&{WATCH_LIST}") as watch:
        assert await watch.told(1) == [("BOOKMARK", "END")]
        place.knowledge.shows(place.user, *place.namespaces[1:])
        await place.add_map(place.namespaces[1], "b")
        assert await watch.told(1) == [("ADDED", "b")]


async def test_whoever_is_not_filtered_any_more_starts_again(place: Place) -> None:
    async with place.door.watch(place.user, f"{MAPS}&watch=1") as watch:
        place.knowledge.forgets(place.user)
        assert (await watch.end())["object"]["code"] == 410


async def test_a_resume_from_before_a_change_of_the_view_is_expired(place: Place) -> None:
    version = await version_of(place)
    place.knowledge.versions[place.user] = int(version) + 1
    async with place.door.watch(place.user, f"{MAPS}&watch=1&resourceVersion={version}") as watch:
        assert (await watch.end())["object"]["code"] == 410
    place.knowledge.versions[place.user] = int(version)
    await place.add_map(place.namespaces[0], "a")
    async with place.door.watch(place.user, f"{MAPS}&watch=1&resourceVersion={version}") as watch:
        assert await watch.told(1) == [("ADDED", "a")]


async def test_the_api_servers_refusals_are_the_clients(place: Place) -> None:
    assert (await place.door.get(place.user, f"{MAPS}&watch=1&sendInitialEvents=true"))[0] == 422
    assert (await place.door.get(place.user, "/api/v1/configmaps?watch=1&labelSelector=x+in"))[0] == 400
    assert (await place.door.get(place.user, f"{MAPS}&watch=1&timeoutSeconds=x"))[0] == 400
    place.knowledge.shows(place.user)
    assert (await place.door.get(place.user, f"/api/v1/nonsense?{WATCH_LIST}"))[0] == 404
    status, body = await place.door.get(place.user, f"{MAPS}&watch=1", "application/vnd.kubernetes.protobuf")
    assert (status, body["reason"]) == (406, "NotAcceptable")


async def test_a_watch_lasts_as_long_as_asked(place: Place) -> None:
    async with place.door.watch(place.user, f"{MAPS}&watch=1&timeoutSeconds=1") as watch:
        assert await watch.next() is None


async def test_the_old_watch_path_is_one_too(place: Place) -> None:
    await place.add_map(place.namespaces[0], "a")
    async with place.door.watch(place.user, "/api/v1/watch/configmaps?labelSelector=x%3D1") as watch:
        assert await watch.told(1) == [("ADDED", "a")]


async def test_a_broken_part_goes_on_where_it_was(place: Place, link: Link) -> None:
    """The connections to the API server break; the client's stream stays, and misses nothing."""
    async with place.door.watch(place.user, f"{MAPS}&watch=1&resourceVersion={await version_of(place)}") as watch:
        await place.add_map(place.namespaces[0], "before")
        assert await watch.told(1) == [("ADDED", "before")]
        await link.cut()
        await place.add_map(place.namespaces[1], "meanwhile")
        await asyncio.sleep(0.3)
        link.mend()
        await place.add_map(place.namespaces[2], "after")
        assert sorted(await watch.told(2)) == [("ADDED", "after"), ("ADDED", "meanwhile")]


async def test_a_part_that_stays_away_ends_the_stream_with_410(place: Place, link: Link) -> None:
    async with place.door.watch(place.user, f"{MAPS}&watch=1&resourceVersion={await version_of(place)}") as watch:
        await link.cut()
        event = await watch.end()
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


async def test_locks_end_streams_at_once(place: Place, eventually: Eventually) -> None:
    async with place.door.watch(place.user, f"{MAPS}&watch=1") as watch:
        assert place.fanout.end_streams(lambda who: who == Identity(user="other")) == 0
        assert place.fanout.end_streams(lambda who: who == Identity(user=place.user)) == 1
        with pytest.raises(Exception, match=r"."):
            assert await watch.next() is not None
    await eventually(lambda: place.fanout.upstream_watches == 0)


async def test_a_client_that_leaves_gives_its_upstream_watches_back(place: Place, eventually: Eventually) -> None:
    async with place.door.watch(place.user, f"{MAPS}&watch=1"):
        assert place.fanout.upstream_watches == 3
    await eventually(lambda: place.fanout.upstream_watches == 0)


class TestBounds:
    """Upstream watches are counted before they are opened."""

    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(watch_namespaces=3, upstream_watches=5)

    async def test_too_many_in_all_are_refused_for_now(self, place: Place, eventually: Eventually) -> None:
        async with place.door.watch(place.user, f"{MAPS}&watch=1"):
            headers = {"x-user": place.user}
            async with place.door.session.get(place.door.url(f"{MAPS}&watch=1"), headers=headers) as response:
                assert (response.status, response.headers["retry-after"]) == (429, "5")
                assert "upstreamWatches" in (await response.json())["message"]
        await eventually(lambda: place.fanout.upstream_watches == 0)

    async def test_too_many_namespaces_are_refused(self, place: Place) -> None:
        place.knowledge.shows(place.user, *place.namespaces, "one-more")
        status, body = await place.door.get(place.user, f"{MAPS}&watch=1")
        assert (status, body["reason"]) == (429, "TooManyRequests")
        assert "4 namespaces" in body["message"]

    async def test_a_stream_that_would_grow_past_them_ends(self, place: Place) -> None:
        async with place.door.watch(place.user, f"{MAPS}&watch=1") as watch:
            place.knowledge.shows(place.user, *place.namespaces, "one-more")
            assert (await watch.end())["object"]["code"] == 410


async def test_a_slow_reader_is_left_and_holds_no_more_than_a_buffer(
    place: Place, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr("tenantry.gateway.fanout.watching.WRITE_SECONDS", 1.0)
    for number in range(20):
        body = {"metadata": {"name": f"big{number}", "labels": {"x": "1"}}, "data": {"x": "y" * 900_000}}
        await place.admin.create(CONFIG_MAPS, body, place.namespaces[number % 3])
    url = place.door.url(f"{MAPS}&{WATCH_LIST}")
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
    request = f"GET {url.raw_path_qs} HTTP/1.1\r\nHost: x\r\nx-user: {place.user}\r\n\r\n"
    writer.write(request.encode())
    await reader.readline()
    await eventually(lambda: place.fanout.upstream_watches == 3)
    await eventually(lambda: place.fanout.upstream_watches == 0)
    writer.close()

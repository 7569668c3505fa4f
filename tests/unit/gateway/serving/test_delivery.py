"""Events to watchers: a client that follows them knows what a client that lists does."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tenantry.access.identity import Identity
from tenantry.access.sight import Rule, Sight
from tenantry.foundation.codec import decode
from tenantry.gateway.serving.audiences import Audience
from tenantry.gateway.serving.delivery import Delivery
from tenantry.gateway.serving.formats import OBJECTS, Format
from tenantry.gateway.serving.interfaces import NoCounters
from tenantry.gateway.serving.items import Cutter, TablePage
from tenantry.gateway.serving.kinds import Kind
from tenantry.gateway.serving.label_selectors import parsed_labels
from tenantry.gateway.serving.selections import ALL, Selection
from tenantry.gateway.serving.shelf import Shelf
from tenantry.gateway.serving.visible import Visible
from tenantry.gateway.serving.watchers import QUEUE_BYTES, Watcher

KIND = Kind(group="", version="v1", plural="namespaces", kind="Namespace", list_kind="NamespaceList")
CUTTER = Cutter(KIND)
ALICE = Identity(user="alice")
KEYS = frozenset({"User:alice"})
RED = Selection(labels=parsed_labels("colour=red"))


class Line:
    """A connection whose other end reads as much as it wants."""

    def __init__(self, *, reads: bool = True) -> None:
        self.sent = b""
        self.is_cut = False
        self._reads = reads

    def write(self, data: bytes) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return 0 if self._reads else len(self.sent)

    def is_closing(self) -> bool:
        return self.is_cut

    def abort(self) -> None:
        self.is_cut = True

    def events(self) -> list[Any]:
        """Return the events, out of their chunks."""
        events, rest = [], self.sent
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            events.append(json.loads(rest[: int(size, 16)]))
            rest = rest[int(size, 16) + 2 :]
        return events


class Room:
    """A kind with three objects, and one watcher of alice's."""

    def __init__(self, sight: Sight, selection: Selection = ALL, fmt: Format = OBJECTS, *, reads: bool = True) -> None:
        self.shelf = Shelf()
        self.visible = Visible(self.shelf)
        self.shelf.columns = b'[{"name":"Name","type":"string"}]'
        self.delivery = Delivery(lambda: KIND, self.shelf, self.visible, NoCounters())
        self.shelf.restart([self.item(name, 1, "red") for name in "abc"], 10)
        self.line = Line(reads=reads)
        self.watcher = Watcher(ALICE, self.line, since=10, has_bookmarks=True)
        self.delivery.add(self.watcher, Audience(sight, selection, fmt), KEYS)
        self.watcher.taken()
        self.watcher.go_live()

    @staticmethod
    def item(name: str, version: int, colour: str) -> Any:
        metadata = {"name": name, "resourceVersion": str(version), "labels": {"colour": colour}}
        whole = {"kind": "Namespace", "apiVersion": "v1", "metadata": metadata}
        row = {"cells": [name], "object": whole}
        page = decode(json.dumps({"rows": [row]}, separators=(",", ":")), TablePage)
        assert page.rows is not None
        return CUTTER.item(page.rows[0])

    def take(self, kind: Any, name: str, colour: str = "red") -> None:
        self.shelf.take(kind, self.item(name, self.shelf.version + 1, colour))

    def told(self) -> list[tuple[str, str, str]]:
        return [
            (event["type"], event["object"]["metadata"].get("name", ""), event["object"]["metadata"]["resourceVersion"])
            for event in self.line.events()
        ]


async def test_only_what_is_seen_is_told() -> None:
    room = Room(Sight(names=frozenset({"a", "new"})))

    room.take("MODIFIED", "b")
    room.take("MODIFIED", "a")
    room.take("ADDED", "new")
    room.take("DELETED", "a")
    room.shelf.bookmark(20)

    assert room.told() == [
        ("MODIFIED", "a", "12"),
        ("ADDED", "new", "13"),
        ("DELETED", "a", "14"),
        ("BOOKMARK", "", "20"),
    ]


async def test_what_leaves_the_selectors_is_deleted_at_the_version_of_the_change() -> None:
    room = Room(Sight(everything=True), RED)

    room.take("MODIFIED", "a", "blue")
    room.take("MODIFIED", "a", "blue")
    room.take("DELETED", "a", "blue")
    room.take("ADDED", "a", "red")

    assert room.told() == [("DELETED", "a", "11"), ("ADDED", "a", "14")]
    assert room.line.events()[0]["object"]["metadata"]["labels"] == {"colour": "red"}


async def test_a_new_sight_is_told_as_the_difference_and_a_bookmark() -> None:
    room = Room(Sight(names=frozenset({"a", "b"})))
    room.shelf.bookmark(20)

    room.delivery.move(ALICE, Sight(names=frozenset({"b", "c"})))
    room.delivery.move(ALICE, Sight(names=frozenset({"b", "c"})))
    room.take("MODIFIED", "a")
    room.take("MODIFIED", "c")

    assert room.told()[1:] == [
        ("DELETED", "a", "20"),
        ("ADDED", "c", "1"),
        ("BOOKMARK", "", "20"),
        ("MODIFIED", "c", "22"),
    ]


async def test_a_table_s_columns_come_with_the_first_event_alone() -> None:
    room = Room(Sight(everything=True), fmt=Format("table"))
    room.take("MODIFIED", "a")
    room.take("MODIFIED", "b")

    assert [event["object"]["columnDefinitions"] for event in room.line.events()] == [
        [{"name": "Name", "type": "string"}],
        None,
    ]


async def test_a_client_that_does_not_read_is_let_go() -> None:
    """8.3: the queue is bounded."""
    room = Room(Sight(everything=True), reads=False)
    while not room.watcher.ended.done():
        room.take("MODIFIED", "a", "red" * 10_000)
        assert len(room.line.sent) <= QUEUE_BYTES + 40_000

    assert room.line.is_cut


async def test_a_client_that_does_not_take_what_there_was_is_let_go() -> None:
    line = Line()
    watcher = Watcher(ALICE, line, since=0, has_bookmarks=False)
    watcher.begin([b"x" * (2 * QUEUE_BYTES)])
    watcher.send(b"y" * QUEUE_BYTES)
    assert not watcher.ended.done()
    watcher.send(b"y")
    assert (watcher.ended.done(), line.is_cut) == (True, True)


async def test_nothing_is_left_of_a_watcher_that_ends() -> None:
    room = Room(Sight(names=frozenset({"a"})))
    room.delivery.remove(room.watcher)
    room.delivery.remove(room.watcher)
    room.take("MODIFIED", "a")

    delivery = room.delivery
    assert (room.told(), len(delivery), delivery.affected(None), delivery.affected(KEYS)) == ([], 0, set(), set())
    assert (delivery._audiences, delivery._by_name, delivery._by_key) == ({}, {}, {})


async def test_versions_from_before_a_restart_are_of_no_use() -> None:
    room = Room(Sight(everything=True))
    room.shelf.restart([], 3)

    assert json.loads(room.watcher.ended.result())["object"]["code"] == 410


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("object"), st.sampled_from("abcd"), st.sampled_from(["red", "blue", ""])),
        st.tuples(st.just("view"), st.integers(0, 4), st.just("")),
    ),
    max_size=40,
)
SIGHTS = (
    Sight(everything=True),
    Sight(names=frozenset({"a", "d"})),
    Sight(rules=(Rule(labels=(("colour", "red"),)),)),
    Sight(names=frozenset({"b"}), rules=(Rule(labels=(("colour", "blue"),)),)),
    Sight(),
)


@given(STEPS, st.sampled_from([ALL, RED]))
async def test_who_follows_the_events_knows_what_a_list_says(steps: list[Any], selection: Selection) -> None:
    """Invariant 11, R-031: whatever happens to the objects and to who sees them."""
    sight = SIGHTS[0]
    room = Room(sight, selection)
    known = {event["object"]["metadata"]["name"]: event["object"] for event in initial(room, sight, selection)}
    for what, which, colour in steps:
        if what == "view":
            sight = SIGHTS[which]
            room.delivery.move(ALICE, sight)
        elif colour:
            room.take("MODIFIED" if which in room.shelf.items else "ADDED", which, colour)
        elif which in room.shelf.items:
            room.take("DELETED", which)
    for event in room.line.events():
        name = event["object"]["metadata"].get("name")
        if event["type"] == "DELETED":
            del known[name]  # A deletion of what was never shown would tell that it is there.
        elif event["type"] != "BOOKMARK":
            assert (event["type"] == "ADDED") == (name not in known)
            known[name] = event["object"]

    assert known == {event["object"]["metadata"]["name"]: event["object"] for event in initial(room, sight, selection)}


def initial(room: Room, sight: Sight, selection: Selection) -> list[Any]:
    frames = room.delivery.initial(Audience(sight, selection, OBJECTS), needs_columns=False)
    return [json.loads(frame) for frame in frames]

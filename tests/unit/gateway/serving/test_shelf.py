"""What is known of a kind, whatever order its news come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenantry.access.sight import Rule, Sight
from tenantry.gateway.serving.items import Item
from tenantry.gateway.serving.shelf import HISTORY_CHANGES, Change, Shelf
from tenantry.gateway.serving.visible import Visible

NAMES = st.sampled_from(["a", "b", "c", "d"])
COLOURS = st.sampled_from(["red", "blue"])
STEPS = st.lists(st.tuples(NAMES, st.one_of(st.none(), COLOURS)), max_size=40)
SIGHTS = st.sampled_from(
    [
        Sight(everything=True),
        Sight(names=frozenset({"a", "d"})),
        Sight(rules=(Rule(labels=(("colour", "red"),)),)),
        Sight(names=frozenset({"b"}), rules=(Rule(pattern="^c"), Rule(labels=(("colour", "blue"),)))),
        Sight(),
    ]
)


def item(name: str, version: int, colour: str = "red") -> Item:
    metadata = b'{"name":"%s"}' % name.encode()
    return Item(
        name, version, b"{", b'"metadata":' + metadata + b"}", 11, 11 + len(metadata), {"colour": colour}, 0, ()
    )


def begun() -> tuple[Shelf, list[Change]]:
    shelf, told = Shelf(), list[Change]()
    shelf.restart([item("a", 3), item("b", 7)], 10)
    shelf.on_change = told.append
    return shelf, told


def play(shelf: Shelf, steps: list[tuple[str, str | None]]) -> None:
    for version, (name, colour) in enumerate(steps, shelf.version + 1):
        if colour is None:
            shelf.take("DELETED", item(name, version))
        else:
            shelf.take("MODIFIED" if name in shelf.items else "ADDED", item(name, version, colour))


def state(shelf: Shelf) -> dict[str, int]:
    return {name: held.version for name, held in shelf.items.items()}


def test_events_change_what_is_known_and_are_told() -> None:
    shelf, told = begun()

    shelf.take("ADDED", item("c", 11))
    shelf.take("MODIFIED", item("a", 12))
    shelf.take("DELETED", item("b", 13))

    assert (state(shelf), shelf.version, shelf.names()) == ({"a": 12, "c": 11}, 13, ["a", "c"])
    assert [(change.name, change.before is None, change.after is None, change.last.version) for change in told] == [
        ("c", True, False, 11),
        ("a", False, False, 12),
        ("b", False, True, 13),
    ]


def test_what_comes_twice_is_passed_over() -> None:
    """Two streams overlap while one catches up."""
    shelf, told = begun()
    shelf.take("ADDED", item("c", 12))

    shelf.take("ADDED", item("c", 12))
    shelf.take("DELETED", item("a", 11))
    shelf.bookmark(5)

    assert (state(shelf), shelf.version, len(told)) == ({"a": 3, "b": 7, "c": 12}, 12, 1)


def test_a_newer_list_is_told_as_changes_and_an_older_one_is_passed_over() -> None:
    shelf, told = begun()
    shelf.take("MODIFIED", item("a", 15))

    shelf.replace([item("b", 7)], 14)
    assert state(shelf) == {"a": 15, "b": 7}
    shelf.replace([item("a", 15), item("c", 18)], 20)

    assert (state(shelf), shelf.version) == ({"a": 15, "c": 18}, 20)
    assert [(change.version, change.name) for change in told] == [(15, "a"), (18, "c"), (20, "b")]


def test_a_restart_forgets_the_past() -> None:
    shelf, _ = begun()
    resets: list[int] = []
    shelf.on_reset = lambda: resets.append(shelf.version)
    shelf.take("MODIFIED", item("a", 15))

    shelf.restart([item("z", 2)], 4)

    assert (state(shelf), shelf.version, shelf.floor, resets, shelf.at(3)) == ({"z": 2}, 4, 4, [4], None)


def test_the_history_is_bounded_and_says_from_where_on_it_is_complete() -> None:
    shelf, _ = begun()
    for version in range(11, 11 + HISTORY_CHANGES + 5):
        shelf.take("MODIFIED", item("a", version))

    assert shelf.floor == 15
    assert shelf.at(14) is None
    assert len(shelf.since(15)) == HISTORY_CHANGES


@given(STEPS, st.integers(0, 40))
def test_each_moment_that_the_history_has_can_be_had_again(steps: list[tuple[str, str | None]], moment: int) -> None:
    shelf, _ = begun()
    moment = min(moment, len(steps))
    play(shelf, steps[:moment])
    then, version = state(shelf), shelf.version
    play(shelf, steps[moment:])

    changed = shelf.at(version)
    assert changed is not None
    known: dict[str, Item | None] = {**shelf.items, **changed}
    assert {name: held.version for name, held in known.items() if held is not None} == then


@given(STEPS, STEPS, SIGHTS)
def test_what_was_worked_out_before_equals_what_the_predicate_says_now(
    first: list[tuple[str, str | None]], second: list[tuple[str, str | None]], sight: Sight
) -> None:
    """Invariant 11: one predicate, however the answer is had."""
    shelf, _ = begun()
    visible = Visible(shelf)
    for steps in (first, second):
        play(shelf, steps)
        assert visible.names(sight) == sorted(
            name for name, held in shelf.items.items() if sight.shows(name, held.labels)
        )

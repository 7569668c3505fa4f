"""What is held, from whatever arrives in whatever order."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from tenantry.api.core import ConfigMap
from tenantry.api.meta import ObjectMeta
from tenantry.kube.store import Change, Store


def _map(name: str, version: int, *, uid: str = "u", data: str = "", deleting: bool = False) -> ConfigMap:
    return ConfigMap(
        metadata=ObjectMeta(
            name=name,
            namespace="n",
            uid=uid,
            resource_version=str(version),
            deletion_timestamp="2026-01-01T00:00:00Z" if deleting else None,
        ),
        data={"k": data},
    )


def _by_data(obj: ConfigMap) -> list[str]:
    return list((obj.data or {}).values())


def _held(store: Store[ConfigMap]) -> dict[str, int]:
    return {obj.metadata.name: int(obj.metadata.resource_version) for obj in store.values()}


def test_changes_are_told_with_the_state_before() -> None:
    store: Store[ConfigMap] = Store()
    changes: list[Change[ConfigMap]] = []
    store.subscribe(changes.append)
    one, two, gone = _map("a", 1), _map("a", 2), _map("a", 3)

    store.put(one)
    store.put(two)
    store.drop(gone)

    assert changes == [Change(None, one), Change(one, two), Change(two, None)]
    assert (store.values(), store.version) == ([], 3)


def test_a_state_that_is_held_already_is_no_change() -> None:
    store: Store[ConfigMap] = Store()
    store.put(_map("a", 2))
    changes: list[Change[ConfigMap]] = []
    store.subscribe(changes.append)

    store.put(_map("a", 2))
    store.put(_map("a", 1))
    store.observe(_map("a", 2), is_known_to_match=True)

    assert (changes, _held(store)) == ([], {"a": 2})


def test_a_list_deletes_what_is_gone_and_tells_so() -> None:
    store: Store[ConfigMap] = Store()
    for name, version in (("a", 1), ("b", 2), ("c", 3)):
        store.put(_map(name, version))
    changes: list[Change[ConfigMap]] = []
    store.subscribe(changes.append)

    store.replace([_map("a", 1), _map("b", 5)], 6)

    assert changes == [Change(_map("b", 2), _map("b", 5)), Change(_map("c", 3), None)]
    assert store.version == 6


def test_a_list_from_before_a_write_does_not_undo_it() -> None:
    """The list was on its way when the write was answered."""
    store: Store[ConfigMap] = Store()
    store.observe(_map("a", 7), is_known_to_match=True)
    store.observe(_map("b", 8), is_known_to_match=True)

    store.replace([_map("a", 3)], 5)

    assert _held(store) == {"a": 7, "b": 8}


def test_after_a_restore_only_the_list_counts() -> None:
    """The server's versions went back: what was seen before is from a history that is no more."""
    store: Store[ConfigMap] = Store()
    store.put(_map("a", 50))
    store.put(_map("b", 60))

    store.replace([_map("a", 10)], 20)

    assert (_held(store), store.version) == ({"a": 10}, 20)


def test_a_late_answer_does_not_bring_back_what_was_deleted() -> None:
    store: Store[ConfigMap] = Store()
    store.put(_map("a", 10))
    store.drop(_map("a", 12))

    store.observe(_map("a", 11), is_known_to_match=True)

    assert _held(store) == {}


def test_a_deletion_from_before_a_new_creation_is_ignored() -> None:
    store: Store[ConfigMap] = Store()
    store.put(_map("a", 10))
    store.observe(_map("a", 14, uid="v"), is_known_to_match=True)

    store.drop(_map("a", 12))

    assert _held(store) == {"a": 14}


def test_what_may_not_match_the_selectors_is_not_added() -> None:
    store: Store[ConfigMap] = Store()
    store.put(_map("a", 1))

    store.observe(_map("a", 2), is_known_to_match=False)
    store.observe(_map("b", 3), is_known_to_match=False)

    assert _held(store) == {"a": 2}


def test_an_answer_does_not_move_the_watch() -> None:
    store: Store[ConfigMap] = Store()
    store.put(_map("a", 4))
    store.observe(_map("b", 9), is_known_to_match=True)
    assert store.version == 4
    store.bookmark(7)
    assert store.version == 7


def test_what_was_forgotten_stays_hidden_from_older_states() -> None:
    store: Store[ConfigMap] = Store()
    store.put(_map("a", 4))

    store.forget(("n", "a"), uid="u", resource_version=None)
    store.put(_map("a", 5))
    store.replace([_map("a", 5)], 6)

    assert _held(store) == {}
    store.drop(_map("a", 7))
    store.put(_map("a", 8, uid="v"))
    assert _held(store) == {"a": 8}


def test_what_was_forgotten_comes_back_while_it_terminates() -> None:
    store: Store[ConfigMap] = Store()
    store.put(_map("a", 4))

    store.forget(("n", "a"), uid=None, resource_version=None)
    store.put(_map("a", 5, deleting=True))

    assert _held(store) == {"a": 5}


def test_a_new_object_of_a_forgotten_name_is_not_hidden() -> None:
    store: Store[ConfigMap] = Store()
    store.put(_map("a", 4))

    store.forget(("n", "a"), uid="u", resource_version=None)
    store.observe(_map("a", 8, uid="v"), is_known_to_match=True)

    assert _held(store) == {"a": 8}


def test_another_object_than_the_deleted_one_is_not_forgotten() -> None:
    store: Store[ConfigMap] = Store()
    store.put(_map("a", 4))

    store.forget(("n", "a"), uid="other", resource_version=None)
    store.forget(("n", "a"), uid=None, resource_version="3")
    store.forget(("n", "missing"), uid=None, resource_version=None)

    assert _held(store) == {"a": 4}


def test_indexes_follow_the_objects() -> None:
    store = Store({"data": _by_data})
    store.put(_map("a", 1, data="x"))
    store.put(_map("b", 2, data="x"))
    store.put(_map("a", 3, data="y"))

    assert (store.by_index("data", "x"), store.by_index("data", "y")) == (
        [_map("b", 2, data="x")],
        [_map("a", 3, data="y")],
    )
    store.drop(_map("b", 4))
    assert store.by_index("data", "x") == []


def test_an_index_value_may_have_many_objects() -> None:
    """However they come and go, and whether few or many are left."""
    store: Store[ConfigMap] = Store({"data": _by_data})
    for number in range(30):
        store.put(_map(f"m{number}", number + 1, data="x"))
    assert len(store.by_index("data", "x")) == 30

    for number in range(28):
        store.drop(_map(f"m{number}", 100 + number))
    assert sorted(obj.metadata.name for obj in store.by_index("data", "x")) == ["m28", "m29"]

    for number in (28, 29):
        store.drop(_map(f"m{number}", 200 + number))
    assert store.by_index("data", "x") == []


def test_a_failing_subscriber_or_index_stops_nothing() -> None:
    def broken(_: object) -> list[str]:
        raise RuntimeError("bug")

    def broken_subscriber(_: object) -> None:
        raise RuntimeError("bug")

    store = Store({"broken": broken, "data": _by_data})
    changes: list[Change[ConfigMap]] = []
    store.subscribe(broken_subscriber)
    store.subscribe(changes.append)

    store.put(_map("a", 1, data="x"))

    assert changes == [Change(None, _map("a", 1, data="x"))]
    assert (len(store.by_index("data", "x")), store.by_index("broken", "x")) == (1, [])


class _Server:
    """One collection's true history, and the events that a watch of it still has to send."""

    def __init__(self) -> None:
        self.version = 0
        self.objects: dict[str, ConfigMap] = {}
        self.events: list[Callable[[Store[ConfigMap]], None]] = []
        self.answers: list[ConfigMap] = []

    def write(self, name: str) -> None:
        self.version += 1
        old = self.objects.get(name)
        obj = _map(name, self.version, uid=old.metadata.uid if old else f"u{self.version}", data=str(self.version % 3))
        self.objects[name] = obj
        self.answers.append(obj)
        self.events.append(lambda store: store.put(obj))

    def delete(self, name: str) -> str | None:
        old = self.objects.pop(name, None)
        if old is None:
            return None
        self.version += 1
        last = _map(name, self.version, uid=old.metadata.uid)
        self.events.append(lambda store: store.drop(last))
        return old.metadata.uid


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "delete", "delete+forget", "deliver", "answer", "relist"]),
        st.sampled_from("abc"),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(_STEPS)
def test_any_mix_of_events_lists_and_answers_ends_at_the_servers_state(steps: list[tuple[str, str, int]]) -> None:
    server, store = _Server(), Store({"data": _by_data})
    told: dict[str, ConfigMap] = {}

    def follow(change: Change[ConfigMap]) -> None:
        obj = change.new or change.old
        assert obj is not None
        assert told.get(obj.metadata.name) == change.old
        if change.new is None:
            del told[obj.metadata.name]
        else:
            told[obj.metadata.name] = change.new

    store.subscribe(follow)
    for step, name, number in steps:
        _act(server, store, step, name, number)
    for event in server.events:
        event(store)

    assert {obj.metadata.name: obj for obj in store.values()} == server.objects == told
    for value in "012":
        expected = [obj for obj in server.objects.values() if _by_data(obj) == [value]]
        assert sorted(store.by_index("data", value), key=lambda obj: obj.metadata.name) == sorted(
            expected, key=lambda obj: obj.metadata.name
        )


def _act(server: _Server, store: Store[ConfigMap], step: str, name: str, number: int) -> None:
    if step == "write":
        server.write(name)
    elif step.startswith("delete"):
        uid = server.delete(name)
        if uid is not None and step.endswith("forget"):
            store.forget(("n", name), uid=uid, resource_version=None)
    elif step == "deliver":
        for event in server.events[:number]:
            event(store)
        del server.events[:number]
    elif step == "answer" and server.answers:
        store.observe(server.answers[-1 - number % len(server.answers)], is_known_to_match=True)
    elif step == "relist":
        store.replace(list(server.objects.values()), server.version)
        server.events.clear()

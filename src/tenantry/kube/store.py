"""The objects of one kind as far as they are known, with indexes; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

from tenantry.kube.resources import KubernetesObject

T = TypeVar("T", bound=KubernetesObject)
Key = tuple[str, str]
"""Namespace (empty for what is cluster-wide) and name."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """An object before and after: ``old`` is None for a new one, ``new`` for one that is gone."""

    old: T | None
    new: T | None


def key_of(obj: KubernetesObject) -> Key:
    """Return the key of *obj*."""
    return obj.metadata.namespace, obj.metadata.name


def version_of(obj: KubernetesObject) -> int:
    """Return the resource version of *obj* as a number, which orders them within a kind (KEP-5504)."""
    text = obj.metadata.resource_version
    return int(text) if text.isdigit() else 0


class Store(Generic[T]):
    """Takes objects from watches, lists and answers to writes, in whatever order these arrive.

    Of two states of an object the one with the higher resource version wins.  A key that is
    absent although the watch is past a version was deleted: a late answer to an older write
    does not bring it back.
    """

    def __init__(self, indexes: Mapping[str, Callable[[T], Iterable[str]]] | None = None) -> None:
        """*indexes* map a name to a pure function from an object to the values to find it by."""
        self.version = 0
        """What the server sent up to: everything older is known."""
        self._objects: dict[Key, T] = {}
        self._index_functions = dict(indexes or {})
        self._indexes: dict[str, dict[str, _Keys]] = {name: {} for name in self._index_functions}
        self._deleted_uids: dict[Key, str] = {}
        self._subscribers: list[Callable[[Change[T]], None]] = []

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: Key) -> T | None:
        """Return the object, or None."""
        return self._objects.get(key)

    def values(self) -> list[T]:
        """Return all objects, in no particular order; the list is the caller's."""
        return list(self._objects.values())

    def by_index(self, index: str, value: str) -> list[T]:
        """Return the objects that *index* files under *value*, in no particular order."""
        return [self._objects[key] for key in self._indexes[index].get(value, ())]

    def subscribe(self, callback: Callable[[Change[T]], None]) -> None:
        """Have *callback* called after each change."""
        self._subscribers.append(callback)

    def put(self, obj: T) -> None:
        """Take the state of a watch event, whose version is that of the watch."""
        self._advance(version_of(obj))
        key = key_of(obj)
        if not self._is_just_deleted(key, obj):
            self._set_if_newer(key, obj)

    def drop(self, obj: T) -> None:
        """Take a deletion from the watch; *obj* carries the deletion's version."""
        version, key = version_of(obj), key_of(obj)
        self._advance(version)
        self._deleted_uids.pop(key, None)
        held = self._objects.get(key)
        # Higher only where an answer ran ahead: the name was created again.
        if held is not None and version_of(held) <= version:
            self._remove(key)

    def bookmark(self, version: int) -> None:
        """Take note that everything up to *version* was sent."""
        self._advance(version)

    def replace(self, objects: Iterable[T], version: int) -> None:
        """Take a complete list as of *version*; what is held, older and not in it, is gone.

        A list older than what was seen before comes from a server restored from a backup:
        then nothing that is held counts.
        """
        went_back = version < self.version
        if went_back:
            self._deleted_uids.clear()
        listed: set[Key] = set()
        for obj in objects:
            key = key_of(obj)
            listed.add(key)
            if self._is_just_deleted(key, obj):
                continue
            if went_back:
                self._set(key, obj)
            else:
                self._set_if_newer(key, obj)
        for key in self._objects.keys() - listed:
            if went_back or version_of(self._objects[key]) <= version:
                self._remove(key)
        for key in self._deleted_uids.keys() - listed:
            del self._deleted_uids[key]
        self.version = version

    def observe(self, obj: T, *, is_known_to_match: bool) -> None:
        """Take the answer to a write, if it is newer than what is held.

        Args:
            obj: As the server returned it.
            is_known_to_match: Whether the selectors of this store take it for sure.  Where
                they may not, only what is held already is replaced: the watch would never
                say that a new one is gone.
        """
        key = key_of(obj)
        held = self._objects.get(key)
        if held is None and (not is_known_to_match or version_of(obj) <= self.version):
            return
        if not self._is_just_deleted(key, obj):
            self._set_if_newer(key, obj)

    def forget(self, key: Key, *, uid: str | None, resource_version: str | None) -> None:
        """Hide the object that the server said it deletes, until the watch shows what became of it.

        Nothing happens where another object than *uid*, or a later state than
        *resource_version*, is held.
        """
        held = self._objects.get(key)
        if held is None or (uid is not None and held.metadata.uid != uid):
            return
        if resource_version is not None and held.metadata.resource_version != resource_version:
            return
        self._deleted_uids[key] = held.metadata.uid
        self._remove(key)

    def _advance(self, version: int) -> None:
        self.version = max(self.version, version)

    def _is_just_deleted(self, key: Key, obj: T) -> bool:
        """Return whether *obj* is a state from before a deletion that succeeded."""
        if not self._deleted_uids:
            return False
        uid = self._deleted_uids.get(key)
        if uid is None:
            return False
        if obj.metadata.uid == uid and obj.metadata.deletion_timestamp is None:
            return True
        del self._deleted_uids[key]
        return False

    def _set_if_newer(self, key: Key, obj: T) -> None:
        held = self._objects.get(key)
        if held is None or version_of(held) < version_of(obj):
            self._set(key, obj)

    def _set(self, key: Key, obj: T) -> None:
        old = self._objects.get(key)
        self._objects[key] = obj
        for name, function in self._index_functions.items():
            self._reindex(name, key, self._values(name, function, old), self._values(name, function, obj))
        self._notify(Change(old, obj))

    def _remove(self, key: Key) -> None:
        old = self._objects.pop(key)
        for name, function in self._index_functions.items():
            self._reindex(name, key, self._values(name, function, old), set())
        self._notify(Change(old, None))

    def _values(self, name: str, function: Callable[[T], Iterable[str]], obj: T | None) -> set[str]:
        if obj is None:
            return set()
        try:
            return set(function(obj))
        except Exception:  # noqa: BLE001 - one odd object must not end the watch
            _log.exception("cache.index_failed", index=name, object=key_of(obj))
            return set()

    def _reindex(self, name: str, key: Key, before: set[str], after: set[str]) -> None:
        if before == after:
            return
        index = self._indexes[name]
        for value in before - after:
            left = _without(index[value], key)
            if left:
                index[value] = left
            else:
                del index[value]
        for value in after - before:
            index[value] = _with(index.get(value, ()), key)

    def _notify(self, change: Change[T]) -> None:
        for callback in self._subscribers:
            try:
                callback(change)
            except Exception:  # noqa: BLE001 - a subscriber's bug must not end the watch
                _log.exception("cache.subscriber_failed")


_Keys = tuple[Key, ...] | set[Key]
"""A tuple while they are few: most values have one or two, and a set takes four times as much memory."""
_FEW: Final = 8


def _with(keys: _Keys, key: Key) -> _Keys:
    if isinstance(keys, set):
        keys.add(key)
        return keys
    return (*keys, key) if len(keys) < _FEW else {*keys, key}


def _without(keys: _Keys, key: Key) -> _Keys:
    if isinstance(keys, set):
        keys.discard(key)
        return keys
    return tuple(each for each in keys if each != key)

"""The elements of one array in a JSON document, taken out as bytes while the document arrives."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Final, NamedTuple

from tenantry.foundation.codec import DecodeError, Model, Raw, decode

AROUND_BYTES: Final = 1024 * 1024
"""What may stand around the array: metadata, a Table's columns with their descriptions."""

WINDOW_BYTES: Final = 256 * 1024
_ALIKE_BYTES: Final = 12
"""So far elements of a list begin alike: ``{"metadata":``."""

_TOKEN: Final = re.compile(rb'("(?:items|rows)"\s*:\s*)(\[|n)|"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
_PAIR: Final = re.compile(rb"[\[{],*[\]}]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"{}[]"))
_NO_STRUCTURE: Final = bytes(set(range(256)) - set(b"{}[],"))
_COMMA: Final = ord(",")
_OPENING: Final = frozenset(b"{[")


class _Place(NamedTuple):
    """Where in the array the scan is, between two bytes."""

    depth: int = 0
    """How many brackets are open within the array; -1 once its own is closed."""
    commas: int = 0
    """Between elements."""
    in_string: bool = False
    is_escaped: bool = False
    """Whether the last byte was a backslash that takes the next byte with it."""

    @property
    def is_between_elements(self) -> bool:
        return self.depth == 0 and not self.in_string


def _advanced(place: _Place, data: bytes, *, counts: bool) -> _Place:
    """Return the place after *data*, commas only if it *counts*.

    A few passes of C code: what is in strings is dropped, then all but brackets and commas,
    then each pair of brackets with nothing but commas between, innermost first.
    """
    if place.is_escaped:
        if not data:
            return place
        data = data[1:]
    is_escaped = False
    if b"\\" in data:  # Only ever within strings.
        data = data.replace(rb"\\", b"").replace(rb"\"", b"")
        is_escaped = data.endswith(b"\\")
    pieces = data.split(b'"')
    in_string = place.in_string != (len(pieces) % 2 == 0)
    rest = b"".join(pieces[1 if place.in_string else 0 :: 2]).translate(None, _NO_STRUCTURE if counts else _NO_BRACKETS)
    length = len(rest) + 1
    while len(rest) < length:
        length = len(rest)
        # Commas make it four times as long, and the expression takes ten times as much as the plain text.
        rest = _PAIR.sub(b"", rest) if counts else rest.replace(b"{}", b"").replace(b"[]", b"")
    depth, commas = place.depth, place.commas
    for mark in rest:
        if mark == _COMMA:
            commas += depth == 0
        else:
            depth += 1 if mark in _OPENING else -1
            if depth < 0:
                return _Place(depth, commas)
    return _Place(depth, commas, in_string, is_escaped)


def _end(place: _Place, data: bytes) -> int:
    """Return where in *data* the bracket is that closes the array; there is one."""

    def at(size: int) -> _Place:
        return _advanced(place, data[:size], counts=False)

    last = data.rfind(b"]")
    if at(last).is_between_elements:
        return last  # What follows has brackets of this kind in few APIs.
    return bisect_left(range(len(data) + 1), x=True, key=lambda size: at(size).depth < 0) - 1


class _Arrays(Model):
    items: Raw = Raw(b"")
    rows: Raw = Raw(b"")


class ElementScanner:
    """Fed a JSON object piece by piece, hands on the elements of its array ``items`` or ``rows``.

    Only a window is held at any time.  Most often one ends where an element begins as the
    first one did; whether it does, the codec says, which finds whole elements before that or
    refuses.  Where it refuses, or an element is larger than the window, brackets are counted.

    What stands around the array is kept: with the array emptied it is a small document of
    its own, for the codec to read.
    """

    def __init__(self, *, counts: bool = True) -> None:
        """Begin; without *counts*, :attr:`count` tells no more than whether there are any, for less."""
        self._counts = counts
        self._before = b""
        self._after = b""
        self._name = b""
        self._window: bytes | None = b""
        """None once brackets are counted."""
        self._next_element = b""
        self._counted = 0
        self._place: _Place | None = None
        self._has_elements = False
        self._is_closed = False

    @property
    def count(self) -> int:
        """How many elements were handed on, the last one perhaps in part."""
        return self._counted + (self._place.commas + 1 if self._place is not None and self._has_elements else 0)

    @property
    def head(self) -> bytes:
        """The document up to the array, as one of its own; empty while the array has not begun."""
        return self._before + (b"]}" if self._place is not None else b"null}") if self._is_begun else b""

    @property
    def _is_begun(self) -> bool:
        return self._place is not None or self._is_closed

    def feed(self, data: bytes) -> bytes:
        """Return the next elements, with the commas between them and to what was returned before.

        Raises:
            DecodeError: Too much stands around the array.
        """
        if not self._is_begun:
            self._before += data
            data = self._begin()
        if self._is_closed:
            self._after += data
            data = b""
        if len(self._before) + len(self._after) > AROUND_BYTES:
            raise DecodeError("no list: too much stands around its items")
        if not data:
            return b""
        return self._elements(data) if self._window is None else self._windowed(self._window + data)

    def finish(self) -> tuple[bytes, bytes]:
        """Return the last elements, and the document without any.

        Raises:
            DecodeError: It has no such array, or ended within it.
        """
        if self._is_closed:
            return b"", self._before + self._after
        if self._place is None:
            raise DecodeError("no list: it has no items")
        if self._window is None:
            raise DecodeError("a list that is cut short")
        return self._rest(self._window)

    def _begin(self) -> bytes:
        """Find the array in what came so far; return what of that belongs to it."""
        depth = 0
        for token in _TOKEN.finditer(self._before):
            if token[1] and depth == 1:
                return self._split(token)
            if token[1]:
                depth += token[2] == b"["
            elif len(token[0]) == 1:
                depth += 1 if token[0] in b"{[" else -1
        return b""

    def _split(self, token: re.Match[bytes]) -> bytes:
        document = self._before
        self._name = token[1]
        if token[2] == b"[":
            self._place = _Place()
            self._before = document[: token.end()]
            return document[token.end() :]
        # Go writes null for an empty list.
        self._is_closed = True
        self._before = document[: token.start(2)]
        return document[token.start(2) :]

    def _windowed(self, window: bytes) -> bytes:
        self._window = window
        if len(window) < WINDOW_BYTES:
            return b""
        self._next_element = self._next_element or b"," + window[:_ALIKE_BYTES]
        end = window.rfind(self._next_element)
        found = _whole_elements(window[:end]) if end > 0 else 0
        comma = b"," if self._counted else b""
        if not found:
            self._window = None
            return comma + self._elements(window)
        self._window = window[end + 1 :]
        self._counted += found
        return comma + window[:end]

    def _rest(self, window: bytes) -> tuple[bytes, bytes]:
        document, start = self._before + window, len(self._before) - 1
        arrays = decode(document, _Arrays)
        array = bytes(arrays.rows if self._name.startswith(b'"rows"') else arrays.items)
        if not document.startswith(array, start):
            raise DecodeError("a list that has its items twice")
        elements = array[1:-1].strip()
        comma = b"," if self._counted and elements else b""
        if elements:
            self._counted += _whole_elements(elements) if self._counts else 1
        return comma + elements, self._before + document[start + len(array) - 1 :]

    def _elements(self, data: bytes) -> bytes:
        assert self._place is not None
        place = _advanced(self._place, data, counts=self._counts)
        if place.depth < 0:
            end = _end(self._place, data)
            self._is_closed = True
            self._after = data[end:]
            data = data[:end]
        self._place = place
        if not self._has_elements:
            data = data.lstrip()
            self._has_elements = bool(data)
        return data


def _whole_elements(data: bytes) -> int:
    """Return of how many whole elements *data* consists, and of nothing else; 0: of none."""
    try:
        return len(decode(b"[" + data + b"]", list[Raw]))
    except DecodeError:
        return 0

"""Which namespaces of a list are read next, how far ahead, and where a page ends; decides, reads nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

READ_AHEAD: Final = 4
"""Namespaces that are read at once; each holds a few hundred kilobytes where the client is slow."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One request: a namespace, from a token of its own on, up to a number of elements."""

    namespace: str
    token: str = ""
    limit: int | None = None


class Paging:
    """The order of pieces in one answer.

    A page is filled one namespace after the other.  Where namespaces turn out to be small
    for the page, some are read at once, each with its share of the room; where one is
    larger than its share, its rest is read before the others are taken.
    """

    def __init__(self, namespaces: Sequence[str], *, token: str = "", limit: int | None = None) -> None:
        """Begin with the first of *namespaces*, there at *token*; a *limit* of None is no limit."""
        self._waiting = deque(Piece(name) for name in namespaces)
        if token:
            self._waiting[0] = Piece(self._waiting[0].namespace, token)
        self._ahead: deque[Piece] = deque()
        self._limit = limit
        self._taken = 0
        self._parts_done = 0

    @property
    def rest(self) -> Piece | None:
        """Where the next page begins; None where all was read."""
        return next(iter((*self._ahead, *self._waiting)), None)

    @property
    def is_full(self) -> bool:
        """Whether the page may hold no more."""
        return self._limit is not None and self._taken >= self._limit

    def begin(self) -> Piece | None:
        """Return another piece to begin reading; None: enough is being read."""
        width = min(self._width(), len(self._ahead) + len(self._waiting))
        if not self._waiting or len(self._ahead) >= width:
            return None
        room = self._room()
        if room is not None and room <= 0:
            return None
        waiting = self._waiting.popleft()
        share = None if room is None else max(1, room // (width - len(self._ahead)))
        piece = Piece(waiting.namespace, waiting.token, share)
        self._ahead.append(piece)
        return piece

    def done(self, *, count: int, token: str) -> list[Piece]:
        """Take the first begun piece as read; return those begun that are to be dropped, to be begun again.

        Args:
            count: How many elements it had.
            token: Where it goes on; empty: it had all.
        """
        piece = self._ahead.popleft()
        self._taken += count
        if not token:
            self._parts_done += 1
            return self._drop_ahead() if self.is_full else []
        # What follows was begun with room that the rest of this one needs.
        dropped = self._drop_ahead()
        self._waiting.appendleft(Piece(piece.namespace, token))
        return dropped

    def _drop_ahead(self) -> list[Piece]:
        dropped = list(self._ahead)
        self._waiting.extendleft(Piece(piece.namespace, piece.token) for piece in reversed(dropped))
        self._ahead.clear()
        return dropped

    def _room(self) -> int | None:
        if self._limit is None:
            return None
        return self._limit - self._taken - sum(piece.limit or 0 for piece in self._ahead)

    def _width(self) -> int:
        if self._limit is None:
            return READ_AHEAD
        if not self._parts_done:
            return 1
        mean = max(1, self._taken // self._parts_done)
        return max(1, min(READ_AHEAD, (self._limit - self._taken) // (2 * mean)))

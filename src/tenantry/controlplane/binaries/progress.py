"""Says what takes long, why, and for how long it has taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Self

Progress = Callable[[str], None]

INTERVAL_SECONDS: Final = 30.0
_SILENT_SECONDS: Final = 2.0


class Heartbeat:
    """Tells *say* that *what* goes on, at its start, now and then, and at its end."""

    def __init__(self, say: Progress, what: str, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        """Tell nothing before the block begins."""
        self._say = say
        self._what = what
        self._interval_seconds = interval_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._started = 0.0

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._say(f"{self._what} ...")
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if kind is None and time.monotonic() - self._started > _SILENT_SECONDS:
            self._say(f"{self._what}: done in {self._elapsed()}")

    def _beat(self) -> None:
        while not self._ended.wait(self._interval_seconds):
            self._say(f"{self._what}: {self._elapsed()} so far")

    def _elapsed(self) -> str:
        return duration(time.monotonic() - self._started)


def duration(seconds: float) -> str:
    """Return *seconds* as people say it: ``45 s``, ``2 min 5 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

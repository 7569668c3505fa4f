"""Waiting that ends at once when the supervisor should stop."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from tenantry.controlplane.files import open_lock, try_lock

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LOOK_SECONDS: Final = 0.25


class StopRequested(BaseException):
    """The supervisor was asked to stop, or nobody needs it any more."""


class Attention:
    """Signals and the lifeline, looked at while waiting; never in the middle of an act."""

    def __init__(self, lifeline: Path | None) -> None:
        """Watch the stop signals, the end of children, and *lifeline* where there is one."""
        self._asked = False
        self._readable, writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(writable, False)
        # The interpreter writes a byte there for each signal, which ends select() below.
        signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
        for number in _STOP_SIGNALS:
            signal.signal(number, self._ask)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._lifeline = None if lifeline is None else open_lock(lifeline)

    def _ask(self, _number: int, _frame: object) -> None:
        self._asked = True

    def pause(self, seconds: float) -> None:
        """Wait, less when a child ends.

        Raises:
            StopRequested: A stop signal came, or all holders of the lifeline are gone.  The
                lifeline is then held exclusively until this process ends, so that nobody
                attaches to a control plane that is on its way down.
        """
        self._look()
        if select.select([self._readable], [], [], seconds)[0]:
            os.read(self._readable, 512)
        self._look()

    def wait_for(self, is_done: Callable[[], bool], seconds: float, interval: float = 0.05) -> bool:
        """Return True once *is_done*, False when it is not after about *seconds*."""
        for _ in range(max(1, round(seconds / interval))):
            if is_done():
                return True
            self.pause(interval)
        return is_done()

    def idle(self) -> None:
        """Pause for as long as the lifeline may go unwatched."""
        self.pause(_LOOK_SECONDS)

    def _look(self) -> None:
        if self._asked:
            raise StopRequested
        if self._lifeline is not None and try_lock(self._lifeline):
            raise StopRequested

    def __enter__(self) -> Self:
        """Nothing to do: watching began at once."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching signals."""
        signal.set_wakeup_fd(-1)

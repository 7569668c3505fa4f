"""One component's operating system process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from tenantry.controlplane import launcher

STOP_SECONDS: Final = 10.0


@dataclass(slots=True)
class Process:
    """A running program that dies with this process, and whose output goes to *log*."""

    command: tuple[str, ...]
    log: Path
    log_start: int
    started: float
    """Monotonic seconds."""
    _popen: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(cls, command: Sequence[str], log: Path) -> Self:
        """Start *command* in its own process group; its output is appended to *log*."""
        with log.open("ab") as output:
            start = output.tell()
            popen = subprocess.Popen(  # noqa: S603 - our own argument lists
                [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                # A group of its own: Ctrl-C in the terminal reaches the command line alone, which stops all in order.
                start_new_session=True,
            )
        return cls(tuple(command), log, start, time.monotonic(), popen)

    @property
    def pid(self) -> int:
        """The process id, which is also its group's."""
        return self._popen.pid

    def exit_code(self) -> int | None:
        """Return how it ended, negative for a signal; None while it runs."""
        return self._popen.poll()

    def ask_to_stop(self) -> None:
        """Send SIGTERM, once is enough; a process that ended is left alone."""
        self._popen.terminate()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Stop it, by force after *seconds*; return when it is gone."""
        self.ask_to_stop()
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()

    def last_lines(self, count: int = 12) -> tuple[str, ...]:
        """Return the end of what it wrote since it was started."""
        return last_lines(self.log, count, start=self.log_start)


def last_lines(log: Path, count: int = 12, *, start: int = 0) -> tuple[str, ...]:
    """Return up to *count* lines from the end of *log*, none from before byte *start*."""
    if not log.exists():
        return ()
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - 65536))
        text = file.read().decode(errors="replace")
    return tuple(line[:400] for line in text.splitlines() if line.strip())[-count:]

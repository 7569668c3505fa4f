"""Becomes another program that dies with the process that started it (run as a script)."""

# No import from the package: this runs before each component, isolated, and must start fast.
from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Run ``launcher.py PARENT PROGRAM ARGUMENT...``.

    The signal is set by prctl(2) and survives execve(2); it is KILL because a parent that
    was killed cannot ask twice.  It fires when the *thread* that started us ends, so the
    supervisor starts components from its main thread alone.
    """
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # The parent died before the line above: nobody would ever stop us.
    os.execv(program[0], program)  # noqa: S606 - no shell on purpose


if __name__ == "__main__":
    main()

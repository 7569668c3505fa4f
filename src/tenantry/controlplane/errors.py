"""What can go wrong with the embedded control plane.

UnavailableError
└── ControlPlaneError
    ├── BinaryError       a program can be neither found, downloaded nor built
    ├── StartError        a component did not come up
    └── NotRunningError   no control plane runs on the folder
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

from tenantry.foundation.errors import UnavailableError


class ControlPlaneError(UnavailableError):
    """The embedded control plane cannot do what was asked."""

    reason = "ControlPlane"


@final
class BinaryError(ControlPlaneError):
    """A program can be neither found, downloaded nor built."""

    reason = "BinaryMissing"


@final
class StartError(ControlPlaneError):
    """A component did not come up; nothing of this start is left running."""

    reason = "StartFailed"

    def __init__(self, component: str, why: str, log: Path, last_lines: Sequence[str] = ()) -> None:
        """Name the *component*, *why* it failed, and the *last_lines* of its *log*."""
        self.component = component
        self.why = why
        self.log = log
        self.last_lines = tuple(last_lines)
        shown = "".join(f"\n    {line}" for line in self.last_lines) or "\n    (it wrote nothing)"
        super().__init__(
            f"{component} did not start: {why}\n  last lines of {log}:{shown}\n"
            f"  next: {_next_step(why, self.last_lines)}"
        )


@final
class NotRunningError(ControlPlaneError):
    """No control plane runs on the folder."""

    reason = "NotRunning"

    def __init__(self, folder: Path) -> None:
        """Name the *folder* that was looked at."""
        self.folder = folder
        super().__init__(f"no control plane runs in {folder}: start one with `tenantry cluster up --folder {folder}`")


def _next_step(why: str, lines: Sequence[str]) -> str:
    text = "\n".join((why, *lines)).lower()
    causes = (
        (("no space left",), "free some disk space, then start again"),
        (("address already in use",), "another program took the port in between; start again"),
        (
            ("unknown flag", "flag provided but not defined"),
            "this version does not know a flag; use a version nearer the default",
        ),
        (("permission denied",), "make the folder writable for this user, then start again"),
        (("cannot allocate memory", "out of memory"), "free about 1 GiB of memory, then start again"),
        (("mvcc", "wal", "snapshot"), "the data may be damaged; start in another folder, or remove its etcd folder"),
    )
    for needles, step in causes:
        if any(needle in text for needle in needles):
            return step
    return "read the log named above, mend the cause, and start again; the data is kept"

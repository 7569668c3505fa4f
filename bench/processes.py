"""CPU time and memory of processes, as the kernel counts them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import clock_gettime
from typing import Final

_KIB: Final = 1024
_SCHEDULED: Final = 2
"""CPUCLOCK_SCHED of Linux: to the nanosecond, where /proc/PID/stat counts hundredths of a second."""


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that the process took so far, user's and system's, of all its threads.

    Raises:
        OSError: It is gone.

    Source:
        clock_getcpuclockid(3).
    """
    return clock_gettime((~pid << 3) | _SCHEDULED)


def descendants(pid: int) -> dict[int, str]:
    """Return the processes that *pid* started, and those that they started, with their programs' names."""
    parents: dict[int, tuple[int, str]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue  # It ended meanwhile.
        parents[int(path.parent.name)] = (int(rest.split()[1]), name)
    found, new = dict[int, str](), {pid}
    while new:
        new = {each for each, (parent, _) in parents.items() if parent in new}
        found |= {each: parents[each][1] for each in new}
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory of a process, in MB of a million bytes."""

    resident: float
    """All its pages that are in memory, shared ones too."""
    anonymous: float
    """Of those, what no file backs: without the program's own code, which comes into memory as it is first used."""
    proportional: float
    """The same with what several processes share divided among them."""
    peak: float
    """The most that was resident since it started."""


def memory(pid: int) -> Memory:
    """Return how much memory the process has now."""
    status = _fields(Path(f"/proc/{pid}/status"))
    rollup = _fields(Path(f"/proc/{pid}/smaps_rollup"))
    return Memory(
        resident=status["VmRSS"], anonymous=status["RssAnon"], proportional=rollup["Pss"], peak=status["VmHWM"]
    )


def _fields(path: Path) -> dict[str, float]:
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * _KIB / 1e6 for words in lines if len(words) == 3 and words[2] == "kB"}

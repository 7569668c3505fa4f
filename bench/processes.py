"""CPU time and memory of processes, as the kernel counts them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_KIB: Final = 1024


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that the process took so far, user's and system's, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory of a process, in MB of a million bytes."""

    resident: float
    """All its pages that are in memory, shared ones too."""
    proportional: float
    """The same with what several processes share divided among them."""
    peak: float
    """The most that was resident since it started."""


def memory(pid: int) -> Memory:
    """Return how much memory the process has now."""
    status = _fields(Path(f"/proc/{pid}/status"))
    rollup = _fields(Path(f"/proc/{pid}/smaps_rollup"))
    return Memory(resident=status["VmRSS"], proportional=rollup["Pss"], peak=status["VmHWM"])


def _fields(path: Path) -> dict[str, float]:
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * _KIB / 1e6 for words in lines if len(words) == 3 and words[2] == "kB"}

"""What was measured: rows of figures, each with its aim and its verdict, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final


class Verdict(StrEnum):
    """How a figure stands to its aim."""

    MET = "met"
    MISSED = "MISSED"
    STATED = ""
    """There is no aim: the figure is for information."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether the aim is met."""
        if self.at_most is None and self.at_least is None:
            return Verdict.STATED
        is_low = self.at_least is not None and self.value < self.at_least
        is_high = self.at_most is not None and self.value > self.at_most
        return Verdict.MISSED if is_low or is_high else Verdict.MET

    @property
    def aim(self) -> str:
        """The aim in words; empty where there is none."""
        if self.at_most is not None:
            return f"<= {number(self.at_most)}"
        return f">= {number(self.at_least)}" if self.at_least is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of work, and what it took."""

    work: str
    capsule: str
    """What Capsule takes for it on the same machine and control plane."""
    figures: tuple[Figure, ...]
    part: str = ""
    """Whose table it stands in: the gateway's, or, where empty, that of all the rest."""


@dataclass(slots=True)
class Report:
    """All rows of one run."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    load: float = field(default_factory=lambda: round(os.getloadavg()[0], 1))
    """How busy the machine was with other things: processes that wanted a core, on average over a minute."""

    @property
    def missed(self) -> list[str]:
        """The figures that missed their aim."""
        return [
            f"{row.work}: {figure.name} {number(figure.value)} {figure.unit}, aim {figure.aim}"
            for row in self.rows
            for figure in row.figures
            if figure.verdict is Verdict.MISSED
        ]

    def write(self, folder: Path) -> Path:
        """Write the JSON of the run to a new file in *folder*."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.started:%Y-%m-%dT%H-%M-%SZ}.json"
        path.write_text(json.dumps(self._plain(), indent=1) + "\n")
        return path

    def _plain(self) -> dict[str, Any]:
        return {
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "machine": {
                "cores": os.cpu_count(),
                "load": self.load,
                "system": f"{platform.system()} {platform.release()} {platform.machine()}",
                "python": platform.python_version(),
            },
            "rows": [
                {
                    "work": row.work,
                    "capsule": row.capsule,
                    "part": row.part,
                    "figures": [asdict(each) | {"verdict": each.verdict.value} for each in row.figures],
                }
                for row in self.rows
            ],
        }


def table(rows: Sequence[Row], say: Callable[[str], None]) -> None:
    """Print *rows*."""
    for row in rows:
        say(f"{row.work}{f'   (Capsule: {row.capsule})' if row.capsule else ''}")
        for figure in row.figures:
            value = f"{number(figure.value)} {figure.unit}".strip()
            say(f"    {figure.name:<58} {value:>14}   {figure.aim:>9}   {figure.verdict.value}".rstrip())


def p50(values: Sequence[float]) -> float:
    """Return the median."""
    return median(values)


def p99(values: Sequence[float]) -> float:
    """Return what one in a hundred exceeds."""
    return quantiles(values, n=100, method="inclusive")[98]


_DIGITS: Final = 3


def number(value: float) -> str:
    """Return *value* with three digits that count."""
    if value == int(value) or abs(value) >= 10 ** (_DIGITS - 1):
        return f"{value:.0f}"
    return f"{value:.{_DIGITS}g}"

"""What is wrong with a configuration, said so that it can be put right: where, what, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from tenantry.foundation.errors import ConfigurationError

Path = tuple[str | int, ...]
"""The way to a value: keys, and positions in lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is wrong with a value, wherever it was written."""

    path: Path
    what: str
    """A clause that names the value: ``'x' is no port``."""
    fix: str
    """What would be right."""
    is_warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A fault, with the place in the file where it stands."""

    line: int
    """From 1; 0 where the value came from no file."""
    column: int
    field: str
    """As ``clusters[0].hosts[1]``; empty for the file as a whole."""
    what: str
    fix: str
    is_warning: bool = False

    def __str__(self) -> str:
        """Return one line, the place left to whoever knows the file's name."""
        subject = f"{self.field}: " if self.field else ""
        return f"{'warning' if self.is_warning else 'error'}: {subject}{self.what}: {self.fix}"


@final
class ConfigurationProblems(ConfigurationError):  # noqa: N818 - it has several
    """A configuration can't be used; all that is wrong with it, in the order of the file."""

    reason = "GatewayMisconfigured"

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        """Name the *source* (a file, or the command line) and all its *problems*, warnings among them or not."""
        self.source = source
        self.problems = tuple(problems)
        errors = [each for each in self.problems if not each.is_warning]
        lines = [located_line(source, each) for each in errors]
        count = f"{len(errors)} problem{'s' if len(errors) != 1 else ''}"
        super().__init__(f"{source} can't be used, {count}:\n" + "\n".join(f"  {line}" for line in lines))


def located_line(source: str, problem: Problem) -> str:
    """Return ``file:line:column: error: field: what: fix``, as editors and compilers write it."""
    place = f"{source}:{problem.line}:{problem.column}" if problem.line else source
    return f"{place}: {problem}"


def field_text(path: Path) -> str:
    """Return *path* as people write it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def errors_only(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return what keeps a configuration from being used."""
    return tuple(each for each in problems if not each.is_warning)

"""Prints the part of requirements.lock that the package needs at run time, hashes included.

The lock is one for all: development, tests and the image run the same versions.  What depends
on what is read from the installed distributions, so this runs where the whole lock is installed:

    python tools/runtime_requirements.py requirements.lock pyproject.toml
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(requirements: Iterable[str]) -> set[str]:
    """Return the canonical names of all that *requirements* need, directly or not, on this platform."""
    found: set[str] = set()
    waiting = [(each, frozenset({""})) for each in requirements]
    while waiting:
        text, extras = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker is not None and not any(requirement.marker.evaluate({"extra": each}) for each in extras):
            continue
        name = canonicalize_name(requirement.name)
        if name not in found or requirement.extras:
            found.add(name)
            waiting += [(each, frozenset({"", *requirement.extras})) for each in requires(name) or ()]
    return found


def entries(lock: str) -> Iterator[tuple[str, str]]:
    """Yield canonical name and whole text of each entry of a lock."""
    for entry in re.split(r"\n(?=[A-Za-z0-9])", lock.strip()):
        yield canonicalize_name(entry.partition("==")[0].strip()), entry


def runtime_lock(lock: str, project: str) -> str:
    """Return the entries of *lock* that the project of a pyproject.toml needs."""
    needed = closure(tomllib.loads(project)["project"]["dependencies"])
    kept = {name: entry for name, entry in entries(lock) if name in needed}
    missing = needed - kept.keys()
    if missing:
        sys.exit(f"requirements.lock lacks {', '.join(sorted(missing))}")
    return "\n".join(kept.values()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(runtime_lock(*(Path(each).read_text() for each in sys.argv[1:3])))

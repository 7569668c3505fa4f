"""How files change under Envoy's eyes: a whole one is renamed over the last one."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write *content* to *path*, mode 0600; whoever reads gets the old bytes or the new ones."""
    # In the same folder: rename(2) is atomic within one file system, and is the event that Envoy waits for.
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.rename(path)


def rotate(path: Path, keep: int) -> None:
    """Rename *path* to ``.1``, ``.1`` to ``.2`` and so on; what was ``.keep`` is gone."""
    for number in range(keep, 0, -1):
        older = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))
    if keep < 1:
        path.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """Return its bytes; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

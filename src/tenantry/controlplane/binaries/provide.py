"""Gets programs that are nowhere on this machine: a download where that works, else a build."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tenantry.controlplane.binaries.download import DownloadError, download
from tenantry.controlplane.binaries.gobuild import GoBuild
from tenantry.controlplane.binaries.progress import Heartbeat, Progress
from tenantry.controlplane.components import Versions
from tenantry.controlplane.errors import BinaryError
from tenantry.controlplane.files import open_lock, try_lock


def provide(missing: Sequence[str], versions: Versions, cache: Path, say: Progress) -> dict[str, Path]:
    """Put the *missing* programs into the *cache* and return their paths.

    Each is written aside and renamed when it is whole, so what is done stays done when this
    is interrupted, and no one ever runs half a program.  One process works at a time.

    Raises:
        BinaryError: A program can be neither downloaded nor built.
    """
    cache.mkdir(parents=True, exist_ok=True)
    lock = open_lock(cache / "lock")
    try:
        if not try_lock(lock):
            with Heartbeat(say, "waiting for another process, which is getting the control plane's programs"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        return _provide(missing, versions, cache, say)
    finally:
        os.close(lock)


def _provide(missing: Sequence[str], versions: Versions, cache: Path, say: Progress) -> dict[str, Path]:
    targets = {program: cache / versions.release(program) / program for program in missing}
    left = [program for program, target in targets.items() if not os.access(target, os.X_OK)]
    if left:
        say(f"the control plane needs {', '.join(left)}: not found on this machine, so they are fetched or built once")
    unreachable: dict[str, str] = {}
    left = [program for program in left if not _downloaded(program, versions, targets[program], unreachable, say)]
    if left:
        why = "; ".join(dict.fromkeys(unreachable.values()))
        say(f"no download ({why}): building {len(left)} programs from source, about ten minutes on two cores")
        build = GoBuild.prepare(versions, cache, say)
        for program in left:
            _aside(targets[program], partial(build.build, program))
    return targets


def _downloaded(program: str, versions: Versions, target: Path, unreachable: dict[str, str], say: Progress) -> bool:
    try:
        _aside(target, lambda path: download(program, versions, path, say=say, unreachable=unreachable))
    except DownloadError as error:
        unreachable.setdefault(error.host, str(error))
        return False
    return True


def _aside(target: Path, make: Callable[[Path], None]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as folder:
            made = Path(folder, target.name)
            make(made)
            made.chmod(0o755)
            made.replace(target)
    except OSError as error:
        raise BinaryError(
            f"{target} cannot be written: {error}; free some space, or name another cache by XDG_CACHE_HOME"
        ) from error

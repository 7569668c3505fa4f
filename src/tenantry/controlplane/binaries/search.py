"""Finds every program the control plane needs, and has made what is nowhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tenantry.controlplane.binaries.progress import Progress
from tenantry.controlplane.components import KUBECTL, PROGRAMS, Component, Versions

FOLDER_VARIABLE: Final = "TENANTRY_CONTROLPLANE_BIN"

_VERSION_ARGUMENTS: Final = {KUBECTL: ("version", "--client")}
_VERSION_PATTERN: Final = {
    Component.ETCD: r"etcd Version: v?(\S+)",
    Component.KWOK: r"kwok version v?(\S+)",
    KUBECTL: r"Client Version: v?(\S+)",
}
_KUBERNETES_PATTERN: Final = r"Kubernetes v?(\S+)"


def find_programs(versions: Versions, progress: Progress | None = None) -> dict[str, Path]:
    """Return the path of every program, ready to run; what is missing is fetched or built, once a machine.

    In this order: the folder named by TENANTRY_CONTROLPLANE_BIN (taken as it is, whatever its
    version), PATH where the version is the very one, the user's cache, the official release,
    and ``go build``.

    Raises:
        BinaryError: There is no way left.
    """
    say = progress or _to_standard_error
    found = {program: _existing(program, versions) for program in PROGRAMS}
    missing = [program for program, path in found.items() if path is None]
    if missing:
        from tenantry.controlplane.binaries.provide import provide  # noqa: PLC0415 - seldom needed, slow to import

        found.update(provide(missing, versions, cache_folder(), say))
    return {program: path for program, path in found.items() if path is not None}


def cache_folder() -> Path:
    """Return where programs are kept, one folder a release below it."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "tenantry" / "controlplane"


def cached(program: str, versions: Versions, cache: Path) -> Path:
    """Return where *program* is, or will be, in the *cache*."""
    return cache / versions.release(program) / program


def _existing(program: str, versions: Versions) -> Path | None:
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder and os.access(Path(folder, program), os.X_OK):
        return Path(folder, program).resolve()
    in_cache = cached(program, versions, cache_folder())
    on_path = shutil.which(program)
    # Asking each program on PATH for its version takes a while; the answer is needed only if it is another file.
    if (
        on_path
        and Path(on_path).resolve() != in_cache.resolve()
        and reported_version(Path(on_path)) == (versions.of(program))
    ):
        return Path(on_path).resolve()
    return in_cache if os.access(in_cache, os.X_OK) else None


def reported_version(path: Path) -> str | None:
    """Return the version that the program says it has, without a ``v``; None if it says none."""
    program = path.name
    try:
        result = subprocess.run(  # noqa: S603 - a program the user has on PATH
            [path, *_VERSION_ARGUMENTS.get(program, ("--version",))],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(_VERSION_PATTERN.get(program, _KUBERNETES_PATTERN), result.stdout)
    return match[1] if match else None


def _to_standard_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the one place that shows progress by default

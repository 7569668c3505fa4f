"""Real clients written in Go, built once and kept in the user's cache folder: Helm and a client-go informer."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HELM_VERSION: Final = "3.22.0"
_SOURCE: Final = Path(__file__).parent / "informer"
_GO: Final = ("go", "/usr/local/go/bin/go")


def helm() -> Path:
    """Return Helm's program."""
    target = _folder() / f"helm-{HELM_VERSION}"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=_folder()) as work:
            _go(Path(work), "install", "-ldflags", "-s -w", f"helm.sh/helm/v3/cmd/helm@v{HELM_VERSION}", GOBIN=work)
            (Path(work) / "helm").rename(target)
    return target


def informer() -> Path:
    """Return the program of ``tests/support/informer``; a change of its source makes a new one."""
    source = b"".join((_SOURCE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    target = _folder() / f"informer-{hashlib.sha256(source).hexdigest()[:12]}"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=_folder()) as work:
            _go(_SOURCE, "build", "-ldflags", "-s -w", "-o", f"{work}/informer", ".")
            (Path(work) / "informer").rename(target)
    return target


def _folder() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "tenantry" / "test-programs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _go(work: Path, *arguments: str, **environment: str) -> None:
    go = next(filter(None, map(shutil.which, _GO)), None)
    if go is None:
        raise RuntimeError("Go is not installed: the tests with Helm and client-go need it")
    result = subprocess.run(
        [go, *arguments],
        cwd=work,
        env={**os.environ, "GOWORK": "off", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"go {arguments[0]} ended with {result.returncode}:\n{result.stderr[-3000:]}")


if __name__ == "__main__":
    sys.stdout.write(f"{helm()}\n{informer()}\n")

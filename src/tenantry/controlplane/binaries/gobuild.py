"""Builds the programs from pinned Go modules, whose sums are part of this package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, Self

from tenantry.controlplane.binaries.progress import Heartbeat, Progress
from tenantry.controlplane.binaries.search import FOLDER_VARIABLE
from tenantry.controlplane.components import KUBERNETES_PROGRAMS, Component, Versions
from tenantry.controlplane.errors import BinaryError

MINIMUM_GO: Final = (1, 26)
OTHER_PLACES: Final = ("/usr/local/go/bin/go",)
"""Where Go's own installer puts it, often without adding it to PATH."""

_ETCD_PACKAGE: Final = "go.etcd.io/etcd/server/v3"
_KWOK_PACKAGE: Final = "sigs.k8s.io/kwok/cmd/kwok"
_VERSION_PACKAGE: Final = "k8s.io/component-base/version"
_GUESSED_MINUTES: Final = {
    Component.API_SERVER: "about 5 minutes",
    Component.CONTROLLERS: "about 90 seconds",
    Component.ETCD: "about 45 seconds",
}


@dataclass(frozen=True, slots=True)
class GoBuild:
    """A Go toolchain and a folder to work in."""

    go: str
    versions: Versions
    folder: Path
    say: Progress

    @classmethod
    def prepare(cls, versions: Versions, cache: Path, say: Progress) -> Self:
        """Find the Go toolchain.

        Raises:
            BinaryError: There is none, or it is too old.
        """
        go = next(filter(None, map(shutil.which, ("go", *OTHER_PLACES))), None)
        next_step = (
            f"install Go {MINIMUM_GO[0]}.{MINIMUM_GO[1]} or later (https://go.dev/dl/), or put the programs into a "
            f"folder and name it by {FOLDER_VARIABLE}"
        )
        if go is None:
            raise BinaryError(f"the programs can be neither downloaded nor built, as there is no Go here: {next_step}")
        version, toolchain = (_environment(go, name) for name in ("GOVERSION", "GOTOOLCHAIN"))
        match = re.match(r"go(\d+)\.(\d+)", version)
        # Unless GOTOOLCHAIN is "local", Go fetches the newer one that a module asks for.
        if match and (int(match[1]), int(match[2])) < MINIMUM_GO and toolchain.startswith("local"):
            raise BinaryError(f"{version} is too old to build the control plane: {next_step}")
        folder = cache / "build"
        folder.mkdir(parents=True, exist_ok=True)
        return cls(go, versions, folder, say)

    def build(self, program: str, target: Path) -> None:
        """Build *program* into *target*.

        Raises:
            BinaryError: The compiler refused, or a module could not be had; names the last lines.
        """
        guess = _GUESSED_MINUTES.get(Component(program), "") if program in set(Component) else ""
        what = f"building {program} {self.versions.of(program)}{f' ({guess} on two cores)' if guess else ''}"
        with Heartbeat(self.say, what):
            if program in KUBERNETES_PROGRAMS:
                self._build_kubernetes(program, target)
            elif program == Component.ETCD:
                work = self._etcd_module()
                self._go(work, program, "build", "-o", str(target), "-ldflags", "-s -w", _ETCD_PACKAGE)
            else:
                package = f"{_KWOK_PACKAGE}@v{self.versions.kwok}"
                # GOBIN may not be set when cross-compiling; nobody does that here.
                self._go(self.folder, program, "install", "-ldflags", "-s -w", package, GOBIN=str(target.parent))

    def _build_kubernetes(self, program: str, target: Path) -> None:
        version = self.versions.kubernetes
        major, minor, _ = version.split(".", 2)
        names = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
        stamps = " ".join(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in names.items())
        work = self._kubernetes_module()
        package = f"k8s.io/kubernetes/cmd/{program}"
        self._go(work, program, "build", "-o", str(target), "-ldflags", f"-s -w {stamps}", package)

    def _kubernetes_module(self) -> Path:
        """Return a module that replaces the staging modules by their published versions.

        ``go install`` cannot: k8s.io/kubernetes replaces them by folders of its repository.
        """
        release = f"kubernetes-{self.versions.kubernetes}"
        work = self._workspace(release, [f"k8s.io/kubernetes/cmd/{program}" for program in KUBERNETES_PROGRAMS])
        if not (work / "go.sum").exists():
            version = self.versions.kubernetes
            answer = self._go(work, release, "mod", "download", "-json", f"k8s.io/kubernetes@v{version}")
            theirs = Path(json.loads(answer)["Dir"], "go.mod").read_text()
            (work / "go.mod").write_text(kubernetes_module(theirs, version))
            self._go(work, release, "mod", "tidy")
        return work

    def _etcd_module(self) -> Path:
        """Return a module around etcd's server, which has replace directives too."""
        release = f"etcd-{self.versions.etcd}"
        work = self._workspace(release, [_ETCD_PACKAGE])
        if not (work / "go.sum").exists():
            text = f"module controlplane\n\ngo 1.26.0\n\nrequire {_ETCD_PACKAGE} v{self.versions.etcd}\n"
            (work / "go.mod").write_text(text)
            self._go(work, release, "mod", "tidy")
        return work

    def _workspace(self, release: str, packages: Sequence[str]) -> Path:
        work = self.folder / release
        work.mkdir(exist_ok=True)
        imports = "\n".join(f'\t_ "{package}"' for package in packages)
        (work / "tools.go").write_text(f"//go:build tools\n\npackage controlplane\n\nimport (\n{imports}\n)\n")
        pinned = resources.files("tenantry.controlplane.binaries") / "modules"
        if (pinned / f"{release}.sum").is_file():
            for kind in ("mod", "sum"):
                (work / f"go.{kind}").write_text((pinned / f"{release}.{kind}").read_text())
        return work

    def _go(self, work: Path, what: str, *arguments: str, **environment: str) -> str:
        result = subprocess.run(  # noqa: S603 - our own arguments
            [self.go, *arguments],
            cwd=work,
            env={**os.environ, "GOWORK": "off", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            lines = "\n".join(f"    {line}" for line in result.stderr.splitlines()[-12:])
            raise BinaryError(
                f"building {what} failed: go {arguments[0]} ended with {result.returncode}\n{lines}\n"
                f"  next: mend the cause (a module proxy that answers, some 6 GiB of disk) and run it again; what is "
                f"done stays done; or put the programs into a folder and name it by {FOLDER_VARIABLE}"
            )
        return result.stdout


def _environment(go: str, name: str) -> str:
    result = subprocess.run([go, "env", name], capture_output=True, text=True, check=False)  # noqa: S603
    return result.stdout.strip()


def kubernetes_module(theirs: str, version: str) -> str:
    """Return the go.mod of a module that builds Kubernetes *version*, from *theirs*.

    v1.36.3 is published as v0.36.3 of each staging module.
    """
    staging = re.findall(r"^\s*(k8s\.io/\S+) => \./staging", theirs, re.MULTILINE)
    go = re.search(r"^go (\S+)", theirs, re.MULTILINE)
    published = f"v0.{version.split('.', 1)[1]}"
    replaced = "".join(f"\t{module} => {module} {published}\n" for module in staging)
    defaults = re.search(r"^godebug (?:\(\s*)?default=(\S+)", theirs, re.MULTILINE)
    debug = f"godebug default={defaults[1]}\n\n" if defaults else ""
    return (
        f"module controlplane\n\ngo {go[1] if go else '1.26.0'}\n\n{debug}"
        f"require k8s.io/kubernetes v{version}\n\nreplace (\n{replaced})\n"
    )

"""Where a control plane keeps its files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LONGEST_STEM: Final = 80
_PLAIN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""What may stand in a file name as it is.  No colon: KUBECONFIG is a list separated by colons."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one control plane's *folder*."""

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's (group ``system:masters``)."""
        return self.folder / "kubeconfig"

    @property
    def state(self) -> Path:
        """What the supervisor says about itself, as JSON."""
        return self.folder / "state.json"

    @property
    def supervisor_lock(self) -> Path:
        """Held exclusively by the supervisor for its whole life."""
        return self.folder / "supervisor.lock"

    @property
    def turn(self) -> Path:
        """Held exclusively by whoever starts or stops the control plane, while he does."""
        return self.folder / "turn.lock"

    @property
    def lifeline(self) -> Path:
        """Held shared by each process that needs the control plane."""
        return self.folder / "lifeline.lock"

    @property
    def etcd_data(self) -> Path:
        """All that the cluster stores."""
        return self.folder / "etcd"

    @property
    def logs(self) -> Path:
        """One file a component."""
        return self.folder / "logs"

    def log(self, program: str) -> Path:
        """The log of one component, or of the supervisor."""
        return self.logs / f"{program}.log"

    @property
    def stages(self) -> Path:
        """How kwok lets nodes and pods live."""
        return self.folder / "kwok.yaml"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.folder / "pki"

    def user(self, name: str, groups: Iterable[str]) -> Path:
        """The kubeconfig of one user in these groups; another set of groups is another file."""
        parts = (name, *sorted(set(groups)))
        readable = "@".join(filter(None, (name, "+".join(parts[1:]))))
        if len(readable) <= _LONGEST_STEM and all(re.fullmatch(_PLAIN, part) for part in parts):
            stem = readable
        else:
            # Two names may look alike once cleaned (or would, with other groups); the digest keeps their files apart.
            digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:10]
            stem = re.sub(r"[^A-Za-z0-9._@+-]", "_", readable)[:60].lstrip(".") + f"-{digest}"
        return self.folder / "users" / f"{stem}.yaml"

    def create(self) -> None:
        """Make the folders, readable by their owner alone: they hold keys."""
        for path in (self.folder, self.logs, self.pki, self.folder / "users"):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)


def default_folder(name: str) -> Path:
    """Return where the control plane called *name* lives unless a folder is given."""
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "tenantry" / "clusters" / name

"""The gateway's private folder: which file and socket is where; mode 0700, one a process, gone with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RuntimeFolder:
    """Paths below one folder; making it is the caller's."""

    root: Path
    """Short: a Unix socket's path has 107 bytes."""

    @property
    def admin_socket(self) -> Path:
        """Envoy's administration."""
        return self.root / "admin.sock"

    def python_socket(self, cluster: str) -> Path:
        """Where Python answers for a cluster."""
        return self.root / f"{cluster}.py.sock"

    @property
    def streams_socket(self) -> Path:
        """Where the process that holds live streams is told of each, for all clusters."""
        return self.root / "streams.sock"

    @property
    def envoy(self) -> Path:
        """Envoy's configuration: bootstrap, listeners, clusters, scripts, secrets."""
        return self.root / "envoy"

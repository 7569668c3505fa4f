"""What a supervisor is told when it is started."""

from __future__ import annotations

from pathlib import Path

from tenantry.controlplane.fake_nodes import DEFAULT_NODES
from tenantry.controlplane.layout import Layout
from tenantry.foundation.codec import Model


class Settings(Model, frozen=True):
    """One control plane; handed over as JSON on the supervisor's command line."""

    folder: str
    name: str
    kubernetes_version: str
    programs: dict[str, str]
    """Path of each program."""
    nodes: tuple[str, ...] = DEFAULT_NODES
    api_server_arguments: tuple[str, ...] = ()
    """Added to the API server's command line, where the last of a repeated flag counts."""
    keep_alive: bool = False
    """Live on without anyone holding the lifeline."""

    @property
    def layout(self) -> Layout:
        """The paths of this control plane."""
        return Layout(Path(self.folder))

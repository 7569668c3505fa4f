"""What the supervisor tells the rest of the machine about its control plane."""

from __future__ import annotations

from typing import Literal

from tenantry.controlplane.components import Component
from tenantry.controlplane.files import write_atomically
from tenantry.controlplane.layout import Layout
from tenantry.foundation.codec import DecodeError, Model, decode, encode

Phase = Literal["starting", "ready", "stopping", "failed", "stopped"]


class Ports(Model, frozen=True):
    """Loopback ports; zero is unassigned."""

    etcd: int = 0
    etcd_peer: int = 0
    api_server: int = 0
    controllers: int = 0
    scheduler: int = 0
    kwok: int = 0

    def of(self, component: Component) -> int:
        """Return the port that *component* serves."""
        return {
            Component.ETCD: self.etcd,
            Component.API_SERVER: self.api_server,
            Component.CONTROLLERS: self.controllers,
            Component.SCHEDULER: self.scheduler,
            Component.KWOK: self.kwok,
        }[component]


class Running(Model, frozen=True):
    """One component's process."""

    pid: int
    restarts: int = 0


class Failure(Model, frozen=True):
    """Why a control plane is not up."""

    component: str
    why: str
    last_lines: tuple[str, ...] = ()


class State(Model, frozen=True):
    """One control plane, as its supervisor last wrote it; it may have died since."""

    phase: Phase
    name: str
    kubernetes_version: str
    kubectl: str
    """Path of the client of the same version."""
    supervisor: int
    ports: Ports = Ports()
    components: dict[str, Running] = {}  # noqa: RUF012 - a struct default, copied for each instance
    failure: Failure | None = None

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://127.0.0.1:{self.ports.api_server}"


def read_state(layout: Layout) -> State | None:
    """Return the state of the control plane in the folder; None where there never was one."""
    try:
        return decode(layout.state.read_bytes(), State)
    except (FileNotFoundError, DecodeError):
        return None


def write_state(layout: Layout, state: State) -> None:
    """Replace the state file."""
    write_atomically(layout.state, encode(state))

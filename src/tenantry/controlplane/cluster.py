"""A handle on one embedded control plane: start it, ask it, stop it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from tenantry.controlplane.binaries.search import find_programs
from tenantry.controlplane.components import Component, Versions
from tenantry.controlplane.errors import ControlPlaneError, NotRunningError, StartError
from tenantry.controlplane.fake_nodes import DEFAULT_NODES
from tenantry.controlplane.files import is_locked
from tenantry.controlplane.kubeconfigs import is_current, write_kubeconfig
from tenantry.controlplane.launch import SHUTDOWN_SECONDS, STARTUP_SECONDS, eventually, launch, locked
from tenantry.controlplane.layout import Layout
from tenantry.controlplane.pki import Authority
from tenantry.controlplane.probe import Probe
from tenantry.controlplane.process import last_lines
from tenantry.controlplane.settings import Settings
from tenantry.controlplane.state import State, read_state
from tenantry.foundation.codec import Model

RESTART_PATIENCE_SECONDS: Final = 2.0
"""How long a restart waits for a component to end by itself: an API server with open watches takes very long."""


class ComponentStatus(Model, frozen=True):
    """How one component is right now."""

    component: str
    pid: int
    port: int
    healthy: bool
    restarts: int


class ControlPlane:
    """One control plane; any number of handles, in any number of processes, may share it.

    Its components are children of a supervisor process, and end with it.  The supervisor ends
    when told so, or, unless it was started with *detach*, with the last process that holds
    a handle from :meth:`start`: by returning, by a signal, or by a crash.
    """

    def __init__(self, folder: Path) -> None:
        """Make a handle; use :meth:`start` or :meth:`attach`."""
        self._layout = Layout(folder.resolve())
        self._lifeline: int | None = None

    @classmethod
    async def start(
        cls,
        folder: Path,
        *,
        name: str = "tenantry",
        versions: Versions | None = None,
        nodes: Sequence[str] = DEFAULT_NODES,
        api_server_arguments: Sequence[str] = (),
        detach: bool = False,
        progress: Callable[[str], None] | None = None,
    ) -> Self:
        """Bring up the control plane of *folder*, with the data it had; join it where it runs already.

        Args:
            folder: Made if it is missing; holds everything.
            name: Of the cluster in the kubeconfigs.
            versions: Of the programs; what was started before with older ones goes on with these.
            nodes: Names of the fake nodes.
            api_server_arguments: Added to the API server's command line.
            detach: Live on after this process.
            progress: Told, in sentences, what takes long; standard error where None.

        Raises:
            BinaryError: A program can be neither found, downloaded nor built.
            StartError: A component did not come up; nothing is left running.
        """
        plane = cls(folder)
        plane._layout.create()
        if not detach:
            plane._lifeline = await locked(plane._layout.lifeline, shared=True)
        try:
            # One start at a time: whoever comes second finds it running and joins.
            turn = await locked(plane._layout.turn)
            try:
                if not await plane._settled():
                    wanted = versions or Versions()
                    programs = await asyncio.to_thread(find_programs, wanted, progress)
                    settings = Settings(
                        folder=str(plane.folder),
                        name=name,
                        kubernetes_version=wanted.kubernetes,
                        programs={program: str(path) for program, path in programs.items()},
                        nodes=tuple(nodes),
                        api_server_arguments=tuple(api_server_arguments),
                        keep_alive=detach,
                    )
                    await launch(settings)
            finally:
                os.close(turn)
        except BaseException:
            plane.release()
            raise
        return plane

    @classmethod
    def attach(cls, folder: Path) -> Self:
        """Return a handle on a control plane that runs; it does not keep it alive.

        Raises:
            NotRunningError: Nothing runs there.
        """
        plane = cls(folder)
        if not plane.is_running:
            raise NotRunningError(folder)
        return plane

    @property
    def folder(self) -> Path:
        """Everything it keeps: data, keys, logs."""
        return self._layout.folder

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig (group ``system:masters``)."""
        return self._layout.kubeconfig

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self.state.server

    @property
    def state(self) -> State:
        """What the supervisor last said.

        Raises:
            NotRunningError: There never was one.
        """
        state = read_state(self._layout)
        if state is None:
            raise NotRunningError(self.folder)
        return state

    @property
    def kubectl(self) -> Path:
        """The client of the same version."""
        return Path(self.state.kubectl)

    @property
    def is_running(self) -> bool:
        """Whether a supervisor lives; its components may still be on their way up."""
        return is_locked(self._layout.supervisor_lock)

    @property
    def etcd_endpoint(self) -> str:
        """URL of etcd, for tests that compact or count."""
        return f"http://127.0.0.1:{self.state.ports.etcd}"

    def log(self, component: str) -> Path:
        """Return the log file of *component*."""
        return self._layout.log(component)

    def user_kubeconfig(self, name: str, groups: Sequence[str] = ()) -> Path:
        """Return the kubeconfig of a user known by a client certificate; made at the first call.

        The same user in other groups is another file, so both can be used at once.
        """
        path, server = self._layout.user(name, groups), self.server
        if not is_current(path, server):
            authority = Authority(self._layout.pki)
            write_kubeconfig(path, authority, server, user=name, groups=groups, cluster=self.state.name)
        return path

    def status(self) -> list[ComponentStatus]:
        """Return how each component is, in start order; asks each one.

        Raises:
            NotRunningError: Nothing runs there.
        """
        if not self.is_running:
            raise NotRunningError(self.folder)
        state = self.state
        probe = Probe.of(state.ports, self.kubeconfig) if self.kubeconfig.exists() else None
        found: list[ComponentStatus] = []
        for component in Component:
            running = state.components.get(component)
            found.append(
                ComponentStatus(
                    component=component,
                    pid=running.pid if running else 0,
                    port=state.ports.of(component),
                    healthy=probe is not None and running is not None and probe.is_healthy(component),
                    restarts=running.restarts if running else 0,
                )
            )
        return found

    async def restart(self, component: str) -> None:
        """End *component* and return when its successor is healthy; data and ports stay.

        Raises:
            NotRunningError: Nothing runs there.
            StartError: It did not come back.
        """
        which = Component(component)
        if not self.is_running or which not in self.state.components:
            raise NotRunningError(self.folder)
        before = self.state.components[which].pid
        _signal(before, signal.SIGTERM)
        if not await eventually(lambda: self.state.components[which].pid != before, RESTART_PATIENCE_SECONDS):
            _signal(before, signal.SIGKILL)
        probe = Probe.of(self.state.ports, self.kubeconfig)

        def is_back() -> bool:
            return self.state.components[which].pid != before and probe.is_healthy(which)

        if not await eventually(is_back, STARTUP_SECONDS):
            log = self.log(component)
            raise StartError(component, "it did not come back after a restart", log, last_lines(log))

    async def stop(self) -> None:
        """Stop it for all who use it, and return when every process is gone; the data stays.

        Raises:
            ControlPlaneError: It still lives after SHUTDOWN_SECONDS.
        """
        if self.is_running:
            # Whoever starts it meanwhile waits, and finds it gone, not going.
            turn = await locked(self._layout.turn)
            try:
                await self._end()
            finally:
                os.close(turn)
        self.release()

    async def _settled(self) -> bool:
        """Say whether it is ready, once it is neither on its way up nor on its way down."""

        def is_settled() -> bool:
            return not self.is_running or self.state.phase == "ready"

        await eventually(is_settled, STARTUP_SECONDS)
        return self.is_running

    async def _end(self) -> None:
        if not self.is_running:
            return
        pid = self.state.supervisor
        _signal(pid, signal.SIGTERM)
        if not await eventually(lambda: not self.is_running, SHUTDOWN_SECONDS):
            raise ControlPlaneError(f"the supervisor (pid {pid}) did not stop; end it by: kill -9 {pid}")

    def release(self) -> None:
        """Say that this process needs it no more; it stops with the last that does."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # It ended by itself meanwhile.
        os.kill(pid, number)

"""Starts the components in order, watches over them and stops them in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tenantry.controlplane.arguments import arguments
from tenantry.controlplane.components import Component
from tenantry.controlplane.errors import StartError
from tenantry.controlplane.fake_nodes import nodes, stages
from tenantry.controlplane.files import write_atomically
from tenantry.controlplane.kubeconfigs import ADMIN, ADMIN_GROUP, is_current, point_to, write_kubeconfig
from tenantry.controlplane.pki import Authority, utc_now
from tenantry.controlplane.probe import Probe
from tenantry.controlplane.process import Process
from tenantry.controlplane.settings import Settings
from tenantry.controlplane.state import Ports
from tenantry.controlplane.waiting import Attention

START_SECONDS: Final = 120.0
YOUNG_SECONDS: Final = 10.0
MAX_YOUNG_DEATHS: Final = 3

_AFTER_THE_API_SERVER: Final = (Component.CONTROLLERS, Component.SCHEDULER, Component.KWOK)
_STOP_ORDER: Final = (_AFTER_THE_API_SERVER, (Component.API_SERVER,), (Component.ETCD,))


class Plane:
    """The components of one control plane, children of this process."""

    def __init__(self, settings: Settings, ports: Ports, attention: Attention) -> None:
        """Start nothing yet."""
        self.settings = settings
        self.ports = ports
        self.processes: dict[Component, Process] = {}
        self.restarts: dict[Component, int] = {}
        self._young_deaths: dict[Component, int] = {}
        self._attention = attention
        self._layout = settings.layout
        programs: Mapping[str, Path] = {name: Path(path) for name, path in settings.programs.items()}
        self._arguments = arguments(self._layout, ports, programs, api_server=settings.api_server_arguments)
        self._probe: Probe | None = None

    def start(self, report: Callable[[], None]) -> None:
        """Bring everything up; *report* after each component; return when pods can be created.

        Raises:
            StartError: A component ended or did not become healthy in time.
            StopRequested: From the waiting in between.
        """
        server = f"https://127.0.0.1:{self.ports.api_server}"
        _write_files(self.settings, server)
        self._probe = probe = Probe.of(self.ports, self._layout.kubeconfig)
        for component in (Component.ETCD, Component.API_SERVER):
            self._run(component)
            report()
            self._wait(component, partial(probe.is_healthy, component), "its health check failed")
        for component in _AFTER_THE_API_SERVER:
            self._run(component)
            report()
        self._create_nodes(probe)
        for component in _AFTER_THE_API_SERVER:
            self._wait(component, partial(probe.is_healthy, component), "its health check failed")
        self._wait(Component.CONTROLLERS, lambda: _has_service_account(probe), "it made no default service account")

    def revive(self) -> bool:
        """Start again what ended; say whether anything had.

        Raises:
            StartError: A component keeps dying young, so that starting it again is no help.
        """
        dead = [component for component, process in self.processes.items() if process.exit_code() is not None]
        for component in dead:
            process = self.processes[component]
            young = time.monotonic() - process.started < YOUNG_SECONDS
            self._young_deaths[component] = self._young_deaths.get(component, 0) + 1 if young else 0
            if self._young_deaths[component] >= MAX_YOUNG_DEATHS:
                raise self._error(component, f"it ended {MAX_YOUNG_DEATHS} times within {YOUNG_SECONDS:.0f} seconds")
            self._run(component)
            self.restarts[component] = self.restarts.get(component, 0) + 1
        return bool(dead)

    def stop(self) -> None:
        """Stop everything, what depends on others first; return when all is gone."""
        for group in _STOP_ORDER:
            running = [self.processes[component] for component in group if component in self.processes]
            for process in running:
                process.ask_to_stop()
            for process in running:
                process.stop()
        self.processes.clear()

    def _run(self, component: Component) -> None:
        self.processes[component] = Process.start(self._arguments[component], self._layout.log(component))

    def _wait(self, component: Component, is_done: Callable[[], bool], why: str) -> None:
        def settled() -> bool:
            self._require_running()
            return is_done()

        if not self._attention.wait_for(settled, START_SECONDS):
            raise self._error(component, f"{why} for {START_SECONDS:.0f} seconds")

    def _require_running(self) -> None:
        for component, process in self.processes.items():
            code = process.exit_code()
            if code is not None:
                raise self._error(component, f"it ended with exit code {code}")

    def _error(self, component: Component, why: str) -> StartError:
        process = self.processes[component]
        return StartError(component, why, process.log, process.last_lines())

    def _create_nodes(self, probe: Probe) -> None:
        now = utc_now().strftime("%Y-%m-%dT%H:%M:%SZ")
        for node in nodes(self.settings.nodes, self.settings.kubernetes_version, now):
            status, body = probe.api("POST", "/api/v1/nodes", node)
            if status not in {201, 409}:
                raise self._error(
                    Component.API_SERVER, f"it refused a fake node: {body.decode(errors='replace')[:300]}"
                )


def _write_files(settings: Settings, server: str) -> None:
    layout, authority = settings.layout, Authority(settings.layout.pki)
    authority.ensure(utc_now())
    write_atomically(layout.stages, stages())
    if not is_current(layout.kubeconfig, server):
        write_kubeconfig(layout.kubeconfig, authority, server, user=ADMIN, groups=(ADMIN_GROUP,), cluster=settings.name)
    for path in (layout.folder / "users").glob("*.yaml"):
        point_to(path, server)


def _has_service_account(probe: Probe) -> bool:
    status, _ = probe.api("GET", "/api/v1/namespaces/default/serviceaccounts/default")
    return status == 200

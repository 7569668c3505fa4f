"""The process that owns a control plane's components from start to end (run as a module)."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Final

from tenantry.controlplane.components import KUBECTL
from tenantry.controlplane.errors import StartError
from tenantry.controlplane.files import open_lock, try_lock
from tenantry.controlplane.plane import Plane
from tenantry.controlplane.ports import choose_ports
from tenantry.controlplane.settings import Settings
from tenantry.controlplane.state import Failure, Phase, Ports, Running, State, read_state, write_state
from tenantry.controlplane.waiting import Attention, StopRequested
from tenantry.foundation.codec import decode

PORT_ATTEMPTS: Final = 3


def main() -> int:
    """Run the control plane described by the first argument until told to stop; return the exit code.

    The start's outcome, and every change after it, stands in the state file.
    """
    settings = decode(sys.argv[1], Settings)
    layout = settings.layout
    lock = open_lock(layout.supervisor_lock)  # Held until this process ends, however it ends.
    if not try_lock(lock):
        return 3
    with Attention(None if settings.keep_alive else layout.lifeline) as attention:
        return _supervise(settings, attention)


def _supervise(settings: Settings, attention: Attention) -> int:
    before = read_state(settings.layout)
    plane = Plane(settings, choose_ports(before.ports if before else None), attention)
    try:
        plane = _started(plane, attention)
        _report(plane, "ready")
        while True:
            attention.idle()
            if plane.revive():
                _report(plane, "ready")
    except StopRequested:
        _report(plane, "stopping")
        plane.stop()
        _report(plane, "stopped")
        return 0
    except StartError as error:
        plane.stop()  # Before the report: who reads that it failed may rely on nothing being left.
        _report(plane, "failed", Failure(component=error.component, why=error.why, last_lines=error.last_lines))
        return 1
    finally:
        plane.stop()


def _started(plane: Plane, attention: Attention) -> Plane:
    for attempt in range(1, PORT_ATTEMPTS + 1):
        _report(plane, "starting")
        try:
            plane.start(partial(_report, plane, "starting"))
        except StartError as error:
            plane.stop()
            port_taken = any("address already in use" in line for line in error.last_lines)
            if not port_taken or attempt == PORT_ATTEMPTS:
                raise
            plane = Plane(plane.settings, choose_ports(Ports()), attention)
        except StopRequested:
            _report(plane, "stopping")
            plane.stop()
            raise
        else:
            break
    return plane


def _report(plane: Plane, phase: Phase, failure: Failure | None = None) -> None:
    settings = plane.settings
    components = {
        str(component): Running(pid=process.pid, restarts=plane.restarts.get(component, 0))
        for component, process in plane.processes.items()
    }
    state = State(
        phase=phase,
        name=settings.name,
        kubernetes_version=settings.kubernetes_version,
        kubectl=settings.programs[KUBECTL],
        supervisor=os.getpid(),
        ports=plane.ports,
        components=components,
        failure=failure,
    )
    write_state(settings.layout, state)


if __name__ == "__main__":
    sys.exit(main())

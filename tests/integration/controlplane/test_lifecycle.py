"""How a control plane starts, breaks, comes back and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tenantry.controlplane.cluster import ControlPlane
from tenantry.controlplane.errors import StartError

Eventually = Callable[[Callable[[], Any]], Awaitable[None]]

STARTER = """
import asyncio, sys
from pathlib import Path
from tenantry.controlplane.cluster import ControlPlane

async def main():
    plane = await ControlPlane.start(Path(sys.argv[1]))
    print("up", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


def is_running(pid: int) -> bool:
    """A zombie is no running process: in a container, nobody may be there to reap it."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def processes(plane: ControlPlane) -> list[int]:
    state = plane.state
    return [state.supervisor, *(running.pid for running in state.components.values())]


async def create_namespace(plane: ControlPlane, name: str) -> None:
    await run(plane, "create", "namespace", name)


async def run(plane: ControlPlane, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        plane.kubectl, "--kubeconfig", plane.kubeconfig, *arguments, stdout=subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return output.decode()


async def test_a_restart_keeps_data_ports_and_users(private_control_plane: ControlPlane) -> None:
    plane = private_control_plane
    user = plane.user_kubeconfig("alice")
    before = plane.state.ports, plane.kubeconfig.read_text(), user.read_text()
    await create_namespace(plane, "kept")
    left = processes(plane)
    await plane.stop()
    assert [pid for pid in left if is_running(pid)] == []

    again = await ControlPlane.start(plane.folder)
    assert (again.state.ports, again.kubeconfig.read_text(), user.read_text()) == before
    assert "namespace/kept" in await run(again, "get", "namespaces", "-o", "name")
    await again.stop()


async def test_components_come_back_when_they_are_restarted_or_die(
    private_control_plane: ControlPlane, eventually: Eventually
) -> None:
    plane = private_control_plane
    await create_namespace(plane, "kept")
    await plane.restart("kube-apiserver")
    await plane.restart("etcd")
    assert "namespace/kept" in await run(plane, "get", "namespaces", "-o", "name")

    scheduler = plane.state.components["kube-scheduler"].pid
    os.kill(scheduler, signal.SIGKILL)
    await eventually(lambda: plane.state.components["kube-scheduler"].pid != scheduler)
    await eventually(lambda: all(status.healthy for status in plane.status()))
    assert {status.component: status.restarts for status in plane.status()} == {
        "etcd": 1,
        "kube-apiserver": 1,
        "kube-controller-manager": 0,
        "kube-scheduler": 1,
        "kwok": 0,
    }


async def test_nothing_is_left_when_the_process_that_started_it_is_killed(
    tmp_path: Path, eventually: Eventually
) -> None:
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTER, tmp_path / "plane", stdout=subprocess.PIPE
    )
    assert starter.stdout is not None
    assert await asyncio.wait_for(starter.stdout.readline(), 120) == b"up\n"
    plane = ControlPlane.attach(tmp_path / "plane")
    left = processes(plane)
    assert all(is_running(pid) for pid in left)
    starter.kill()
    await starter.wait()
    await eventually(lambda: not any(is_running(pid) for pid in left))
    assert plane.state.phase == "stopped"


async def test_nothing_is_left_when_the_supervisor_is_killed(
    private_control_plane: ControlPlane, eventually: Eventually
) -> None:
    left = processes(private_control_plane)
    os.kill(private_control_plane.state.supervisor, signal.SIGKILL)
    await eventually(lambda: not any(is_running(pid) for pid in left))
    assert not private_control_plane.is_running


async def test_it_lives_until_the_last_user_lets_go(tmp_path: Path, eventually: Eventually) -> None:
    first = await ControlPlane.start(tmp_path / "plane")
    second = await ControlPlane.start(tmp_path / "plane")
    first.release()
    assert second.is_running
    second.release()
    await eventually(lambda: not second.is_running)
    assert second.state.phase == "stopped"


async def test_a_start_during_a_stop_comes_after_it(private_control_plane: ControlPlane) -> None:
    before = private_control_plane.state.supervisor
    _, again = await asyncio.gather(private_control_plane.stop(), ControlPlane.start(private_control_plane.folder))
    assert again.state.supervisor != before
    assert all(status.healthy for status in again.status())
    again.release()


async def test_two_run_side_by_side(control_plane: ControlPlane, private_control_plane: ControlPlane) -> None:
    await create_namespace(private_control_plane, "only-here")
    assert "only-here" not in await run(control_plane, "get", "namespaces", "-o", "name")


async def test_a_start_that_fails_names_the_component_and_its_log(tmp_path: Path) -> None:
    folder = tmp_path / "plane"
    folder.mkdir()
    (folder / "etcd").write_text("this is no folder")
    with pytest.raises(StartError) as failed:
        await ControlPlane.start(folder)
    assert failed.value.component == "etcd"
    assert failed.value.log == folder / "logs" / "etcd.log"
    assert "not a directory" in " ".join(failed.value.last_lines)
    assert "\n  next: " in str(failed.value)
    assert not ControlPlane(folder).is_running


async def test_a_cancelled_start_leaves_nothing(tmp_path: Path, eventually: Eventually) -> None:
    starting = asyncio.create_task(ControlPlane.start(tmp_path / "plane"))
    plane = ControlPlane(tmp_path / "plane")
    await eventually(lambda: (plane.folder / "state.json").exists() and plane.state.components)
    left = processes(plane)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await eventually(lambda: not any(is_running(pid) for pid in left))

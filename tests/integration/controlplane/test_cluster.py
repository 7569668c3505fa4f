"""The embedded control plane, as its users see it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tenantry.controlplane.cluster import ControlPlane
from tenantry.controlplane.errors import NotRunningError

Eventually = Callable[[Callable[[], Any]], Awaitable[None]]


def kubectl(plane: ControlPlane, *arguments: str, kubeconfig: Path | None = None) -> str:
    command = [str(plane.kubectl), f"--kubeconfig={kubeconfig or plane.kubeconfig}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def get(plane: ControlPlane, *arguments: str) -> Any:
    return json.loads(kubectl(plane, "get", "-o", "json", *arguments))


async def test_all_components_are_healthy(control_plane: ControlPlane) -> None:
    assert {status.component: status.healthy for status in control_plane.status()} == {
        "etcd": True,
        "kube-apiserver": True,
        "kube-controller-manager": True,
        "kube-scheduler": True,
        "kwok": True,
    }


async def test_a_second_start_joins_the_first(control_plane: ControlPlane) -> None:
    again = await ControlPlane.start(control_plane.folder)
    assert again.state.supervisor == control_plane.state.supervisor
    again.release()
    assert control_plane.is_running


async def test_a_user_is_who_the_certificate_says(control_plane: ControlPlane) -> None:
    kubeconfig = control_plane.user_kubeconfig("alice", ("projectcapsule.dev", "devs"))
    who = json.loads(kubectl(control_plane, "auth", "whoami", "-o", "json", kubeconfig=kubeconfig))
    info = who["status"]["userInfo"]
    assert (info["username"], info["groups"]) == ("alice", ["projectcapsule.dev", "devs", "system:authenticated"])
    assert kubeconfig.stat().st_mode & 0o777 == 0o600
    assert control_plane.user_kubeconfig("alice", ("devs", "projectcapsule.dev")) == kubeconfig


async def test_pods_run_and_jobs_complete(
    control_plane: ControlPlane, unique: Callable[[str], str], eventually: Eventually
) -> None:
    """Without a machine: the scheduler places the pods, and kwok lets them live."""
    namespace = unique("pods")
    kubectl(control_plane, "create", "namespace", namespace)
    kubectl(control_plane, "-n", namespace, "create", "deployment", "web", "--image=web", "--replicas=3")
    kubectl(control_plane, "-n", namespace, "create", "job", "once", "--image=once")

    def counts() -> tuple[int, int]:
        web = get(control_plane, "-n", namespace, "deployment", "web")
        once = get(control_plane, "-n", namespace, "job", "once")
        return web["status"].get("readyReplicas", 0), once["status"].get("succeeded", 0)

    await eventually(lambda: counts() == (3, 1))
    pods = get(control_plane, "-n", namespace, "pods", "-l", "app=web")["items"]
    assert len({pod["status"]["podIP"] for pod in pods}) == 3
    assert [pod["status"]["containerStatuses"][0]["ready"] for pod in pods] == [True, True, True]

    kubectl(control_plane, "delete", "namespace", namespace, "--wait=false")
    await eventually(lambda: namespace not in kubectl(control_plane, "get", "namespaces", "-o", "name"))


async def test_a_resource_quota_is_enforced(
    control_plane: ControlPlane, unique: Callable[[str], str], eventually: Eventually
) -> None:
    namespace = unique("quota")
    kubectl(control_plane, "create", "namespace", namespace)
    kubectl(control_plane, "-n", namespace, "create", "quota", "none", "--hard=configmaps=1")
    # The one that the control plane makes itself, a moment later.
    one = {"configmaps": "1"}
    await eventually(lambda: get(control_plane, "-n", namespace, "quota", "none")["status"].get("used") == one)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        kubectl(control_plane, "-n", namespace, "create", "configmap", "one-too-many")
    assert "exceeded quota: none" in refused.value.stderr


async def test_the_nodes_are_ready(control_plane: ControlPlane) -> None:
    nodes = {
        node["metadata"]["name"]: [c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready"]
        for node in get(control_plane, "nodes")["items"]
    }
    assert nodes == {"node-1": ["True"], "node-2": ["True"], "node-3": ["True"]}


def test_a_handle_needs_something_that_runs(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="tenantry cluster up"):
        ControlPlane.attach(tmp_path / "nothing")

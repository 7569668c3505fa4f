"""``tenantry cluster``, as typed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from tenantry.cli.cluster import cluster
from tenantry.controlplane.cluster import ControlPlane
from tenantry.controlplane.errors import NotRunningError


def invoke(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(cluster, arguments, **options)


def test_a_detached_control_plane_is_used_and_stopped(tmp_path: Path) -> None:
    folder = f"--folder={tmp_path / 'plane'}"
    up = invoke("up", folder, "--detach", "--nodes=1")
    assert up.exit_code == 0
    assert f"export KUBECONFIG={tmp_path / 'plane' / 'kubeconfig'}" in up.stdout

    status = invoke("status", folder, "-o", "json")
    assert status.exit_code == 0
    assert {item["component"]: item["healthy"] for item in json.loads(status.stdout)} == {
        "etcd": True,
        "kube-apiserver": True,
        "kube-controller-manager": True,
        "kube-scheduler": True,
        "kwok": True,
    }
    assert invoke("kubeconfig", folder).stdout == f"{tmp_path / 'plane' / 'kubeconfig'}\n"
    user = invoke("user", folder, "alice", "--group", "projectcapsule.dev").stdout
    assert user == f"{tmp_path / 'plane' / 'users' / 'alice@projectcapsule.dev.yaml'}\n"
    second = invoke("up", folder)
    assert (second.exit_code, "runs in" in second.stderr) == (1, True)

    assert invoke("down", folder).exit_code == 0
    again = invoke("down", folder)
    assert isinstance(again.exception, NotRunningError)


def test_the_foreground_ends_with_ctrl_c_and_takes_everything_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "plane"
    script = "from tenantry.cli.cluster import cluster; cluster()"
    with subprocess.Popen(
        [sys.executable, "-c", script, "up", "--folder", str(folder)], stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline().startswith("Kubernetes 1.")
        command.send_signal(signal.SIGINT)
        assert command.wait(60) == 0
    assert not ControlPlane(folder).is_running


def test_a_version_that_is_none_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    result = invoke("up", f"--folder={tmp_path / 'plane'}", "--kubernetes-version=latest")
    assert str(result.exception).startswith("kubernetes version: 'latest' is invalid")
    assert not (tmp_path / "plane").exists()

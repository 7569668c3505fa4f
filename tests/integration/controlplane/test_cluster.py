"""The embedded control plane, as its users see it."""

from __future__ import annotations

from pathlib import Path

from tenantry.controlplane.cluster import ControlPlane


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
    assert again.state == control_plane.state
    again.release()
    assert control_plane.is_running


def test_kubeconfig(kubeconfig: Path) -> None:
    assert kubeconfig.stat().st_mode & 0o777 == 0o600

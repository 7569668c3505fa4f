"""The command lines."""

from __future__ import annotations

import re
from pathlib import Path

from tenantry.controlplane.arguments import arguments
from tenantry.controlplane.components import PROGRAMS, Component
from tenantry.controlplane.layout import Layout
from tenantry.controlplane.state import Ports

PORTS = Ports(etcd=1001, etcd_peer=1002, api_server=1003, controllers=1004, scheduler=1005, kwok=1006)
ARGUMENTS = arguments(Layout(Path("/cp")), PORTS, {program: Path("/bin", program) for program in PROGRAMS})


def test_each_component_has_a_command() -> None:
    assert {component: command[0] for component, command in ARGUMENTS.items()} == {
        component: f"/bin/{component}" for component in Component
    }


def test_every_address_is_the_loopback_one() -> None:
    """Nobody on the network may reach the control plane, and etcd asks nobody who he is."""
    text = " ".join(" ".join(command) for command in ARGUMENTS.values())
    assert set(re.findall(r"(?:address|ip)[=:](\d+\.\d+\.\d+\.\d+)", text)) == {"127.0.0.1"}
    assert set(re.findall(r"https?://([0-9.]+):", text)) == {"127.0.0.1"}


def test_the_scheduler_is_told_no_more_than_this() -> None:
    assert ARGUMENTS[Component.SCHEDULER] == (
        "/bin/kube-scheduler",
        "--kubeconfig=/cp/kubeconfig",
        "--authentication-kubeconfig=/cp/kubeconfig",
        "--authorization-kubeconfig=/cp/kubeconfig",
        "--cert-dir=/cp/pki",
        "--secure-port=1005",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
    )


def test_kwok_manages_all_nodes_by_our_stages() -> None:
    assert ARGUMENTS[Component.KWOK] == (
        "/bin/kwok",
        "--kubeconfig=/cp/kubeconfig",
        "--config=/cp/kwok.yaml",
        "--cidr=10.244.0.0/16",
        "--node-ip=127.0.0.1",
        "--manage-all-nodes",
        "--server-address=127.0.0.1:1006",
    )


def test_arguments_of_ones_own_come_last() -> None:
    """The last of a repeated flag counts."""
    layout, programs = Layout(Path("/cp")), {program: Path("/bin", program) for program in PROGRAMS}
    found = arguments(layout, PORTS, programs, api_server=("--allow-privileged=false",))
    assert found == ARGUMENTS | {
        Component.API_SERVER: (*ARGUMENTS[Component.API_SERVER], "--allow-privileged=false"),
    }

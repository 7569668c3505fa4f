"""The machines that do not exist, and how kwok lets pods live on them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

DEFAULT_NODES: Final = ("node-1", "node-2", "node-3")

_CAPACITY: Final = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "10000"}
_CONDITIONS: Final = (
    ("Ready", "True", "KubeletReady", "kwok answers for this node"),
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kwok has memory"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kwok has disk"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kwok has process ids"),
)


def nodes(names: Sequence[str], kubernetes_version: str, now: str) -> list[dict[str, Any]]:
    """Return Nodes that are Ready from their creation; *now* is RFC 3339."""
    return [_node(name, kubernetes_version, now) for name in names]


def _node(name: str, kubernetes_version: str, now: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "type": "kwok",
            },
        },
        "status": {
            "capacity": _CAPACITY,
            "allocatable": _CAPACITY,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "kwok://",
                "kernelVersion": "",
                "kubeProxyVersion": "",
                "kubeletVersion": f"v{kubernetes_version}",
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "kwok",
                "systemUUID": "",
            },
            "conditions": [
                {
                    "type": kind,
                    "status": status,
                    "reason": reason,
                    "message": message,
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                }
                for kind, status, reason, message in _CONDITIONS
            ],
        },
    }


def stages() -> str:
    """Return kwok's configuration: the life of nodes and pods."""
    return resources.files("tenantry.controlplane").joinpath("stages.yaml").read_text()

"""A stand-in kubelet: kwok's own server, behind a node of its own, so that logs, exec and port-forward stream.

Exec runs commands of this machine, logs are a file that tests write, and port-forward reaches an echo server.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import trustme

from tenantry.controlplane.binaries.search import find_programs
from tenantry.controlplane.cluster import ControlPlane
from tenantry.controlplane.components import Component, Versions
from tenantry.controlplane.fake_nodes import stages
from tenantry.foundation.codec import encode

NODE: Final = "stand-in"
IMAGE: Final = "registry.example.org/stand-in:1"

_NODE: Final = f"""\
apiVersion: v1
kind: Node
metadata:
  name: {NODE}
  labels: {{kubernetes.io/hostname: {NODE}, kubernetes.io/os: linux, type: kwok}}
spec:
  taints: [{{key: stand-in, effect: NoSchedule}}]
"""
_CONFIG: Final = """\
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata: {{name: all}}
spec: {{logs: [{{logsFile: {logs}, follow: true}}]}}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterExec
metadata: {{name: all}}
spec: {{execs: [{{local: {{workDir: {folder}}}}}]}}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterAttach
metadata: {{name: all}}
spec: {{attaches: [{{logsFile: {logs}}}]}}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterPortForward
metadata: {{name: all}}
spec: {{forwards: [{{target: {{address: 127.0.0.1, port: {echo}}}}}]}}
"""


class StandInKubelet:
    """Serves streams for every pod that is bound to :data:`NODE`."""

    def __init__(
        self, process: asyncio.subprocess.Process, echo: asyncio.Server, plane: ControlPlane, logs: Path
    ) -> None:
        self._process = process
        self._echo = echo
        self._plane = plane
        self.logs = logs
        """What ``kubectl logs`` shows; lines that are added are followed."""

    @classmethod
    async def start(cls, plane: ControlPlane, folder: Path) -> Self:
        """Start it, and the node; *folder* holds its files."""
        logs, config = folder / "pod.log", folder / "kwok.yaml"
        logs.write_text("")
        echo = await asyncio.start_server(_echo, "127.0.0.1", 0)
        # kwok does not start without stages, though it manages nothing here.
        config.write_text(
            _CONFIG.format(logs=logs, folder=folder, echo=echo.sockets[0].getsockname()[1]) + "---\n" + stages()
        )
        certificate = trustme.CA().issue_cert("127.0.0.1", "localhost")
        certificate.private_key_pem.write_to_path(str(folder / "kubelet.key"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / "kubelet.pem"))
        port = _free_port()
        program = find_programs(Versions())[Component.KWOK]
        with (folder / "kubelet.log").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(str(program), f"--kubeconfig={plane.kubeconfig}", f"--config={config}"),
                *("--manage-nodes-with-label-selector=stand-in=nobody", f"--server-address=127.0.0.1:{port}"),
                *(f"--tls-cert-file={folder / 'kubelet.pem'}", f"--tls-private-key-file={folder / 'kubelet.key'}"),
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        kubelet = cls(process, echo, plane, logs)
        await kubelet._register(port)
        return kubelet

    async def stop(self) -> None:
        """End it; the node goes too."""
        self._echo.close()
        await self._kubectl("delete", "node", NODE, "--ignore-not-found")
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    def write_log(self, line: str) -> None:
        """Add a line to what pods log."""
        with self.logs.open("a") as file:
            # As container runtimes write: KEP-1602, "CRI logging".
            file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z stdout F {line}\n")

    async def pod(self, namespace: str, name: str) -> None:
        """Have a running pod of one container, ``main``, on the node."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"nodeName": NODE, "containers": [{"name": "main", "image": IMAGE}]},
        }
        await self._kubectl("apply", "-f", "-", stdin=encode(manifest))
        await self._kubectl("wait", "pod", name, "-n", namespace, "--for=condition=Ready", "--timeout=60s")

    async def _register(self, port: int) -> None:
        await self._kubectl("apply", "-f", "-", stdin=_NODE.encode())
        await self._kubectl("wait", "node", NODE, "--for=condition=Ready", "--timeout=60s")
        status = {
            "status": {
                # The API server prefers host names, and nobody resolves this node's.
                "addresses": [{"type": kind, "address": "127.0.0.1"} for kind in ("InternalIP", "Hostname")],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            }
        }
        await self._kubectl(
            "patch", "node", NODE, "--subresource=status", "--type=merge", "-p", encode(status).decode()
        )

    async def _kubectl(self, *arguments: str, stdin: bytes | None = None) -> str:
        process = await asyncio.create_subprocess_exec(
            *(str(self._plane.kubectl), "--kubeconfig", str(self._plane.kubeconfig), *arguments),
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate(stdin)
        if process.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}:\n{output.decode()}")
        return output.decode()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

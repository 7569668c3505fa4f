"""A stand-in for metrics-server: an extension API server behind the real aggregator, with fixed figures."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import trustme
from aiohttp import web

from tenantry.controlplane.cluster import ControlPlane
from tenantry.foundation.codec import encode

GROUP_VERSION: Final = "metrics.k8s.io/v1beta1"
_OWN: Final = "stand-in-metrics"
_NAMESPACE: Final = "kube-system"
_API_SERVICE: Final = "v1beta1.metrics.k8s.io"
_USAGE: Final = {"cpu": "250m", "memory": "64Mi"}


class MetricsApi:
    """Serves usage of every node and pod that it was told of."""

    def __init__(self, plane: ControlPlane, runner: web.AppRunner) -> None:
        self._plane = plane
        self._runner = runner
        self.nodes: list[str] = []
        """Names of the nodes that have figures."""
        self.pods: list[tuple[str, str]] = []
        """Namespace and name of the pods that have."""

    @classmethod
    async def start(cls, plane: ControlPlane, folder: Path) -> Self:
        """Listen, register with the aggregator, and return when it serves the group; *folder* holds the key."""
        application = web.Application()
        runner = web.AppRunner(application)
        served = cls(plane, runner)
        application.router.add_get(f"/apis/{GROUP_VERSION}", served._discovery)
        application.router.add_get(f"/apis/{GROUP_VERSION}/nodes", served._nodes)
        application.router.add_get(f"/apis/{GROUP_VERSION}/nodes/{{name}}", served._node)
        application.router.add_get(f"/apis/{GROUP_VERSION}/pods", served._pods)
        application.router.add_get(f"/apis/{GROUP_VERSION}/namespaces/{{namespace}}/pods", served._pods)
        await runner.setup()
        # The aggregator dials endpoints, and no EndpointSlice may name this machine's loopback address.
        site = web.TCPSite(runner, "0.0.0.0", 0, ssl_context=_tls(folder))  # noqa: S104
        await site.start()
        await served._register(int(runner.addresses[0][1]))
        return served

    async def stop(self) -> None:
        """Unregister, and end it."""
        await self._kubectl("delete", "apiservice", _API_SERVICE, "--ignore-not-found")
        await self._kubectl("delete", "clusterrole", _OWN, "--ignore-not-found")
        await self._kubectl("delete", "service,endpointslice", _OWN, "-n", _NAMESPACE, "--ignore-not-found")
        await self._runner.cleanup()

    async def _discovery(self, _: web.Request) -> web.Response:
        verbs = ["get", "list"]
        resources = [
            {"name": "nodes", "singularName": "", "namespaced": False, "kind": "NodeMetrics", "verbs": verbs},
            {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": verbs},
        ]
        return web.json_response(
            {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": resources}
        )

    async def _nodes(self, _: web.Request) -> web.Response:
        return _list("NodeMetrics", [_measured("NodeMetrics", {"name": name}, usage=_USAGE) for name in self.nodes])

    async def _node(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name in self.nodes:
            return web.json_response(_measured("NodeMetrics", {"name": name}, usage=_USAGE))
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": f'nodes.metrics.k8s.io "{name}" not found',
            "reason": "NotFound",
            "details": {"name": name, "group": "metrics.k8s.io", "kind": "nodes"},
            "code": 404,
        }
        return web.json_response(status, status=404)

    async def _pods(self, request: web.Request) -> web.Response:
        wanted = request.match_info.get("namespace")
        containers = [{"name": "main", "usage": _USAGE}]
        return _list(
            "PodMetrics",
            [
                _measured("PodMetrics", {"namespace": namespace, "name": name}, containers=containers)
                for namespace, name in self.pods
                if wanted in (None, namespace)
            ],
        )

    async def _register(self, port: int) -> None:
        own: dict[str, Any] = {"name": _OWN, "namespace": _NAMESPACE}
        address = await asyncio.to_thread(_own_address)
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": own,
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": port}]},
        }
        endpoints = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": own | {"labels": {"kubernetes.io/service-name": _OWN}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }
        registration = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": _API_SERVICE},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "service": {"name": _OWN, "namespace": _NAMESPACE, "port": 443},
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
            },
        }
        # As metrics-server brings it: whoever may see pods may see their figures.
        rights = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {
                "name": _OWN,
                "labels": {
                    f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("view", "edit", "admin")
                },
            },
            "rules": [{"apiGroups": ["metrics.k8s.io"], "resources": ["pods"], "verbs": ["get", "list"]}],
        }
        manifests = b"\n---\n".join(encode(each) for each in (service, endpoints, registration, rights))
        await self._kubectl("apply", "-f", "-", stdin=manifests)
        await self._kubectl("wait", "apiservice", _API_SERVICE, "--for=condition=Available", "--timeout=60s")

    async def _kubectl(self, *arguments: str, stdin: bytes | None = None) -> None:
        process = await asyncio.create_subprocess_exec(
            *(str(self._plane.kubectl), "--kubeconfig", str(self._plane.kubeconfig), *arguments),
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate(stdin)
        if process.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}:\n{output.decode()}")


def _measured(kind: str, metadata: dict[str, str], **figures: Any) -> dict[str, Any]:
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    head = {"kind": kind, "apiVersion": GROUP_VERSION, "metadata": metadata | {"creationTimestamp": now}}
    return head | {"timestamp": now, "window": "30s"} | figures


def _list(kind: str, items: list[dict[str, Any]]) -> web.Response:
    return web.json_response({"kind": f"{kind}List", "apiVersion": GROUP_VERSION, "metadata": {}, "items": items})


def _tls(folder: Path) -> ssl.SSLContext:
    certificate = trustme.CA().issue_cert(f"{_OWN}.{_NAMESPACE}.svc")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key, chain = folder / "metrics.key", folder / "metrics.pem"
    certificate.private_key_pem.write_to_path(str(key))
    certificate.cert_chain_pems[0].write_to_path(str(chain))
    context.load_cert_chain(chain, key)
    return context


def _own_address() -> str:
    """Return an address of this machine that is not a loopback one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])

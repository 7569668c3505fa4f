"""What the gateway is measured beside: the same Envoy with TLS and one route, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any, Final, Self

from tenantry.gateway.envoy.binary import find_binary, launched
from tenantry.kube.config import load_config
from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import free_ports

_TYPES: Final = "type.googleapis.com/envoy.extensions."
_OPTIONS: Final = "upstreams.http.v3.HttpProtocolOptions"
_TRIES: Final = 200


class PlainEnvoy:
    """One process; clients' own credentials go through it."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @classmethod
    async def start(cls, gateway: Gateway) -> Self:
        """Run it before the API server of *gateway*, with its certificate and as many workers."""
        (port,) = free_ports(1)
        path = gateway.folder / "plain.json"
        path.write_text(json.dumps(_bootstrap(gateway, port)))
        command = launched(
            find_binary(), "-c", str(path), "--disable-hot-restart", "--concurrency", "1", "-l", "error",
            parent=os.getpid(),
        )  # fmt: skip
        plain = cls(await asyncio.create_subprocess_exec(*command), port)
        for _ in range(_TRIES):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return plain
        raise TimeoutError("Envoy does not listen")

    async def stop(self) -> None:
        """End it."""
        self._process.terminate()
        await self._process.wait()


def _typed(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": _TYPES + kind, **fields}}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"address": {"socket_address": {"address": host, "port_value": port}}}


def _bootstrap(gateway: Gateway, port: int) -> dict[str, Any]:
    given = gateway.configuration["listening"]["certificates"][0]
    pair = {"certificate_chain": {"filename": given["certificate"]}, "private_key": {"filename": given["key"]}}
    down = _typed(
        "tls",
        "transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={"tls_certificates": [pair], "alpn_protocols": ["h2", "http/1.1"]},
    )
    route = {"match": {"prefix": "/"}, "route": {"cluster": "api", "timeout": "0s"}}
    manager = _typed(
        "http",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="plain",
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=[_typed("router", "filters.http.router.v3.Router")],
    )
    listener = {"name": "clients", **_address("127.0.0.1", port)}
    chain = {"filters": [manager], "transport_socket": down}
    return {
        "static_resources": {"listeners": [{**listener, "filter_chains": [chain]}], "clusters": [_upstream(gateway)]}
    }


def _upstream(gateway: Gateway) -> dict[str, Any]:
    host, _, port = gateway.platform.plane.server.removeprefix("https://").rpartition(":")
    authority = load_config(kubeconfig=str(gateway.platform.plane.kubeconfig)).tls.ca
    assert authority is not None
    up = _typed(
        "tls",
        "transport_sockets.tls.v3.UpstreamTlsContext",
        common_tls_context={"validation_context": {"trusted_ca": {"inline_string": authority.read().decode()}}},
    )
    options = {"@type": _TYPES + _OPTIONS, "auto_config": {"http2_protocol_options": {}}}
    endpoint = {"endpoint": _address(host, int(port))}
    return {
        "name": "api",
        "load_assignment": {"cluster_name": "api", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "transport_socket": up,
        "typed_extension_protocol_options": {"envoy." + "extensions." + _OPTIONS: options},
    }

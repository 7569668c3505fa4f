"""The data plane's whole configuration as files: a pure function of settings and inputs."""

from __future__ import annotations

from typing import Final

from tenantry.foundation.codec import encode
from tenantry.gateway.envoy import names
from tenantry.gateway.envoy.clusters import clusters
from tenantry.gateway.envoy.inputs import Inputs
from tenantry.gateway.envoy.listeners import listeners
from tenantry.gateway.envoy.script import scripts
from tenantry.gateway.envoy.shapes import file_source, typed
from tenantry.gateway.envoy.tls import secrets
from tenantry.gateway.runtime import RuntimeFolder
from tenantry.gateway.settings import GatewaySettings

Files = dict[str, bytes]
"""By name, in ``runtime.envoy``."""
CONNECTIONS: Final = "envoy.resource_monitors.global_downstream_max_connections"


def render(settings: GatewaySettings, runtime: RuntimeFolder, inputs: Inputs) -> Files:
    """Return every file but the pushed credentials.

    Equal arguments give equal bytes.  A change of anything but ``bootstrap.json`` takes effect in a
    running Envoy.

    Raises:
        ConfigurationError: A cluster can not be served like this.
    """
    return {
        names.BOOTSTRAP: bootstrap(settings, runtime),
        **clusters(runtime, inputs),
        **secrets(settings, inputs),
        **scripts(settings, inputs),
        names.LISTENERS: listeners(settings, runtime, inputs),
    }


def bootstrap(settings: GatewaySettings, runtime: RuntimeFolder) -> bytes:
    """Return what Envoy is started with: where the rest lies, and the limit on connections."""
    monitor = typed(
        CONNECTIONS,
        "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=settings.limits.connections,
    )
    return encode(
        {
            "node": {"id": "gateway", "cluster": "tenantry"},
            "admin": {"address": {"pipe": {"path": str(runtime.admin_socket), "mode": 0o600}}},
            "dynamic_resources": {
                "lds_config": file_source(runtime.envoy / names.LISTENERS),
                "cds_config": file_source(runtime.envoy / names.CLUSTERS),
            },
            "overload_manager": {"resource_monitors": [monitor]},
            # Histograms are as old as this.
            "stats_flush_interval": "10s",
        }
    )

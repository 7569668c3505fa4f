"""The listener for clients, with one filter chain a cluster."""

from __future__ import annotations

from typing import Final

from tenantry.gateway.envoy import http, names, routes, tls
from tenantry.gateway.envoy.audit import connections_log
from tenantry.gateway.envoy.inputs import Inputs
from tenantry.gateway.envoy.shapes import TYPES, Json, discovery, resource, typed
from tenantry.gateway.runtime import RuntimeFolder
from tenantry.gateway.settings import ClusterSettings, GatewaySettings, Network

LISTENER: Final = "config.listener.v3.Listener"
BUFFER_BYTES: Final = 256 * 1024


def listeners(settings: GatewaySettings, runtime: RuntimeFolder, inputs: Inputs) -> bytes:
    """Return the listeners' file."""
    listening = settings.listening
    filters = []
    if listening.proxy_protocol:
        kind = "extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
        filters.append(typed("proxy-protocol", kind, allow_requests_without_proxy_protocol=False))
    if listening.certificates:
        filters.append(typed("sni", "extensions.filters.listener.tls_inspector.v3.TlsInspector"))
        chains = [_chain(settings, runtime, inputs, cluster) for cluster in settings.clusters]
    else:
        chains = [_plain_chain(settings, runtime, inputs)]
    listener = resource(
        LISTENER,
        name="clients",
        address={"socket_address": {"address": listening.address, "port_value": listening.port}},
        listener_filters=filters,
        listener_filters_timeout=f"{settings.limits.header_seconds:g}s",
        filter_chains=[chain for several in chains for chain in several],
        per_connection_buffer_limit_bytes=BUFFER_BYTES,
        access_log=[connections_log(settings.audit)],
    )
    return discovery([listener])


def _chain(settings: GatewaySettings, runtime: RuntimeFolder, inputs: Inputs, cluster: ClusterSettings) -> list[Json]:
    """Return the chains for a cluster's host names; the default cluster's also takes everybody else."""
    others = {host for each in settings.clusters if each is not cluster for host in each.hosts}
    served = inputs.clusters[cluster.name]
    if cluster.is_default:
        elsewhere, patterns = routes.domains(others), ["*"]
        match: Json = {}
    else:
        elsewhere, patterns = ["*"], routes.domains(cluster.hosts)
        match = {"server_names": sorted(cluster.hosts)}
    hosts = [
        routes.virtual_host(cluster.name, served, patterns),
        *routes.misdirected(elsewhere, cluster.name),
    ]
    manager = http.connection_manager(
        settings,
        hosts,
        logs=http.logs_of(settings, cluster.name),
        filters=[http.script_filter(runtime.envoy, cluster.name)],
        forwards_certificates=_forwards(cluster),
        holds_streams=inputs.holds_streams,
    )
    return [
        {
            "name": cluster.name,
            "filter_chain_match": match | _trusted(settings.listening.trusted_networks),
            "filters": [manager],
            **tls.transport(settings, cluster, inputs, runtime.envoy),
        }
    ]


def _plain_chain(settings: GatewaySettings, runtime: RuntimeFolder, inputs: Inputs) -> list[Json]:
    """Return the one chain of plain HTTP: no SNI tells the cluster, so the Host header does."""
    hosts, scripts = [], []
    for cluster in settings.clusters:
        patterns = ["*"] if cluster.is_default else routes.domains(cluster.hosts)
        here = {"@type": TYPES + "config.route.v3.FilterConfig", "disabled": False, "config": {}}
        scripts.append(http.script_filter(runtime.envoy, cluster.name, disabled=True))
        served = inputs.clusters[cluster.name]
        fields = {"typed_per_filter_config": {names.script(cluster.name): here}}
        hosts.append(routes.virtual_host(cluster.name, served, patterns, **fields))
    if not any(cluster.is_default for cluster in settings.clusters):
        hosts += routes.misdirected("*")
    manager = http.connection_manager(
        settings,
        hosts,
        logs=http.logs_of(settings, "%DYNAMIC_METADATA(tenantry:a:cluster)%"),
        filters=scripts,
        forwards_certificates=any(_forwards(cluster) for cluster in settings.clusters),
        holds_streams=inputs.holds_streams,
    )
    match = _trusted(settings.listening.trusted_networks)
    return [{"name": "plain", "filter_chain_match": match, "filters": [manager]}]


def _forwards(cluster: ClusterSettings) -> bool:
    return "XForwardedClientCert" in cluster.identity.authenticators


def _trusted(networks: tuple[Network, ...]) -> Json:
    """Return the match that lets nobody else in: a connection that matches no chain is closed at once."""
    ranges = [{"address_prefix": str(each.network_address), "prefix_len": each.prefixlen} for each in networks]
    return {"direct_source_prefix_ranges": ranges} if ranges else {}

"""The clusters that Envoy sends requests to: API servers, with and without our credential, and Python's sockets."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tenantry.gateway.envoy import credentials, names
from tenantry.gateway.envoy.inputs import ClusterInputs, Inputs
from tenantry.gateway.envoy.shapes import Json, discovery, file_source, pem_source, resource, typed, watched
from tenantry.gateway.runtime import RuntimeFolder
from tenantry.gateway.streams.envoy_filter import stream_cluster
from tenantry.kube.config import ClusterConfig
from tenantry.kube.tls import Pem, TlsSettings

OPTIONS: Final = "extensions.upstreams.http.v3.HttpProtocolOptions"
SECRET: Final = "extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a message's name
CONNECT_SECONDS: Final = 5
API_IDLE_SECONDS: Final = 300
SOCKET_IDLE_SECONDS: Final = 30
"""Less than the 75 s after which aiohttp closes, so that no request meets a connection that is just going."""
PLENTY: Final = 1_000_000_000
"""Envoy's own limit of 1024 requests a cluster would be a limit on watches; ours stand in the settings."""
MIB: Final = 1024 * 1024

HTTP2: Final[Json] = {
    # An API server that went away without a word is noticed; streams may be idle for ever.
    "connection_keepalive": {"interval": "30s", "timeout": "15s"},
    "initial_stream_window_size": MIB,
    "initial_connection_window_size": 8 * MIB,
}


def clusters(runtime: RuntimeFolder, inputs: Inputs) -> dict[str, bytes]:
    """Return the clusters' file, and the files of the secrets that they use."""
    listed: list[Json] = []
    files: dict[str, bytes] = {}
    for name, cluster in inputs.clusters.items():
        credentials.check(name, cluster.upstream)
        listed += _api_servers(runtime.envoy, name, cluster.upstream)
        listed.append(_socket(names.python(name), runtime.python_socket(name)))
        files |= _secrets(name, cluster, inputs.system_ca)
    if inputs.holds_streams:
        listed.append(resource("config.cluster.v3.Cluster", **stream_cluster(names.STREAMS, runtime.streams_socket)))
    return {names.CLUSTERS: discovery(listed), **files}


def _api_servers(folder: Path, name: str, upstream: ClusterConfig) -> list[Json]:
    guarded = [_impersonates()]
    if credentials.injects(upstream):
        guarded.append(credentials.injector(folder, name, upstream))
    codec = typed("codec", "extensions.filters.http.upstream_codec.v3.UpstreamCodec")
    any_http = _any_http(upstream)
    http1: Json = {"explicit_http_config": {"http_protocol_options": {}}}
    alone = {"common_http_protocol_options": {"max_requests_per_connection": 1}}
    ours = {"http_filters": [*guarded, codec]}
    shows, anonymous = (_transport(folder, name, upstream, shows=shows) for shows in (True, False))
    return [
        _api_server(names.api(name), upstream, {**any_http, **ours}, shows),
        # A connection that refused an upgrade is never used again (CVE-2018-1002105).
        _api_server(names.api_upgrades(name), upstream, {**http1, **alone, **ours}, shows),
        _api_server(names.own(name), upstream, any_http, anonymous),
        _api_server(names.own_upgrades(name), upstream, {**http1, **alone}, anonymous),
    ]


def _impersonates() -> Json:
    """Return the last door before our credential: whoever comes without a user to act as is refused."""
    user = {"header": {"name": "impersonate-user", "string_match": {"safe_regex": {"regex": ".+"}}}}
    policy = {"permissions": [{"any": True}], "principals": [user]}
    rules = {"action": "ALLOW", "policies": {"impersonates": policy}}
    return typed("impersonates", "extensions.filters.http.rbac.v3.RBAC", rules=rules)


def _any_http(upstream: ClusterConfig) -> Json:
    if upstream.server.startswith("https://"):
        return {"auto_config": {"http_protocol_options": {}, "http2_protocol_options": HTTP2}}
    return {"explicit_http_config": {"http_protocol_options": {}}}


def _api_server(name: str, upstream: ClusterConfig, options: Json, transport: Json) -> Json:
    url = urlsplit(upstream.server)
    host = url.hostname or ""
    port = url.port or (443 if url.scheme == "https" else 80)
    common = {"idle_timeout": f"{API_IDLE_SECONDS}s", **options.get("common_http_protocol_options", {})}
    keepalive = {"tcp_keepalive": {"keepalive_time": 30, "keepalive_interval": 10, "keepalive_probes": 3}}
    return _cluster(
        name,
        {"socket_address": {"address": host, "port_value": port}},
        {**options, "common_http_protocol_options": common},
        type="STATIC" if _is_ip(host) else "STRICT_DNS",
        upstream_connection_options=keepalive,
        **transport,
    )


def _transport(folder: Path, name: str, upstream: ClusterConfig, *, shows: bool) -> Json:
    """Return the TLS settings; only with *shows* our own client certificate is shown."""
    if not upstream.server.startswith("https://"):
        return {}
    tls = upstream.tls
    context: Json = {}
    if not tls.is_insecure:
        context |= _verification(folder, name, upstream)
    if shows and tls.certificate is not None:
        path = folder / names.upstream_certificate_file(name)
        context["tls_certificate_sds_secret_configs"] = [{"name": "certificate", "sds_config": file_source(path)}]
    context["tls_params"] = {"tls_minimum_protocol_version": "TLSv1_2"}
    sni = tls.server_name or (urlsplit(upstream.server).hostname or "")
    kind = "extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    fields: Json = {"common_tls_context": context} | ({} if _is_ip(sni) else {"sni": sni})
    return {"transport_socket": typed("tls", kind, **fields)}


def _verification(folder: Path, name: str, upstream: ClusterConfig) -> Json:
    named = {"match_typed_subject_alt_names": [_san(_verified_name(upstream))]}
    if upstream.tls.ca is not None and upstream.tls.ca.file is None:
        # A file that nobody renews needs no watch: each takes one of the machine's few inotify instances.
        return {"validation_context": {"trusted_ca": pem_source(upstream.tls.ca), **named}}
    secret = {"name": "ca", "sds_config": file_source(folder / names.upstream_ca_file(name))}
    both = {"default_validation_context": named, "validation_context_sds_secret_config": secret}
    return {"combined_validation_context": both}


def _verified_name(upstream: ClusterConfig) -> str:
    return upstream.tls.server_name or urlsplit(upstream.server).hostname or ""


def _san(name: str) -> Json:
    return {"san_type": "IP_ADDRESS" if _is_ip(name) else "DNS", "matcher": {"exact": name}}


def _secrets(name: str, cluster: ClusterInputs, system_ca: str) -> dict[str, bytes]:
    upstream, files = cluster.upstream, dict[str, bytes]()
    tls: TlsSettings = upstream.tls
    ca = tls.ca or Pem(file=Path(system_ca))
    if upstream.server.startswith("https://") and not tls.is_insecure and ca.file is not None:
        context = {"trusted_ca": pem_source(ca), **watched(ca)}
        files[names.upstream_ca_file(name)] = discovery([resource(SECRET, name="ca", validation_context=context)])
    if tls.certificate is not None:
        shown = tls.certificate
        pair = {"certificate_chain": pem_source(shown.certificate), "private_key": pem_source(shown.key)}
        pair |= watched(shown.certificate, shown.key)
        files[names.upstream_certificate_file(name)] = discovery(
            [resource(SECRET, name="certificate", tls_certificate=pair)]
        )
    path = getattr(upstream.credentials, "path", None)
    if credentials.reads_token_file(upstream) and path is not None:
        files[names.token_file(name)] = credentials.token_file_secret(Path(path))
    return files


def _socket(name: str, path: Path) -> Json:
    common: Json = {"idle_timeout": f"{SOCKET_IDLE_SECONDS}s"}
    options: Json = {"explicit_http_config": {"http_protocol_options": {}}, "common_http_protocol_options": common}
    return _cluster(name, {"pipe": {"path": str(path)}}, options, type="STATIC")


def _cluster(name: str, address: Json, options: Json, **fields: Any) -> Json:
    endpoint = {"endpoint": {"address": address}}
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), PLENTY)
    return resource(
        "config.cluster.v3.Cluster",
        name=name,
        connect_timeout=f"{CONNECT_SECONDS}s",
        load_assignment={"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        circuit_breakers={"thresholds": [limits]},
        typed_extension_protocol_options={
            f"envoy.{OPTIONS}": {"@type": f"type.googleapis.com/envoy.{OPTIONS}", **options}
        },
        **fields,
    )


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True

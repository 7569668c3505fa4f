"""How HTTP is read: limits, strictness, and the order of script, guard and credential."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tenantry.gateway.envoy import names
from tenantry.gateway.envoy.audit import request_metrics, requests_log
from tenantry.gateway.envoy.replies import local_replies
from tenantry.gateway.envoy.shapes import TYPES, Json, exact_header, file_source, metadata_is, seconds, typed
from tenantry.gateway.settings import GatewaySettings, Limits
from tenantry.gateway.streams.envoy_filter import stream_filter

LUA: Final = "extensions.filters.http.lua.v3.Lua"
RBAC: Final = "extensions.filters.http.rbac.v3.RBAC"
CONNECTION_MANAGER: Final = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
UPGRADES: Final = ("websocket", "SPDY/3.1")
WAITING_SECONDS: Final = 120
"""For the body of a request, before it is known where the request goes."""
NEVER_FROM_CLIENTS: Final = (
    "x-request-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-real-ip",
    "forwarded",
)
"""The API server writes these into its audit log, or believes them; Envoy sets the true ones afterwards."""
USER: Final = {"header": {"name": "impersonate-user", "string_match": {"safe_regex": {"regex": ".+"}}}}
KIB: Final = 1024


def connection_manager(
    settings: GatewaySettings,
    hosts: list[Json],
    *,
    logs: list[Json],
    filters: list[Json],
    forwards_certificates: bool,
    holds_streams: bool,
) -> Json:
    """Return the connection manager of clients' connections; *filters* are the scripts."""
    limited = typed(
        "body",
        "extensions.filters.http.body_size_limit.v3.BodySizeLimit",
        max_request_bytes=settings.limits.request_body_bytes,
    )
    held = [stream_filter(names.STREAMS)] if holds_streams else []
    guarded = [*filters, guard(), *held]
    return typed(
        "http",
        CONNECTION_MANAGER,
        stat_prefix="clients",
        access_log=logs,
        http_filters=[*guarded, limited, router()],
        # A stream's bytes are no body.  Any other upgrade than these is refused by Envoy.
        upgrade_configs=[{"upgrade_type": kind, "filters": [*guarded, router()]} for kind in UPGRADES],
        route_config={"name": "clients", "virtual_hosts": hosts, "validate_clusters": False},
        local_reply_config=local_replies(),
        use_remote_address=True,
        # A stream that is ended is seen to end; the default of 1 s is half of what a lock may take.
        delayed_close_timeout="0.2s",
        early_header_mutation_extensions=[_forget()],
        forward_client_cert_details="ALWAYS_FORWARD_ONLY" if forwards_certificates else "SANITIZE",
        **limits(settings.limits),
        **strictness(),
    )


def limits(limit: Limits) -> Json:
    """Return what one connection and request may take (invariant 20)."""
    return {
        "max_request_headers_kb": -(-limit.request_header_bytes // KIB),
        "request_headers_timeout": seconds(limit.header_seconds),
        "stream_idle_timeout": f"{WAITING_SECONDS}s",
        "common_http_protocol_options": {
            "idle_timeout": seconds(limit.idle_seconds),
            "max_headers_count": limit.request_headers,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": limit.streams_per_connection,
            "initial_stream_window_size": 256 * KIB,
            "initial_connection_window_size": 1024 * KIB,
            # Keeps idle log streams alive through load balancers, and notices clients that are gone.
            "connection_keepalive": {"interval": "30s", "timeout": "20s"},
            "override_stream_error_on_invalid_http_message": True,
        },
    }


def strictness() -> Json:
    """Return how paths and framing are taken: as sent, or not at all (invariants 16, 17)."""
    return {
        # What is classified is what is forwarded, byte for byte: the script refuses what would need cleaning.
        "normalize_path": False,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "http_protocol_options": {"allow_absolute_url": False, "accept_http_10": False},
        "server_header_transformation": "PASS_THROUGH",
        "generate_request_id": True,
        "request_id_extension": {
            "typed_config": {
                "@type": TYPES + "extensions.request_id.uuid.v3.UuidRequestIdConfig",
                "pack_trace_reason": False,
            }
        },
        # Nobody: Envoy believes x-envoy-* headers of clients with internal addresses, and private ones are by default.
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
    }


def _forget() -> Json:
    kind = "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return typed("forget", kind, mutations=[{"remove": name} for name in NEVER_FROM_CLIENTS])


def script_filter(folder: Path, cluster: str, **fields: Any) -> Json:
    """Return the script as an extension that is configured on its own, so that pushing it drains nothing."""
    discovery = {"config_source": file_source(folder / names.script_file(cluster)), "type_urls": [TYPES + LUA]}
    return {"name": names.script(cluster), "config_discovery": discovery, **fields}


def guard() -> Json:
    """Return the filter that lets nothing through without the script's mark, which is written last.

    Envoy's script filter fails open: after an error the request would go on as the client sent it.
    """
    own = [metadata_is(("own",), "yes"), {"or_ids": {"ids": [_header(names.ROUTE_HEADER, value) for value in _OWN]}}]
    acts = {"or_ids": {"ids": [USER, {"and_ids": {"ids": own}}]}}
    return _allow(names.GUARD, {"and_ids": {"ids": [metadata_is(("ok",), "yes"), acts]}})


_OWN: Final = ("own", "own-stream")


def _header(name: str, value: str) -> Json:
    return {"header": exact_header(name, value)}


def _allow(name: str, principal: Json) -> Json:
    policy = {"permissions": [{"any": True}], "principals": [principal]}
    return typed(name, RBAC, rules={"action": "ALLOW", "policies": {name: policy}})


def router() -> Json:
    """Return the last filter."""
    return typed("router", "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True)


def logs_of(settings: GatewaySettings, cluster: str) -> list[Json]:
    """Return the audit log and the metrics of a cluster."""
    return [requests_log(settings.audit, cluster), *request_metrics(cluster)]

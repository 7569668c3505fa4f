"""What the data plane's configuration says about streams: the filter, the routes without it, the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

FILTER: Final = "tenantry.streams"
"""The filter's name, for routes that do without."""
ANSWER_SECONDS: Final = 3
"""How long a stream that begins waits for a word; in a quiet gateway it takes half a millisecond."""
DETAILS_PREFIX: Final = "tenantry_"
"""Of the response code details of what is refused here; a reason's token follows, in lower case."""

_PACKAGE: Final = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3"
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def stream_filter(cluster: str) -> dict[str, Any]:
    """Return the HTTP filter; it stands after the script and the guard.

    It is on unless a route says :func:`no_stream`: a route that forgets both is held, not let go.
    (``HttpFilter.disabled`` would be read before the script has chosen the route.)
    """
    return {
        "name": FILTER,
        "typed_config": {
            "@type": f"{_PACKAGE}.ExternalProcessor",
            "grpc_service": {"envoy_grpc": {"cluster_name": cluster}},
            "failure_mode_allow": False,
            "status_on_error": {"code": "ServiceUnavailable"},
            "message_timeout": f"{ANSWER_SECONDS}s",
            "allow_mode_override": False,
            "processing_mode": {
                "request_header_mode": "SEND",
                "response_header_mode": "SKIP",
                "request_body_mode": "NONE",
                "response_body_mode": "NONE",
                "request_trailer_mode": "SKIP",
                # What keeps the call open until the response is over; most responses have no trailers.
                "response_trailer_mode": "SEND",
            },
        },
    }


def no_stream() -> dict[str, Any]:
    """Return ``typed_per_filter_config`` of a route whose requests end soon."""
    return {FILTER: {"@type": f"{_PACKAGE}.ExtProcPerRoute", "disabled": True}}


def not_ours() -> dict[str, Any]:
    """Return the access-log filter that is false for refusals of this package, whose bodies are to stay as they are.

    For mappers of local replies: what is refused here is such a reply to Envoy.
    """
    return {
        "extension_filter": {
            "name": "not_ours",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": f"!response.code_details.startsWith('{DETAILS_PREFIX}')",
            },
        }
    }


def stream_cluster(name: str, socket: Path) -> dict[str, Any]:
    """Return the cluster of the process that holds streams."""
    unlimited = 1_000_000
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": str(socket)}}}}]}],
        },
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
                "explicit_http_config": {"http2_protocol_options": {"max_concurrent_streams": 50_000}},
            }
        },
        "circuit_breakers": {
            "thresholds": [{"max_connections": unlimited, "max_pending_requests": unlimited, "max_requests": unlimited}]
        },
    }

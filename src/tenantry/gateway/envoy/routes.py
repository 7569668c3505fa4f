"""Where a request goes once the script has said so; without its word nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from tenantry.gateway.envoy import names
from tenantry.gateway.envoy.inputs import ClusterInputs
from tenantry.gateway.envoy.shapes import TYPES, Json, exact_header
from tenantry.gateway.protocol import SECRET_HEADER
from tenantry.gateway.streams import heads
from tenantry.gateway.streams.envoy_filter import no_stream

ORDINARY_IDLE_SECONDS: Final = 120
"""How long an ordinary request may see no byte in either direction; twice what the API server gives itself."""
RETRY: Final = {"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 1}
"""Only where nothing of the request reached the other side, so that no write is made twice."""
UPGRADE: Final = {"name": "upgrade", "present_match": True}
ABOUT_STREAMS: Final = (
    SECRET_HEADER,
    heads.CLUSTER_HEADER,
    heads.WHOSE_HEADER,
    heads.ID_HEADER,
    heads.HOW_HEADER,
    heads.EXPIRES_HEADER,
    heads.REAL_HEADER,
    heads.REAL_GROUP_HEADER,
    f"{heads.OWN_PREFIX}impersonate-user",
    f"{heads.OWN_PREFIX}impersonate-group",
)
"""What the script says of a stream is for the process that holds it alone.  A filter that strips would cost more."""
OUR_HEADERS: Final = (names.ROUTE_HEADER, "x-envoy-expected-rq-timeout-ms", "x-envoy-external-address")


def misdirected(hosts: Iterable[str], cluster: str | None = None) -> list[Json]:
    """Return a virtual host that answers 421 for *hosts*, or none.

    Without a look at the credential: it is for another cluster than *cluster*, whose 401 would have
    clients throw it away.  Nothing goes on from here, so nothing needs the guard.
    """
    domains = sorted(hosts)
    if not domains:
        return []
    everything = {"match": {"prefix": "/"}, "direct_response": {"status": 421}}
    off = {"@type": TYPES + "config.route.v3.FilterConfig", "disabled": True}
    skipped = {names.GUARD: off, **no_stream(), **({names.script(cluster): off} if cluster is not None else {})}
    return [{"name": "misdirected", "domains": domains, "routes": [everything], "typed_per_filter_config": skipped}]


def domains(hosts: Iterable[str]) -> list[str]:
    """Return how requests may write *hosts*: with any port, or with none."""
    return sorted(pattern for host in hosts for pattern in (host, f"{host}:*"))


def virtual_host(name: str, cluster: ClusterInputs, patterns: list[str], **fields: Any) -> Json:
    """Return the virtual host that serves the cluster *name* to requests for *patterns*."""
    return {"name": f"cluster-{name}", "domains": patterns, "routes": cluster_routes(name, cluster), **fields}


def cluster_routes(name: str, cluster: ClusterInputs) -> list[Json]:
    """Return the routes of a cluster, by the header that the script wrote.

    The ``-stream`` ones are for long-running requests, which are held and never idle for too long;
    an upgrade always is one.
    """
    prefix = _prefix(cluster)
    return [
        _ordinary("upstream", names.api(name), prefix),
        _ordinary("python", names.python(name), {}),
        _ordinary("own", names.own(name), prefix),
        _long("upstream-stream", names.api_upgrades(name), prefix, [UPGRADE]),
        _long("upstream-stream", names.api(name), prefix),
        _long("own-stream", names.own_upgrades(name), prefix, [UPGRADE]),
        _long("own-stream", names.own(name), prefix),
        # All that is said of a stream may reach Python.
        _route("python-stream", names.python(name), idle="0s"),
        {"match": {"prefix": "/"}, "direct_response": {"status": 403}},
    ]


def _ordinary(value: str, target: str, prefix: Json) -> Json:
    return _route(value, target, idle=f"{ORDINARY_IDLE_SECONDS}s", **prefix) | {"typed_per_filter_config": no_stream()}


def _long(value: str, target: str, prefix: Json, headers: list[Json] | None = None) -> Json:
    route = _route(value, target, headers, idle="0s", **prefix)
    return route | {"request_headers_to_remove": [*OUR_HEADERS, *ABOUT_STREAMS]}


def _route(value: str, target: str, headers: list[Json] | None = None, *, idle: str, **fields: Any) -> Json:
    action = {"cluster": target, "timeout": "0s", "idle_timeout": idle, "retry_policy": RETRY, **fields}
    return {
        "match": {"prefix": "/", "headers": [exact_header(names.ROUTE_HEADER, value), *(headers or [])]},
        "route": action,
        "request_headers_to_remove": list(OUR_HEADERS),
    }


def _prefix(cluster: ClusterInputs) -> Json:
    """Return the rewrite for API servers behind a path, such as another proxy's."""
    path = urlsplit(cluster.upstream.server).path.strip("/")
    return {"prefix_rewrite": f"/{path}/"} if path else {}

"""Where a request goes once the script has said so; without its word nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from tenantry.gateway.envoy import names
from tenantry.gateway.envoy.inputs import ClusterInputs
from tenantry.gateway.envoy.shapes import Json, exact_header

ORDINARY_IDLE_SECONDS: Final = 120
"""How long an ordinary request may see no byte in either direction; twice what the API server gives itself."""
RETRY: Final = {"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 1}
"""Only where nothing of the request reached the other side, so that no write is made twice."""
UPGRADE: Final = {"name": "upgrade", "present_match": True}
OUR_HEADERS: Final = (names.ROUTE_HEADER, "x-envoy-expected-rq-timeout-ms", "x-envoy-external-address")


def misdirected(hosts: Iterable[str]) -> list[Json]:
    """Return a virtual host that answers 421 for *hosts*, or none."""
    domains = sorted(hosts)
    if not domains:
        return []
    everything = {"match": {"prefix": "/"}, "direct_response": {"status": 421}}
    return [{"name": "misdirected", "domains": domains, "routes": [everything]}]


def domains(hosts: Iterable[str]) -> list[str]:
    """Return how requests may write *hosts*: with any port, or with none."""
    return sorted(pattern for host in hosts for pattern in (host, f"{host}:*"))


def virtual_host(name: str, cluster: ClusterInputs, patterns: list[str], **fields: Any) -> Json:
    """Return the virtual host that serves the cluster *name* to requests for *patterns*."""
    return {"name": f"cluster-{name}", "domains": patterns, "routes": outer_routes(name, cluster), **fields}


def outer_routes(name: str, cluster: ClusterInputs) -> list[Json]:
    """Return the routes of requests from clients, by the header that the script wrote."""
    prefix = _prefix(cluster)
    routes = [_route("python", names.python(name), long=True)]
    if cluster.has_relay:
        routes.append(_route("stream", names.stream(name), long=True))
    routes += [
        _route("own", names.own(name), long=False, **prefix),
        _route("upstream", names.api(name), long=False, **prefix),
        # Long-running requests of clusters without a relay; an upgrade always is one.
        _route("own-stream", names.own_upgrades(name), UPGRADE, long=True, **prefix),
        _route("own-stream", names.own(name), long=True, **prefix),
        _route("direct-stream", names.api_upgrades(name), UPGRADE, long=True, **prefix),
        _route("direct-stream", names.api(name), long=True, **prefix),
    ]
    return [*routes, {"match": {"prefix": "/"}, "direct_response": {"status": 403}}]


def inner_routes(name: str, cluster: ClusterInputs) -> list[Json]:
    """Return the routes of what the relay passes on."""
    prefix = _prefix(cluster)
    found = [
        ("own", names.own_upgrades(name), (UPGRADE,)),
        ("own", names.own(name), ()),
        ("upstream", names.api_upgrades(name), (UPGRADE,)),
        ("upstream", names.api(name), ()),
    ]
    routes: list[Json] = [
        _to(target, [exact_header(names.STREAM_HEADER, value), *more], long=True, **prefix)
        for value, target, more in found
    ]
    return [*routes, {"match": {"prefix": "/"}, "direct_response": {"status": 403}}]


def _route(value: str, target: str, *headers: Json, long: bool, **fields: Any) -> Json:
    return _to(target, [exact_header(names.ROUTE_HEADER, value), *headers], long=long, **fields)


def _to(target: str, headers: list[Json], *, long: bool, **fields: Any) -> Json:
    idle = "0s" if long else f"{ORDINARY_IDLE_SECONDS}s"
    action = {"cluster": target, "timeout": "0s", "idle_timeout": idle, "retry_policy": RETRY, **fields}
    return {
        "match": {"prefix": "/", "headers": headers},
        "route": action,
        "request_headers_to_remove": list(OUR_HEADERS),
    }


def _prefix(cluster: ClusterInputs) -> Json:
    """Return the rewrite for API servers behind a path, such as another proxy's."""
    path = urlsplit(cluster.upstream.server).path.strip("/")
    return {"prefix_rewrite": f"/{path}/"} if path else {}

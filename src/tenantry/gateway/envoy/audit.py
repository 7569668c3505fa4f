"""The audit trail and the request metrics: Envoy's access logs, so that no record waits for Python.

One JSON object a line.  ``stage`` is ``Complete`` in records of requests, ``Refused`` in those of connections
that never became one; the relay writes ``Started`` records of the same shape for long-running requests.
"""

from __future__ import annotations

from typing import Any, Final

from tenantry.gateway.envoy.names import METADATA
from tenantry.gateway.envoy.shapes import Json, script_said, typed
from tenantry.gateway.settings import AuditSettings

TIME: Final = "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%"
MOST_SERIES: Final = 20_000
"""Names of resources come from paths: whoever is signed in could else make series without end."""


def _fact(name: str) -> str:
    return f"%DYNAMIC_METADATA({METADATA}:a:{name})%"


def requests_log(audit: AuditSettings, cluster: str) -> Json:
    """Return the log of a cluster's requests, refusals included."""
    record: dict[str, Any] = {
        "stage": "Complete",
        "time": TIME,
        "auditID": "%REQ(X-REQUEST-ID)%",
        "cluster": cluster,
        "user": {
            "name": _fact("user"),
            "realName": _fact("real"),
            "groups": _fact("groups"),
            "how": _fact("how"),
            "id": _fact("id"),
        },
        "verb": _fact("verb"),
        "apiGroup": _fact("group"),
        "apiVersion": _fact("version"),
        "resource": _fact("resource"),
        "subresource": _fact("subresource"),
        "namespace": _fact("namespace"),
        "name": _fact("name"),
        "method": "%REQ(:METHOD)%",
        # Without its query, which may hold secrets; the script gives what of it is none.
        "path": "%PATH(NQ:PATH)%",
        "query": _fact("query"),
        "host": "%REQ(:AUTHORITY)%",
        "code": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "bytesReceived": "%BYTES_RECEIVED%",
        "bytesSent": "%BYTES_SENT%",
        "durationMilliseconds": "%DURATION%",
        "upstreamMilliseconds": "%RESPONSE_DURATION%",
        "decision": _fact("decision"),
        "reason": _fact("reason"),
        "alarm": f"%DYNAMIC_METADATA({METADATA}:alarm)%",
        "route": _fact("route"),
        "longRunning": _fact("long"),
        "peer": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "userAgent": "%REQ(USER-AGENT)%",
        "protocol": "%PROTOCOL%",
    }
    return _sink(audit, record)


def connections_log(audit: AuditSettings) -> Json:
    """Return the log of connections that were refused before a request: TLS, unknown host, foreign network."""
    record = {
        "stage": "Refused",
        "time": TIME,
        "host": "%REQUESTED_SERVER_NAME%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%CONNECTION_TERMINATION_DETAILS%",
        "reason": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
        "decision": "deny",
        "bytesReceived": "%BYTES_RECEIVED%",
        "durationMilliseconds": "%DURATION%",
        "peer": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    }
    flagged = {"response_flag_filter": {"flags": ["NR"]}}
    failed = typed(
        "failed",
        "extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        expression="size(connection.transport_failure_reason) > 0",
    )
    return _sink(audit, record) | {"filter": {"or_filter": {"filters": [flagged, {"extension_filter": failed}]}}}


def _sink(audit: AuditSettings, record: dict[str, Any]) -> Json:
    fields = {"log_format": {"json_format": record, "omit_empty_values": True}}
    if audit.file is None:
        return typed("audit", "extensions.access_loggers.stream.v3.StdoutAccessLog", **fields)
    return typed("audit", "extensions.access_loggers.file.v3.FileAccessLog", path=str(audit.file), **fields)


def request_metrics(cluster: str) -> list[Json]:
    """Return the loggers that count requests and their time (R-093), by verb, resource and code."""
    by = {"cluster": cluster, "verb": _fact("verb"), "resource": _fact("resource"), "code": "%RESPONSE_CODE%"}
    counted = [{"stat": _stat("requests", by), "value_fixed": 1}]
    refused = [{"stat": _stat("refusals", {"cluster": cluster, "reason": _fact("reason")}), "value_fixed": 1}]
    alarms = [{"stat": _stat("credential_refused", {"cluster": cluster}), "value_fixed": 1}]
    verb = {"cluster": cluster, "verb": _fact("verb"), "route": _fact("route")}
    # How long the API server took Envoy counts itself: envoy_cluster_upstream_rq_time.
    times = [_histogram("request_duration", verb, "%DURATION%")]
    return [
        _stats(counters=counted),
        _stats(counters=refused) | {"filter": script_said(("a", "decision"), {"string_match": {"exact": "deny"}})},
        _stats(counters=alarms) | {"filter": script_said(("alarm",), {"string_match": {"exact": "credential"}})},
        # A watch of an hour is no slow request.
        _stats(histograms=times) | {"filter": script_said(("a", "long"), {"bool_match": False})},
    ]


def _stat(name: str, tags: dict[str, str]) -> Json:
    return {"name": name, "tags": [{"name": tag, "value_format": value} for tag, value in tags.items()]}


def _histogram(name: str, tags: dict[str, str], value: str) -> Json:
    return {"stat": _stat(name, tags), "unit": "Milliseconds", "value_format": value}


def _stats(**fields: Any) -> Json:
    scope = {"prefix": "tenantry_gateway", "max_counters": MOST_SERIES, "max_histograms": 1000}
    return typed("metrics", "extensions.access_loggers.stats.v3.Config", stats_scope=scope, **fields)

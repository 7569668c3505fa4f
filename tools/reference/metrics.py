"""The page of metrics: what each process's own registry holds, and what matters of the data plane's."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from reference.markdown import HOW, code, codes, table
from tenantry.admission import metrics as admission
from tenantry.gateway import metrics as gateway
from tenantry.gateway.fanout import interfaces as fan_out
from tenantry.gateway.serving import interfaces as serving
from tenantry.gateway.streams.records import REASONS, Kind
from tenantry.install.monitoring import alert_rules
from tenantry.operator import metrics as operator

TYPES: Final[Mapping[str, str]] = {
    "Counter": "counter",
    "Gauge": "gauge",
    "Histogram": "histogram",
    "GaugeMetricFamily": "gauge",
    "_family": "gauge",
    "counter": "counter",
}
PREFIXES: Final[Mapping[str, str]] = {"counter": "tenantry_gateway_"}
"""What a function that makes a family puts before its name."""

_HEAD: Final = f"""\
# Metrics

This page is for whoever builds dashboards and alerts.
{HOW}

All processes serve `/metrics` on port 8080 (`--metrics-addr`), with the metrics of the process itself (`process_...`,
`python_info`). Metrics named `capsule_...` have the names and labels of Capsule's. Histograms have buckets, a sum and a
count. The leader and the standbys of the operator all serve them, from the same caches.

"""

DATA_PLANE: Final[tuple[tuple[str, str, tuple[str, ...], str], ...]] = (
    ("tenantry_gateway_requests", "counter", ("cluster", "verb", "resource", "code"), "Requests of clients."),
    (
        "tenantry_gateway_refusals",
        "counter",
        ("cluster", "reason"),
        "Requests that the gateway refused, by [reason](reasons.md#the-gateways-refusals).",
    ),
    (
        "tenantry_gateway_credential_refused",
        "counter",
        ("cluster",),
        "Answers by which the API server refused the gateway's own account. Anything but 0 is an alarm.",
    ),
    (
        "tenantry_gateway_request_duration",
        "histogram",
        ("cluster", "verb", "route"),
        "Milliseconds of a request that is not long-running; the route `python` is what is filtered.",
    ),
    ("envoy_cluster_upstream_rq_time", "histogram", ("envoy_cluster_name",), "Milliseconds that the API server took."),
    ("envoy_cluster_upstream_cx_connect_fail", "counter", ("envoy_cluster_name",), "Connections that failed."),
    ("envoy_http_downstream_cx_active", "gauge", ("envoy_http_conn_manager_prefix",), "Connections of clients."),
    ("envoy_http_downstream_rq_active", "gauge", ("envoy_http_conn_manager_prefix",), "Requests that run."),
    ("envoy_server_days_until_first_cert_expiring", "gauge", (), "Of the certificates that are served."),
    ("envoy_server_memory_allocated", "gauge", (), "Bytes of the data plane."),
    ("envoy_filesystem_write_failed", "counter", (), "Writes to the audit file that failed: records are lost."),
    ("envoy_http_lua_errors", "counter", ("envoy_http_conn_manager_prefix",), "Failures of the script: a bug of ours."),
)
"""Of the data plane; a test asks a running gateway for those of ours."""

_DATA_PLANE: Final = """
The same address has the data plane's metrics. Those of requests carry our names; all others are Envoy's own
(`envoy_...`), of which these matter most:

"""


class Metric(NamedTuple):
    """One family."""

    name: str
    type: str
    labels: tuple[str, ...]
    text: str


def metrics_of(module: Any) -> Iterator[Metric]:
    """Yield the families that *module* makes, in the order of their names."""
    tree = ast.parse(Path(module.__file__).read_text())
    yield from sorted(
        _metric(node, tree)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in TYPES
        and node.args
        and isinstance(node.args[0], ast.Constant)
    )


def _metric(node: ast.Call, tree: ast.Module) -> Metric:
    assert isinstance(node.func, ast.Name)
    name, text, *rest = node.args
    return Metric(
        PREFIXES.get(node.func.id, "") + ast.literal_eval(name),
        TYPES[node.func.id],
        tuple(label for each in (*rest, *_named(node)) for label in _labels(each, tree)),
        ast.literal_eval(text),
    )


def _named(node: ast.Call) -> Iterator[ast.expr]:
    yield from (each.value for each in node.keywords if each.arg == "labels")


def _labels(node: ast.expr, tree: ast.Module) -> tuple[str, ...]:
    match node:
        case ast.Constant(value=str(label)):
            return (label,)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return tuple(label for element in elements for label in _labels(element, tree))
        case ast.Starred(value=ast.Tuple() as together):
            return _labels(together, tree)
        case ast.Starred(value=ast.Name(id=name)):
            return next(_labels(value, tree) for value in _assigned(tree, name))
        case _:
            return ()


def _assigned(tree: ast.Module, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(
            isinstance(each, ast.Name) and each.id == name for each in node.targets
        ):
            yield node.value


def metrics_page() -> str:
    """Return the page."""
    sections = [
        f"## tenantry {process}\n\n"
        + table(
            ("metric", "type", "labels", "what"),
            [(code(each.name), each.type, codes(each.labels), each.text) for each in metrics_of(module)],
        )
        for process, module in (("operator", operator), ("admission", admission), ("gateway", gateway))
    ]
    return _HEAD + "\n".join(sections) + _gateway() + _alerts()


def _gateway() -> str:
    values = [
        ("`happening` of `filtered_reads_total`", codes(get_args(serving.Happening))),
        ("`happening` of `wide_reads_total`", codes(get_args(fan_out.Happening))),
        ("`kind` of streams", codes(get_args(Kind))),
        ("`reason` of `streams_ended_total`", codes(REASONS)),
    ]
    rows = [(code(name), kind, codes(labels), text) for name, kind, labels, text in DATA_PLANE]
    return "\n" + table(("label", "values"), values) + _DATA_PLANE + table(("metric", "type", "labels", "what"), rows)


def _alerts() -> str:
    rules = [rule for group in alert_rules()["groups"] for rule in group["rules"]]
    rows = [
        (
            code(rule["alert"]),
            rule["labels"]["severity"],
            rule["for"],
            code(rule["expr"]),
            rule["annotations"]["summary"],
        )
        for rule in rules
    ]
    head = "\n## Alerts\n\nWhat to do about each is in [operate](../how-to/operate.md#alerts).\n\n"
    return head + table(("alert", "severity", "after", "expression", "says"), rows)

"""The page of metrics: what the two processes' own registries hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from reference.markdown import HOW, code, codes, table
from tenantry.admission import metrics as admission
from tenantry.install.monitoring import alert_rules
from tenantry.operator import metrics as operator

TYPES: Final[Mapping[str, str]] = {
    "Counter": "counter",
    "Gauge": "gauge",
    "Histogram": "histogram",
    "GaugeMetricFamily": "gauge",
    "_family": "gauge",
}

_HEAD: Final = f"""\
# Metrics

This page is for whoever builds dashboards and alerts.
{HOW}

Both processes serve `/metrics` on port 8080 (`--metrics-addr`), with the metrics of the process itself (`process_...`,
`python_info`). Metrics named `capsule_...` have the names and labels of Capsule's. Histograms have buckets, a sum and a
count. The leader and the standbys of the operator all serve them, from the same caches.

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
        ast.literal_eval(name),
        TYPES[node.func.id],
        tuple(label for each in rest for label in _labels(each, tree)),
        ast.literal_eval(text),
    )


def _labels(node: ast.expr, tree: ast.Module) -> tuple[str, ...]:
    match node:
        case ast.Constant(value=str(label)):
            return (label,)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return tuple(label for element in elements for label in _labels(element, tree))
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
        for process, module in (("operator", operator), ("admission", admission))
    ]
    return _HEAD + "\n".join(sections) + _alerts()


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

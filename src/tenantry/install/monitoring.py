"""Alerts and a Grafana dashboard, on metrics that the two processes serve."""

from __future__ import annotations

import json
from typing import Any

from tenantry.install.settings import InstallSettings
from tenantry.install.text import yaml_text
from tenantry.install.workloads import COMPONENTS, component_labels, metadata

RUNBOOK = "docs/how-to/operate.md"

# name, expression, how long, severity, summary
_ALERTS: tuple[tuple[str, str, str, str, str], ...] = (
    (
        "TenantryAdmissionDown",
        'absent(up{job=~".*tenantry-admission-metrics.*"} == 1)',
        "1m",
        "critical",
        "No admission replica answers: writes in tenant namespaces are refused. See docs/outages.md.",
    ),
    (
        "TenantryOperatorDown",
        'absent(up{job=~".*tenantry-operator-metrics.*"} == 1)',
        "5m",
        "warning",
        "No operator replica answers: tenants' namespaces are not repaired and new ones get nothing.",
    ),
    (
        "TenantryGatewayDown",
        # Not absent(): an installation without a gateway is well.
        'sum(up{job=~".*tenantry-gateway-metrics.*"}) == 0',
        "1m",
        "critical",
        "No gateway replica answers: users can't reach the API through it. See docs/how-to/gateway.md.",
    ),
    (
        "TenantryAdmissionSlow",
        "histogram_quantile(0.99, sum by (le) (rate(tenantry_admission_seconds_bucket[5m]))) > 0.5",
        "5m",
        "warning",
        "One admission call in a hundred takes more than half a second.",
    ),
    (
        "TenantryAdmissionErrors",
        'sum(rate(tenantry_admission_seconds_count{verdict="errored"}[5m])) > 0',
        "5m",
        "warning",
        "Admission calls end in errors; what they asked for was refused. See the log for their uids.",
    ),
    (
        "TenantryCacheStale",
        "max by (pod, resource) (tenantry_cache_lag_seconds) > 900",
        "1m",
        "warning",
        "A cache has not heard from the API server for a quarter of an hour: restart the pod.",
    ),
    (
        "TenantNotReady",
        'capsule_tenant_condition{condition="Ready"} == 0',
        "10m",
        "warning",
        "Tenant {{ $labels.tenant }} is not ready: tenantry tenant show {{ $labels.tenant }}.",
    ),
    (
        "TenantOwnerNotReady",
        'capsule_tenantowner_condition{condition="Ready"} == 0',
        "10m",
        "warning",
        "TenantOwner {{ $labels.name }} is not ready.",
    ),
    (
        "RuleStatusNotReady",
        'capsule_rulestatus_condition{condition="Ready"} == 0',
        "10m",
        "warning",
        "Rules of namespace {{ $labels.target_namespace }} are not in force.",
    ),
    (
        "CapsuleConfigurationNotReady",
        'capsule_config_condition{condition="Ready"} == 0',
        "10m",
        "warning",
        "The configuration {{ $labels.name }} is not ready: tenantry doctor says why.",
    ),
    (
        "TenantQuotaAlmostUsed",
        "capsule_tenant_resource_usage / (capsule_tenant_resource_limit > 0) > 0.9",
        "10m",
        "warning",
        "Tenant {{ $labels.tenant }} has used more than 90 % of {{ $labels.resource }}.",
    ),
)

# title, unit, expression, legend
_PANELS: tuple[tuple[str, str, str, str], ...] = (
    ("Tenants ready", "short", 'sum(capsule_tenant_condition{condition="Ready"})', "ready"),
    ("Tenants cordoned", "short", 'sum(capsule_tenant_condition{condition="Cordoned"})', "cordoned"),
    ("Namespaces by tenant", "short", "topk(20, capsule_tenant_namespace_count)", "{{tenant}}"),
    (
        "Admission, 99 of 100 calls are faster than",
        "s",
        "histogram_quantile(0.99, sum by (le, path) (rate(tenantry_admission_seconds_bucket[5m])))",
        "{{path}}",
    ),
    (
        "Admission, half of the calls are faster than",
        "s",
        "histogram_quantile(0.5, sum by (le, path) (rate(tenantry_admission_seconds_bucket[5m])))",
        "{{path}}",
    ),
    (
        "Admission verdicts a second",
        "ops",
        "sum by (verdict) (rate(tenantry_admission_seconds_count[5m]))",
        "{{verdict}}",
    ),
    ("Work queue depth", "short", "max by (queue) (tenantry_queue_depth)", "{{queue}}"),
    (
        "Requests to the API server a second",
        "ops",
        "sum by (verb, code) (rate(tenantry_api_requests_total[5m]))",
        "{{verb}} {{code}}",
    ),
    (
        "Quota used, share of limit",
        "percentunit",
        "topk(20, capsule_tenant_resource_usage / (capsule_tenant_resource_limit > 0))",
        "{{tenant}} {{resource}}",
    ),
)


def alert_rules() -> dict[str, Any]:
    """Return the Prometheus rule groups, as a rules file holds them."""
    rules = [
        {
            "alert": name,
            "expr": expression,
            "for": duration,
            "labels": {"severity": severity},
            "annotations": {"summary": summary, "runbook": RUNBOOK},
        }
        for name, expression, duration, severity, summary in _ALERTS
    ]
    return {"groups": [{"name": "tenantry", "rules": rules}]}


def dashboard() -> dict[str, Any]:
    """Return the Grafana dashboard, two panels a row."""
    return {
        "title": "tenantry",
        "uid": "tenantry",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(index, *panel) for index, panel in enumerate(_PANELS)],
    }


def _panel(index: int, title: str, unit: str, expression: str, legend: str) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": index + 1,
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "gridPos": {"h": 8, "w": 12, "x": 12 * (index % 2), "y": 8 * (index // 2)},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}},
        "targets": [{"refId": "A", "expr": expression, "legendFormat": legend, "datasource": source}],
    }


def monitoring(settings: InstallSettings) -> list[dict[str, Any]]:
    """Return ConfigMaps with the rules file and the dashboard; Prometheus operator's kinds if asked for."""
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(settings, "tenantry-alerts", "monitoring"),
            "data": {"tenantry.rules.yaml": yaml_text(alert_rules())},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                **metadata(settings, "tenantry-dashboard", "monitoring"),
                # Grafana's sidecar looks for this label.
                "labels": {**component_labels("monitoring"), "grafana_dashboard": "1"},
            },
            "data": {"tenantry.json": json.dumps(dashboard(), indent=2)},
        },
    ]
    if settings.prometheus_operator:
        objects.append(
            {
                "apiVersion": "monitoring.coreos.com/v1",
                "kind": "PrometheusRule",
                "metadata": metadata(settings, "tenantry", "monitoring"),
                "spec": alert_rules(),
            }
        )
        components = (*COMPONENTS, "gateway") if settings.gateway is not None else COMPONENTS
        objects += [_service_monitor(settings, component) for component in components]
    return objects


def _service_monitor(settings: InstallSettings, component: str) -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": metadata(settings, f"tenantry-{component}", component),
        "spec": {
            "selector": {"matchLabels": component_labels(component)},
            "endpoints": [{"port": "metrics", "interval": "30s"}],
        },
    }

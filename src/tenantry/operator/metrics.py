"""Metrics of the controllers: Capsule's own names, computed from the caches when asked, and ours (spec 3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tenantry.api.labels import RULE_STATUS_NAME
from tenantry.api.meta import Condition
from tenantry.operator.process import Operator
from tenantry.tenancy.desired.resource_quotas import is_shared, shared_quotas
from tenantry.tenancy.quota import amounts, total

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestMetrics:
    """Counts what is asked of the API server and how long reconciles take."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "tenantry_api_requests_total",
            "Requests to the API server.",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self._reconciles = Histogram(
            "tenantry_reconcile_seconds",
            "How long a reconcile took.",
            ["queue"],
            buckets=_BUCKETS,
            registry=registry,
        )

    def request(self, verb: str, resource: str, status: int, seconds: float) -> None:  # noqa: ARG002 - the observer's shape
        """Count one answer; status 0 means that none came."""
        self._requests.labels(verb, resource, str(status)).inc()

    def reconcile(self, queue: str, seconds: float) -> None:
        """Count one reconcile."""
        self._reconciles.labels(queue).observe(seconds)


class OperatorCollector(Collector):
    """Reads everything else from the caches and queues, at the moment it is asked for."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._caches = operator.tools.caches

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield all families."""
        yield from self._tenants()
        yield from self._quotas()
        yield from self._conditions()
        yield from self._machinery()

    def _tenants(self) -> Iterator[GaugeMetricFamily]:
        conditions = _family("capsule_tenant_condition", "Conditions of tenants.", "tenant", "condition")
        spaces = _family(
            "capsule_tenant_namespace_condition",
            "Conditions of tenants' namespaces.",
            "tenant",
            "target_namespace",
            "condition",
        )
        relations = _family(
            "capsule_tenant_namespace_relationship", "Namespaces of tenants.", "tenant", "target_namespace"
        )
        counts = _family("capsule_tenant_namespace_count", "How many namespaces a tenant has.", "tenant")
        for tenant in self._caches.tenants.values():
            name = tenant.metadata.name
            _add_conditions(conditions, (name,), tenant.status.conditions)
            counts.add_metric([name], tenant.status.size)
            for space in tenant.status.spaces:
                relations.add_metric([name, space.name], 1)
                _add_conditions(spaces, (name, space.name), space.conditions)
        yield from (conditions, spaces, relations, counts)

    def _quotas(self) -> Iterator[GaugeMetricFamily]:
        labels = ("tenant", "resource", "resourcequotaindex")
        used = _family("capsule_tenant_resource_usage", "What a tenant uses of its quotas.", *labels)
        limits = _family("capsule_tenant_resource_limit", "What a tenant's quotas allow.", *labels)
        book = self._operator.tools.book
        for tenant in self._caches.tenants.values():
            declared = tenant.spec.resource_quotas
            if declared is None or not declared.items:
                continue
            quotas = book.quotas(tenant) if is_shared(tenant) else shared_quotas(tenant, book.usage(tenant))
            for index, quota in enumerate(quotas):
                sums = total(quota.used.values())
                for resource, limit in amounts(declared.items[index].get("hard")).items():
                    where = [tenant.metadata.name, resource, str(index)]
                    limits.add_metric(where, float(limit.value))
                    used.add_metric(where, float(sums[resource].value) if resource in sums else 0.0)
        yield from (used, limits)

    def _conditions(self) -> Iterator[GaugeMetricFamily]:
        configurations = _family("capsule_config_condition", "Conditions of the configuration.", "name", "condition")
        for configuration in self._caches.configurations.values():
            _add_conditions(configurations, (configuration.metadata.name,), configuration.status.conditions)
        owners = _family("capsule_tenantowner_condition", "Conditions of tenant owners.", "name", "condition")
        for owner in self._caches.tenant_owners.values():
            _add_conditions(owners, (owner.metadata.name,), owner.status.conditions)
        rules = _family(
            "capsule_rulestatus_condition", "Conditions of rule statuses.", "name", "target_namespace", "condition"
        )
        for status in self._caches.rule_statuses.values():
            where = (status.metadata.name or RULE_STATUS_NAME, status.metadata.namespace)
            _add_conditions(rules, where, status.status.conditions)
        yield from (configurations, owners, rules)

    def _machinery(self) -> Iterator[GaugeMetricFamily]:
        depth = _family("tenantry_queue_depth", "Keys that wait in a work queue.", "queue")
        for queue in self._operator.controllers.queues:
            depth.add_metric([queue.name], queue.depth)
        lag = _family("tenantry_cache_lag_seconds", "Seconds since the last word from a watch.", "resource")
        now = monotonic()
        oldest: dict[str, float] = {}
        for cache in self._caches:
            if cache.last_contact:
                plural = cache.resource.plural
                oldest[plural] = max(oldest.get(plural, 0.0), now - cache.last_contact)
        for plural, seconds in oldest.items():
            lag.add_metric([plural], seconds)
        leading = _family("tenantry_leader", "1 while this process leads.")
        leading.add_metric([], float(self._operator.is_leading))
        dropped = _family("tenantry_events_dropped", "Events that were lost since the start.")
        dropped.add_metric([], self._operator.tools.events.dropped)
        yield from (depth, lag, leading, dropped)


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _add_conditions(family: GaugeMetricFamily, where: Iterable[str], conditions: Iterable[Condition]) -> None:
    for each in conditions:
        family.add_metric([*where, each.type], 1.0 if each.status == "True" else 0.0)


def observed(registry: CollectorRegistry) -> tuple[RequestMetrics, Callable[[Operator], None]]:
    """Return what counts, and what registers an operator's own metrics once there is one."""
    return RequestMetrics(registry), lambda operator: registry.register(OperatorCollector(operator))

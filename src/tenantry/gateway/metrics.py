"""The gateway's own metrics; those of the data plane, requests above all, are Envoy's and are told beside them.

Source: https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tenantry.gateway.fanout import interfaces as fan_out
from tenantry.gateway.identity.observing import How, Outcome
from tenantry.gateway.serving import interfaces as serving

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class GatewayMetrics:
    """All of one process; each cluster and the streams get a view of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tenantry_gateway_{name}", text, labels, registry=registry)

        self.requests = Counter(
            "tenantry_api_requests_total",
            "Requests to the API server.",
            ["cluster", "verb", "resource", "code"],
            registry=registry,
        )
        self.identifications = counter(
            "identifications_total",
            "Credentials that the data plane asked about; reason is empty where somebody was let in.",
            *("cluster", "how", "reason"),
        )
        self.reviews = Histogram(
            "tenantry_gateway_review_seconds",
            "How long a TokenReview or SubjectAccessReview took.",
            ["cluster", "review", "outcome"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.lookups = counter("identity_lookups_total", "Look-ups of remembered reviews.", "cluster", "cache", "hit")
        self.keys = counter("issuer_key_fetches_total", "Fetches of an issuer's keys.", "cluster", "issuer", "outcome")
        self.serving = counter("filtered_reads_total", "What filtered reads came to.", "cluster", "happening")
        self.fan_out = counter("wide_reads_total", "What reads over all namespaces came to.", "cluster", "happening")
        self.streams_started = counter("streams_started_total", "Long-running requests that began.", "kind")
        self.streams_ended = counter("streams_ended_total", "Long-running requests that ended.", "kind", "reason")
        self.streams_refused = counter("streams_refused_total", "Long-running requests that did not begin.", "reason")
        self.reloads = counter("configuration_reloads_total", "Configurations that were read anew.", "outcome")
        self._gauges = _Gauges()
        registry.register(self._gauges)

    def of_cluster(self, name: str) -> ClusterMetrics:
        """Return the view of one cluster."""
        return ClusterMetrics(self, name)

    def observe_streams(self, active: Callable[[], Mapping[str, int]]) -> None:
        """Have *active* asked for how many streams live, by kind."""
        self._gauges.streams = active

    def observe_cluster(self, name: str, watches: Callable[[], Mapping[str, int]], upstream: Callable[[], int]) -> None:
        """Have these asked for a cluster's open watches, by plural, and for the upstream watches of ``-A``."""
        self._gauges.clusters[name] = (watches, upstream)

    def stream_started(self, kind: str) -> None:
        """One more stream is live."""
        self.streams_started.labels(kind).inc()

    def stream_ended(self, kind: str, reason: str) -> None:
        """One live stream is no more."""
        self.streams_ended.labels(kind, reason).inc()

    def stream_refused(self, token: str) -> None:
        """One did not begin."""
        self.streams_refused.labels(token).inc()


class ClusterMetrics:
    """What the parts of one cluster tell."""

    def __init__(self, metrics: GatewayMetrics, cluster: str) -> None:
        self._metrics = metrics
        self._cluster = cluster
        self.identity = _IdentityMetrics(metrics, cluster)
        self.serving = _ServingMetrics(metrics, cluster)
        self.fan_out = _FanOutMetrics(metrics, cluster)

    def request(self, verb: str, resource: str, status: int, seconds: float) -> None:  # noqa: ARG002 - the observer's shape
        """Count one answer of the API server; status 0 means that none came."""
        self._metrics.requests.labels(self._cluster, verb, resource, str(status)).inc()

    def observe(self, watches: Callable[[], Mapping[str, int]], upstream: Callable[[], int]) -> None:
        """Have these asked for how many watches are open; what was given before is asked no more."""
        self._metrics.observe_cluster(self._cluster, watches, upstream)


class _IdentityMetrics:
    def __init__(self, metrics: GatewayMetrics, cluster: str) -> None:
        self._metrics = metrics
        self._cluster = cluster

    def identified(self, how: How, reason: str) -> None:
        self._metrics.identifications.labels(self._cluster, how, reason).inc()

    def token_reviewed(self, outcome: Outcome, seconds: float) -> None:
        self._metrics.reviews.labels(self._cluster, "token", outcome).observe(seconds)

    def access_reviewed(self, outcome: Outcome, seconds: float) -> None:
        self._metrics.reviews.labels(self._cluster, "access", outcome).observe(seconds)

    def looked_up(self, cache: Literal["tokens", "access"], *, hit: bool) -> None:
        self._metrics.lookups.labels(self._cluster, cache, str(hit).lower()).inc()

    def keys_fetched(self, issuer: str, outcome: Outcome) -> None:
        self._metrics.keys.labels(self._cluster, issuer, outcome).inc()


class _ServingMetrics:
    def __init__(self, metrics: GatewayMetrics, cluster: str) -> None:
        # Looked up once: the parts count on their hot paths.
        self._counters = {one: metrics.serving.labels(cluster, one) for one in get_args(serving.Happening)}

    def happened(self, what: serving.Happening, count: int = 1) -> None:
        self._counters[what].inc(count)


class _FanOutMetrics:
    def __init__(self, metrics: GatewayMetrics, cluster: str) -> None:
        self._counters = {one: metrics.fan_out.labels(cluster, one) for one in get_args(fan_out.Happening)}

    def happened(self, what: fan_out.Happening) -> None:
        self._counters[what].inc()


class _Gauges(Collector):
    """What is counted at the moment it is asked for."""

    def __init__(self) -> None:
        self.streams: Callable[[], Mapping[str, int]] = dict
        self.clusters: dict[str, tuple[Callable[[], Mapping[str, int]], Callable[[], int]]] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        streams = GaugeMetricFamily("tenantry_gateway_streams", "Long-running requests that live.", labels=["kind"])
        for kind, count in self.streams().items():
            streams.add_metric([kind], count)
        watches = GaugeMetricFamily(
            "tenantry_gateway_filtered_watches", "Watches answered from a cache.", labels=["cluster", "resource"]
        )
        upstream = GaugeMetricFamily(
            "tenantry_gateway_upstream_watches", "Watches of one namespace, for watches of all.", labels=["cluster"]
        )
        for name, (by_plural, count_upstream) in self.clusters.items():
            for plural, count in by_plural().items():
                watches.add_metric([name, plural], count)
            upstream.add_metric([name], count_upstream())
        yield from (streams, watches, upstream)

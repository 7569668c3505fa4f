"""What admission measures."""

from __future__ import annotations

from time import monotonic
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tenantry.admission.state import Caches
from tenantry.tenancy.table import STAGES

BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
UNKNOWN_PATH: Final = "other"


class AdmissionMetrics:
    """The metrics of one worker; several workers' add up in prometheus_client's multi-process mode."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "tenantry_admission_seconds",
            "Time to answer a review, by endpoint and verdict (allowed, denied, errored, malformed).",
            ("path", "verdict"),
            buckets=BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "tenantry_admission_in_flight",
            "Reviews being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._confirmations = Counter(
            "tenantry_admission_confirmations_total",
            "Decisions made or confirmed by live reads, because a cache refused or did not know.",
            registry=registry,
        )
        self._lag = Gauge(
            "tenantry_cache_lag_seconds",
            "Time since the last word from the API server about a kind; watches are silent where nothing changes.",
            ("resource",),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._requests = Counter(
            "tenantry_api_requests_total",
            "Requests to the API server, by verb, resource and HTTP status (0: no answer).",
            ("verb", "resource", "code"),
            registry=registry,
        )
        self._by_labels: dict[tuple[str, str], Histogram] = {}

    def started(self) -> None:
        """See Meter."""
        self._in_flight.inc()

    def finished(self, path: str, verdict: str, seconds: float) -> None:
        """See Meter."""
        self._in_flight.dec()
        key = (path if path in STAGES else UNKNOWN_PATH, verdict)
        child = self._by_labels.get(key)
        if child is None:
            child = self._by_labels[key] = self._seconds.labels(*key)
        child.observe(seconds)

    def confirmed(self) -> None:
        """Count a decision that needed live reads."""
        self._confirmations.inc()

    def requested(self, verb: str, resource: str, code: int, _seconds: float) -> None:
        """Count a request of the client: its observer."""
        self._requests.labels(verb, resource, str(code)).inc()

    def look_at(self, caches: Caches) -> None:
        """Take the lag of *caches*; call it now and then."""
        now = monotonic()
        for cache in caches.all():
            if cache.synced:
                self._lag.labels(cache.resource.plural).set(now - cache.last_contact)

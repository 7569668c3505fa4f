"""What the product and the API server count themselves: requests and webhook calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from bench.wire import Door

READS: Final = frozenset({"get", "list", "watch"})
_REQUESTS: Final = "tenantry_api_requests"
_WEBHOOK_CALLS: Final = "apiserver_admission_webhook_request_total"


@dataclass(frozen=True, slots=True)
class Request:
    """A kind of request to the API server."""

    part: str
    verb: str
    resource: str


Requests = Counter[Request]


async def api_requests(ports: dict[str, int]) -> Requests:
    """Return how many requests each part sent since it started; *ports* are where they serve metrics."""
    counted: Requests = Counter()
    for part, port in ports.items():
        door = Door.plain(port)
        text = (await door.must("GET", "/metrics")).body.decode()
        door.close()
        for family in text_string_to_metric_families(text):
            if family.name != _REQUESTS:
                continue
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    verb, resource = sample.labels["verb"], sample.labels["resource"]
                    counted[Request(part, verb, resource)] += int(sample.value)
    return counted


async def webhook_calls(admin: Door) -> int:
    """Return how many calls of the product's webhooks the API server made since it started."""
    text = (await admin.must("GET", "/metrics")).body.decode()
    lines = [line for line in text.splitlines() if line.startswith(_WEBHOOK_CALLS)]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if ".tenantry.io" in line)


def told(requests: Requests) -> str:
    """Return *requests* in words, the most frequent first."""
    by_kind: Counter[str] = Counter()
    for request, count in requests.items():
        if count > 0:
            by_kind[f"{request.part} {request.verb} {request.resource}"] += count
    return ", ".join(f"{count} x {kind}" for kind, count in by_kind.most_common()) or "none"

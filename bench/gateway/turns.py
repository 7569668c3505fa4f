"""The same work by turns at several doors, so that a busy moment meets them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from bench.figures import p50
from bench.gateway.site import Site, Usage
from bench.wire import Answer, UnexpectedAnswerError

ROUNDS: Final = 5
Send = Callable[[], Awaitable[Answer]]


@dataclass(slots=True)
class Taken:
    """What one door took, a request."""

    seconds: list[float] = field(default_factory=list)
    usages: list[tuple[Usage, int]] = field(default_factory=list)

    @property
    def p50_ms(self) -> float:
        """The median of all answers' times."""
        return p50(self.seconds) * 1000

    def cpu_ms(self, part: Callable[[Usage], float]) -> float:
        """Return the CPU of *part* a request: the median of the rounds."""
        return median(part(usage) / count for usage, count in self.usages) * 1000

    @property
    def gateway_ms(self) -> float:
        """CPU of all the gateway's processes."""
        return self.cpu_ms(lambda usage: usage.gateway)

    @property
    def python_ms(self) -> float:
        """CPU of those of Python alone."""
        return self.cpu_ms(lambda usage: usage.python)

    @property
    def plain_ms(self) -> float:
        """CPU of the Envoy that only routes."""
        return self.cpu_ms(lambda usage: usage.plain)

    @property
    def api_server_ms(self) -> float:
        """CPU of the API server."""
        return self.cpu_ms(lambda usage: usage.api_server)

    @property
    def total_ms(self) -> float:
        """CPU of the gateway and the API server."""
        return self.gateway_ms + self.api_server_ms


async def by_turns(site: Site, doors: Mapping[str, Send], *, count: int, rounds: int = ROUNDS) -> dict[str, Taken]:
    """Send *count* requests at each door, *rounds* times; return what each took.

    Raises:
        UnexpectedAnswerError: One was refused.
    """
    taken = {name: Taken() for name in doors}
    for send in doors.values():
        await _sent(send, max(3, count // 20))  # Connections, and what is remembered of who asks.
    for _ in range(rounds):
        for name, send in doors.items():
            before = site.usage()
            taken[name].seconds += await _sent(send, count)
            taken[name].usages.append((site.usage() - before, count))
    return taken


async def _sent(send: Send, count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        answer = await send()
        if not answer.is_done:
            raise UnexpectedAnswerError(f"{answer.status} {answer.body[:500].decode(errors='replace')}")
        seconds.append(answer.seconds)
    return seconds

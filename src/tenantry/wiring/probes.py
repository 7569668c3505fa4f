"""The small HTTP server beside every process: /healthz, /readyz, /metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from tenantry.foundation.errors import ConfigurationError

Problems = Callable[[], Iterable[str]]
"""Says what is wrong now, a sentence each; nothing when all is well."""


def _nothing() -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What the probes answer from."""

    registry: CollectorRegistry
    readiness: Problems
    liveness: Problems = _nothing
    """Reasons to restart the process: what a restart can not mend is none."""
    checks: Callable[[], Mapping[str, Sequence[str]]] | None = None
    """All that readiness may depend on, by name, with what is wrong of each; for ``/readyz?verbose``."""
    more_metrics: Callable[[], Awaitable[str]] | None = None
    """Metrics of a child process, in the same text format."""

    @asynccontextmanager
    async def serving(self, *, health: str, metrics: str) -> AsyncIterator[None]:
        """Serve on both addresses (``:10080``, ``127.0.0.1:8080``; ``0`` and empty mean not at all) while open.

        Raises:
            ConfigurationError: An address is wrong or taken.
        """
        wanted: dict[tuple[str | None, int], list[web.RouteDef]] = {}
        for address, routes in ((health, self._health_routes()), (metrics, self._metrics_routes())):
            parsed = parse_address(address)
            if parsed is not None:
                wanted.setdefault(parsed, []).extend(routes)
        async with AsyncExitStack() as stack:
            for (host, port), routes in wanted.items():
                await stack.enter_async_context(_server(host, port, routes))
            yield

    def _health_routes(self) -> list[web.RouteDef]:
        return [web.get("/healthz", self._health), web.get("/readyz", self._ready)]

    async def _health(self, _: web.Request) -> web.Response:
        return _answer(self.liveness)

    async def _ready(self, request: web.Request) -> web.Response:
        if self.checks is None:
            return _answer(self.readiness)
        checks = self.checks()
        if "verbose" in request.query:
            text = "".join(_check(name, found) for name, found in checks.items())
        else:
            # Also what is wrong and no reason to send nobody here.
            text = "".join(f"{each}\n" for each in sorted(one for found in checks.values() for one in found))
        return web.Response(text=text or "ok\n", status=503 if any(self.readiness()) else 200)

    def _metrics_routes(self) -> list[web.RouteDef]:
        return [web.get("/metrics", self._metrics)]

    async def _metrics(self, _: web.Request) -> web.Response:
        body = generate_latest(self.registry)
        if self.more_metrics is not None:
            body += (await self.more_metrics()).encode()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def _answer(problems: Problems) -> web.Response:
    found = sorted(problems())
    return web.Response(
        text="ok\n" if not found else "".join(f"{each}\n" for each in found), status=503 if found else 200
    )


def _check(name: str, problems: Sequence[str]) -> str:
    """Return a line as kube-apiserver's ``/readyz?verbose`` has it, and more."""
    return f"[-]{name} failed: {'; '.join(problems)}\n" if problems else f"[+]{name} ok\n"


def parse_address(address: str) -> tuple[str | None, int] | None:
    """Return host (None: all) and port of a Go-style address; None where it says not to listen.

    Raises:
        ConfigurationError: It is no address.
    """
    if address in {"", "0"}:
        return None
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"{address!r} is no address: write host:port or :port, or 0 for none")
    return host.strip("[]") or None, int(port)


@asynccontextmanager
async def _server(host: str | None, port: int, routes: list[web.RouteDef]) -> AsyncIterator[None]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigurationError(f"cannot listen on {host or ''}:{port}: {error.strerror or error}") from error
    try:
        yield
    finally:
        await runner.cleanup()

"""Envoy's administration, over its Unix socket."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import aiohttp

from tenantry.foundation.codec import DecodeError, decode_any
from tenantry.foundation.errors import UnavailableError

SECONDS: Final = 5.0
_METRIC: Final = re.compile(r"envoy_(tenantry_gateway_\w+)")


class Admin:
    """One connection pool; to be closed."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close connections; safe to call twice."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str) -> str:
        """Return the answer's text; raise UnavailableError where there is none, or no 200."""
        return await self._call("GET", path)

    async def post(self, path: str) -> str:
        """As get, for what changes something."""
        return await self._call("POST", path)

    async def _call(self, method: str, path: str) -> str:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=SECONDS)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path=str(self._socket)), timeout=timeout
            )
        try:
            async with self._session.request(method, f"http://envoy{path}") as answer:
                text = await answer.text()
                if answer.status != 200:
                    raise UnavailableError(f"Envoy answers {answer.status} to {path}: {text.strip()[:200]}")
                return text
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(f"Envoy does not answer on {self._socket}: {error}") from error

    async def is_ready(self) -> bool:
        """Say whether listeners take connections."""
        try:
            return (await self.get("/ready")).strip() == "LIVE"
        except UnavailableError:
            return False

    async def counters(self, pattern: str) -> dict[str, int]:
        """Return the counters and gauges whose names match *pattern* (RE2)."""
        text = await self.get(f"/stats?format=json&filter={pattern}")
        try:
            stats = decode_any(text)["stats"]
        except (DecodeError, KeyError, TypeError) as error:
            raise UnavailableError(f"Envoy's statistics make no sense: {error}") from error
        return {each["name"]: each["value"] for each in stats if isinstance(each.get("value"), int)}

    async def prometheus(self) -> str:
        """Return all metrics; those of requests carry our names: ``tenantry_gateway_requests`` and the like."""
        return _METRIC.sub(r"\1", await self.get("/stats/prometheus?usedonly"))

    async def rejections(self) -> tuple[str, ...]:
        """Return why listeners or clusters that were written last are not in use."""
        reasons = []
        for kind in ("dynamic_listeners", "dynamic_active_clusters"):
            dump: Any = decode_any(await self.get(f"/config_dump?resource={kind}"))
            for each in dump.get("configs", []):
                details = (each.get("error_state") or {}).get("details")
                if details:
                    reasons.append(f"{each.get('name', kind)}: {details}")
        return tuple(reasons)

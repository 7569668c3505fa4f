"""A user of the API with a plain HTTP client: whole answers, and watches line by line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from tenantry.kube.config import load_config
from tenantry.kube.tls import TlsContexts

JSON = dict[str, Any]
PATIENCE_SECONDS: Final = 20.0
MERGE_PATCH: Final = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    body: Any
    """What the JSON says; text where it is none."""
    content_type: str

    @property
    def names(self) -> list[str]:
        """The names of a list's items, as they came; with the namespace where there is one."""
        assert self.status == 200, self
        return [name_of(item) for item in self.body["items"] or ()]

    @property
    def refusal(self) -> tuple[int, str, str]:
        """Status, reason and message of a refusal; of a success the status alone."""
        return self.status, self.body.get("reason", ""), self.body.get("message", "")


class Watch:
    """An open watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def event(self) -> JSON | None:
        """Return the next event; None when the stream has ended."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = await self._response.content.readline()
        return json.loads(line) if line.strip() else None

    async def told(self) -> tuple[str, str]:
        """Return type and name of the next event that is no bookmark.

        Raises:
            EOFError: The stream ended before.
        """
        while (event := await self.event()) is not None:
            if event["type"] != "BOOKMARK":
                return event["type"], name_of(event["object"])
        raise EOFError("the watch ended")

    async def bookmark(self) -> JSON:
        """Return the object of the next bookmark, whatever comes before it."""
        while (event := await self.event()) is not None:
            if event["type"] == "BOOKMARK":
                found: JSON = event["object"]
                return found
        raise EOFError("the watch ended")

    async def rest(self) -> list[JSON]:
        """Return all events up to the end of the stream."""
        events = []
        while (event := await self.event()) is not None:
            events.append(event)
        return events


class Caller:
    """Whoever has a kubeconfig; made by :func:`calling`."""

    def __init__(self, session: aiohttp.ClientSession, kubeconfig: Path) -> None:
        config = load_config(kubeconfig=str(kubeconfig))
        self.kubeconfig = kubeconfig
        self._session, self._server = session, config.server
        self._tls = TlsContexts(config.tls).current()
        token = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"].get("token")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        accept: str = "application/json",
        body: object = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request and return the answer, whatever it is."""
        data = None if body is None else json.dumps(body).encode()
        headers = {**self._headers, "Accept": accept}
        if data is not None:
            headers["Content-Type"] = content_type
        url = self._server + path
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            self._session.request(method, url, params=query, data=data, headers=headers, ssl=self._tls) as response,
        ):
            text = await response.text()
            is_json = response.content_type == "application/json"
            return Reply(response.status, json.loads(text) if is_json else text, response.content_type)

    async def names(self, path: str, **query: str) -> list[str]:
        """Return the names in a list, as they came."""
        return (await self.ask(path, query=query)).names

    async def refused(self, path: str, **query: str) -> tuple[int, str, str]:
        """Return status, reason and message of a refused GET."""
        return (await self.ask(path, query=query)).refusal

    async def patch(self, path: str, body: object, *, content_type: str = MERGE_PATCH, **query: str) -> Reply:
        """Send a merge patch."""
        return await self.ask(path, method="PATCH", body=body, content_type=content_type, query=query)

    async def create(self, path: str, body: object, **query: str) -> Reply:
        """Post an object."""
        return await self.ask(path, method="POST", body=body, query=query)

    async def delete(self, path: str, **query: str) -> Reply:
        """Delete an object."""
        return await self.ask(path, method="DELETE", query=query)

    @asynccontextmanager
    async def watching(self, path: str, *, accept: str = "application/json", **query: str) -> AsyncIterator[Watch]:
        """Watch a collection, *query* as it is on the wire."""
        whole = {"watch": "1", **query}
        headers = {**self._headers, "Accept": accept}
        async with self._session.get(self._server + path, params=whole, headers=headers, ssl=self._tls) as response:
            assert response.status == 200, await response.text()
            yield Watch(response)


def name_of(item: JSON) -> str:
    """Return the name of an object, after its namespace where it has one."""
    # A row of a Table holds the object's metadata.
    rows = item.get("rows")
    item = rows[0] if rows else item
    metadata = item.get("object", item).get("metadata") or {}
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata.get('name')}" if namespace else str(metadata.get("name"))


@asynccontextmanager
async def calling() -> AsyncIterator[Callable[[Path], Caller]]:
    """Yield what makes callers of kubeconfigs, on connections of their own."""
    # Each caller has a TLS context of its own, by which its connections are kept apart.
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=1 << 24) as session:
        yield lambda kubeconfig: Caller(session, kubeconfig)


async def within(seconds: float, attempt: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Return when *attempt* gives what is *wanted*; fail with what it gave last when it does not in time."""
    found = await attempt()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while found != wanted:
                await asyncio.sleep(0.02)
                found = await attempt()
    assert found == wanted

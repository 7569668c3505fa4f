"""The fan-out on a port, before a real API server with its own RBAC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from tenantry.access.identity import Identity
from tenantry.access.requests import request_info
from tenantry.access.visibility import PrincipalView
from tenantry.gateway.fanout.fanout import FanOut
from tenantry.gateway.settings import Limits
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig, load_config
from tenantry.kube.resources import CONFIG_MAPS, NAMESPACES, ROLE_BINDINGS
from tenantry.kube.transport import Transport
from tenantry.testing.link import Link

JSON = "application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
WATCH_LIST = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"


class Told:
    """A Knowledge that is told who sees which namespaces."""

    def __init__(self) -> None:
        self._views: dict[str, tuple[str, ...]] = {}
        self.versions: dict[str, int] = {}
        self._callbacks: list[Callable[[frozenset[str] | None, int], None]] = []
        self.given: list[Callable[[], int]] = []

    def view(self, identity: Identity) -> PrincipalView | None:
        names = self._views.get(identity.user)
        if names is None:
            return None
        keys = frozenset({f"User:{identity.user}"})
        return PrincipalView(identity=identity, subject_keys=keys, listed_namespaces=frozenset(names))

    def changed_version(self, identity: Identity) -> int:
        return self.versions.get(identity.user, 0)

    def subscribe(self, callback: Callable[[frozenset[str] | None, int], None]) -> None:
        self._callbacks.append(callback)

    def follow_versions(self, source: Callable[[], int]) -> None:
        self.given.append(source)

    def shows(self, user: str, *namespaces: str) -> None:
        """Have *user* see these, from now on."""
        self._views[user] = namespaces
        for callback in self._callbacks:
            callback(frozenset({f"User:{user}"}), 0)

    def forgets(self, user: str) -> None:
        """Have *user* not be filtered any more."""
        del self._views[user]
        for callback in self._callbacks:
            callback(None, 0)


class Watch:
    """An open watch, read line by line."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> Any:
        """Return the next event, None at the end; fail after some seconds."""
        async with asyncio.timeout(15):
            line = await self.response.content.readline()
        return json.loads(line) if line else None

    async def told(self, count: int) -> list[tuple[str, str]]:
        """Return type and name of the next events; bookmarks have END or nothing for a name."""
        return [_told(await self.next()) for _ in range(count)]

    async def end(self) -> Any:
        """Return the last event, whatever comes before."""
        last = None
        while (event := await self.next()) is not None:
            last = event
        return last


def _told(event: Any) -> tuple[str, str]:
    metadata = event["object"]["metadata"]
    is_end = "k8s.io/initial-events-end" in (metadata.get("annotations") or {})
    return event["type"], "END" if is_end else metadata.get("name", "")


class Door:
    """A client of the fan-out, as the data plane is one."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def get(self, user: str, target: str, accept: str = JSON) -> tuple[int, Any]:
        """Return status and decoded body."""
        async with self.session.get(self.url(target), headers={"x-user": user, "Accept": accept}) as response:
            return response.status, json.loads(await response.read())

    async def list(self, user: str, target: str, accept: str = JSON) -> Any:
        """Return the body of a success."""
        status, body = await self.get(user, target, accept)
        assert status == 200, body
        return body

    @asynccontextmanager
    async def watch(self, user: str, target: str, accept: str = JSON) -> AsyncIterator[Watch]:
        """Open a watch."""
        async with self.session.get(self.url(target), headers={"x-user": user, "Accept": accept}) as response:
            assert response.status == 200, await response.read()
            yield Watch(response)

    def url(self, target: str) -> URL:
        """Return the whole URL of *target*."""
        return URL(self.base + target, encoded=True)


@dataclass
class Place:
    """A user who may read in some namespaces, and sees them."""

    user: str
    namespaces: list[str]
    admin: Client
    knowledge: Told
    fanout: FanOut
    door: Door
    calls: list[tuple[str, str, int]] = field(default_factory=list)
    """Verb, plural and status of each request to the API server."""

    async def add_namespace(self, name: str, *, role: str | None = "view") -> None:
        """Make a namespace in which the user has *role*."""
        await self.admin.create(NAMESPACES, {"metadata": {"name": name}})
        if role is not None:
            await self.bind(name, role)

    async def bind(self, namespace: str, role: str = "view") -> None:
        """Give the user *role* in *namespace*."""
        binding = {
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": self.user}],
        }
        await self.admin.create(ROLE_BINDINGS, binding, namespace)

    async def add_map(self, namespace: str, name: str, **data: str) -> int:
        """Make a ConfigMap that is found by label ``x=1``; return its version."""
        body = {"metadata": {"name": name, "labels": {"x": "1"}}, "data": data}
        return int((await self.admin.create(CONFIG_MAPS, body, namespace)).metadata.resource_version)


MAPS = "/api/v1/configmaps?labelSelector=x%3D1"


@pytest.fixture
def admin_config(kubeconfig: Path) -> ClusterConfig:
    return load_config(kubeconfig=str(kubeconfig))


@pytest.fixture
async def admin(admin_config: ClusterConfig) -> AsyncIterator[Client]:
    async with Client(admin_config, timeout_seconds=30) as client:
        yield client


@pytest.fixture
async def link(admin_config: ClusterConfig) -> AsyncIterator[Link]:
    """The way from the fan-out to the API server."""
    async with Link(urlsplit(admin_config.server).port or 443) as link:
        yield link


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
async def place(
    admin_config: ClusterConfig, admin: Client, link: Link, limits: Limits, unique: Callable[[str], str]
) -> AsyncIterator[Place]:
    """A user who sees three namespaces, in name order."""
    calls: list[tuple[str, str, int]] = []
    config = replace(admin_config, server=f"https://127.0.0.1:{link.port}")
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(
            Transport(
                config,
                user_agent="tenantry-test",
                timeout_seconds=10,
                observer=lambda verb, plural, status, _: calls.append((verb, plural, status)),
            )
        )
        knowledge = Told()
        fanout = FanOut(transport, knowledge, cluster="test", limits=limits)

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            user = request.headers.get("x-user", found.user)
            info = request_info(request.method, request.raw_path)
            if not info.is_resource:  # Discovery is the same for all.
                body = await admin.request("GET", request.raw_path, headers={"Accept": "application/json"})
                return web.Response(body=body, content_type="application/json")
            return await fanout.handle(request, Identity(user=user), info)

        server = web.Server(answer, access_log=None)
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        session = await stack.enter_async_context(aiohttp.ClientSession(read_bufsize=1 << 22))
        door = Door(session, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        user, names = unique("reader"), sorted(unique("fan") for _ in range(3))
        found = Place(user, names, admin, knowledge, fanout, door, calls)
        for name in names:
            await found.add_namespace(name)
        knowledge.shows(user, *names)
        yield found
        fanout.end_streams(lambda _: True)
        listener.close()
        await server.shutdown(1)

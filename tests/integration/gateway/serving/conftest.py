"""The room for filtered reads on a Unix socket, before a real API server."""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from tenantry.access.identity import Identity
from tenantry.access.proxy_rules import ProxyRule
from tenantry.access.requests import request_info
from tenantry.access.visibility import PrincipalView
from tenantry.gateway.serving.service import Serving
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig, load_config
from tenantry.kube.resources import CONFIG_MAPS, NAMESPACES
from tenantry.kube.transport import Transport

JSON = "application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


class Told:
    """A Knowledge that is told who sees what; its versions are of the cluster's own storage, as the real one's."""

    def __init__(self, admin: Client, prefix: str) -> None:
        self._admin = admin
        self._names = (f"{prefix}-{number}" for number in itertools.count())
        self._views: dict[Identity, PrincipalView] = {}
        self._versions: dict[Identity, int] = {}
        self._callbacks: list[Callable[[frozenset[str] | None, int], None]] = []
        self._given: list[Callable[[], int]] = []

    def view(self, identity: Identity) -> PrincipalView | None:
        return self._views.get(identity)

    def changed_version(self, identity: Identity) -> int:
        return self._versions.get(identity, 0)

    def subscribe(self, callback: Callable[[frozenset[str] | None, int], None]) -> None:
        self._callbacks.append(callback)

    def follow_versions(self, source: Callable[[], int]) -> None:
        self._given.append(source)

    def at_first(self, user: str, *namespaces: str, rules: tuple[ProxyRule, ...] = ()) -> None:
        """Have *user* see these since ever."""
        identity = Identity(user=user)
        self._views[identity] = PrincipalView(
            identity=identity,
            subject_keys=frozenset({f"User:{user}"}),
            bound_namespaces=frozenset(namespaces),
            rules=rules,
        )

    async def from_now_on(self, user: str, *namespaces: str, rules: tuple[ProxyRule, ...] = ()) -> int:
        """Have *user* see these, by a change in the cluster that has a version, which is returned."""
        stored = await self._admin.create(CONFIG_MAPS, {"metadata": {"name": next(self._names)}}, "default")
        version = max(int(stored.metadata.resource_version), *(given() + 1 for given in self._given))
        self.at_first(user, *namespaces, rules=rules)
        self._versions[Identity(user=user)] = version
        for callback in self._callbacks:
            callback(frozenset({f"User:{user}"}), version)
        return version


class Watch:
    """An open watch, read line by line."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> Any:
        """Return the next event; fail after some seconds."""
        async with asyncio.timeout(10):
            line = await self.response.content.readline()
        return json.loads(line) if line else None

    async def names(self, count: int) -> list[tuple[str, str]]:
        """Return type and name of the next events."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]

    async def rest(self) -> list[Any]:
        """Return all events until the end."""
        events = []
        while (event := await self.next()) is not None:
            events.append(event)
        return events


class Door:
    """A client of the room, as the data plane is one."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, user: str, target: str, accept: str = JSON) -> tuple[int, bytes]:
        """Return status and body."""
        async with self._session.get(self._url(target), headers=self._headers(user, accept)) as response:
            return response.status, await response.read()

    async def json(self, user: str, target: str, accept: str = JSON) -> Any:
        """Return the body of a success."""
        status, body = await self.get(user, target, accept)
        assert status == 200, body
        return json.loads(body)

    async def list(self, user: str, target: str) -> list[str]:
        """Return the names in a list."""
        return [item["metadata"]["name"] for item in (await self.json(user, target))["items"]]

    @asynccontextmanager
    async def watch(self, user: str, target: str, accept: str = JSON) -> AsyncIterator[Watch]:
        """Open a watch."""
        async with self._session.get(self._url(target), headers=self._headers(user, accept)) as response:
            assert response.status == 200, await response.read()
            yield Watch(response)

    def _url(self, target: str) -> URL:
        return URL(f"http://gateway{target}", encoded=True)

    def _headers(self, user: str, accept: str) -> Mapping[str, str]:
        return {"impersonate-user": user, "Accept": accept}


@pytest.fixture
def admin_config(kubeconfig: Path) -> ClusterConfig:
    return load_config(kubeconfig=str(kubeconfig))


@pytest.fixture
async def admin(admin_config: ClusterConfig) -> AsyncIterator[Client]:
    async with Client(admin_config) as client:
        yield client


@pytest.fixture
async def direct(admin: Client) -> Callable[..., Any]:
    """GET of the API server itself, past the gateway."""

    async def get(path: str, accept: str = JSON, **query: str) -> bytes:
        return await admin.request("GET", path, query=query, headers={"Accept": accept})

    return get


@pytest.fixture
def knowledge(admin: Client, unique: Callable[[str], str]) -> Told:
    return Told(admin, unique("change"))


@pytest.fixture
async def serving(admin_config: ClusterConfig, knowledge: Told, eventually: Any) -> AsyncIterator[Serving]:
    async with Transport(admin_config, user_agent="tenantry-test", timeout_seconds=10) as transport:
        room = Serving(transport, knowledge, cluster="test")
        running = asyncio.create_task(room.run())
        yield room
        # A read that is cut in the middle says good-bye over TLS for longer than a test's loop lives.
        await eventually(lambda: is_quiet(room))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def is_quiet(room: Serving) -> bool:
    """Say whether all that is followed is watched, and nothing else is being read."""
    followers = [followed.follower for followed in room._stock]
    return bool(followers) and all(one.is_gone or (one.is_watching and not one.is_catching_up) for one in followers)


@pytest.fixture
async def door(serving: Serving) -> AsyncIterator[Door]:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        info = request_info(request.method, request.raw_path)
        return await serving.handle(request, Identity(user=request.headers["impersonate-user"]), info)

    server = web.Server(answer, handler_cancellation=True)
    with tempfile.TemporaryDirectory() as folder:  # Short: a Unix socket's path has 107 bytes.
        path = Path(folder) / "py.sock"
        listener = await asyncio.get_running_loop().create_unix_server(server, str(path))
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), read_bufsize=1 << 22) as session:
            yield Door(session)
        listener.close()
        await server.shutdown(1)


@pytest.fixture
async def namespaces(door: Door, knowledge: Told, admin: Client, unique: Callable[[str], str]) -> list[str]:
    """Three namespaces, in name order, that the room knows of."""
    names = sorted(unique("seen") for _ in range(3))
    made = [
        await admin.create(
            NAMESPACES,
            {
                "metadata": {
                    "name": name,
                    "labels": {"number": str(number), "team": "a"},
                    "annotations": {"x": "<&>é"},
                }
            },
        )
        for number, name in enumerate(names)
    ]
    knowledge.at_first("nobody-else")
    await door.json("nobody-else", f"/api/v1/namespaces?resourceVersion={made[-1].metadata.resource_version}")
    return names


@pytest.fixture
async def front(serving: Serving, admin: Client) -> AsyncIterator[str]:
    """An address for kubectl as alice: reads of cluster-scoped kinds are filtered, the rest is the administrator's."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        info = request_info(request.method, request.raw_path)
        if info.is_resource and not (info.namespace and info.resource != "namespaces"):
            return await serving.handle(request, Identity(user="alice"), info)
        body = await admin.request("GET", request.raw_path, headers={"Accept": JSON})
        return web.Response(body=body, content_type=JSON)

    server = web.Server(answer)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    listener.close()
    await server.shutdown(1)

"""Clients of the real control plane, and a network between them that can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig, load_config
from tenantry.kube.resources import NAMESPACES


class Wire:
    """A TCP proxy in front of a server: it can be cut, frozen and mended."""

    def __init__(self, server: str) -> None:
        url = urlsplit(server)
        assert url.hostname is not None
        assert url.port is not None
        self._target = (url.hostname, url.port)
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None
        self.connections = 0

    async def open(self) -> str:
        """Listen, and return the URL to use instead of the server's."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"https://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        self.mend()
        self._abort_all()

    def cut(self) -> None:
        """Break all connections, and every new one, until mended."""
        self._is_cut = True
        self._abort_all()

    def cut_once(self) -> None:
        """Break all connections; new ones work."""
        self._abort_all()

    def freeze(self) -> None:
        """Carry nothing any more over the connections there are, and say nothing; new ones work."""
        self._flows.clear()
        self._flows = asyncio.Event()
        self._flows.set()

    def mend(self) -> None:
        """Let new connections work."""
        self._is_cut = False

    def _abort_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        self.connections += 1
        flows = self._flows
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        both = (writer, server_writer)
        self._writers.update(both)
        await asyncio.gather(_pump(reader, server_writer, flows), _pump(server_reader, writer, flows))
        self._writers.difference_update(both)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event) -> None:
    try:
        while data := await reader.read(65536):
            await flows.wait()
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
def admin_config(kubeconfig: Path) -> ClusterConfig:
    return load_config(kubeconfig=str(kubeconfig))


@pytest.fixture
async def admin(admin_config: ClusterConfig) -> AsyncIterator[Client]:
    async with Client(admin_config) as client:
        yield client


@pytest.fixture
async def namespace(admin: Client, unique: Callable[[str], str]) -> str:
    name = unique("kube")
    await admin.create(NAMESPACES, {"metadata": {"name": name}})
    return name


@pytest.fixture
async def wire(admin_config: ClusterConfig) -> AsyncIterator[Wire]:
    wire = Wire(admin_config.server)
    yield wire
    await wire.close()


@pytest.fixture
async def wired(admin_config: ClusterConfig, wire: Wire) -> AsyncIterator[Client]:
    """A client whose connections go over *wire*."""
    async with Client(replace(admin_config, server=await wire.open())) as client:
        yield client


@pytest.fixture
def new_wire() -> type[Wire]:
    return Wire

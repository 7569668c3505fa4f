"""A gateway before the installation that all end-to-end tests share, and tenants whose users come through it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from keycloak import Keycloak
from kubelet import StandInKubelet

from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import Platform


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """The gateway with its default configuration, and client impersonation on; tests leave it as it is."""
    gateway = await Gateway.start(
        platform, tmp_path_factory.mktemp("gw"), configuration={"identity": {"impersonation": {"enabled": True}}}
    )
    yield gateway
    await gateway.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def keycloak(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Keycloak]:
    """A real identity provider with the users alice and bob."""
    server = await Keycloak.start(tmp_path_factory.mktemp("keycloak"))
    yield server
    await server.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kubelet(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StandInKubelet]:
    """A node on which logs, exec and port-forward stream."""
    kubelet = await StandInKubelet.start(platform.plane, tmp_path_factory.mktemp("kubelet"))
    yield kubelet
    await kubelet.stop()


@pytest.fixture
def tenant_user(unique: Callable[[str], str], gateway: Gateway) -> Callable[[str], tuple[str, Path]]:
    """Make a user of its own: its name, and its kubeconfig through the gateway."""

    def make(prefix: str = "user") -> tuple[str, Path]:
        name = unique(prefix)
        return name, gateway.user(name)

    return make

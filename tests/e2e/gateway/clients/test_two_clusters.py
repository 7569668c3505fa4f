"""Two clusters behind one gateway, told apart by host name: different users, different client CAs (R-074)."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import raw
import yaml
from teams import running

from tenantry.kube.client import Client
from tenantry.testing.breakable import Breakable
from tenantry.testing.gateway import Gateway, account_kubeconfig
from tenantry.testing.link import Link
from tenantry.testing.platform import Completed, Platform
from tenantry.testing.world import World

HOST = "localhost"
"""Of the second cluster; whoever names no host reaches the first."""


@dataclass(frozen=True, slots=True)
class Two:
    """The gateway, and the way to the second cluster, which may be broken."""

    gateway: Gateway
    second: Platform
    link: Link

    def user(self, name: str, *, of: Platform, host: str) -> Path:
        """Return a kubeconfig by which a user of a cluster comes to *host*, whichever cluster that is."""
        document = yaml.safe_load(of.user(name).read_text())
        authority = base64.b64encode(self.gateway.ca.read_bytes()).decode()
        for each in document["clusters"]:
            each["cluster"]["server"] = f"https://{host}:{self.gateway.port}"
            each["cluster"]["certificate-authority-data"] = authority
        path = self.gateway.folder / f"{name}-{host}-{of.plane.state.ports.api_server}.kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return path

    async def kubectl(self, *arguments: str, user: Path) -> Completed:
        """Run kubectl, whatever comes of it."""
        return await self.gateway.kubectl(*arguments, "--request-timeout=5s", user=user, check=False)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(platform: Platform, breakable: Breakable, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Two]:
    """Both clusters, the second behind a link."""
    folder = tmp_path_factory.mktemp("two")
    first, second = await account_kubeconfig(platform), await account_kubeconfig(breakable.platform)
    async with Link(urlsplit(breakable.platform.plane.server).port or 443) as link:
        document = yaml.safe_load(second.read_text())
        for each in document["clusters"]:
            each["cluster"]["server"] = f"https://127.0.0.1:{link.port}"
        (folder / "second.kubeconfig").write_text(yaml.safe_dump(document))
        clusters: list[Mapping[str, Any]] = [
            {"name": "first", "isDefault": True, "kubeconfig": str(first)},
            {"name": "second", "hosts": [HOST], "kubeconfig": str(folder / "second.kubeconfig")},
        ]
        gateway = await Gateway.start(platform, folder / "gw", clusters=clusters, hosts=[HOST])
        yield Two(gateway, breakable.platform, link)
        await gateway.stop()


@dataclass(frozen=True, slots=True)
class Ada:
    """A user whose name is the same in both clusters; they are two people."""

    first: Path
    second: Path
    namespaces: tuple[str, str]


@pytest_asyncio.fixture(loop_scope="session")
async def ada(two: Two, world: World, breakable_world: World) -> Ada:
    """Who owns a namespace in each cluster."""
    name = world.unique("ada")
    made = []
    for each in (world, breakable_world):
        tenant = await each.tenant({"owners": [{"kind": "User", "name": name}]})
        client: Client = await each.user(name)
        made.append(await each.namespace(client, tenant.metadata.name))
    first = two.user(name, of=world.platform, host="127.0.0.1")
    second = two.user(name, of=two.second, host=HOST)
    return Ada(first, second, (made[0], made[1]))


async def test_a_host_name_chooses_the_cluster(two: Two, ada: Ada) -> None:
    """Each certificate is good for the cluster that signed it, and shows what is that cluster's."""
    answers = [await two.kubectl("get", "namespaces", "-o", "name", user=each) for each in (ada.first, ada.second)]

    assert [each.stdout for each in answers] == [f"namespace/{each}\n" for each in ada.namespaces]


async def test_a_certificate_of_the_other_cluster_is_nobodys(two: Two, ada: Ada, platform: Platform) -> None:
    """8.7.7: one client CA a cluster: the namesake's certificate opens nothing next door."""
    name = ada.first.name.partition("-127")[0]
    swapped = [
        two.user(name, of=platform, host=HOST),
        two.user(name, of=two.second, host="127.0.0.1"),
    ]
    refused = [await two.kubectl("get", "--raw", "/api/v1/namespaces", user=each) for each in swapped]

    assert [each.stdout for each in refused] == ["", ""]
    assert ["must be logged in" in each.stderr or "certificate" in each.stderr for each in refused] == [True, True]


async def test_a_connection_for_one_cluster_carries_no_request_for_the_other(two: Two) -> None:
    """8.7.7: the authority must be that of the connection, else 421: clients open another connection then."""
    trusted = ssl.create_default_context(cafile=str(two.gateway.ca))
    trusted.check_hostname = False
    port = two.gateway.port
    statuses = {}
    for server_name, host in ((HOST, f"{HOST}:{port}"), (HOST, "127.0.0.1"), (None, HOST), (None, "127.0.0.1")):
        data = raw.request("/api/v1/namespaces", host=host)
        reply = await raw.exchange(data, port, tls=trusted, server_name=server_name or "127.0.0.1")
        statuses[server_name, host.partition(":")[0]] = reply.status

    assert statuses == {(HOST, HOST): 401, (HOST, "127.0.0.1"): 421, (None, HOST): 421, (None, "127.0.0.1"): 401}


@pytest.mark.parametrize("how", ["cut", "swallow"])
async def test_a_cluster_that_is_away_is_alone_with_it(two: Two, ada: Ada, world: World, how: str) -> None:
    """The other cluster's users notice nothing, a watch of theirs goes on, and afterwards all is as before."""
    async with running(two.gateway, "get", "namespaces", "-w", "-o", "name", user=ada.first) as watch:
        await watch.said(ada.namespaces[0])
        if how == "cut":
            await two.link.cut()
        else:
            two.link.swallow()
        try:
            hanging = [
                asyncio.create_task(two.kubectl("get", "pods", "-n", ada.namespaces[1], user=ada.second))
                for _ in range(3)
            ]
            async with asyncio.timeout(10):  # A request that waits for the other cluster would wait for longer.
                seen = [await two.kubectl("get", "pods", "-A", "-o", "name", user=ada.first) for _ in range(5)]
            await world.platform.kubectl("label", "namespace", ada.namespaces[0], f"during={how}", "--overwrite")
            await watch.said(ada.namespaces[0], times=2, seconds=5)
            away = await asyncio.gather(*hanging)
        finally:
            two.link.mend()

    async def is_back() -> bool:
        asked = (("get", "pods", "-n", ada.namespaces[1]), ("get", "namespace", ada.namespaces[1]))
        return all([(await two.kubectl(*each, user=ada.second)).code == 0 for each in asked])

    await world.eventually(is_back)

    assert {(each.code, each.stderr) for each in seen} == {(0, "")}
    assert [each.code for each in away] == [1, 1, 1]

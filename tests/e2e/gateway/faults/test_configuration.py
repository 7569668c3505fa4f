"""Configurations and certificates that change while the gateway runs: the wrong ones change nothing (invariant 30)."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
import yaml
from breakable_gateway import BreakableGateway, User, next_event, until
from cryptography import x509
from teams import Team, made

from tenantry.controlplane.pki import Authority, utc_now
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

APPLIED: Final = "gateway.configuration_applied"
REFUSED: Final = "gateway.configuration_refused"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def broken_gateway(
    platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BreakableGateway]:
    """A gateway whose files tests change; each puts them right again."""
    async with BreakableGateway.started(platform, tmp_path_factory.mktemp("gw")) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="session")
async def team(world: World, broken_gateway: BreakableGateway) -> Team:
    """A tenant with a user who comes through it."""
    return await made(world, broken_gateway.gateway)


@asynccontextmanager
async def mended(gateway: BreakableGateway) -> AsyncIterator[dict[str, Any]]:
    """Yield the configuration to be changed, and put back what it was."""
    before = deepcopy(gateway.gateway.configuration)
    yield gateway.gateway.configuration
    gateway.gateway.configuration = before
    await rewritten(gateway, APPLIED)


async def rewritten(gateway: BreakableGateway, event: str, text: str | None = None) -> dict[str, Any]:
    """Write the configuration, or *text*; return what the gateway says to it, which must be *event*."""
    count = len(gateway.logged(APPLIED)) + len(gateway.logged(REFUSED))
    if text is None:
        gateway.gateway.write_configuration()
    else:
        draft = gateway.gateway.folder / "draft.yaml"
        draft.write_text(text)
        draft.replace(gateway.gateway.folder / "gateway.yaml")
    said: dict[str, Any] = await until(lambda: _since(gateway, count))
    assert said["event"] == event, said
    return said


def _since(gateway: BreakableGateway, count: int) -> dict[str, Any] | None:
    both = [record for record in gateway.log if record.get("event") in {APPLIED, REFUSED}]
    return both[count] if len(both) > count else None


async def test_every_kind_of_mistake_is_told_by_line_and_changes_nothing(
    broken_gateway: BreakableGateway, team: Team, tmp_path: Path
) -> None:
    """Under load: nobody notices, a stream lives on, the metric counts, the log says where and what to write."""
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    good = yaml.safe_dump(broken_gateway.gateway.configuration, sort_keys=False)
    broken_key = tmp_path / "tls.key"
    broken_key.write_text("nonsense")
    key = broken_gateway.gateway.configuration["listening"]["certificates"][0]["key"]
    mistakes = {
        "no YAML": ("listening: [\n", "gateway.yaml:2:1: error: "),
        "a field that is not there": (good + "lokcs: {}\n", "lokcs: there is no such field: did you mean locks?"),
        "a wrong type": (good.replace("drainSeconds: 2", "drainSeconds: soon"), "error: drainSeconds: "),
        "out of range": (good.replace("drainSeconds: 2", "drainSeconds: -1"), "error: drainSeconds: "),
        "a missing file": (good.replace(key, "/nowhere/tls.key"), "error: listening.certificates[0].key: "),
        "a key that is none": (good.replace(key, str(broken_key)), "error: listening.certificates[0].key: "),
        "twice": (good + "drainSeconds: 3\n", "drainSeconds"),
        "nobody gets in": (good + "locks: {groups: ['system:authenticated']}\n", "error: locks.groups"),
    }
    refused = await broken_gateway.metric("tenantry_gateway_configuration_reloads_total", outcome="refused")
    seen: Counter[int] = Counter()
    async with broken_gateway.client(team.owner) as client, client.watching(pods) as stream:

        async def load() -> None:
            while True:
                seen[await client.status(pods)] += 1

        loading = asyncio.create_task(load())
        for name, (text, wanted) in mistakes.items():
            said = await rewritten(broken_gateway, REFUSED, text)
            assert wanted in said["error"], (name, said["error"])
            assert f"{broken_gateway.gateway.folder}/gateway.yaml" in said["error"], name
        loading.cancel()
        await asyncio.wait([loading])
        counted = await broken_gateway.metric("tenantry_gateway_configuration_reloads_total", outcome="refused")
        assert counted == refused + len(mistakes)
        assert set(seen) == {200}
        assert (await broken_gateway.readiness())[0] == 200
        # The stream began before all of that.
        assert await client.post(pods, _pod()) == 201
        event = await next_event(stream)
    assert event is not None
    assert event["object"]["metadata"]["name"] == "seen"
    await rewritten(broken_gateway, APPLIED)


async def test_what_envoy_alone_refuses_changes_nothing(broken_gateway: BreakableGateway, team: Team) -> None:
    """Right by our own check: the address is of no interface of this machine."""
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    async with mended(broken_gateway) as configuration, broken_gateway.client(team.owner) as client:
        assert (await client.get(pods)).status == 200
        configuration["listening"]["address"] = "192.0.2.1"
        configuration["locks"] = {"users": [team.owner]}
        said = await rewritten(broken_gateway, REFUSED)
        assert "Envoy refuses the configuration: " in said["error"]
        assert (await client.get(pods)).status == 403
    async with broken_gateway.client(team.owner) as client:
        await until(lambda: _is(client, pods, 200))


async def test_a_swapped_certificate_is_served_to_new_connections(broken_gateway: BreakableGateway, team: Team) -> None:
    """R-073, under load: open connections go on; an expired one is served too, and clients refuse it."""
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    gateway = broken_gateway.gateway
    folder = gateway.folder / "tls"
    before = await served(broken_gateway)
    async with broken_gateway.client(team.owner) as client, client.watching(pods) as stream:
        authority = Authority(gateway.platform.plane.folder / "pki")
        pair = authority.server(utc_now())
        swap(folder, pair.certificate, pair.key)
        await until(lambda: _serves_another(broken_gateway, before))
        assert (await client.get(pods)).status == 200
        assert not stream.content.at_eof()

        old = authority.server(utc_now() - timedelta(days=3660))
        assert x509.load_pem_x509_certificate(old.certificate).not_valid_after_utc < utc_now()
        renewed = await served(broken_gateway)
        swap(folder, old.certificate, old.key)
        await until(lambda: _serves_another(broken_gateway, renewed))
        assert (await client.get(pods)).status == 200
        async with broken_gateway.client(team.owner) as another:
            assert await another.status(pods) == 0
        swap(folder, pair.certificate, pair.key)
        async with broken_gateway.client(team.owner, keeps_alive=False) as another:
            await until(lambda: _is(another, pods, 200))


async def test_a_certificate_that_does_not_fit_its_key_is_not_served(
    broken_gateway: BreakableGateway, team: Team
) -> None:
    """Half a renewal: the last pair is served on."""
    folder = broken_gateway.gateway.folder / "tls"
    certificate, key = (folder / "tls.crt").read_bytes(), (folder / "tls.key").read_bytes()
    before = await served(broken_gateway)
    other = Authority(broken_gateway.gateway.platform.plane.folder / "pki").server(utc_now())
    swap(folder, other.certificate, key)
    async with broken_gateway.client(team.owner, keeps_alive=False) as client:
        await until(lambda: _rejects(broken_gateway))
        assert await client.status("/version") == 200
    assert await served(broken_gateway) == before
    swap(folder, certificate, key)


async def served(gateway: BreakableGateway) -> bytes:
    """Return the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.gateway.port, ssl=context)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return found


def swap(folder: Path, certificate: bytes, key: bytes) -> None:
    """Exchange both files, as cert-manager's and kubelet's tools do."""
    for name, data in (("tls.key", key), ("tls.crt", certificate)):
        fresh = folder / f".{name}"
        fresh.write_bytes(data)
        fresh.rename(folder / name)


async def _serves_another(gateway: BreakableGateway, before: bytes) -> bool:
    return await served(gateway) != before


async def _rejects(gateway: BreakableGateway) -> bool:
    stats = await gateway.admin(
        "/stats?format=json&filter=sds.certificate-0.(update_rejected|key_rotation_failed|update_failure)"
    )
    return bool(sum(each.get("value", 0) for each in stats["stats"]))


async def _is(client: User, path: str, status: int) -> bool:
    return await client.status(path) == status


def _pod() -> dict[str, Any]:
    return {
        "metadata": {"name": "seen"},
        "spec": {"containers": [{"name": "main", "image": "registry.example.org/a:1"}]},
    }

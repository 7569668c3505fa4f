"""What operators see of the gateway: metrics, audit records, readiness, time limits; all as the reference says."""

from __future__ import annotations

import re
import ssl
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
import raw
from breakable_gateway import BreakableGateway, User, until
from kubelet import StandInKubelet
from prometheus_client.parser import text_string_to_metric_families
from teams import made

from tenantry.kube.config import load_config
from tenantry.kube.tls import TlsContexts
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

REFERENCE: Final = Path(__file__).parents[4] / "docs" / "reference"
REVIEW: Final = {
    "apiVersion": "authorization.k8s.io/v1",
    "kind": "SelfSubjectAccessReview",
    "spec": {"resourceAttributes": {"verb": "list", "resource": "namespaces"}},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lively(
    platform: Platform, kubelet: StandInKubelet, unique: Any, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[BreakableGateway, str]]:
    """A gateway after a session of all kinds of requests, and the token that one of them showed."""
    async with (
        BreakableGateway.started(platform, tmp_path_factory.mktemp("gw")) as gateway,
        World(platform, unique) as world,
    ):
        yield gateway, await session(gateway, world, kubelet)


async def session(gateway: BreakableGateway, world: World, kubelet: StandInKubelet) -> str:
    """Go through everything that may happen to a request."""
    team = await made(world, gateway.gateway, namespaces=2)
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    await kubelet.pod(team.namespace, "one")
    token = (await world.platform.kubectl("create", "token", "default", "-n", team.namespace)).stdout.strip()
    async with User(team.kubeconfig) as client, User(gateway.gateway.bearer(token)) as robot:
        for path in (
            "/api/v1/namespaces",
            "/api/v1/pods",
            "/api/v1/nodes",
            pods,
            "/version",
            "/api/v1/secrets?limit=1",
        ):
            assert (await client.get(path)).status == 200, path
        await client.get("/api/v1/namespaces/kube-system/secrets/x")
        await client.get("/nowhere")
        await client.get(pods, headers={"Impersonate-User": "root"})
        await client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", REVIEW)
        await client.post(f"/api/v1/namespaces/{team.namespace}/configmaps", {"metadata": {"name": "one"}})
        await robot.get(f"{pods}?limit=1&token={token}&code={token}")
        await robot.get("/api/v1/namespaces")
        for path in (pods, "/api/v1/namespaces", "/api/v1/pods"):
            async with client.watching(path):
                pass
        await gateway.gateway.kubectl("exec", "-n", team.namespace, "one", "--", "true", user=team.kubeconfig)
    await gateway.gateway.kubectl("logs", "-n", team.namespace, "one", user=team.kubeconfig)
    await badly(gateway, team.kubeconfig)
    await until(lambda: gateway.metric("tenantry_gateway_streams_ended_total", kind="exec"))
    # Envoy writes a fifth of a second later; the last request is the one that the API server was away for.
    await until(lambda: any(one.get("code") == 503 for one in gateway.records))
    await until(lambda: sum(kind_of(one) == "connection" for one in gateway.records) >= 2)
    return token


async def badly(gateway: BreakableGateway, kubeconfig: Path) -> None:
    """Come as no client should, and while the API server is away."""
    port = gateway.gateway.port
    trusting = TlsContexts(load_config(kubeconfig=str(kubeconfig)).tls).current()
    async with await raw.Connection.open(port, tls=trusting) as connection:
        await connection.send(b"GET /api HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
        await connection.reader.read()
    with suppress(OSError):
        await raw.Connection.open(port, tls=_old_tls())
    async with await raw.Connection.open(port) as connection:
        await connection.send(b"GET / HTTP/1.1\r\n\r\n")
        await connection.reader.read()
    async with aiohttp.ClientSession() as nobody:
        for headers in ({}, {"Authorization": "Bearer no.good.token"}):
            url = f"https://127.0.0.1:{port}/api/v1/namespaces"
            async with nobody.get(url, headers=headers, ssl=_trusting(gateway)) as answer:
                assert answer.status == 401
    await gateway.link.cut()
    async with User(kubeconfig) as client:
        assert await client.status("/version") == 503
    gateway.link.mend()
    await until(lambda: _is_ready(gateway))


async def test_every_documented_metric_is_there(lively: tuple[BreakableGateway, str]) -> None:
    """R-093: by name, kind and labels, from one scrape after a session in which everything happened."""
    gateway, _ = lively
    # Envoy tells of times when it has put those of all its threads together.
    await until(lambda: gateway.metric("tenantry_gateway_request_duration_count"))
    families = {each.name: each for each in text_string_to_metric_families(await gateway.metrics())}
    missing = {}
    for name, kind, labels in documented_metrics():
        family = families.get(name) or families.get(name.removesuffix("_total"))
        if family is None:
            missing[name] = "not there"
        elif not any(labels <= set(sample.labels) for sample in family.samples):
            missing[name] = f"labels {sorted(set(family.samples[0].labels))}" if family.samples else "no sample"
        elif kind != family.type:
            missing[name] = f"is a {family.type}"
    # What never happened has no sample yet: failures of the script and of our credential, and key servers.
    quiet = {
        "tenantry_gateway_credential_refused",
        "tenantry_gateway_issuer_key_fetches_total",
        "tenantry_gateway_configuration_reloads_total",
        "tenantry_gateway_streams_refused_total",
        "envoy_filesystem_write_failed",
        "envoy_http_lua_errors",
    }
    assert {name: why for name, why in missing.items() if name not in quiet} == {}


async def test_metrics_tell_what_was_asked(lively: tuple[BreakableGateway, str]) -> None:
    """By verb, resource and code; refusals by reason; and none of the names that clients made up."""
    gateway, _ = lively
    text = await gateway.metrics()
    assert await gateway.metric("tenantry_gateway_requests", verb="create", resource="configmaps", code="201") == 1
    assert await gateway.metric("tenantry_gateway_requests", verb="list", resource="pods", code="200") >= 2
    assert await gateway.metric("tenantry_gateway_refusals", reason="PathUnknown") == 1
    assert await gateway.metric("tenantry_gateway_refusals", reason="ImpersonationDisabled") == 1
    assert await gateway.metric("tenantry_gateway_filtered_reads_total", happening="list_cached") >= 1
    assert await gateway.metric("tenantry_gateway_wide_reads_total", happening="list") >= 1
    assert await gateway.metric("tenantry_gateway_streams_started_total", kind="watch") >= 3
    assert "nowhere" not in text
    assert "no.good.token" not in text


async def test_every_record_is_as_documented(lively: tuple[BreakableGateway, str]) -> None:
    """R-090: no field that the reference does not know for records of that kind, and none without its core."""
    gateway, token = lively
    fields = documented_fields()
    wrong = []
    for record in gateway.records:
        kind = kind_of(record)
        present = set(flat(record))
        unknown = present - fields[kind]
        lacking = CORE[kind] - present
        if unknown or lacking:
            wrong.append((kind, sorted(unknown), sorted(lacking), record))
    assert wrong == []
    assert {kind_of(record) for record in gateway.records} == set(fields)
    text = gateway.gateway.audit_file.read_text() + gateway.gateway.part.log.read_text()
    assert not any(part in text for part in (token, token.rpartition(".")[2], "no.good.token"))


CORE: Final[Mapping[str, frozenset[str]]] = {
    "request": frozenset({"stage", "time", "code", "durationMilliseconds", "peer"}),
    "stream": frozenset(
        {"stage", "time", "auditID", "cluster", "user.name", "user.how", "user.id", "kind", "verb", "path", "decision"}
    ),
    "connection": frozenset({"stage", "time", "decision", "peer"}),
}


async def test_streams_have_a_start_and_an_end(lively: tuple[BreakableGateway, str]) -> None:
    """8.7.10: with one audit id, which the record of the request has too."""
    gateway, _ = lively
    by_id: dict[str, list[str]] = {}
    for record in gateway.records:
        if kind_of(record) == "stream" or record.get("longRunning"):
            by_id.setdefault(record["auditID"], []).append(record["stage"])
    assert len(by_id) >= 4
    assert {tuple(sorted(stages)) for stages in by_id.values()} == {("Complete", "Ended", "Started")}
    kinds = {record["kind"] for record in gateway.records if record["stage"] == "Started"}
    assert kinds == {"watch", "exec"}


async def test_what_never_was_a_request_has_a_record(lively: tuple[BreakableGateway, str]) -> None:
    """TLS that is too old, plain text on the TLS port, a body with two lengths, nobody, and a bad token."""
    gateway, _ = lively
    connections = [record for record in gateway.records if kind_of(record) == "connection"]
    assert len(connections) >= 2
    refused = {record.get("reason") for record in gateway.records if record.get("code") in {400, 401}}
    assert {"NoCredential", "TokenRefused"} <= refused
    assert any(record["code"] == 400 and "user" not in record for record in gateway.records if "code" in record)


async def test_readiness_names_its_checks(lively: tuple[BreakableGateway, str]) -> None:
    """R-095: live, ready, and each check by name, as the API server's own."""
    gateway, _ = lively
    url = f"http://127.0.0.1:{gateway.gateway.part.health_port}"
    async with aiohttp.ClientSession() as session:
        answers = {}
        for path in ("/healthz", "/readyz", "/readyz?verbose"):
            async with session.get(url + path) as answer:
                answers[path] = (answer.status, await answer.text())
    assert answers == {
        "/healthz": (200, "ok\n"),
        "/readyz": (200, "ok\n"),
        "/readyz?verbose": (200, "[+]gateway ok\n[+]envoy ok\n[+]streams ok\n[+]cluster-default ok\n"),
    }


async def test_no_time_limit_is_on_what_runs_long(lively: tuple[BreakableGateway, str]) -> None:
    """R-072: not Envoy's 15 seconds, not its five minutes; in the configuration that is in force."""
    gateway, _ = lively
    dump = await gateway.admin("/config_dump")
    routes = [route for route in _all(dump, "routes") if isinstance(route, list)]
    limits: dict[str, set[tuple[str, str]]] = {}
    for route in (one for each in routes for one in each if "route" in one):
        name = route["match"]["headers"][0]["string_match"]["exact"]
        limits.setdefault(name, set()).add((route["route"]["timeout"], route["route"]["idle_timeout"]))
    assert limits == {
        "upstream": {("0s", "120s")},
        "python": {("0s", "120s")},
        "own": {("0s", "120s")},
        "upstream-stream": {("0s", "0s")},
        "own-stream": {("0s", "0s")},
        "python-stream": {("0s", "0s")},
    }
    for forbidden in ("max_stream_duration", "max_connection_duration", "request_timeout", "per_try_timeout"):
        assert list(_all(dump, forbidden)) == [], forbidden


def documented_metrics() -> Iterator[tuple[str, str, set[str]]]:
    """Yield name, type and labels of each metric of the gateway."""
    text = (REFERENCE / "metrics.md").read_text().partition("## tenantry gateway")[2].partition("## Alerts")[0]
    for name, kind, labels in re.findall(
        r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \| (.*?) \|", text, re.MULTILINE
    ):
        yield name, kind, set(re.findall(r"`(\w+)`", labels))


def documented_fields() -> dict[str, set[str]]:
    """Return the fields of each kind of record."""
    fields: dict[str, set[str]] = {"request": set(), "stream": set(), "connection": set()}
    for name, kinds in re.findall(
        r"^\| `([\w.]+)` \| ([a-z, ]+) \|", (REFERENCE / "audit.md").read_text(), re.MULTILINE
    ):
        for kind in kinds.split(", "):
            fields[kind].add(name)
    return fields


def kind_of(record: Mapping[str, Any]) -> str:
    """Return which table of the reference a record belongs to."""
    if record["stage"] == "Complete":
        return "request"
    return "stream" if "kind" in record else "connection"


def flat(record: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Yield the paths of a record's fields."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        else:
            yield before + name


def _all(value: Any, key: str) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name == key:
                yield each
            yield from _all(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _all(each, key)


def _trusting(gateway: BreakableGateway) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(gateway.gateway.ca))


def _old_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


async def _is_ready(gateway: BreakableGateway) -> bool:
    return await gateway.readiness() == (200, "ok\n")

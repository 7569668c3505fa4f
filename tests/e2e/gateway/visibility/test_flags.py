"""capsule-proxy's flags alone, as its Deployment has them: no file, KUBECONFIG and NAMESPACE from the environment."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
import yaml
from caller import Caller, Reply
from stage import CAPSULE_GROUPS, NAMESPACES, Stage, user

from tenantry.kube.config import load_config
from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW_BODY = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
CHART = (
    "--capsule-configuration-name=default",
    "--zap-log-level=4",
    "--oidc-username-claim=preferred_username",
    "--rolebindings-resync-period=10h",
    "--client-connection-qps=20",
    "--client-connection-burst=30",
    "--webhook-port=9443",
    "--disable-caching=false",
    "--enable-leader-election",
    "--enable-reflector=true",
    "--enable-pprof=false",
    "--feature-gates=ProxyClusterScoped=true,ProxyAllNamespaced=true",
)
"""What capsule-proxy's chart passes by itself."""


@asynccontextmanager
async def flagged(
    platform: Platform, folder: Path, monkeypatch: pytest.MonkeyPatch, *flags: str
) -> AsyncIterator[Gateway]:
    """A gateway that was told everything by flags; its ports are the test's, since others run beside."""
    gateway = await Gateway.prepare(platform, folder)
    monkeypatch.setenv("KUBECONFIG", gateway.configuration["clusters"][0]["kubeconfig"])
    gateway.part.arguments = (
        "gateway",
        f"--listening-port={gateway.port}",
        f"--metrics-addr={gateway.configuration['metricsAddress']}",
        f"--health-addr={gateway.configuration['healthAddress']}",
        *flags,
    )
    await gateway.run()
    try:
        await gateway.wait_ready()
        yield gateway
    finally:
        await gateway.stop()


async def plainly(url: str, *, headers: dict[str, str] | None = None, source: str = "127.0.0.1") -> Reply:
    """Ask over plain HTTP, from an address of this machine."""
    connector = aiohttp.TCPConnector(local_addr=(source, 0))
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url, headers=headers) as response:
        is_json = response.content_type == "application/json"
        body = await response.json() if is_json else await response.text()
        return Reply(response.status, body, response.content_type)


async def test_the_charts_flags_serve_as_capsule_proxy_does(
    world: World, platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS, certificates and tokens, ignored users and groups, dropped groups, health and metrics."""
    ignored = world.unique("ignored")
    flags = (
        *CHART,
        "--enable-ssl=true",
        f"--ssl-cert-path={tmp_path / 'gw' / 'tls' / 'tls.crt'}",
        f"--ssl-key-path={tmp_path / 'gw' / 'tls' / 'tls.key'}",
        "--auth-preferred-types=BearerToken,TLSCertificate",
        "--ignored-user-group=machines",
        "--ignored-user-group=robots",
        f"--ignored-username={ignored}",
        "--ignored-impersonation-group=dropped",
        "--impersonation-group-regexp=^(projectcapsule|machines|robots|dropped|team)",
    )
    async with flagged(platform, tmp_path / "gw", monkeypatch, *flags) as gateway, Stage(world, gateway) as stage:
        name = stage.unique("user")
        space = await stage.namespace(await stage.tenant(user(name)))
        caller = stage.user(name, (*CAPSULE_GROUPS, "team-a", "dropped", "others"))
        await stage.shows(lambda: caller.names(NAMESPACES), [space])
        groups = (await caller.create(REVIEW, REVIEW_BODY)).body["status"]["userInfo"]["groups"]
        assert set(groups) == {*CAPSULE_GROUPS, "team-a", "system:authenticated"}
        token = await stage.account(space, "robot")
        assert await token.names(NAMESPACES) == []
        for unfiltered in (stage.user(name, (*CAPSULE_GROUPS, "machines")), stage.user(ignored)):
            assert (await unfiltered.refused(NAMESPACES))[:2] == (403, "Forbidden")
        assert (await stage.gateway.kubectl("get", "ns", "-o", "name", user=caller.kubeconfig)).stdout == (
            f"namespace/{space}\n"
        )
        acting = await gateway.kubectl("get", "ns", "--as", "somebody", user=caller.kubeconfig, check=False)
        assert "Forbidden" in acting.stderr
        health = await caller.ask("/_healthz")
        assert (health.status, str(health.body).strip()) == (200, "ok")
        probes = f"http://127.0.0.1:{gateway.part.health_port}"
        assert [(await plainly(f"{probes}{path}")).status for path in ("/healthz", "/readyz")] == [200, 200]
        metrics = await plainly(f"http://127.0.0.1:{gateway.part.metrics_port}/metrics")
        assert (metrics.status, "process_cpu_seconds_total" in metrics.body) == (200, True)


async def test_plain_http_behind_a_gateway_of_the_users_own(
    world: World, platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens and forwarded certificates, from the trusted networks alone."""
    flags = (
        "--enable-ssl=false",
        "--trusted-proxy-cidrs=127.0.0.1/32",
        "--auth-preferred-types=XForwardedClientCert,BearerToken",
        "--xfcc-header-name=X-Client-Cert",
    )
    async with flagged(platform, tmp_path / "gw", monkeypatch, *flags) as gateway, Stage(world, gateway) as stage:
        name = stage.unique("user")
        space = await stage.namespace(await stage.tenant(user(name)))
        url = f"http://127.0.0.1:{gateway.port}"
        certificate = {"X-Client-Cert": f'Cert="{quote(_certificate(platform.user(name)), safe="")}"'}

        async def seen() -> list[str]:
            return (await plainly(url + NAMESPACES, headers=certificate)).names

        await stage.shows(seen, [space])
        token = yaml.safe_load((await stage.account(space, "robot")).kubeconfig.read_text())["users"][0]["user"][
            "token"
        ]
        assert (await plainly(url + NAMESPACES, headers={"Authorization": f"Bearer {token}"})).names == []
        assert (await plainly(url + "/_healthz")).status == 200
        assert (await plainly(url + NAMESPACES)).status == 401
        assert (await plainly(url + NAMESPACES, headers={"X-Forwarded-Client-Cert": "Cert=x"})).status == 401
        # Nobody else even gets a connection.
        with pytest.raises(aiohttp.ClientConnectionError):
            await plainly(url + NAMESPACES, headers=certificate, source="127.0.0.2")


def _certificate(kubeconfig: Path) -> str:
    certificate = load_config(kubeconfig=str(kubeconfig)).tls.certificate
    assert certificate is not None
    return certificate.certificate.read().decode()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--enable-ssl=false",), "--trusted-proxy-cidrs"),
        (("--enable-ssl=false", "--ssl-cert-path=/x", "--trusted-proxy-cidrs=10.0.0.0/8"), "--ssl-cert-path"),
        ((), "--ssl-cert-path"),
        (("--ssl-cert-path=/x", "--ssl-key-path=/y", "--auth-preferred-types=Guess"), "--auth-preferred-types"),
        (("--ssl-cert-path=/x", "--ssl-key-path=/y", "--feature-gates=SkipImpersonationReview=true"), "SkipImp"),
        (("--ssl-cert-path=/nowhere/x", "--ssl-key-path=/nowhere/y"), "/nowhere/x"),
        (("--no-such-flag",), "--no-such-flag"),
    ],
)
async def test_flags_that_make_no_sense_end_at_once(
    flags: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not zero, and the flag's name on stderr."""
    monkeypatch.setenv("NAMESPACE", "capsule-system")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tenantry", "gateway", *flags),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=tmp_path,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode not in {0, None}
    assert says in errors.decode()


async def test_values_of_the_chart_become_a_configuration(
    world: World, platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unique: Callable[[str], str]
) -> None:
    """What `gateway from-values` prints serves the same."""
    values = {
        "options": {
            "listeningPort": 9001,
            "logLevel": 4,
            "capsuleConfigurationName": "default",
            "ignoredUserGroups": ["machines"],
            "authPreferredTypes": "BearerToken,TLSCertificate",
            "SSLDirectory": str(tmp_path / "gw" / "tls"),
            "enableSSL": True,
            "oidcUsernameClaim": "preferred_username",
            "extraArgs": ["--feature-gates=ProxyClusterScoped=true"],
        },
        "service": {"type": "ClusterIP"},
    }
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    gateway = await Gateway.prepare(platform, tmp_path / "gw")
    monkeypatch.setenv("KUBECONFIG", gateway.configuration["clusters"][0]["kubeconfig"])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tenantry", "gateway", "from-values", str(file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, errors = await process.communicate()
    assert process.returncode == 0, errors
    made = tmp_path / "made.yaml"
    made.write_bytes(printed)
    gateway.part.arguments = (
        "gateway",
        f"--config={made}",
        f"--listening-port={gateway.port}",
        f"--metrics-addr={gateway.configuration['metricsAddress']}",
        f"--health-addr={gateway.configuration['healthAddress']}",
    )
    await gateway.run()
    try:
        await gateway.wait_ready()
        async with Stage(world, gateway) as stage:
            name = unique("user")
            space = await stage.namespace(await stage.tenant(user(name)))
            caller: Caller = stage.user(name)
            await stage.shows(lambda: caller.names(NAMESPACES), [space])
            machine = stage.user(name, (*CAPSULE_GROUPS, "machines"))
            assert (await machine.refused(NAMESPACES))[:2] == (403, "Forbidden")
    finally:
        await gateway.stop()

"""The set-ups of docs/how-to/gateway-integrations.md: the manifests stand, and accounts come in as it says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
import yaml

from tenantry.gateway.identity.configuration import read_authentication
from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import Platform
from tenantry.testing.world import World

FOLDER: Final = Path(__file__).parents[3] / "examples" / "gateway" / "integrations"
APART: Final = ("issuers", "teleport-gateway")
"""Not for kubectl apply."""
MANIFESTS: Final = sorted(path for path in FOLDER.glob("*.yaml") if path.stem not in APART)
TOKENS: Final = "/var/run/secrets/kubernetes.io/serviceaccount"


def name_of(path: Path) -> str:
    return path.stem


def objects(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def namespaces(platform: Platform) -> AsyncIterator[None]:
    """Those that the manifests name."""
    names = {each["metadata"].get("namespace") for path in MANIFESTS for each in objects(path)} - {None}
    for name in names:
        await platform.kubectl("create", "namespace", name)
    yield
    await platform.kubectl("delete", "namespace", *names, "--wait=false")


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("path", MANIFESTS, ids=name_of)
async def test_the_api_server_takes_each_manifest(platform: Platform, path: Path) -> None:
    await platform.kubectl("apply", "--server-side", "--dry-run=server", "-f", str(path))


DEPLOYMENTS: Final = [path for path in MANIFESTS if any(each["kind"] == "Deployment" for each in objects(path))]


@pytest.mark.parametrize("path", DEPLOYMENTS, ids=name_of)
def test_clients_in_the_cluster_find_the_gateway(path: Path) -> None:
    """By the Service's name and port, a token for the API server, and the gateway's CA under the usual name."""
    (deployment,) = (each for each in objects(path) if each["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    found = {each["name"]: each.get("value") for each in container["env"]}
    assert {key: value for key, value in found.items() if key.startswith("KUBERNETES_")} == {
        "KUBERNETES_SERVICE_HOST": "capsule-proxy.capsule-system.svc",
        "KUBERNETES_SERVICE_PORT": "9001",
    }
    assert pod["automountServiceAccountToken"] is False
    assert container["volumeMounts"] == [{"name": "gateway-access", "mountPath": TOKENS, "readOnly": True}]
    (volume,) = pod["volumes"]
    assert volume == {
        "name": "gateway-access",
        "projected": {
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
                {"configMap": {"name": "gateway-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
            ]
        },
    }


def test_the_issuers_are_read() -> None:
    (issuer,) = read_authentication(FOLDER / "issuers.yaml").issuers
    assert (issuer.issuer.url, sorted(issuer.issuer.audiences)) == (
        "https://login.example.com/realms/platform",
        ["dashboard", "gangplank", "headlamp", "kubernetes", "tekton"],
    )


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def gateway_for_teleport(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """With the identity settings of the example."""
    identity = objects(FOLDER / "teleport-gateway.yaml")[0]["clusters"][0]["identity"]
    gateway = await Gateway.start(platform, tmp_path_factory.mktemp("teleport"), configuration={"identity": identity})
    yield gateway
    await gateway.stop()


@pytest.mark.usefixtures("namespaces")
async def test_teleports_agent_acts_for_its_users(
    platform: Platform, world: World, gateway_for_teleport: Gateway
) -> None:
    """It needs no right for each of them; the cluster's own groups stay out of reach, and others act as nobody."""
    name = world.unique("user")
    tenant = await world.tenant({"owners": [{"kind": "User", "name": name}]})
    own = await world.namespace(await world.user(name), tenant.metadata.name)
    seen = {}
    for account in ("teleport-kube-agent", "another"):
        await platform.kubectl("create", "serviceaccount", account, "-n", "teleport")
        token = (await platform.kubectl("create", "token", account, "-n", "teleport")).stdout.strip()
        user = gateway_for_teleport.bearer(token, name=account)
        acting = ("get", "namespaces", "-o=name", f"--as={name}", "--as-group=projectcapsule.dev")
        plain = await gateway_for_teleport.kubectl(*acting, user=user, check=False)
        masters = await gateway_for_teleport.kubectl(*acting, "--as-group=system:masters", user=user, check=False)
        seen[account] = (plain.stdout.split(), "cannot impersonate" in plain.stderr, "Forbidden" in masters.stderr)

    assert seen == {"teleport-kube-agent": ([f"namespace/{own}"], False, True), "another": ([], True, True)}


@pytest.mark.usefixtures("namespaces")
async def test_tokens_of_accounts_come_in_without_an_audience_alone(platform: Platform, gateway: Gateway) -> None:
    """As the projected volumes of the manifests ask for them."""
    await platform.kubectl("create", "serviceaccount", "plain", "-n", "headlamp")
    outcomes = []
    for more in ((), ("--audience=headlamp",)):
        token = (await platform.kubectl("create", "token", "plain", "-n", "headlamp", *more)).stdout.strip()
        user = gateway.bearer(token, name=f"plain{len(more)}")
        done = await gateway.kubectl(
            "auth", "whoami", "-o=jsonpath={.status.userInfo.username}", user=user, check=False
        )
        outcomes.append(done.stdout or done.stderr.partition(" (")[0])

    assert outcomes == ["system:serviceaccount:headlamp:plain", "error: You must be logged in to the server"]

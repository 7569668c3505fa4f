"""Clients in the cluster: tokens of service accounts, and an API server named by the environment (8.6, 8.7.3)."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import pytest_asyncio
from commands import Running
from goprograms import informer
from teams import Team, made, manifest

from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import Completed, Platform
from tenantry.testing.world import World

IN_POD = "mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io && cp -r {folder} {target} && exec {command}"
UNAUTHORIZED = "the server has asked for the client to provide credentials"
ACCOUNT_FOLDER = "/run/secrets/kubernetes.io/serviceaccount"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def agent(unique: Callable[[str], str]) -> str:
    """The name of the one account that the gateway lets act as anybody."""
    return unique("agent")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def quick(platform: Platform, tmp_path_factory: pytest.TempPathFactory, agent: str) -> AsyncIterator[Gateway]:
    """A gateway that looks at tokens again after a second, and trusts the agent."""
    trusted = [{"kind": "ServiceAccount", "name": f"system:serviceaccount:default:{agent}"}]
    identity = {
        "freshSeconds": 1,
        "reviewSeconds": 1,
        "refusalSeconds": 0,
        "impersonation": {"enabled": True, "trusted": trusted},
    }
    gateway = await Gateway.start(platform, tmp_path_factory.mktemp("quick"), configuration={"identity": identity})
    yield gateway
    await gateway.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def team(world: World, quick: Gateway) -> AsyncIterator[Team]:
    """A team with two namespaces; the account ``bot`` of the first may edit there."""
    team = await made(world, quick, namespaces=2)
    await team.kubectl("create", "serviceaccount", "bot", "-n", team.namespace)
    await team.kubectl(
        *("create", "rolebinding", "bot", "--clusterrole=edit", f"--serviceaccount={team.namespace}:bot"),
        *("-n", team.namespace),
    )
    yield team


async def test_a_projected_token_is_the_account(team: Team) -> None:
    """Who has it sees the account's namespace alone, and writes under the account's name."""
    bot = team.gateway.bearer(await _token(team, "bot"), name=team.tenant)
    seen = await team.gateway.kubectl("get", "namespaces", "-o", "name", user=bot)
    await team.gateway.kubectl("create", "configmap", "by-bot", "-n", team.namespace, user=bot)
    refused = await team.gateway.kubectl("create", "configmap", "x", "-n", team.namespaces[1], user=bot, check=False)
    known = json.loads((await team.gateway.kubectl("auth", "whoami", "-o", "json", user=bot)).stdout)

    name = f"system:serviceaccount:{team.namespace}:bot"
    info = known["status"]["userInfo"]
    assert seen.stdout == f"namespace/{team.namespace}\n"
    assert f'User "{name}" cannot create resource "configmaps"' in refused.stderr
    assert (info["username"], "authentication.kubernetes.io/credential-id" in info["extra"]) == (name, True)
    assert info["groups"] == [
        "system:serviceaccounts",
        f"system:serviceaccounts:{team.namespace}",
        "system:authenticated",
    ]


async def test_a_legacy_token_is_the_account(team: Team, world: World) -> None:
    """8.6: the token of a Secret, which never expires and names no audience, is reviewed."""
    secret = manifest("Secret", "bot-token", type="kubernetes.io/service-account-token")
    secret["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "bot"}
    await world.platform.kubectl("apply", "-n", team.namespace, "-f", "-", stdin=json.dumps(secret))

    async def token() -> str:
        got = await world.platform.kubectl(
            "get", "secret", "bot-token", "-n", team.namespace, "-o", "jsonpath={.data.token}"
        )
        return base64.b64decode(got.stdout).decode()

    bot = team.gateway.bearer(await world.eventually(token), name=f"{team.tenant}-legacy")
    seen = await team.gateway.kubectl("get", "namespaces", "-o", "name", user=bot)

    assert seen.stdout == f"namespace/{team.namespace}\n"


async def test_a_token_for_others_is_refused(team: Team) -> None:
    """R-002: a token of another audience is no credential here, and the answer is 401."""
    bot = team.gateway.bearer(await _token(team, "bot", "--audience=vault"), name=f"{team.tenant}-vault")
    refused = await team.gateway.kubectl("get", "namespaces", user=bot, check=False)

    assert (refused.code, _is_unauthorized(refused)) == (1, True)


async def test_an_account_that_is_gone_is_refused(team: Team, world: World) -> None:
    """8.7.3: within the cache time, although the token would be valid for an hour."""
    bot = team.gateway.bearer(await _token(team, "bot"), name=f"{team.tenant}-gone")
    before = await team.gateway.kubectl("get", "namespaces", "-o", "name", user=bot)
    await team.kubectl("delete", "serviceaccount", "bot", "-n", team.namespace)

    async def is_refused() -> bool:
        # A change of a namespace would be as good: what is asked is whether anything still is answered.
        after = await team.gateway.kubectl("get", "namespaces", "-o", "name", user=bot, check=False)
        return _is_unauthorized(after)

    # The API server itself looks tokens up in a cache of ten seconds.
    await world.eventually(is_refused, seconds=20)

    assert before.stdout == f"namespace/{team.namespace}\n"


async def test_an_account_may_own_a_tenant(team: Team, world: World) -> None:
    """1.7: owners of kind ServiceAccount that are Capsule users make namespaces, and see them."""
    owner = {"kind": "ServiceAccount", "name": f"system:serviceaccount:{team.namespace}:bot"}
    tenant = (await world.tenant({"owners": [owner]})).metadata.name
    bot = team.gateway.bearer(await _token(team, "bot"), name=f"{team.tenant}-owner")
    name = f"{tenant}-built"

    async def is_made() -> bool:  # RBAC follows the configuration a moment later.
        return (await team.gateway.kubectl("create", "namespace", name, user=bot, check=False)).code == 0

    async with world.configured(users=[{"kind": "Group", "name": "projectcapsule.dev"}, owner]):
        await world.eventually(is_made)
        seen = await team.gateway.kubectl("get", "namespaces", "-o", "name", user=bot)
        tenants = await team.gateway.kubectl("get", "tenants", "-o", "name", user=bot)

    assert seen.stdout.split() == sorted([f"namespace/{team.namespace}", f"namespace/{name}"])
    assert tenants.stdout == f"tenant.capsule.clastix.io/{tenant}\n"


async def test_a_trusted_agent_acts_as_users(team: Team, world: World, agent: str) -> None:
    """8.6: Teleport's agent sends its own bearer with the user's name and groups, and has no right to impersonate."""
    await world.platform.kubectl("create", "serviceaccount", agent, "-n", "default")
    token = (await world.platform.kubectl("create", "token", agent, "-n", "default")).stdout.strip()
    through = team.gateway.bearer(token, name=agent)
    acting = ("--as", team.owner, "--as-group", "projectcapsule.dev")
    seen = await team.gateway.kubectl("get", "namespaces", "-o", "name", *acting, user=through)
    written = await team.gateway.kubectl("create", "configmap", "x", "-n", team.namespace, *acting, user=through)
    above = await team.gateway.kubectl(
        "get", "--raw", "/api/v1/nodes", "--as=x", "--as-group=system:masters", user=through, check=False
    )
    await world.platform.kubectl("delete", "serviceaccount", agent, "-n", "default")

    assert seen.stdout.split() == [f"namespace/{each}" for each in team.namespaces]
    assert written.stdout == "configmap/x created\n"
    assert "system:masters" in above.stderr


async def test_clients_in_pods_find_it_by_their_environment(team: Team, tmp_path: Path) -> None:
    """8.6: ``KUBERNETES_SERVICE_HOST`` and ``_PORT``, the mounted token and CA: nothing else changes for a client."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text(await _token(team, "bot"))
    (folder / "ca.crt").write_bytes(team.gateway.ca.read_bytes())
    (folder / "namespace").write_text(team.namespace)
    kubectl = str(team.gateway.platform.kubectl_program)
    async with (
        _in_pod(folder, team.gateway, kubectl, "get", "namespaces,configmaps", "-A", "-o", "name") as listing,
        _in_pod(folder, team.gateway, kubectl, "create", "configmap", "from-pod") as creating,
        _in_pod(folder, team.gateway, str(informer()), "-resource=namespaces") as following,
    ):
        await following.said('"synced"')
        ended = [await each.ended() for each in (listing, creating)]

    assert (ended, creating.lines) == ([0, 0], ["configmap/from-pod created"])
    assert f"namespace/{team.namespace}" in listing.lines
    told = [json.loads(line) for line in following.lines if line.startswith("{")]
    assert told == [{"event": "added", "name": team.namespace}, {"event": "synced"}]


def _is_unauthorized(done: Completed) -> bool:
    """Say whether it was 401; kubectl says that in two ways."""
    return UNAUTHORIZED in done.stderr or "You must be logged in to the server" in done.stderr


async def _token(team: Team, account: str, *arguments: str) -> str:
    made_one = await team.gateway.platform.kubectl("create", "token", account, "-n", team.namespace, *arguments)
    return made_one.stdout.strip()


def _in_pod(folder: Path, gateway: Gateway, *command: str) -> AbstractAsyncContextManager[Running]:
    """Run *command* with *folder* where the kubelet mounts a service account's, for this process alone."""
    script = IN_POD.format(folder=shlex.quote(str(folder)), target=ACCOUNT_FOLDER, command=shlex.join(command))
    environment = {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(gateway.port),
        "HOME": str(folder),
        "KUBECONFIG": "",
    }
    return Running.started("unshare", "--map-root-user", "--mount", "sh", "-c", script, env=environment)

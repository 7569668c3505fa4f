"""Users of a real identity provider, whose issuer the gateway alone knows: the API server refuses their tokens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import jwt
import pytest
import pytest_asyncio
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from keycloak import Keycloak
from teams import running

from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import Completed, Platform
from tenantry.testing.world import World

PREFIX = "corp:"
USERS = {"kind": "Group", "name": f"{PREFIX}projectcapsule.dev"}
ANONYMOUS = "the server has asked for the client to provide credentials"
UNAUTHORIZED = "You must be logged in to the server"


@dataclass(frozen=True, slots=True)
class Company:
    """The provider, and a gateway that takes its users."""

    keycloak: Keycloak
    gateway: Gateway

    async def login(self, user: str) -> Path:
        """Return a kubeconfig with a new token of *user*."""
        return self.gateway.bearer(await self.keycloak.token(user), name=f"{user}-{uuid4()}")

    async def kubectl(self, *arguments: str, user: Path, check: bool = True) -> Completed:
        """Run kubectl as whoever has the token in *user*."""
        return await self.gateway.kubectl(*arguments, user=user, check=check)

    async def is_refused(self, user: Path) -> bool:
        """Say whether the token in *user* is answered by 401."""
        done = await self.kubectl("get", "--raw", "/api/v1/namespaces", user=user, check=False)
        return UNAUTHORIZED in done.stderr or ANONYMOUS in done.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(
    platform: Platform, keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Company]:
    """A gateway with kube-apiserver's own AuthenticationConfiguration: names and groups get a prefix."""
    folder = tmp_path_factory.mktemp("company")
    issuer = {"url": keycloak.issuer, "audiences": ["kubernetes"], "certificateAuthority": keycloak.ca.read_text()}
    mappings = {
        "username": {"claim": "preferred_username", "prefix": PREFIX},
        "groups": {"claim": "groups", "prefix": PREFIX},
        "uid": {"claim": "sub"},
    }
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": [{"issuer": issuer, "claimMappings": mappings}],
    }
    (folder / "authentication.yaml").write_text(yaml.safe_dump(document))
    identity = {"authenticationConfiguration": str(folder / "authentication.yaml"), "freshSeconds": 1}
    gateway = await Gateway.start(platform, folder / "gw", configuration={"identity": identity})
    yield Company(keycloak, gateway)
    await gateway.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def tenants(world: World) -> AsyncIterator[tuple[str, str]]:
    """A tenant of alice, by name, and one of the group that bob is in; who comes from there may own."""
    alices = await world.tenant({"owners": [{"kind": "User", "name": f"{PREFIX}alice"}]})
    bobs = await world.tenant({"owners": [{"kind": "Group", "name": f"{PREFIX}gas-developers"}]})
    async with world.configured(users=[{"kind": "Group", "name": "projectcapsule.dev"}, USERS]):
        yield alices.metadata.name, bobs.metadata.name


async def test_users_own_tenants_by_name_and_by_group(company: Company, tenants: tuple[str, str], world: World) -> None:
    """R-002, R-010: what the mapping makes of the token is who owns, and who is asked about by RBAC."""
    seen = {}
    for user, tenant in zip(("alice", "bob"), tenants, strict=True):
        config, name = await company.login(user), f"{tenant}-one"

        async def is_made(config: Path = config, name: str = name) -> bool:  # RBAC follows the configuration.
            return (await company.kubectl("create", "namespace", name, user=config, check=False)).code == 0

        await world.eventually(is_made)
        await company.kubectl("create", "configmap", "mine", "-n", name, user=config)
        mine = ("get", "namespaces", "-o", "name", "-l", "capsule.clastix.io/tenant")
        seen[user] = (await company.kubectl(*mine, user=config)).stdout.split()
    told = await company.kubectl("auth", "whoami", "-o", "json", user=await company.login("alice"))
    info = json.loads(told.stdout)["status"]["userInfo"]
    listed = await company.kubectl("get", "configmaps", "-A", "-o", "name", user=await company.login("bob"))

    assert seen == {user: [f"namespace/{each}-one"] for user, each in zip(("alice", "bob"), tenants, strict=True)}
    assert info["username"] == f"{PREFIX}alice"
    # The provider tells them in any order.
    assert sorted(info["groups"]) == [f"{PREFIX}oil-developers", f"{PREFIX}projectcapsule.dev", "system:authenticated"]
    assert listed.stdout.split() == ["configmap/kube-root-ca.crt", "configmap/mine"]


async def test_the_api_server_itself_does_not_know_them(company: Company, platform: Platform) -> None:
    """The gateway's word is all there is: the same token is refused at the API server."""
    document = yaml.safe_load(platform.plane.kubeconfig.read_text())
    token = await company.keycloak.token("alice")
    document["users"] = [{"name": each["name"], "user": {"token": token}} for each in document["users"]]
    direct = company.gateway.folder / "direct.kubeconfig"
    direct.write_text(yaml.safe_dump(document))
    refused = await platform.kubectl("get", "--raw", "/api/v1/namespaces", user=direct, check=False)
    through = await company.kubectl("get", "--raw", "/version", user=await company.login("alice"))

    assert (refused.code, through.code) == (1, 0)
    assert UNAUTHORIZED in refused.stderr or ANONYMOUS in refused.stderr


async def test_a_token_that_expires_ends_what_runs(company: Company, tenants: tuple[str, str], world: World) -> None:
    """Invariants 18 and 23: no cache outlives the token, and neither does a watch, filtered or not."""
    name = f"{tenants[0]}-short"
    await world.platform.kubectl("create", "namespace", name)
    await world.platform.kubectl(
        *("create", "rolebinding", "alice", "--clusterrole=view", f"--user={PREFIX}alice", "-n", name)
    )
    await company.keycloak.let_tokens_live(6)
    short = await company.login("alice")
    await company.keycloak.let_tokens_live(600)
    async with (
        running(company.gateway, "get", "namespaces", "-w", "-o", "name", user=short) as namespaces,
        running(company.gateway, "get", "configmaps", "-w", "-n", name, "-o", "name", user=short) as configmaps,
    ):
        await namespaces.said(f"namespace/{name}")
        await configmaps.said("kube-root-ca.crt")
        for each in (namespaces, configmaps):
            await each.ended(seconds=15)
    refused = await company.is_refused(short)
    await world.platform.kubectl("delete", "namespace", name, "--wait=false")

    assert refused


async def test_keys_are_rotated_and_withdrawn(company: Company, world: World) -> None:
    """R-003, 8.7.2: a new key is taken up at its first token, an old one is dropped with its publication."""
    old = await company.login("alice")
    await company.kubectl("get", "--raw", "/version", user=old)
    await company.keycloak.rotate_key()
    new = await company.login("alice")

    async def is_taken() -> bool:
        return not await company.is_refused(new)

    # Issuers are asked at most every ten seconds, whatever kids tokens name.
    await world.eventually(is_taken)
    old_still_holds = not await company.is_refused(old)
    await company.keycloak.withdraw_old_keys()

    async def is_withdrawn() -> bool:
        # A token of an unknown key makes the gateway ask before the minute is over.
        assert await company.is_refused(_forged(company))
        return await company.is_refused(old)

    await world.eventually(is_withdrawn)

    assert old_still_holds
    assert not await company.is_refused(new)


async def test_while_the_provider_is_away_its_tokens_hold(company: Company) -> None:
    """8.7.2: valid tokens keep working by the keys that are known, new ones too; forged ones never."""
    known, unseen = await company.login("alice"), await company.login("bob")
    await company.kubectl("get", "--raw", "/version", user=known)
    company.keycloak.pause()
    try:
        answers = [await company.is_refused(each) for each in (known, unseen, _forged(company))]
    finally:
        company.keycloak.resume()

    assert answers == [False, False, True]


def _forged(company: Company) -> Path:
    """Return a kubeconfig with a token that says all the right things, by a key that nobody published."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = {
        "iss": company.keycloak.issuer,
        "aud": "kubernetes",
        "sub": "alice",
        "preferred_username": "alice",
        "groups": ["projectcapsule.dev", "oil-developers"],
        "iat": 1_700_000_000,
        "exp": 4_000_000_000,
    }
    token = jwt.encode(claims, key, algorithm="RS256", headers={"kid": str(uuid4())})
    return company.gateway.bearer(token, name=f"forged-{uuid4()}")

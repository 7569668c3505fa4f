"""The gateway's own credential fails, is withdrawn or renewed: that is never a client's fault (8.7.1, invariant 27)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
import yaml
from breakable_gateway import UNAVAILABLE, BreakableGateway, User, until
from teams import made

from tenantry.foundation.codec import decode_any, encode
from tenantry.kube.errors import NotFoundError
from tenantry.testing.gateway import ACCOUNT, account_kubeconfig
from tenantry.testing.world import World

Make = Callable[..., Awaitable[BreakableGateway]]
RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
SHORT: Final = "--duration=10m"


@dataclass(frozen=True, slots=True)
class Account:
    """A ServiceAccount with the gateway's rights, and its token as kubelet shows it to a Pod."""

    world: World
    name: str
    folder: Path

    @property
    def token_file(self) -> Path:
        """A symbolic link to a symbolic link's folder."""
        return self.folder / "token"

    async def create(self) -> None:
        """Have it, without a token yet."""
        body = {"metadata": {"name": self.name}}
        await self.world.admin.request("POST", f"{self.path.rpartition('/')[0]}", body=encode(body))

    async def delete(self) -> None:
        """Withdraw it: its tokens hold for some seconds more in the API server's memory."""
        await self.world.admin.request("DELETE", self.path)

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{self.name}"

    @property
    def namespace(self) -> str:
        return self.world.platform.settings.namespace

    async def token(self, *bound_to: str) -> str:
        """Return a fresh, short-lived token."""
        made = await self.world.platform.kubectl("create", "token", self.name, "-n", self.namespace, SHORT, *bound_to)
        return made.stdout.strip()

    def show(self, token: str) -> None:
        """Swap the folder that holds the token, as kubelet does."""
        count = sum(1 for _ in self.folder.glob("..2*"))
        fresh = self.folder / f"..2026_{count}"
        fresh.mkdir()
        (fresh / "token").write_text(token)
        link = self.folder / "..data_tmp"
        link.symlink_to(fresh.name)
        link.rename(self.folder / "..data")
        if not self.token_file.is_symlink():
            self.token_file.symlink_to("..data/token")


async def bound(
    world: World, name: str, *, kinds: Iterable[str] = ("clusterrolebindings", "rolebindings")
) -> list[str]:
    """Give the account *name* what the gateway's own has; return the paths of the bindings."""
    paths = []
    for kind in kinds:
        for binding in decode_any(await world.admin.request("GET", f"{RBAC}/{kind}"))["items"]:
            subjects = [one for one in binding.get("subjects") or () if one["name"] == ACCOUNT]
            if not subjects:
                continue
            namespace = binding["metadata"].get("namespace")
            folder = f"{RBAC}/namespaces/{namespace}/{kind}" if namespace else f"{RBAC}/{kind}"
            body = {
                "metadata": {"name": f"{name}-{binding['metadata']['name'].replace(':', '-')}"},
                "roleRef": binding["roleRef"],
                "subjects": [{**subjects[0], "name": name}],
            }
            await world.admin.request("POST", folder, body=encode(body))
            paths.append(f"{folder}/{body['metadata']['name']}")
    return paths


@asynccontextmanager
async def account_with(
    world: World, folder: Path, *, kinds: Iterable[str] = ("clusterrolebindings", "rolebindings")
) -> AsyncIterator[Account]:
    """Yield an account that nobody else has."""
    await account_kubeconfig(world.platform)
    folder.mkdir()  # noqa: ASYNC240  # once
    account = Account(world, world.unique(ACCOUNT), folder)
    await account.create()
    paths = await bound(world, account.name, kinds=kinds)
    try:
        yield account
    finally:
        for path in (*paths, account.path):
            try:
                await world.admin.request("DELETE", path)
            except NotFoundError:
                continue


@pytest_asyncio.fixture(loop_scope="session")
async def account(world: World, tmp_path: Path) -> AsyncIterator[Account]:
    """An account that the test may break, with a token."""
    async with account_with(world, tmp_path / "serviceaccount") as account:
        account.show(await account.token())
        yield account


async def test_a_withdrawn_account_is_a_503_and_an_alarm_until_it_is_renewed(
    account: Account, broken: Make, world: World
) -> None:
    """Under load never a 401, by which clients forget their own tokens; a new token is taken up live."""
    gateway = await broken(token_file=account.token_file)
    team = await made(world, gateway.gateway)
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    seen: Counter[int] = Counter()
    async with gateway.client(team.owner) as client, gateway.client(world.unique("stranger")) as stranger:
        assert (await client.get(pods)).status == 200
        await account.delete()

        async def refused() -> bool:
            seen[await client.status(pods)] += 1
            return seen[503] > 5

        await until(refused)
        assert set(seen) == {200, 503}
        for who in (client, stranger):
            for target in (pods, f"{pods}?watch=true", "/api/v1/nodes", "/apis/apps/v1/deployments", "/version"):
                answer = await who.get(target)
                # What is answered from caches still is, for a while.
                assert answer.outage == UNAVAILABLE or answer.status in {200, 403}, (target, answer)
        token = await who_has_a_token(world)
        async with User(gateway.gateway.bearer(token)) as robot:
            assert (await robot.get(pods)).outage == UNAVAILABLE
        _, text = await until(lambda: _unready(gateway))
        assert "cluster default: the API server refuses the gateway's own credential\n" in text
        assert gateway.logged("credential_refused")[-1]["level"] == "error"
        assert await gateway.metric("tenantry_gateway_credential_refused", cluster="default") > 0
        alarms = {record["code"] for record in gateway.records if record.get("alarm") == "credential"}
        assert alarms == {503}

        # The same name, another account to the API server.
        await account.create()
        account.show(await account.token())
        await until(lambda: _is(client, pods, 200))
        await until(lambda: _is_ready(gateway), seconds=60)


async def test_a_renewed_token_is_taken_up_under_load(account: Account, broken: Make, world: World) -> None:
    """The old one is withdrawn a moment after the swap, as expiry would do; no request notices."""
    secret = {"metadata": {"name": account.name}}
    secrets = f"/api/v1/namespaces/{account.namespace}/secrets"
    await world.admin.request("POST", secrets, body=encode(secret))
    first = await account.token("--bound-object-kind=Secret", f"--bound-object-name={account.name}")
    account.show(first)
    gateway = await broken(token_file=account.token_file)
    team = await made(world, gateway.gateway)
    pods = f"/api/v1/namespaces/{team.namespace}/pods"
    seen: Counter[int] = Counter()
    async with gateway.client(team.owner) as client, User(_direct(world, first)) as direct:
        assert (await client.get(pods)).status == 200
        account.show(await account.token())
        await asyncio.gather(*(client.get(pods) for _ in range(5)))
        await world.admin.request("DELETE", f"{secrets}/{account.name}")

        async def is_withdrawn() -> bool:
            seen[await client.status(pods)] += 1
            return await direct.status("/api") == 401

        await until(is_withdrawn, seconds=40)
        for _ in range(20):
            seen[await client.status(pods)] += 1
        # Python's own reads, too, go on under the new one.
        assert (await client.get("/api/v1/nodes")).status == 200
    assert set(seen) == {200}
    assert gateway.logged("credential_refused") == []


@pytest.mark.parametrize("token", [None, "no.good.token"])
async def test_a_start_without_a_good_token_lets_nobody_in_and_mends_itself(
    account: Account, broken: Make, world: World, token: str | None
) -> None:
    """It stays up and is not ready, whatever the file holds; once it is good, all is."""
    good = account.token_file.read_text()
    if token is None:
        account.token_file.unlink()
    else:
        account.show(token)
    gateway = await broken(token_file=account.token_file, is_started=False)
    await gateway.gateway.run()
    await until(lambda: _listens(gateway))
    async with gateway.client(world.unique("user")) as client:
        for target in ("/version", "/api/v1/namespaces", "/api/v1/namespaces/default/pods"):
            assert (await client.get(target)).outage == UNAVAILABLE
        assert (await gateway.readiness())[0] == 503
        account.show(good)
        await gateway.gateway.wait_ready()
        await until(lambda: _is(client, "/version", 200))


async def test_a_client_ca_that_can_not_be_read_is_waited_for(broken: Make, world: World, tmp_path: Path) -> None:
    """Its ConfigMap is closed to the gateway: whoever may have a certificate is told to come back, others get in."""
    async with account_with(world, tmp_path / "serviceaccount", kinds=("clusterrolebindings",)) as account:
        account.show(await account.token())
        gateway = await broken(token_file=account.token_file, is_started=False)
        await gateway.gateway.run()
        await until(lambda: _unready(gateway, "CA of client certificates"))
        token = await who_has_a_token(world)
        async with gateway.client(world.unique("user")) as client, User(gateway.gateway.bearer(token)) as robot:
            assert (await client.get("/version")).outage == UNAVAILABLE
            assert (await robot.get("/version")).status == 200
            paths = await bound(world, account.name, kinds=("rolebindings",))
            try:
                await gateway.gateway.wait_ready()
                async with gateway.client(world.unique("user")) as another:
                    await until(lambda: _is(another, "/version", 200))
            finally:
                for path in paths:
                    await world.admin.request("DELETE", path)


async def who_has_a_token(world: World) -> str:
    """Return the token of somebody whom the API server knows."""
    made_token = await world.platform.kubectl("create", "token", "default", "-n", "default", SHORT)
    return made_token.stdout.strip()


def _direct(world: World, token: str) -> Path:
    document: dict[str, Any] = yaml.safe_load(world.platform.plane.kubeconfig.read_text())
    document["users"] = [{"name": each["name"], "user": {"token": token}} for each in document["users"]]
    path = world.platform.folder / f"{world.unique('direct')}.kubeconfig"
    path.write_text(encode(document).decode())
    return path


async def _is(client: User, path: str, status: int) -> bool:
    return await client.status(path) == status


async def _is_ready(gateway: BreakableGateway) -> bool:
    return (await gateway.readiness())[0] == 200


async def _unready(gateway: BreakableGateway, word: str = "credential") -> tuple[int, str] | None:
    status, text = await gateway.readiness()
    return (status, text) if status == 503 and word in text and "starting" not in text else None


async def _listens(gateway: BreakableGateway) -> bool:
    return "the gateway is starting" not in (await gateway.readiness())[1] and (await gateway.readiness())[0] != 0

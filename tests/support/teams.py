"""A tenant with an owner who comes through the gateway, as most tests with real clients need it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands import Running

from tenantry.kube.resources import ROLE_BINDINGS, TENANTS
from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import Completed
from tenantry.testing.world import World

_AGE = re.compile(r"\b(\d+[smhd])+\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """One tenant, its owner, and its namespaces."""

    gateway: Gateway
    owner: str
    tenant: str
    kubeconfig: Path
    """The owner's, through the gateway."""
    namespaces: tuple[str, ...]
    """In order of their names."""

    @property
    def namespace(self) -> str:
        """The first one."""
        return self.namespaces[0]

    async def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> Completed:
        """Run kubectl as the owner, through the gateway."""
        return await self.gateway.kubectl(*arguments, user=self.kubeconfig, stdin=stdin, check=check)

    def running(self, *arguments: str, **env: str) -> AbstractAsyncContextManager[Running]:
        """Run kubectl as the owner beside the test."""
        return running(self.gateway, *arguments, user=self.kubeconfig, **env)


def running(gateway: Gateway, *arguments: str, user: Path, **env: str) -> AbstractAsyncContextManager[Running]:
    """Run kubectl as *user* beside the test, with *env* in its environment."""
    return Running.started(str(gateway.platform.kubectl_program), f"--kubeconfig={user}", *arguments, env=env)


async def made(world: World, gateway: Gateway, *, prefix: str = "team", namespaces: int = 1, **spec: Any) -> Team:
    """Make a team of a user of its own; *spec* is more of the Tenant's."""
    owner = world.unique(prefix)
    tenant = await world.tenant({"owners": [{"kind": "User", "name": owner}], **spec})
    client = await world.user(owner)
    names = sorted([await world.namespace(client, tenant.metadata.name) for _ in range(namespaces)])
    await _settled(world, tenant.metadata.name, names)
    return Team(
        gateway=gateway,
        owner=owner,
        tenant=tenant.metadata.name,
        kubeconfig=gateway.user(owner),
        namespaces=tuple(names),
    )


async def caught_up(world: World, team: Team) -> None:
    """Wait until the gateway, too, knows all of it: a change of the view between kubectl's list and watch ends it."""

    async def nothing_changes() -> bool:
        watched = await team.kubectl("get", "tenants", "-w", "--request-timeout=1s", check=False)
        return "Expired" not in watched.output

    await world.eventually(nothing_changes)


async def _settled(world: World, tenant: str, namespaces: list[str]) -> None:
    """Wait for all that the operator writes: each of it changes what the owner sees, and ends watches that resume."""

    async def is_settled() -> bool:
        bindings = [await world.listed(ROLE_BINDINGS, each) for each in namespaces]
        status = (await world.admin.get(TENANTS, tenant)).status
        return all(len(each) >= 2 for each in bindings) and status.size == len(namespaces)

    await world.eventually(is_settled)


def rows(output: str) -> list[list[str]]:
    """Return a table's cells, its ages left out: they change between two commands."""
    return [_AGE.sub("", line).split() for line in output.splitlines()]


def rows_of(output: str, namespaces: Iterable[str], *, column: int = 0) -> list[list[str]]:
    """Return the heads, and the rows that are of *namespaces*."""
    wanted = {"NAMESPACE", "NAME", *namespaces}
    return [row for row in rows(output) if not row or row[column] in wanted]


def manifest(kind: str, name: str, *, version: str = "v1", **more: Any) -> dict[str, Any]:
    """Return an object for ``apply -f -``."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}


def pod(name: str, **labels: str) -> dict[str, Any]:
    """Return a pod that runs on any of the fake nodes."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "registry.example.org/stand-in:1"}]},
    }

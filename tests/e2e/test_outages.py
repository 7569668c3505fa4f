"""What docs/outages.md promises while admission is down or disarmed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tenantry.testing.platform import Completed, Platform
from tenantry.testing.world import World

OWNER: Final = "olga"
NOBODY_ANSWERS: Final = "failed calling webhook"
Act = tuple[Path | None, tuple[str, ...]]
"""A user's kubeconfig, None for the administrator's, and what it calls kubectl with."""


@pytest.fixture
def owner(platform: Platform) -> Path:
    return platform.user(OWNER)


@pytest_asyncio.fixture(loop_scope="session")
async def team(world: World) -> str:
    """A tenant that limits images, and nothing else."""
    tenant = await world.tenant(
        {
            "owners": [{"kind": "User", "name": OWNER}],
            "rules": [
                {"enforce": {"action": "allow", "workloads": {"registries": [{"exp": r"^registry\.example\.com/"}]}}}
            ],
        }
    )
    return tenant.metadata.name


async def test_without_admission_tenants_stand_still_and_the_cluster_goes_on(
    platform: Platform, world: World, team: str, owner: Path
) -> None:
    """Each line of the page's two lists, as somebody meets it."""
    space = await world.namespace(await world.user(OWNER), team)
    await _until_allowed(platform, owner, space)
    await platform.kubectl("create", "serviceaccount", "before", f"-n={space}", user=owner)
    await platform.kubectl("run", "before", "--image=registry.example.com/app:1", f"-n={space}", user=owner)

    async with _without_admission(platform):
        for user, arguments in _refused(world, owner, space, team):
            done = await platform.kubectl(*arguments, user=user, check=False)
            assert (done.code != 0, NOBODY_ANSWERS in done.output) == (True, True), done.output
        outside = world.unique("outside")
        for user, arguments in _passing(owner, space, outside):
            await platform.kubectl(*arguments, user=user)
        await platform.kubectl("delete", "namespace", outside, "--wait=false")

    await platform.kubectl("run", "app", "--image=registry.example.com/app:1", f"-n={space}", user=owner)


def _refused(world: World, owner: Path, space: str, team: str) -> tuple[Act, ...]:
    app = ("run", "app", "--image=registry.example.com/app:1", f"-n={space}")
    return (
        (owner, app),
        (owner, ("create", "namespace", world.unique("team"))),
        (None, app),
        (None, ("annotate", "tenant", team, "example.com/note=x")),
    )


def _passing(owner: Path, space: str, outside: str) -> tuple[Act, ...]:
    note = ("create", "configmap", "notes", "--from-literal=a=b")
    status = '{"status":{"message":"still reported"}}'
    # The second group is for RBAC alone: the first is what spares the request.
    system = ("--as=anyone", "--as-group=system:serviceaccounts:kube-system", "--as-group=system:masters")
    return (
        (owner, ("get", "pods", f"-n={space}")),
        (owner, (*note, f"-n={space}")),
        (None, ("patch", "pod", "before", f"-n={space}", "--subresource=status", "--type=merge", "-p", status)),
        (None, ("create", "namespace", outside)),
        (None, (*note, f"-n={outside}")),
        (None, ("run", "app", "--image=docker.io/app:1", f"-n={outside}", "--dry-run=server")),
        (None, ("annotate", "capsuleconfiguration", "default", "example.com/note=x")),
        (None, (*system, "label", "namespace", space, "example.com/note=x")),
    )


async def test_disarmed_admission_lets_everything_pass_until_it_is_armed(
    platform: Platform, world: World, team: str, owner: Path
) -> None:
    space = await world.namespace(await world.user(OWNER), team)
    await _until_allowed(platform, owner, space)
    foreign = ("run", "app", "--image=docker.io/app:1", f"-n={space}", "--dry-run=server")
    assert (await platform.kubectl(*foreign, user=owner, check=False)).code == 1

    disarmed = await _tenantry(platform, "admission", "disarm")
    again = await _tenantry(platform, "admission", "disarm")
    try:
        assert [done.code for done in (disarmed, again)] == [0, 0], disarmed.output + again.output
        await platform.kubectl(*foreign, user=owner)
        await platform.kubectl("wait", "--for=condition=AdmissionRegistered=false", "capsuleconfiguration/default")
    finally:
        armed = await _tenantry(platform, "admission", "arm")
    assert armed.code == 0, armed.output
    await platform.wait_ready()

    async def refused() -> bool:
        return (await platform.kubectl(*foreign, user=owner, check=False)).code == 1

    await world.eventually(refused)


@asynccontextmanager
async def _without_admission(platform: Platform) -> AsyncIterator[None]:
    await platform.stop_part(platform.admission)
    try:
        yield
    finally:
        await platform.run(platform.admission)
        await platform.wait_ready()


async def _until_allowed(platform: Platform, user: Path, namespace: str) -> None:
    question = ("auth", "can-i", "create", "pods", "-q", f"-n={namespace}")
    async with asyncio.timeout(30):
        while (await platform.kubectl(*question, user=user, check=False)).code != 0:  # noqa: ASYNC110  # the API has no news of it
            await asyncio.sleep(0.1)


async def _tenantry(platform: Platform, *arguments: str) -> Completed:
    command: Sequence[str] = (sys.executable, "-m", "tenantry", *arguments, f"--kubeconfig={platform.plane.kubeconfig}")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    return Completed(code=process.returncode or 0, stdout=stdout.decode(), stderr=stderr.decode())

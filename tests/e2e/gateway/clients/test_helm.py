"""Helm as a tenant's owner: releases into namespaces that are not there yet, by the two commands of 8.5."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from commands import Running
from goprograms import helm
from teams import Team, made

from tenantry.testing.gateway import Gateway
from tenantry.testing.world import World

TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-settings}
data: {colour: {{ .Values.colour }}}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def team(world: World, gateway: Gateway) -> AsyncIterator[Team]:
    """A team with one namespace."""
    yield await made(world, gateway)


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A chart of one ConfigMap."""
    folder = tmp_path / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (folder / "values.yaml").write_text("colour: red\n")
    (folder / "templates" / "settings.yaml").write_text(TEMPLATE)
    return folder


async def test_upgrade_installs_into_a_new_namespace(team: Team, chart: Path) -> None:
    """``upgrade --install --create-namespace``: installed, then upgraded, told of, rolled back and taken away."""
    space = ("--namespace", f"{team.tenant}-shop")
    release = ("upgrade", "--install", "shop", str(chart), "--create-namespace", *space)
    first = await _helm(team, chart, *release)
    second = await _helm(team, chart, *release, "--set=colour=blue", "--wait")
    colours = [await _colour(team)]
    listed = json.loads((await _helm(team, chart, "list", *space, "-o", "json"))[-1])
    everywhere = json.loads((await _helm(team, chart, "list", "-A", "-o", "json"))[-1])
    await _helm(team, chart, "rollback", "shop", "1", *space)
    colours.append(await _colour(team))
    history = json.loads((await _helm(team, chart, "history", "shop", *space, "-o", "json"))[-1])
    gone = await _helm(team, chart, "uninstall", "shop", *space)

    assert 'Release "shop" does not exist. Installing it now.' in first
    assert 'Release "shop" has been upgraded. Happy Helming!' in second
    assert colours == ["blue", "red"]
    assert [(each["name"], each["revision"], each["status"]) for each in listed] == [("shop", "2", "deployed")]
    assert everywhere == listed
    assert [each["revision"] for each in history] == [1, 2, 3]
    assert gone == ['release "shop" uninstalled']


async def test_install_creates_the_namespace(team: Team, chart: Path) -> None:
    """``install --create-namespace``, and a second ``install`` is refused by Helm itself."""
    install = ("install", "shop", str(chart), "--create-namespace", "--namespace", f"{team.tenant}-shop")
    said = await _helm(team, chart, *install)
    again = await _helm(team, chart, *install, code=1)

    assert "STATUS: deployed" in said
    assert any("cannot re-use a name that is still in use" in line for line in again)


async def test_a_neighbours_namespace_stays_closed(team: Team, chart: Path, world: World, gateway: Gateway) -> None:
    """Only a namespace that does not exist is taken for empty: one that others have is refused."""
    other = await made(world, gateway)
    said = await _helm(team, chart, "upgrade", "--install", "shop", str(chart), "--namespace", other.namespace, code=1)

    assert any(f'User "{team.owner}" cannot list resource "secrets"' in line for line in said)


async def _helm(team: Team, chart: Path, *arguments: str, code: int = 0) -> list[str]:
    home = {f"HELM_{name}_HOME": str(chart.parent / name) for name in ("CACHE", "CONFIG", "DATA")}
    async with Running.started(str(helm()), f"--kubeconfig={team.kubeconfig}", *arguments, env=home) as running:
        assert (await running.ended(), running.lines)[0] == code, running.lines
        return running.lines


async def _colour(team: Team) -> str:
    path = "jsonpath={.data.colour}"
    return (await team.kubectl("get", "configmap", "shop-settings", "-n", f"{team.tenant}-shop", "-o", path)).stdout

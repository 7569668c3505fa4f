"""``tenantry cluster``: an embedded Kubernetes control plane for trying, developing and testing."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click

from tenantry.cli.exits import ExitCode
from tenantry.cli.output import output_option, print_value, table
from tenantry.controlplane.cluster import ControlPlane
from tenantry.controlplane.components import DEFAULT_KUBERNETES_VERSION, Versions
from tenantry.controlplane.layout import default_folder
from tenantry.foundation.codec import to_plain

F = TypeVar("F", bound=Callable[..., Any])

_WATCH_SECONDS = 1.0


def _place_options(command: F) -> F:
    """Add ``--name`` and ``--folder``, which say which control plane is meant."""
    name = click.option("--name", default="tenantry", show_default=True, help="Which control plane, of several.")
    folder = click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where it keeps everything.  [default: a folder of its name below the user's data folder]",
    )
    return name(folder(command))


@click.group()
def cluster() -> None:
    """Run an embedded Kubernetes control plane.

    It is the real one (etcd, API server, controllers, scheduler) with nodes that do not exist:
    pods are scheduled and become Running, Jobs complete, no container ever runs.  Several run
    side by side, each with its own folder; the ports are free ones.
    """


@cluster.command()
@_place_options
@click.option("--kubernetes-version", default=DEFAULT_KUBERNETES_VERSION, show_default=True, help="A full release.")
@click.option("--nodes", type=click.IntRange(0, 1000), default=3, show_default=True, help="How many fake nodes.")
@click.option("--detach/--foreground", default=False, help="Return once it is up, or stay until Ctrl-C (the default).")
def up(name: str, *, folder: Path | None, kubernetes_version: str, nodes: int, detach: bool) -> None:
    """Start a control plane, with the data it had; the programs are fetched or built the first time."""
    place = folder or default_folder(name)
    names = tuple(f"node-{number}" for number in range(1, nodes + 1))
    asyncio.run(_up(place, name, Versions(kubernetes=kubernetes_version), names, detach=detach))


async def _up(folder: Path, name: str, versions: Versions, nodes: tuple[str, ...], *, detach: bool) -> None:
    if not detach and ControlPlane(folder).is_running:
        # Its Ctrl-C would stop what another started.
        raise click.ClickException(f"a control plane runs in {folder} already: use it, or stop it first")
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, asked_to_stop.set)
    starting = asyncio.ensure_future(
        ControlPlane.start(folder, name=name, versions=versions, nodes=nodes, detach=detach)
    )
    stopping = asyncio.ensure_future(asked_to_stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        sys.exit(128 + signal.SIGINT)
    plane = await starting
    click.echo(_introduction(plane, folder, name, detach=detach))
    if detach:
        stopping.cancel()
        return
    await _stay(plane, asked_to_stop)


async def _stay(plane: ControlPlane, asked_to_stop: asyncio.Event) -> None:
    """Wait for Ctrl-C, or for the end of the control plane by another's hand."""
    while plane.is_running and not asked_to_stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(asked_to_stop.wait(), _WATCH_SECONDS)
    by_another = not asked_to_stop.is_set()
    if not by_another:
        click.echo("stopping", err=True)
    await plane.stop()
    if by_another:
        failure = plane.state.failure
        if failure is not None:
            raise click.ClickException(f"{failure.component}: {failure.why}; see {plane.log(failure.component)}")
        click.echo("it was stopped by another process", err=True)


def _introduction(plane: ControlPlane, folder: Path, name: str, *, detach: bool) -> str:
    which = f" --folder {shlex.quote(str(folder))}" if folder != default_folder(name) else f" --name {name}"
    which = "" if which == " --name tenantry" else which
    lines = [
        f"Kubernetes {plane.state.kubernetes_version} is up at {plane.server}",
        f"  export KUBECONFIG={shlex.quote(str(plane.kubeconfig))}",
        f"  kubectl: {plane.kubectl}",
        f"  another user: tenantry cluster user{which} alice --group projectcapsule.dev",
        f"  stop it: {f'tenantry cluster down{which}' if detach else 'Ctrl-C'}; the data stays",
    ]
    return "\n".join(lines)


@cluster.command()
@_place_options
def down(name: str, *, folder: Path | None) -> None:
    """Stop a control plane; its data stays for the next `up`."""
    place = folder or default_folder(name)

    async def stop() -> None:
        await ControlPlane.attach(place).stop()

    asyncio.run(stop())
    click.echo(f"stopped; the data stays in {place}")


@cluster.command()
@_place_options
@output_option
def status(name: str, *, folder: Path | None, output: str) -> None:
    """Show each component; exit code 0 when all are healthy, 1 when one is not, 3 when it is not running."""
    found = ControlPlane.attach(folder or default_folder(name)).status()
    if output == "table":
        headings = ("component", "pid", "port", "health", "restarts")
        rows = [(s.component, s.pid, s.port, "healthy" if s.healthy else "NOT HEALTHY", s.restarts) for s in found]
        click.echo(table(headings, rows))
    else:
        print_value(to_plain(found), output)
    if not all(component.healthy for component in found):
        sys.exit(ExitCode.WRONG)


@cluster.command()
@_place_options
@click.option("--content", is_flag=True, help="Print the file instead of its path.")
def kubeconfig(name: str, *, folder: Path | None, content: bool) -> None:
    """Print the path of the administrator's kubeconfig: export KUBECONFIG=$(tenantry cluster kubeconfig)."""
    path = ControlPlane.attach(folder or default_folder(name)).kubeconfig
    click.echo(path.read_text() if content else path, nl=not content)


@cluster.command()
@_place_options
@click.argument("user_name", metavar="NAME")
@click.option("--group", "groups", multiple=True, help="A group of the user; may be given several times.")
@click.option("--content", is_flag=True, help="Print the file instead of its path.")
def user(name: str, *, folder: Path | None, user_name: str, groups: tuple[str, ...], content: bool) -> None:
    """Print the path of a kubeconfig of user NAME, made at the first call; it has no rights by itself."""
    path = ControlPlane.attach(folder or default_folder(name)).user_kubeconfig(user_name, groups)
    click.echo(path.read_text() if content else path, nl=not content)

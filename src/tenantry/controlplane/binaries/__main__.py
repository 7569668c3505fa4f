"""Make sure that every program of the control plane is there: ``python -m tenantry.controlplane.binaries``."""

from __future__ import annotations

import click

from tenantry.controlplane.binaries.search import find_programs
from tenantry.controlplane.components import DEFAULT_KUBERNETES_VERSION, Versions
from tenantry.foundation.errors import TenantryError


@click.command()
@click.option("--kubernetes-version", default=DEFAULT_KUBERNETES_VERSION, show_default=True)
@click.option("--show", is_flag=True, help="Print where each program is.")
def main(kubernetes_version: str, *, show: bool) -> None:
    """Find, download or build the programs; the second time takes no time."""
    try:
        programs = find_programs(Versions(kubernetes=kubernetes_version))
    except TenantryError as error:
        raise click.ClickException(str(error)) from error
    if show:
        for program, path in programs.items():
            click.echo(f"{program}: {path}")


if __name__ == "__main__":
    main()

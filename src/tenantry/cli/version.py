"""``tenantry version``."""

from __future__ import annotations

from importlib.metadata import version as installed_version

import click


@click.command()
def version() -> None:
    """Print the version of this package."""
    click.echo(f"tenantry {installed_version('tenantry')}")

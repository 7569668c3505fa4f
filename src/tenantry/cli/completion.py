"""``tenantry completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script for SHELL.

    For bash: ``source <(tenantry completion bash)``.
    """
    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover - the choice above lists only what click has
        message = f"no completion for {shell}"
        raise click.ClickException(message)
    click.echo(kind(context.find_root().command, {}, "tenantry", "_TENANTRY_COMPLETE").source())

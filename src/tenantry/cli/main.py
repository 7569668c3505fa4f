"""The entry point: one group whose commands are imported only when they are asked for."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

import click

from tenantry.cli.exits import exit_code_of
from tenantry.foundation.errors import TenantryError

COMMANDS: Final = {
    "operator": ("tenantry.cli.operator", "operator", "Run the controllers (one leader, any number of standbys)."),
    "admission": ("tenantry.cli.admission", "admission", "Run the admission webhooks; disarm or arm them."),
    "gateway": ("tenantry.cli.gateway", "gateway", "Serve the Kubernetes API to each user as their own."),
    "manifests": ("tenantry.cli.manifests", "manifests", "Print everything an installation needs."),
    "crds": ("tenantry.cli.manifests", "crds", "Print the CustomResourceDefinitions."),
    "doctor": ("tenantry.cli.doctor", "doctor", "Say what is wrong with this installation, and what to do."),
    "tenants": ("tenantry.cli.tenants", "tenants", "List the tenants."),
    "tenant": ("tenantry.cli.tenants", "tenant", "Show one tenant, or preview an edited one."),
    "adopt": ("tenantry.cli.adopt", "adopt", "Take existing or restored namespaces into a tenant."),
    "cluster": ("tenantry.cli.cluster", "cluster", "Run an embedded Kubernetes control plane."),
    "completion": ("tenantry.cli.completion", "completion", "Print the shell completion script."),
    "version": ("tenantry.cli.version", "version", "Print the version."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is run or its help is asked for.

    ``tenantry operator`` must not pay, in time or memory, for what other commands need.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command, imported now; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table of commands, none of them imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def tenantry() -> None:
    """Multi-tenancy for shared Kubernetes clusters: self-service namespaces inside limits.

    Exit codes: 0 done; 1 something is wrong (the text says what); 2 the command line is wrong;
    3 the API server cannot be reached; 4 the API server refused.
    """


def main() -> None:
    """Run the command line; errors of ours become one line on stderr and an exit code."""
    try:
        tenantry(prog_name="kubectl tenantry" if sys.argv[0].endswith("kubectl-tenantry") else "tenantry")
    except TenantryError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(exit_code_of(error))

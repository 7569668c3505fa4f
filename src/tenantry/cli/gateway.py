"""``tenantry gateway``: the door to the Kubernetes API; check its configuration, or make one from capsule-proxy's."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import yaml

from tenantry.cli.exits import ExitCode
from tenantry.cli.gateway_options import flags_of, run_options, tell_gates
from tenantry.cli.gateway_rights import rights
from tenantry.cli.output import plain
from tenantry.foundation.errors import ConfigurationError
from tenantry.gateway.config.chart_values import chart_values
from tenantry.gateway.config.conversion import document_of
from tenantry.gateway.config.flags import SKIP_REVIEW, SOURCE, GatewayFlags, overridden, settings_from_flags
from tenantry.gateway.config.problems import Problem, located_line
from tenantry.gateway.config.reading import check_file, check_text, checked_settings, read_settings, read_text
from tenantry.gateway.config.schema import json_schema
from tenantry.gateway.settings import GatewaySettings
from tenantry.install.text import yaml_text


class _RunsByDefault(click.Group):
    """Without a command's name, `run`: capsule-proxy's flags stand where they stood."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `run` before flags that are not help."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_RunsByDefault)
def gateway() -> None:
    """Serve the Kubernetes API to each user as their own; without a command, as `run`.

    It takes the place of capsule-proxy, whose flags it knows.
    """


@gateway.command()
@run_options
def run(**given: Any) -> None:
    """Serve until SIGTERM; any number of replicas serve side by side.

    Settings come from the file given by --config, which is taken over while it runs when it changes and is right.
    Flags override the file's values. Without a file the flags say everything, under capsule-proxy's names and
    with its defaults.
    """
    flags, file = flags_of(given), given["config"]
    tell_gates(flags.feature_gates)
    settings = process_settings(flags, file)
    # Imported here: `tenantry gateway check` needs neither caches nor an HTTP server.
    from tenantry.wiring.gateway import GatewayProcess, run_gateway  # noqa: PLC0415

    run_gateway(
        GatewayProcess(
            settings=settings,
            config_file=file,
            overrides=partial(right_override, flags=flags),
            runtime_folder=given["runtime_folder"],
        )
    )


def process_settings(flags: GatewayFlags, file: Path | None) -> GatewaySettings:
    """Return what a process starts with; warnings go to stderr.

    Raises:
        ConfigurationProblems: It can't be used.
        ConfigurationError: The file can't be read.
    """
    if file is None:
        settings = settings_from_flags(flags)
        if flags.enable_ssl is not False and flags.ssl_cert_path is None:
            raise ConfigurationError(
                "there is neither --config nor a certificate: name --ssl-cert-path and --ssl-key-path, "
                "or end TLS elsewhere and say --enable-ssl=false and --trusted-proxy-cidrs"
            )
        if flags.enable_ssl is False and not flags.trusted_proxy_cidrs:
            raise ConfigurationError(
                "--enable-ssl=false needs --trusted-proxy-cidrs, the networks of what ends TLS: "
                "without them whoever is on the way could read tokens"
            )
        return checked_settings(settings, SOURCE, now=datetime.now(tz=UTC))
    for problem in check_file(file).problems:
        if problem.is_warning:
            click.echo(located_line(str(file), problem), err=True)
    if any(gate.lower() == f"{SKIP_REVIEW}=true".lower() for gate in flags.feature_gates):
        click.echo(f"warning: {SKIP_REVIEW} holds for impersonation.trusted of {file} alone", err=True)
    return right_override(read_settings(file), flags=flags)


def right_override(settings: GatewaySettings, *, flags: GatewayFlags) -> GatewaySettings:
    """Return *settings* overridden by *flags*; raise ConfigurationProblems where that makes no sense."""
    return checked_settings(overridden(settings, flags), SOURCE, now=datetime.now(tz=UTC))


@gateway.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print what is wrong.",
)
def check(file: Path, output: str) -> None:
    """Say what is wrong with a configuration FILE, by line: where, what, and what would be right.

    The files that it names are looked at, too: whether they are there, and whether a key fits its certificate.
    Nothing is asked over the network.

    Exit code 0: it can be used, maybe with warnings.  1: it can't.
    """
    checked = check_file(file)
    if output == "json":
        found = [_plain(each) for each in checked.problems]
        click.echo(json.dumps({"file": str(file), "usable": checked.settings is not None, "problems": found}, indent=2))
    else:
        for each in checked.problems:
            click.echo(located_line(str(file), each))
        click.echo(_sum(file, checked.problems))
    if checked.settings is None:
        sys.exit(ExitCode.WRONG)


def _plain(problem: Problem) -> dict[str, Any]:
    found: dict[str, Any] = plain(problem)
    return {"level": "warning" if found.pop("isWarning") else "error", **found}


def _sum(file: Path, problems: tuple[Problem, ...]) -> str:
    warnings = sum(each.is_warning for each in problems)
    errors = len(problems) - warnings
    counts = [f"{n} {word}{'s' if n != 1 else ''}" for n, word in ((errors, "error"), (warnings, "warning")) if n]
    return f"{file} {'can not' if errors else 'can'} be used{': ' if counts else ''}{', '.join(counts)}"


gateway.add_command(rights)


@gateway.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))


@gateway.command("from-values")
@click.argument("file", type=click.Path(path_type=Path))
def from_values(file: Path) -> None:
    """Print a configuration that does what the values FILE of capsule-proxy's Helm chart does.

    Each value without an effect here stands in a comment, with the reason.
    """
    try:
        values = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    values = {} if values is None else values
    if not isinstance(values, dict) or not isinstance(values.get("options") or {}, dict):
        raise ConfigurationError(f"{file} holds no values of a chart: they are a mapping, with options below it")
    found = chart_values(values)
    try:
        context = run.make_context("run", list(found.arguments))
    except click.UsageError as error:
        raise ConfigurationError(f"{file}: {error.format_message()}") from error
    text = yaml_text(document_of(settings_from_flags(flags_of(context.params))))
    click.echo(f"# Made from {file.name}: capsule-proxy's values, as tenantry gateway understands them.")
    for name, why in found.notes:
        click.echo(f"# {name}: no effect here: {why}")
    click.echo(text, nl=False)
    checked = check_text(text, folder=Path(), now=None)
    for problem in checked.problems:
        click.echo(located_line("the configuration", problem), err=True)
    if checked.settings is None:
        sys.exit(ExitCode.WRONG)

"""The command line itself: help, usage errors, exit codes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from tenantry.cli.main import COMMANDS, tenantry
from tenantry.cli.preview import tenant_bodies
from tenantry.foundation.errors import InvalidError


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, (*path, name))


ALL = {" ".join(path) or "tenantry": (path, command) for path, command in commands(tenantry)}


@pytest.mark.parametrize("name", ALL)
def test_every_command_says_what_it_does_and_what_its_options_mean(name: str) -> None:
    path, command = ALL[name]

    result = CliRunner().invoke(tenantry, [*path, "--help"])

    assert result.exit_code == 0
    assert command.help
    assert "\x08" not in result.output


def test_the_table_of_commands_is_true() -> None:
    """It is written by hand, so that none has to be imported for it."""
    assert list(COMMANDS) == [path[0] for path, _ in ALL.values() if len(path) == 1]
    for name, (_, _, summary) in COMMANDS.items():
        assert len(summary) < 70, name
        assert summary.endswith("."), name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["adopt", "oil"], "name namespaces, or give --all-labelled or --selector"),
        (["adopt", "oil", "app"], "give --yes or --dry-run"),
        (["tenants", "-o", "xml"], "'xml' is not one of"),
        (["nothing"], "No such command 'nothing'"),
        (["manifests", "--replicas", "0"], "0 is not in the range"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_why(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(tenantry, arguments)

    assert (result.exit_code, said in result.output) == (2, True), result.output


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tenantry", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_errors_are_one_line_and_an_exit_code(tmp_path: Path) -> None:
    cluster = {"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "clusters": [cluster],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "current-context": "c",
            }
        )
    )

    unreachable = run("tenants", "--kubeconfig", str(kubeconfig))
    missing = run("tenants", "--kubeconfig", str(tmp_path / "none"))
    refused = run("manifests", "--webhook-url", "http://10.0.0.7")

    assert (unreachable.returncode, missing.returncode, refused.returncode) == (3, 1, 1)
    for each in (unreachable, missing, refused):
        assert each.stderr.startswith("error: ")
        assert each.stderr.count("\n") == 1
    assert "https:// only" in refused.stderr


TENANT = {"apiVersion": "capsule.clastix.io/v1beta2", "kind": "Tenant", "metadata": {"name": "oil"}}


def test_several_tenants_of_a_file_are_read() -> None:
    assert tenant_bodies(yaml.safe_dump_all([TENANT, None, TENANT])) == [TENANT, TENANT]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("a: [", "FILE"),
        ("", "FILE"),
        ("- 1", "kind"),
        (yaml.safe_dump({**TENANT, "kind": "Namespace"}), "kind"),
        (yaml.safe_dump({**TENANT, "apiVersion": "capsule.clastix.io/v1beta1"}), "kind"),
        (yaml.safe_dump({**TENANT, "metadata": None}), "metadata.name"),
    ],
)
def test_a_file_that_holds_no_tenant_is_refused_by_the_field_at_fault(text: str, field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        tenant_bodies(text)

    assert caught.value.field == field

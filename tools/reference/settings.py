"""The page of settings: flags, environment variables, and where the rest is set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from reference.commands import commands
from reference.markdown import HOW, code, codes, table

PROCESSES: Final = ("tenantry operator", "tenantry admission serve", "tenantry gateway run")
VARIABLES: Final = (
    ("`NAMESPACE`", "every command", "Namespace of the installation. `capsule-system` by default."),
    (
        "`SERVICE_ACCOUNT`",
        "`operator`, `admission`, `doctor`",
        "The operator's ServiceAccount: its writes are not judged.",
    ),
    ("`ADMISSION_SERVICE_ACCOUNT`", "`operator`, `admission`, `doctor`", "Admission's ServiceAccount."),
    (
        "`POD_NAME`",
        "`operator`, `admission`",
        "Names the process in leases and events. The host's name where it is not set.",
    ),
    ("`TENANTRY_GATEWAY_CONFIG`", "`gateway run`", "The gateway's configuration file. `--config` wins."),
    ("`KUBECONFIG`", "every command", "Path of a kubeconfig, several with `:` between them. `--kubeconfig` wins."),
    ("`TENANTRY_CONTROLPLANE_BIN`", "`cluster`, `make`", "Folder with the control plane's programs, looked at first."),
    (
        "`XDG_CACHE_HOME`",
        "`cluster`, `make`",
        "Where programs are kept, below `tenantry/controlplane`. `~/.cache` by default.",
    ),
)
_HEAD: Final = f"""\
# Settings

This page is for whoever installs or tunes tenantry.
{HOW}

What holds for the whole installation and may change while it runs is in the CapsuleConfiguration: see
[fields](fields.md#capsuleconfiguration). What a process needs in order to start is a flag or an environment variable.
Flags have Capsule's names where it has one. Flags of Capsule's that mean nothing here are accepted, with a warning.

"""


def settings_page() -> str:
    """Return the page."""
    found = dict(commands())
    sections = [_section(path, found[path].command) for path in PROCESSES]
    variables = table(("variable", "read by", "means"), VARIABLES)
    return _HEAD + "\n".join(sections) + f"\n## Environment variables\n\n{variables}"


def _section(path: str, command: click.Command) -> str:
    options = [each for each in command.params if isinstance(each, click.Option)]
    rows = [
        (codes((*each.opts, *each.secondary_opts)), _default(each), each.help or "", _variable(each))
        for each in options
        if not each.hidden
    ]
    ignored = codes(sorted(name for each in options if each.hidden and not each.expose_value for name in each.opts))
    text = f"## {path}\n\n{table(('flag', 'default', 'means', 'variable'), rows)}"
    return text + (f"\nAccepted and ignored: {ignored}.\n" if ignored else "")


def _default(option: click.Option) -> str:
    value = option.default
    if option.is_flag:
        return code("true" if value is True else "false")
    return code(value) if isinstance(value, str | int | float) and value not in {"", None} else ""


def _variable(option: click.Option) -> str:
    return codes(_names(option.envvar))


def _names(variable: object) -> Iterator[str]:
    if isinstance(variable, str):
        yield variable

"""Options of ``tenantry gateway run``: capsule-proxy's flags under their names, and a few of ours."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from tenantry.gateway.config.flags import GatewayFlags
from tenantry.gateway.config.ignored import GATE_NOTES, IGNORED, IGNORED_SWITCHES

F = TypeVar("F", bound=Callable[..., Any])
LEVELS: Final[Mapping[str, str]] = {
    **{each: each for each in ("debug", "info", "warning", "error")},
    "warn": "warning",
    "panic": "error",
    "dpanic": "error",
    "fatal": "error",
}
_TALKATIVE: Final = 5
"""capsule-proxy's chart sets 4, and logs who asks from 5 on."""


class LogLevel(click.ParamType[str]):
    """A level's name, or zap's number."""

    name = "level"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name of a level of ours."""
        text = str(value).lower()
        if text.lstrip("-").isdigit():
            return "debug" if int(text) >= _TALKATIVE else "info"
        if text not in LEVELS:
            self.fail(f"{value!r} is no level: write debug, info, warning or error", param, ctx)
        return LEVELS[text]


def _truth(*names: str, **how: Any) -> Callable[[F], F]:
    """Return a switch as Go programs have them: ``--name``, ``--name=false``."""
    return click.option(*names, type=bool, is_flag=False, flag_value="true", **how)


def _several(*names: str, **how: Any) -> Callable[[F], F]:
    """Return an option that is repeated, or takes commas between values."""

    def split(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(each.strip() for row in csv.reader(values) for each in row if each.strip())

    return click.option(*names, multiple=True, callback=split, **how)


_FILE: Final = click.Path(path_type=Path)
_OPTIONS: Final = (
    click.option("--config", type=_FILE, envvar="TENANTRY_GATEWAY_CONFIG", show_envvar=True, help="The configuration."),
    click.option(
        "--runtime-folder", type=_FILE, help="Where sockets and the data plane's files are put.  [default: a new one]"
    ),
    click.option("--kubeconfig", type=click.Path(), help="Of the default cluster."),
    click.option("--context", help="Of that kubeconfig."),
    click.option("--listening-port", type=click.IntRange(1, 65535), help="Where clients connect.  [default: 9001]"),
    _truth("--enable-ssl", help="Whether to serve TLS; without it, --trusted-proxy-cidrs is needed.  [default: true]"),
    click.option("--ssl-cert-path", type=_FILE, help="Serving certificate, PEM; read again when it is replaced."),
    click.option("--ssl-key-path", type=_FILE, help="Its key."),
    _several(
        "--auth-preferred-types",
        help="Credentials, in the order to try: BearerToken, TLSCertificate, XForwardedClientCert.  "
        "[default: TLSCertificate,BearerToken]",
    ),
    _several(
        "--ignored-user-group", "ignored_user_groups", help="A group whose members go through unfiltered; repeat it."
    ),
    _several("--ignored-username", "ignored_usernames", help="A user who goes through unfiltered; repeat it."),
    _several(
        "--ignored-impersonation-group",
        "ignored_impersonation_groups",
        help="A group that is not used at all, or an expression found in names of such; repeat it.",
    ),
    click.option("--impersonation-group-regexp", help="Expression (RE2) found in the names of groups that are used."),
    click.option(
        "--capsule-configuration-name", help="CapsuleConfiguration that says who is filtered.  [default: default]"
    ),
    _several("--trusted-proxy-cidrs", help="Networks that may connect, and may forward client certificates."),
    click.option("--xfcc-header-name", help="Header of forwarded certificates.  [default: X-Forwarded-Client-Cert]"),
    _several("--feature-gates", help="capsule-proxy's, as Name=true; most are always on here."),
    click.option(
        "--metrics-addr", "metrics_address", help="Where /metrics is served; 0 for nowhere.  [default: :8080]"
    ),
    click.option("--health-addr", "health_address", help="Where health is told.  [default: :8081]"),
    click.option(
        "--log-level", "--zap-log-level", type=LogLevel(), help="debug, info, warning, error.  [default: info]"
    ),
)


def run_options(command: F) -> F:
    """Add all options of the process to *command*; the first is the first in its help."""
    for each in reversed(_OPTIONS):
        command = each(command)
    for flag, why in IGNORED.items():
        command = click.option(flag, hidden=True, expose_value=False, callback=_teller(why))(command)
    for flag, why in IGNORED_SWITCHES.items():
        command = _truth(flag, hidden=True, expose_value=False, callback=_teller(why))(command)
    return command


def _teller(why: str) -> Callable[[click.Context, click.Parameter, object], None]:
    def tell(_: click.Context, param: click.Parameter, value: object) -> None:
        if value not in (None, False):
            click.echo(f"note: {param.opts[0]} has no effect: {why}", err=True)

    return tell


def tell_gates(gates: Iterable[str]) -> None:
    """Say which of the feature gates change nothing."""
    for gate in gates:
        why = GATE_NOTES.get(gate.partition("=")[0])
        if why is not None:
            click.echo(f"note: --feature-gates={gate} has no effect: {why}", err=True)


def flags_of(given: Mapping[str, Any]) -> GatewayFlags:
    """Return the flags among a command's parameters."""
    return GatewayFlags(**{name: given[name] for name in GatewayFlags.__dataclass_fields__})

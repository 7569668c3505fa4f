"""Options that the commands of both processes have, under Capsule's names where it has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

namespace = click.option(
    "--namespace",
    envvar="NAMESPACE",
    default="capsule-system",
    show_default=True,
    show_envvar=True,
    help="Of the installation: leases, certificate, switch.",
)
configuration_name = click.option(
    "--configuration-name", default="default", show_default=True, help="Of the CapsuleConfiguration."
)
metrics_address = click.option(
    "--metrics-addr", default=":8080", show_default=True, help="Where /metrics is served; 0 for nowhere."
)
health_address = click.option(
    "--health-addr", default=":10080", show_default=True, help="Where /healthz and /readyz are served."
)
log_level = click.option(
    "--log-level", "--zap-log-level", default="info", show_default=True, help="debug, info, warning, error."
)
kubeconfig = click.option(
    "--kubeconfig", type=click.Path(), help="Instead of $KUBECONFIG, the pod's own or ~/.kube/config."
)
context = click.option("--context", help="Of the kubeconfig.")


def ignored(flags: Iterable[str], switches: Iterable[str], *, by: str) -> Callable[[F], F]:
    """Add Capsule's flags that mean nothing to *by*, hidden: manifests that set them go on working, with a warning."""

    def warn(_: click.Context, param: click.Parameter, value: object) -> None:
        if value not in (None, False):
            click.echo(f"warning: {param.opts[0]} means nothing to {by} and is ignored", err=True)

    def add(command: F) -> F:
        for flag in flags:
            command = click.option(flag, hidden=True, expose_value=False, callback=warn)(command)
        for flag in switches:
            command = click.option(flag, is_flag=True, hidden=True, expose_value=False, callback=warn)(command)
        return command

    return add

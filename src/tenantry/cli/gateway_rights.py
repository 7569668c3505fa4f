"""``tenantry gateway rights``."""

from __future__ import annotations

import click

from tenantry.api.proxy import GlobalProxySettings, ProxySetting
from tenantry.cli.asking import cluster_options, connected, listed, run
from tenantry.foundation.clock import SystemClock
from tenantry.gateway.verdicts.kinds import Kinds
from tenantry.install.rule_rights import RULES_ROLE, Grant, needed_grants, rules_role
from tenantry.install.text import yaml_text
from tenantry.kube.resources import GLOBAL_PROXY_SETTINGS, PROXY_SETTINGS


@click.command()
@cluster_options
def rights(kubeconfig: str | None, context: str | None) -> None:
    """Print the ClusterRole that lets the gateway read what rules name: pipe it to `kubectl apply -f -`.

    It grants reading, and nothing but the cluster-scoped kinds that GlobalProxySettings and ProxySettings name,
    less those that the installation grants anyway; a pattern stands for what the cluster serves now. Which kinds
    those are, and whose rules name them, is told on stderr. A gateway that runs needs no restart.
    """
    grants = run(_needed(kubeconfig, context))
    if not grants:
        click.echo(
            "nothing to grant: the gateway may read all that rules name. Where a role of before is left: "
            f"kubectl delete clusterrole {RULES_ROLE} --ignore-not-found",
            err=True,
        )
        return
    for each in grants:
        click.echo(f"{each.kind} ({', '.join(each.verbs)}): for {', '.join(each.settings)}", err=True)
    click.echo(yaml_text(rules_role(grants)), nl=False)


async def _needed(kubeconfig: str | None, context: str | None) -> tuple[Grant, ...]:
    async with connected(kubeconfig, context) as client:
        settings: list[ProxySetting | GlobalProxySettings] = [
            *await listed(client, GLOBAL_PROXY_SETTINGS),
            *await listed(client, PROXY_SETTINGS),
        ]
        return needed_grants(settings, await Kinds(client, SystemClock()).all())

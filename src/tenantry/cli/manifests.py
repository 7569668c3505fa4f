"""``tenantry manifests`` and ``tenantry crds``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tenantry.api.crds import crd_manifests
from tenantry.cli.asking import cluster_options, connected, run
from tenantry.cli.output import print_documents
from tenantry.foundation.errors import InvalidError
from tenantry.gateway.config.problems import ConfigurationProblems
from tenantry.gateway.config.reading import check_text, read_text
from tenantry.gateway.settings import GatewaySettings
from tenantry.install.gateway_settings import CONFIGURATION_FOLDER, GatewayInstall
from tenantry.install.manifests import manifests as all_manifests
from tenantry.install.settings import InstallSettings
from tenantry.kube.resources import CRDS

DEFAULTS = InstallSettings()
CRD_MANAGER = "tenantry-crds"
documents_option = click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="How to print."
)


@click.command()
@click.option("-n", "--namespace", default=DEFAULTS.namespace, show_default=True, help="Namespace of the installation.")
@click.option("--image", default=DEFAULTS.image, show_default=True, help="Image of both Deployments.")
@click.option(
    "--replicas", type=click.IntRange(1), default=DEFAULTS.admission_replicas, show_default=True, help="Of each."
)
@click.option(
    "--operator-workers",
    type=click.IntRange(1),
    default=DEFAULTS.operator_workers,
    show_default=True,
    help="Namespaces that the operator works on at once.",
)
@click.option(
    "--admission-workers",
    "--workers",
    type=click.IntRange(1, 64),
    default=DEFAULTS.admission_workers,
    show_default=True,
    help="Processes of one admission replica.",
)
@click.option("--log-level", default=DEFAULTS.log_level, show_default=True, help="debug, info, warning, error.")
@click.option(
    "--service-account",
    "operator_account",
    default=DEFAULTS.operator_account,
    show_default=True,
    help="ServiceAccount of the operator; Capsule's name keeps scripts working.",
)
@click.option(
    "--admission-service-account",
    "admission_account",
    default=DEFAULTS.admission_account,
    show_default=True,
    help="ServiceAccount of admission.",
)
@click.option(
    "--configuration-name",
    default=DEFAULTS.configuration_name,
    show_default=True,
    help="Name of the CapsuleConfiguration.",
)
@click.option("--service-name", default=DEFAULTS.service_name, show_default=True, help="Name of admission's Service.")
@click.option(
    "--tls-secret", default=DEFAULTS.tls_secret, show_default=True, help="Secret with admission's certificate."
)
@click.option("--cert-manager", is_flag=True, help="Let cert-manager make the certificate, instead of the operator.")
@click.option("--webhook-url", help="Base URL (https) of admission outside the cluster, instead of the Service.")
@click.option(
    "--bindable-cluster-role",
    "bindable_cluster_roles",
    multiple=True,
    default=DEFAULTS.bindable_cluster_roles,
    show_default=True,
    help="A ClusterRole that tenants may give to their owners; repeat it. '*' is all of them, cluster-admin too.",
)
@click.option("--force-delete-namespaces", is_flag=True, help="Let the operator strip finalizers of stuck namespaces.")
@click.option("--prometheus-operator", is_flag=True, help="Add a PrometheusRule and ServiceMonitors.")
@click.option("--gateway", "has_gateway", is_flag=True, help="Add the gateway, which takes capsule-proxy's place.")
@click.option(
    "--gateway-config",
    type=click.Path(path_type=Path),
    help="The gateway's configuration file, which its rights are made from; with --gateway.",
)
@click.option(
    "--gateway-san",
    "gateway_names",
    multiple=True,
    help="A name or address of the gateway's certificate, besides Service and configured hosts; repeat it.",
)
@click.option("--gateway-flow-schema", is_flag=True, help="Add a priority level for requests of Capsule users.")
@click.option("--skip-crds", is_flag=True, help="Leave out the CRDs (tenantry crds prints them).")
@click.option("--skip-configuration", is_flag=True, help="Leave out the CapsuleConfiguration, where one is there.")
@documents_option
def manifests(  # one parameter an option: that is how click passes them
    *, replicas: int, admission_workers: int, skip_crds: bool, skip_configuration: bool, output: str, **given: Any
) -> None:
    """Print everything an installation needs: CRDs, rights, Deployments, Services, configuration, alerts.

    On a fresh cluster the kinds must exist before the CapsuleConfiguration, so apply the CRDs first:

    \b
    tenantry crds | kubectl apply --server-side -f -
    tenantry manifests | kubectl apply --server-side -f -

    With the second line alone everything but the CapsuleConfiguration is applied, and kubectl ends
    with an error; the same line again applies the rest.  An upgrade is the same two lines.
    """  # noqa: D301  # click reads the backspace
    url = given["webhook_url"]
    if url is not None and not url.startswith("https://"):
        raise InvalidError("--webhook-url", url, "the API server calls webhooks by https:// only")
    gateway = _gateway(
        replicas,
        is_wanted=given.pop("has_gateway"),
        file=given.pop("gateway_config"),
        names=given.pop("gateway_names"),
        has_flow_schema=given.pop("gateway_flow_schema"),
    )
    settings = InstallSettings(
        operator_replicas=replicas,
        admission_replicas=replicas,
        admission_workers=admission_workers,
        gateway=gateway,
        **given,
    )
    print_documents(all_manifests(settings, with_crds=not skip_crds, with_configuration=not skip_configuration), output)


def _gateway(
    replicas: int, *, is_wanted: bool, file: Path | None, names: tuple[str, ...], has_flow_schema: bool
) -> GatewayInstall | None:
    if not is_wanted:
        if file is not None or names or has_flow_schema:
            raise InvalidError("--gateway", "not given", "the other options of the gateway need it")
        return None
    if file is None:
        return GatewayInstall(replicas=replicas, names=names, has_flow_schema=has_flow_schema)
    text = read_text(file)
    # The files that it names are in the Pod, not here.
    checked = check_text(text, folder=Path(CONFIGURATION_FOLDER), now=None)
    if checked.settings is None:
        raise ConfigurationProblems(str(file), checked.problems)
    for name, given, kept in (
        ("healthAddress", checked.settings.health_address, GatewaySettings().health_address),
        ("metricsAddress", checked.settings.metrics_address, GatewaySettings().metrics_address),
    ):
        if given != kept:
            raise InvalidError(f"{name} in {file}", given, f"probes and Services are made for {kept}: leave it out")
    return GatewayInstall(
        replicas=replicas,
        configuration=checked.settings,
        configuration_text=text,
        names=names,
        has_flow_schema=has_flow_schema,
    )


@click.command()
@click.option("--apply", "is_applied", is_flag=True, help="Apply them to the cluster instead of printing them.")
@documents_option
@cluster_options
def crds(*, is_applied: bool, output: str, kubeconfig: str | None, context: str | None) -> None:
    """Print the CustomResourceDefinitions of the kinds that this version serves.

    Apply them on the server's side: they are too large for kubectl's annotation.

    \b
    tenantry crds | kubectl apply --server-side -f -
    """  # noqa: D301  # click reads the backspace
    if not is_applied:
        print_documents(crd_manifests(), output)
        return

    async def work() -> None:
        async with connected(kubeconfig, context) as client:
            for each in crd_manifests():
                # Forced: whoever applied them before, with kubectl or Capsule's chart, hands them over.
                stored = await client.apply(CRDS, each, field_manager=CRD_MANAGER, force=True)
                click.echo(f"customresourcedefinition/{stored.metadata.name} applied")

    run(work())

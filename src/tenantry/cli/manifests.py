"""``tenantry manifests`` and ``tenantry crds``."""

from __future__ import annotations

import click

from tenantry.api.crds import crd_manifests
from tenantry.cli.output import print_documents
from tenantry.install.manifests import manifests as all_manifests
from tenantry.install.settings import InstallSettings

DEFAULTS = InstallSettings()
documents_option = click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="How to print."
)


@click.command()
@click.option("-n", "--namespace", default=DEFAULTS.namespace, show_default=True, help="Namespace of the installation.")
@click.option("--service-account", default=DEFAULTS.operator_account, show_default=True, help="Of the operator.")
@click.option(
    "--admission-service-account", default=DEFAULTS.admission_account, show_default=True, help="Of admission."
)
@click.option("--configuration-name", default=DEFAULTS.configuration_name, show_default=True)
@click.option("--image", default=DEFAULTS.image, show_default=True, help="Image of both Deployments.")
@click.option("--replicas", type=click.IntRange(1), default=DEFAULTS.admission_replicas, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=DEFAULTS.admission_workers, show_default=True)
@click.option("--webhook-url", help="Base URL of admission outside the cluster, instead of the Service.")
@click.option(
    "--bindable-cluster-role",
    "bindable",
    multiple=True,
    default=DEFAULTS.bindable_cluster_roles,
    show_default=True,
    help="A ClusterRole that tenants may give to their owners; repeat it. '*' is all of them.",
)
@click.option("--log-level", default=DEFAULTS.log_level, show_default=True)
@click.option("--force-delete-namespaces", is_flag=True, help="Let the operator strip finalizers of stuck namespaces.")
@click.option("--prometheus-operator", is_flag=True, help="Add a PrometheusRule and ServiceMonitors.")
@click.option("--skip-crds", is_flag=True, help="Leave out the CRDs (tenantry crds prints them).")
@documents_option
def manifests(  # noqa: PLR0913  # one parameter an option: that is how click passes them
    *,
    namespace: str,
    service_account: str,
    admission_service_account: str,
    configuration_name: str,
    image: str,
    replicas: int,
    workers: int,
    webhook_url: str | None,
    bindable: tuple[str, ...],
    log_level: str,
    force_delete_namespaces: bool,
    prometheus_operator: bool,
    skip_crds: bool,
    output: str,
) -> None:
    """Print everything an installation needs.

    \b
    tenantry crds | kubectl apply --server-side -f -
    tenantry manifests --skip-crds | kubectl apply --server-side -f -
    """  # noqa: D301  # click reads the backspace
    settings = InstallSettings(
        namespace=namespace,
        operator_account=service_account,
        admission_account=admission_service_account,
        configuration_name=configuration_name,
        image=image,
        admission_replicas=replicas,
        admission_workers=workers,
        webhook_url=webhook_url,
        bindable_cluster_roles=bindable,
        log_level=log_level,
        force_delete_namespaces=force_delete_namespaces,
        prometheus_operator=prometheus_operator,
    )
    print_documents(all_manifests(settings, with_crds=not skip_crds), output)


@click.command()
@documents_option
def crds(output: str) -> None:
    """Print the CustomResourceDefinitions of the kinds that this version serves."""
    print_documents(crd_manifests(), output)

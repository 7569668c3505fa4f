"""``tenantry manifests`` and ``tenantry crds``."""

from __future__ import annotations

from typing import Any

import click

from tenantry.api.crds import crd_manifests
from tenantry.cli.asking import cluster_options, connected, run
from tenantry.cli.output import print_documents
from tenantry.foundation.errors import InvalidError
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
    settings = InstallSettings(
        operator_replicas=replicas, admission_replicas=replicas, admission_workers=admission_workers, **given
    )
    print_documents(all_manifests(settings, with_crds=not skip_crds, with_configuration=not skip_configuration), output)


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

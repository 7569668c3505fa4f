"""``tenantry adopt``."""

from __future__ import annotations

import sys

import click

from tenantry.api import labels
from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant
from tenantry.cli.asking import cluster_options, connected, namespace_option, run
from tenantry.cli.exits import ExitCode
from tenantry.cli.output import plain, print_value, table
from tenantry.foundation.errors import ConfigurationError, RejectedError, TenantryError
from tenantry.kube.client import Client
from tenantry.kube.errors import ConflictError
from tenantry.kube.resources import NAMESPACES, TENANTS
from tenantry.tenancy.inspection.adoption import Act, Adoption, adoptions, is_misplaced


@click.command()
@click.argument("tenant_name", metavar="TENANT")
@click.argument("names", metavar="[NAMESPACE]...", nargs=-1)
@click.option("--all-labelled", is_flag=True, help="All namespaces that carry the tenant's label and are not in it.")
@click.option("-l", "--selector", help="All namespaces with these labels, as kubectl takes them.")
@click.option("--migrate", is_flag=True, help="Take namespaces of other tenants, too.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Let the API server check everything, and change nothing.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="How to print the plan.",
)
@namespace_option
@cluster_options
def adopt(  # noqa: PLR0913  # one parameter an option: that is how click passes them
    tenant_name: str,
    names: tuple[str, ...],
    *,
    all_labelled: bool,
    selector: str | None,
    migrate: bool,
    yes: bool,
    dry_run: bool,
    output: str,
    namespace: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Take existing or restored namespaces into TENANT.

    A namespace is in a tenant when it has the tenant's label and an owner reference with the
    tenant's uid.  A restored namespace has the label, but not the uid of the Tenant that there
    is now; this command sets both, in one patch.  It shows what it will do and asks first.

    Restore namespaces without their owner references: one that names a Tenant's old uid is soon
    deleted by Kubernetes' garbage collector.

    You need to be an administrator of the installation (spec.administrators of the
    CapsuleConfiguration), with the rights to read Tenants and Namespaces and to patch Namespaces.

    \b
    tenantry adopt oil legacy-app              one namespace that is in no tenant
    tenantry adopt oil --all-labelled          all of oil's after a restore
    tenantry adopt oil gas-lab --migrate       one of another tenant
    """  # noqa: D301  # click reads the backspace
    if not names and not all_labelled and not selector:
        raise click.UsageError("name namespaces, or give --all-labelled or --selector")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError("nobody is there to be asked: give --yes or --dry-run")

    async def work() -> bool:
        async with connected(kubeconfig, context) as client:
            tenants = {each.metadata.name: each for each in (await client.list(TENANTS)).items}
            tenant = tenants.get(tenant_name)
            if tenant is None:
                known = ", ".join(sorted(tenants)) or "none"
                raise ConfigurationError(f"there is no Tenant {tenant_name!r}; there are: {known}")
            if tenant.metadata.deletion_timestamp is not None:
                raise RejectedError(f"Tenant {tenant_name!r} is terminating: it takes nothing in")
            chosen = await _chosen(client, names, tenants, tenant_name if all_labelled else None, selector)
            planned = adoptions(tenant, chosen, tenants, own_namespace=namespace, migrate=migrate)
            _show(planned, output)
            if not _is_wanted(planned, tenant_name, asks=not (yes or dry_run)):
                return not any(each.act is Act.REFUSE for each in planned)
            written = await _write(client, planned, dry_run=dry_run)
            return written and not any(each.act is Act.REFUSE for each in planned)

    if not run(work()):
        sys.exit(ExitCode.WRONG)


async def _chosen(
    client: Client,
    names: tuple[str, ...],
    tenants: dict[str, Tenant],
    labelled: str | None,
    selector: str | None,
) -> list[ObjectMeta]:
    kind = NAMESPACES.metadata_only()
    chosen = {name: (await client.get(kind, name)).metadata for name in names}
    if labelled is not None:
        listing = await client.list(kind, label_selector=f"{labels.TENANT}={labelled}")
        chosen |= {each.metadata.name: each.metadata for each in listing.items if is_misplaced(each.metadata, tenants)}
    if selector:
        listing = await client.list(kind, label_selector=selector)
        chosen |= {each.metadata.name: each.metadata for each in listing.items}
    return [chosen[name] for name in sorted(chosen)]


def _show(planned: tuple[Adoption, ...], output: str) -> None:
    if output != "table":
        print_value(plain(planned), output)
    elif planned:
        click.echo(table(("namespace", "action", "because"), [(p.namespace, p.act.value, p.why) for p in planned]))
    else:
        click.echo("no namespace matches: nothing to do")


def _is_wanted(planned: tuple[Adoption, ...], tenant: str, *, asks: bool) -> bool:
    count = sum(each.patch is not None for each in planned)
    if not count:
        return False
    noun = "namespace" if count == 1 else "namespaces"
    return not asks or click.confirm(f"Take {count} {noun} into tenant {tenant!r}?", default=False, err=True)


async def _write(client: Client, planned: tuple[Adoption, ...], *, dry_run: bool) -> bool:
    """Write one after the other; what is refused is told, and the rest goes on."""
    is_well = True
    for each in planned:
        if each.patch is None:
            continue
        try:
            await client.patch(
                NAMESPACES.metadata_only(),
                each.namespace,
                patch=each.patch,
                kind="merge",
                dry_run=dry_run,
                field_manager="tenantry-adopt",
            )
        except ConflictError:
            is_well = False
            click.echo(f"{each.namespace}: it was changed by someone else just now; run the command again", err=True)
        except TenantryError as error:
            is_well = False
            click.echo(f"{each.namespace}: {error}", err=True)
        else:
            click.echo(f"{each.namespace}: {'would be taken in (dry run)' if dry_run else 'taken in'}", err=True)
    return is_well

"""``tenantry tenants`` and ``tenantry tenant show``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import click

from tenantry.api import labels
from tenantry.api.core import Event, Namespace
from tenantry.api.tenant import AvailableClasses, Tenant
from tenantry.cli.asking import Unread, cluster_options, connected, found, listed, run
from tenantry.cli.output import age, output_option, plain, print_value, table
from tenantry.cli.preview import preview
from tenantry.foundation.errors import ConfigurationError
from tenantry.kube.client import Client
from tenantry.kube.resources import EVENTS, NAMESPACES, RESOURCE_QUOTAS, TENANTS
from tenantry.tenancy.inspection.summary import (
    OwnerLine,
    QuotaLine,
    Refusal,
    SpaceLine,
    TenantLine,
    owner_lines,
    quota_lines,
    refusals,
    space_lines,
    tenant_line,
)

Rows = Sequence[Sequence[object]]
MESSAGE_WIDTH: Final = 100


@click.command()
@output_option
@cluster_options
def tenants(*, output: str, kubeconfig: str | None, context: str | None) -> None:
    """List the tenants: state, namespaces used of how many, owners, whether they are ready."""

    async def work() -> list[TenantLine]:
        async with connected(kubeconfig, context) as client:
            found = (await client.list(TENANTS)).items
        return [tenant_line(each) for each in sorted(found, key=lambda each: each.metadata.name)]

    lines = run(work())
    if output != "table":
        print_value(plain(lines), output)
    elif not lines:
        click.echo("no tenants")
    else:
        headings = ("name", "state", "namespaces", "owners", "ready", "age")
        click.echo(table(headings, [_tenant_row(each) for each in lines]))


def _tenant_row(line: TenantLine) -> tuple[object, ...]:
    used = f"{line.namespaces}/{line.quota}" if line.quota is not None else str(line.namespaces)
    owners = ", ".join(each.partition("/")[2] for each in line.owners[:3])
    more = f" and {len(line.owners) - 3} more" if len(line.owners) > 3 else ""
    return line.name, line.state, used, (owners + more) or "-", line.ready, age(line.created, datetime.now(UTC))


@click.group()
def tenant() -> None:
    """Show one tenant, or preview an edited one."""


tenant.add_command(preview)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Details:
    tenant: TenantLine
    namespaces: tuple[SpaceLine, ...]
    owners: tuple[OwnerLine, ...]
    quotas: tuple[QuotaLine, ...]
    classes: AvailableClasses | None
    refusals: tuple[Refusal, ...]
    unread: dict[str, str]


@tenant.command()
@click.argument("name")
@click.option("--refusals", "limit", type=click.IntRange(0), default=10, show_default=True, help="How many to show.")
@output_option
@cluster_options
def show(name: str, *, limit: int, output: str, kubeconfig: str | None, context: str | None) -> None:
    """Show the tenant NAME: namespaces, owners, quotas, classes, and what was refused last.

    Refusals are the Warning events of its namespaces; the API server keeps events for an hour,
    if it was not told otherwise.
    """

    async def work() -> _Details:
        async with connected(kubeconfig, context) as client:
            stored = await found(client, TENANTS, name)
            if stored is None:
                raise ConfigurationError(f"there is no Tenant {name!r}: `tenantry tenants` lists them")
            return await _details(client, stored, limit)

    details = run(work())
    if output != "table":
        print_value(plain(details), output)
    else:
        click.echo("\n\n".join(_sections(details)))


async def _details(client: Client, stored: Tenant, limit: int) -> _Details:
    unread = Unread()
    name = stored.metadata.name
    selector = f"{labels.NEW_TENANT}={name}"
    namespaces, quotas, events = await asyncio.gather(
        unread.read("namespaces", listed(client, NAMESPACES, label_selector=f"{labels.TENANT}={name}"), []),
        unread.read("quotas", listed(client, RESOURCE_QUOTAS, label_selector=selector), []),
        unread.read("refusals", _events(client, selector), []),
    )
    by_name: dict[str, Namespace] = {each.metadata.name: each for each in namespaces}
    return _Details(
        tenant=tenant_line(stored),
        namespaces=space_lines(stored, by_name),
        owners=owner_lines(stored),
        quotas=quota_lines(stored, quotas),
        classes=stored.status.classes,
        refusals=refusals(events, limit=limit),
        unread=unread.what,
    )


async def _events(client: Client, selector: str) -> list[Event]:
    return await listed(client, EVENTS, label_selector=selector)


def _sections(details: _Details) -> list[str]:
    line = details.tenant
    used = f"{line.namespaces} of {line.quota}" if line.quota is not None else f"{line.namespaces}, no limit"
    ready = f"{line.ready}{f': {line.message}' if line.message else ''}"
    head = [("Tenant", line.name), ("State", line.state), ("Ready", ready), ("Namespaces", used)]
    parts = ["\n".join(f"{f'{key}:':<12}{value}" for key, value in head)]
    parts += _section("Namespaces", ("name", "phase", "cordoned", "ready"), details.namespaces, _space_row)
    parts += _section("Owners", ("kind", "name", "cluster roles"), details.owners, _owner_row)
    parts += _section("Quotas", ("namespace", "resource", "used", "hard"), details.quotas, _quota_row)
    if details.classes is not None:
        classes = [(kind, ", ".join(names) or "-") for kind, names in plain(details.classes).items()]
        parts += [f"Classes that it may use\n{table(('kind', 'names'), classes)}"] if classes else []
    headings = ("last seen", "times", "object", "user", "reason", "message")
    parts += _section("Last refusals", headings, details.refusals, _refusal_row)
    parts += [f"note: {what} could not be read: {why}" for what, why in details.unread.items()]
    return parts


def _section(title: str, headings: Sequence[str], lines: Sequence[object], row: Callable[..., object]) -> list[str]:
    rows: Rows = [row(each) for each in lines]  # type: ignore[misc]  # each row function knows its line
    return [f"{title}\n{table(headings, rows)}"] if rows else []


def _space_row(line: SpaceLine) -> tuple[object, ...]:
    return line.name, line.phase, "yes" if line.cordoned else "no", line.ready


def _owner_row(line: OwnerLine) -> tuple[object, ...]:
    return line.kind, line.name, ", ".join(line.cluster_roles) or "-"


def _quota_row(line: QuotaLine) -> tuple[object, ...]:
    return line.namespace or "(whole tenant)", line.resource, line.used, line.hard


def _refusal_row(line: Refusal) -> tuple[object, ...]:
    message = " ".join(line.message.split())
    short = message if len(message) <= MESSAGE_WIDTH else message[: MESSAGE_WIDTH - 3] + "..."
    place = f"{line.namespace}/" if line.namespace else ""
    return (
        f"{age(line.at, datetime.now(UTC))} ago",
        line.count,
        place + line.object,
        line.user or "-",
        line.reason,
        short,
    )
